// After every prefix of the calls that a history makes, every state that a killed process or a
// power cut could leave on the disk is opened, and owes what was promised by then.
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/crash/history.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

constexpr int kSamples = 3;
// After so many the rest would only repeat them.
constexpr int kFailuresShown = 5;

class CrashStates {
 public:
  explicit CrashStates(const History& history)
      : run_(history), model_(run_.before()), ledger_(run_.ledger_before()) {}

  // `stride`: every how manieth prefix is opened.
  void CheckAll(int stride) {
    const auto& steps = run_.steps();
    int prefix = 0;
    Check(0, "before", model_.Everything());
    for (size_t i = 0; i < steps.size() && failures_ < kFailuresShown; ++i) {
      if (steps[i].is_event) {
        ledger_.Apply(steps[i].event);
        ++events_;
        // What is acknowledged must be durable from here on, not only at the next call.
        if (steps[i].event.outcome == VaultEvent::kDone) Check(i + 1, "cut", model_.DurableOnly());
        continue;
      }
      model_.Apply(steps[i].op);
      if (++prefix % stride == 0) CheckPrefix(i + 1, steps[i].op);
    }
    Check(steps.size(), "end", model_.Everything());
    std::cout << prefix << " calls, " << checked_ << " states opened, " << repeated_
              << " seen before\n";
    EXPECT_GT(checked_, 20);
  }

 private:
  void CheckPrefix(size_t end, const FileOp& last) {
    Check(end, "killed", model_.Everything());
    if (last.kind == FileOp::kWrite) Check(end, "torn", model_.Torn(last));
    if (!model_.HasVolatile()) return;
    Check(end, "cut", model_.DurableOnly());
    std::mt19937 random(static_cast<unsigned>(end));
    for (int i = 0; i < kSamples; ++i)
      Check(end, absl::StrCat("sample ", i), model_.Sample(random));
  }

  void Check(size_t end, const std::string& kind, const DiskImage& image) {
    if (!seen_.insert(absl::StrCat(events_, image.Digest())).second) {
      ++repeated_;
      return;
    }
    ++checked_;
    TempDir parent(FastDirectory());
    ASSERT_OK(image.WriteTo(parent.Join("vault")));
    const absl::Status status =
        CheckRecovery(parent.Join("vault"), ledger_, run_.end(), run_.other());
    if (status.ok()) return;
    ++failures_;
    ADD_FAILURE() << "after step " << end << " (" << kind << "): " << status << "\n"
                  << Describe(run_.steps(), end);
  }

  HistoryRun run_;
  DiskModel model_;
  VaultLedger ledger_;
  int events_ = 0;
  std::set<std::string> seen_;
  int checked_ = 0;
  int repeated_ = 0;
  int failures_ = 0;
};

TEST(CrashStates, OfADeletion) { CrashStates(Deletion()).CheckAll(StrideOr(4)); }
TEST(CrashStates, OfACollection) { CrashStates(Collection()).CheckAll(StrideOr(4)); }
TEST(CrashStates, OfARepair) { CrashStates(Repair()).CheckAll(StrideOr(9)); }
TEST(CrashStates, OfARepairWithASpoiltIndex) {
  CrashStates(RepairWithASpoiltIndex()).CheckAll(StrideOr(9));
}
TEST(CrashStates, OfARepairWithoutAnIndex) {
  CrashStates(RepairWithoutAnIndex()).CheckAll(StrideOr(9));
}
TEST(CrashStates, OfAReplication) { CrashStates(Replication()).CheckAll(StrideOr(9)); }
TEST(CrashStates, OfTheFirstBackups) { CrashStates(FirstBackups()).CheckAll(StrideOr(4)); }

}  // namespace
}  // namespace ember::testing
