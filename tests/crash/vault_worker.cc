// Works on a vault until it is killed, and tells on standard output what it asks and what was
// acknowledged, a line each.
//   vault_worker DIRECTORY SEED FIRST CLOCK_SECONDS SOURCE [repair]
// FIRST: the first number of the backups it makes; CLOCK_SECONDS: how far its clock is ahead;
// SOURCE: the directory of a vault that it copies and heals from; repair: it begins with one.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "tests/crash/source_vault.h"
#include "tests/crash/vault_driver.h"

namespace ember::testing {
namespace {

// One write per line: what arrives is whole.
void Tell(const VaultEvent& event) {
  if (!WriteAll(STDOUT_FILENO, absl::StrCat(event.ToLine(), "\n"), "output").ok()) std::exit(3);
}

class Worker {
 public:
  Worker(const std::string& directory, unsigned seed, int first, absl::Duration ahead,
         std::string source)
      : random_(seed),
        next_(first),
        source_directory_(std::move(source)),
        driver_(directory, clock_, Tell) {
    clock_.Advance(ahead);
  }

  // Returns only when something fails that should not.
  absl::Status Run(bool repair) {
    EMBER_RETURN_IF_ERROR(driver_.Open());
    if (repair) EMBER_RETURN_IF_ERROR(Repair());
    while (true) {
      const absl::Status status = Step(random_() % 12);
      if (!status.ok() && !absl::IsFailedPrecondition(status)) return status;
      clock_.Advance(absl::Minutes(random_() % 60));
    }
  }

 private:
  absl::Status Step(unsigned choice) {
    if (choice < 6 || made_.size() < 2) {
      const PlannedBackup backup = NewBackup();
      EMBER_RETURN_IF_ERROR(
          driver_.BackUp(backup, {.sync_every = 4 + random_() % 12, .careless = choice == 0}));
      made_.push_back(backup);
      return absl::OkStatus();
    }
    const PlannedBackup& victim = made_[random_() % made_.size()];
    switch (choice) {
      case 6: return driver_.Abandon(NewBackup());
      case 7: return driver_.Delete({victim});
      case 8: return driver_.Undelete({victim});
      case 9: clock_.Advance(absl::Hours(24) * (random_() % 5)); return driver_.Gc();
      default: return Replicate();
    }
  }

  absl::Status OpenSource() {
    if (source_ != nullptr) return absl::OkStatus();
    EMBER_ASSIGN_OR_RETURN(source_, SourceVault::Open(source_directory_));
    return absl::OkStatus();
  }

  absl::Status Repair() {
    EMBER_RETURN_IF_ERROR(OpenSource());
    return driver_.Repair(source_->source());
  }

  absl::Status Replicate() {
    EMBER_RETURN_IF_ERROR(OpenSource());
    EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply list, source_->source().ListBackups());
    const int any = static_cast<int>(random_() % static_cast<unsigned>(list.items_size()));
    EMBER_ASSIGN_OR_RETURN(const std::vector<PlannedBackup> copied,
                           driver_.Replicate(source_->source(), {list.items(any).workload()}));
    made_.insert(made_.end(), copied.begin(), copied.end());
    return absl::OkStatus();
  }

  PlannedBackup NewBackup() { return {absl::StrCat("w-", random_() % 3), next_++}; }

  std::mt19937 random_;
  int next_;
  const std::string source_directory_;
  std::unique_ptr<SourceVault> source_;
  FakeClock clock_;
  VaultDriver driver_;
  std::vector<PlannedBackup> made_;
};

}  // namespace
}  // namespace ember::testing

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) return 2;
  ember::testing::Worker worker(argv[1], static_cast<unsigned>(std::atoi(argv[2])),
                                std::atoi(argv[3]), absl::Seconds(std::atoll(argv[4])), argv[5]);
  const absl::Status status = worker.Run(argc == 7);
  std::fprintf(stderr, "vault_worker: %s\n", status.ToString().c_str());
  return 1;
}
