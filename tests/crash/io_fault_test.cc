// Every call that changes a file is refused once, or from then on, and the process goes on: nothing
// that it acknowledged is untrue, neither for the next process nor after a power cut.
#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/crash/history.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

constexpr int kFailuresShown = 5;
// So few reads that each of them is refused in turn.
constexpr int kReadsMin = 12;

enum class Trouble {
  kErrorOnce,   // EIO
  kFullOnce,    // ENOSPC
  kFullAWhile,  // ENOSPC for the next kFullCalls
  kDeadDisk,    // EIO from then on
  kShortWrite,  // half a write; the rest has room
};
constexpr int kFullCalls = 40;

HistoryRun::Fault FaultAt(int at, Trouble trouble) {
  return [at, trouble](int call, const FileOp& op, size_t* size) {
    switch (trouble) {
      case Trouble::kErrorOnce: return call == at ? EIO : 0;
      case Trouble::kFullOnce: return call == at ? ENOSPC : 0;
      case Trouble::kFullAWhile:
        // A full disk still removes.
        return call >= at && call < at + kFullCalls && op.kind != FileOp::kUnlink ? ENOSPC : 0;
      case Trouble::kDeadDisk: return call >= at ? EIO : 0;
      case Trouble::kShortWrite:
        if (call == at && size != nullptr && *size > 1) *size /= 2;
        return 0;
    }
    return 0;
  };
}

// The next process, on what the run left, and on what a power cut leaves of that.
absl::Status CheckAfter(HistoryRun& run) {
  DiskModel model = run.before();
  VaultLedger ledger = run.ledger_before();
  for (const HistoryRun::Step& step : run.steps()) {
    if (step.is_event) {
      ledger.Apply(step.event);
    } else {
      model.Apply(step.op);
    }
  }
  TempDir parent(FastDirectory());
  EMBER_RETURN_IF_ERROR(model.DurableOnly().WriteTo(parent.Join("cut")));
  EMBER_RETURN_IF_ERROR(CheckRecovery(parent.Join("cut"), ledger, run.end(), run.other()));
  return CheckRecovery(run.directory(), ledger, run.end(), run.other());
}

void Torment(const History& history, Trouble trouble, int stride) {
  int tried = 0;
  int failures = 0;
  for (int at = 1; failures < kFailuresShown; at += stride) {
    HistoryRun run(history, FaultAt(at, trouble));
    if (run.calls() < at) break;
    ++tried;
    const absl::Status status = CheckAfter(run);
    if (status.ok()) continue;
    ++failures;
    size_t step = 0;
    for (int call = 0; step < run.steps().size() && call + 1 < at; ++step)
      call += run.steps()[step].is_event ? 0 : 1;
    ADD_FAILURE() << "call " << at << ": " << status << "\n" << Describe(run.steps(), step);
  }
  std::cout << tried << " calls refused\n";
  EXPECT_GT(tried, 10);
}

// Reads that fail: once, as a cable does, or from then on.
void TormentReads(const History& history, bool once, int usual_stride) {
  int tried = 0;
  int failures = 0;
  const int stride = std::clamp(HistoryRun(history).reads() / kReadsMin, 1, usual_stride);
  for (int at = 1; failures < kFailuresShown; at += stride) {
    std::string refused;
    HistoryRun run(history, {}, [&](int read, const std::string& path) {
      const bool refuse = once ? read == at : read >= at;
      if (refuse && refused.empty()) refused = path;
      return refuse ? EIO : 0;
    });
    if (run.reads() < at) break;
    ++tried;
    const absl::Status status = CheckAfter(run);
    if (status.ok()) continue;
    ++failures;
    ADD_FAILURE() << "read " << at << ", of " << refused << ": " << status;
  }
  std::cout << tried << " reads refused\n";
  EXPECT_GT(tried, 0);
}

// A pack that was repaired, and whose name a power cut would take back.
TEST(IoFault, OfTheNameOfARepairedPack) {
  bool is_refused = false;
  HistoryRun run(Repair(), [&is_refused](int, const FileOp& op, size_t*) {
    if (is_refused || op.kind != FileOp::kSyncDirectory || op.path.rfind("packs/", 0) != 0)
      return 0;
    is_refused = true;
    return EIO;
  });
  EXPECT_TRUE(is_refused);
  EXPECT_OK(CheckAfter(run));
}

class IoFaults : public ::testing::TestWithParam<History (*)()> {};

TEST_P(IoFaults, AnError) { Torment(GetParam()(), Trouble::kErrorOnce, StrideOr(5)); }
TEST_P(IoFaults, AFullDisk) { Torment(GetParam()(), Trouble::kFullOnce, StrideOr(7)); }
TEST_P(IoFaults, ADiskFullForAWhile) { Torment(GetParam()(), Trouble::kFullAWhile, StrideOr(9)); }
TEST_P(IoFaults, ADeadDisk) { Torment(GetParam()(), Trouble::kDeadDisk, StrideOr(9)); }
TEST_P(IoFaults, AReadThatFails) { TormentReads(GetParam()(), true, StrideOr(3)); }
TEST_P(IoFaults, AllReadsFail) { TormentReads(GetParam()(), false, StrideOr(5)); }
TEST_P(IoFaults, AShortWrite) { Torment(GetParam()(), Trouble::kShortWrite, StrideOr(9)); }

INSTANTIATE_TEST_SUITE_P(FirstBackups, IoFaults, ::testing::Values(&FirstBackups));
INSTANTIATE_TEST_SUITE_P(Collection, IoFaults, ::testing::Values(&Collection));
INSTANTIATE_TEST_SUITE_P(Deletion, IoFaults, ::testing::Values(&Deletion));
INSTANTIATE_TEST_SUITE_P(Repair, IoFaults, ::testing::Values(&Repair));
INSTANTIATE_TEST_SUITE_P(RepairWithASpoiltIndex, IoFaults,
                         ::testing::Values(&RepairWithASpoiltIndex));
INSTANTIATE_TEST_SUITE_P(RepairWithoutAnIndex, IoFaults, ::testing::Values(&RepairWithoutAnIndex));
INSTANTIATE_TEST_SUITE_P(Replication, IoFaults, ::testing::Values(&Replication));

}  // namespace
}  // namespace ember::testing
