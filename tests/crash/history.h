// What a vault goes through while its disk is watched.
#ifndef EMBER_TESTS_CRASH_HISTORY_H_
#define EMBER_TESTS_CRASH_HISTORY_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/crash/disk_model.h"
#include "tests/crash/file_calls.h"
#include "tests/crash/source_vault.h"
#include "tests/crash/vault_driver.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

// Both parts begin with the vault open, unless it could not be opened; when `prepare` closes it, it
// is opened while its disk is watched.
struct History {
  std::string name;
  // Comes before; its end is durable.
  std::function<void(VaultDriver&, FakeClock&)> prepare;
  std::function<void(VaultDriver&, FakeClock&)> run;
  // Another vault, which can heal this one, and whose backups are copied to it. May be null.
  std::shared_ptr<SourceVault> other = nullptr;
};

History FirstBackups();  // an empty directory to three backups, one of them interrupted
History Deletion();      // delete, undelete, and a collection that purges
History Collection();    // condemn, rewrite packs, back up again, unlink
History Repair();        // a flipped bit, a ruined pack, a lost one: parity, then a second vault
// The index is spoilt, or lost, too: it is made anew when the vault is opened.
History RepairWithASpoiltIndex();  // all of that damage
History RepairWithoutAnIndex();    // what parity can repair, after one more opening
History Replication();  // copies until the link breaks, then all; one that is deleted stays away

// Runs a history; what it watches and what it notes keep their order.
class HistoryRun : public FileObserver {
 public:
  // Asked before each call; an errno refuses it. `size` as in FileObserver.
  using Fault = std::function<int(int call, const FileOp& op, size_t* size)>;
  // The same for reads.
  using ReadFault = std::function<int(int read, const std::string& path)>;
  explicit HistoryRun(const History& history, Fault fault = {}, ReadFault read_fault = {});

  struct Step {
    bool is_event = false;
    FileOp op;
    VaultEvent event;
  };
  const DiskModel& before() const { return before_; }
  const std::vector<Step>& steps() const { return steps_; }
  int calls() const { return calls_; }
  int reads() const { return reads_; }
  // The promises that were made before the watch began.
  const VaultLedger& ledger_before() const { return ledger_before_; }
  absl::Time end() { return clock_.Now(); }
  // What the recovery may copy and heal from; null: nothing.
  vault::ReplicaSource* other() const { return other_ ? &other_->source() : nullptr; }
  // The directory as the run has left it; the vault is closed.
  const std::string& directory() const { return place_; }

  int Before(const FileOp& op, size_t* size) override;
  void After(const FileOp& op) override;
  int BeforeRead(const std::string& path) override;

 private:
  void Note(const VaultEvent& event);

  const Fault fault_;
  const ReadFault read_fault_;
  const std::shared_ptr<SourceVault> other_;
  FakeClock clock_;
  TempDir parent_;
  const std::string place_;
  DiskModel before_;
  VaultLedger ledger_before_;
  int calls_ = 0;  // that were asked about; in the order of the watch
  int reads_ = 0;
  std::mutex mu_;
  bool watched_ = false;
  std::vector<Step> steps_;
};

// The last steps before `end`, for a person.
std::string Describe(const std::vector<HistoryRun::Step>& steps, size_t end);

// 1 with EMBER_LONG, else `usual`: every how manieth of the many cases is tried.
int StrideOr(int usual);

}  // namespace ember::testing

#endif  // EMBER_TESTS_CRASH_HISTORY_H_
