// The vault against its model: from a seed, an interleaving of four writers, deletion, collection,
// damage and its repair, restarts, crashes and clocks that jump. After every step both agree.
//   EMBER_SEED=n   that seed only, told step by step
//   EMBER_LONG=1   ten times as many seeds
// A seed that has ever failed is in seeds.txt, and always runs.
#include "tests/model/vault_model.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/pack.h"
#include "gtest/gtest.h"
#include "tests/crash/file_calls.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/vault_ledger.h"

namespace ember::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 60;
constexpr int kWriters = 4;
constexpr int kSeedsPerShard = 250;
constexpr int kShards = 8;

class Play {
 public:
  Play(unsigned seed, bool tells) : random_(seed), tells_(tells) {}

  absl::Status Run() {
    SetRealSync(false);
    directory_ = std::make_unique<TempDir>(FastDirectory());
    EMBER_RETURN_IF_ERROR(Open());
    for (step_ = 1; step_ <= kSteps; ++step_) {
      model_.SetTime(clock_.Now(), clock_.Monotonic());
      if (absl::Status status = Step(); !status.ok()) return At(status);
      const bool restore = Below(8) == 0;
      if (absl::Status status = model_.CheckShown(*vault_, restore); !status.ok())
        return At(status);
    }
    return At(End());
  }

 private:
  struct Writer {
    std::string workload;
    int next = 1;
    uint64_t epoch = 1;
    std::optional<VaultClient> client;
    std::optional<VaultClient> old;  // of a session that another one has replaced, or committed
  };

  absl::Status At(const absl::Status& status) const {
    return status.ok() ? status : Annotate(status, absl::StrCat("step ", step_));
  }
  unsigned Below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  void Tell(absl::string_view what) {
    if (tells_) std::cerr << "step " << step_ << ": " << what << "\n";
  }

  absl::Status Open() {
    vault::VaultOptions options{.name = "nas", .directory = directory_->path(), .clock = &clock_};
    options.store = std::make_shared<MemoryStore>(objects_);
    EMBER_ASSIGN_OR_RETURN(vault_, vault::Vault::Open(options));
    for (Writer& writer : writers_) {
      for (auto* client : {&writer.client, &writer.old}) {
        if (*client) (*client)->UseVault(*vault_);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Step() {
    const unsigned choice = Below(100);
    if (choice < 72) return WriterStep(writers_[Below(kWriters)]);
    if (choice < 79) return Delete();
    if (choice < 83) return Undelete();
    if (choice < 88) return Collect();
    if (choice < 91) return Check();
    if (choice < 94) return Restart();
    if (choice < 97) return Crash();
    return TurnClock();
  }

  absl::Status WriterStep(Writer& writer) {
    if (!writer.client || Below(20) == 0) return OpenSession(writer);
    if (writer.old && Below(10) == 0) return UseOld(writer);
    VaultClient& client = *writer.client;
    const std::vector<int> some = Some(RecordsOf(client.backup()));
    const auto tell = [&](absl::string_view verb) {
      Tell(absl::StrCat(BackupIdOf(client.backup()), " ", verb, " ", absl::StrJoin(some, " ")));
    };
    switch (Below(8)) {
      case 0:
      case 1: tell("asks for"); return Ask(client, some);
      case 2:
        Tell(absl::StrCat(BackupIdOf(client.backup()), " syncs"));
        return model_.Synced(client.backup(), client.Sync());
      case 3:
      case 4: return Commit(writer);
      default:
        tell("sends");
        return model_.Appended(client.backup(), client.token(), some, client.Append(some));
    }
  }

  absl::Status Ask(VaultClient& client, const std::vector<int>& records) {
    const auto absent = client.Absent(records);
    if (absent.ok()) Tell(absl::StrCat("absent are ", absl::StrJoin(*absent, " ")));
    return model_.Answered(client.backup(), client.token(), records, absent);
  }

  absl::Status OpenSession(Writer& writer) {
    // Now and then a writer that was moved away and does not know it.
    const bool stale = writer.epoch > 1 && Below(6) == 0;
    if (Below(10) == 0) ++writer.epoch;
    if (Below(3) == 0) ++writer.next;
    const PlannedBackup backup{writer.workload, writer.next};
    Tell(absl::StrCat("open ", BackupIdOf(backup), stale ? " with an old epoch" : ""));
    const uint64_t epoch = stale ? 0 : writer.epoch;
    auto client = VaultClient::Open(*vault_, backup, epoch);
    EMBER_RETURN_IF_ERROR(model_.Opened(
        backup, epoch, client.ok() ? absl::StatusOr<uint64_t>(client->token()) : client.status()));
    if (!client.ok()) return absl::OkStatus();
    if (writer.client) writer.old = writer.client;
    writer.client = *client;
    return absl::OkStatus();
  }

  absl::Status UseOld(Writer& writer) {
    VaultClient& old = *writer.old;
    Tell(absl::StrCat("late calls of ", BackupIdOf(old.backup())));
    const std::vector<int> some = Some(RecordsOf(old.backup()));
    EMBER_RETURN_IF_ERROR(model_.Appended(old.backup(), old.token(), some, old.Append(some)));
    return model_.Committed(old.backup(), old.token(), old.Commit(RecordsOf(old.backup())));
  }

  absl::Status Commit(Writer& writer) {
    VaultClient& client = *writer.client;
    const std::vector<int> records = RecordsOf(client.backup());
    const auto reply = client.Commit(records);
    Tell(absl::StrCat(
        BackupIdOf(client.backup()), " commits: ",
        reply.ok() ? absl::StrCat("need ", reply->need_size()) : reply.status().ToString()));
    EMBER_RETURN_IF_ERROR(model_.Committed(client.backup(), client.token(), reply));
    if (!reply.ok() || reply->need_size() > 0) return absl::OkStatus();
    writer.old = client;
    writer.client.reset();
    ++writer.next;
    return absl::OkStatus();
  }

  std::vector<int> Some(const std::vector<int>& records) {
    std::vector<int> some;
    for (const int record : records) {
      if (Below(2) == 0) some.push_back(record);
    }
    return some.empty() ? records : some;
  }

  // Backups in `state`, at most two.
  std::vector<PlannedBackup> Pick(VaultModel::Backup::State state) {
    std::vector<PlannedBackup> all;
    for (const auto& [backup, row] : model_.backups()) {
      if (row.state == state) all.push_back(backup);
    }
    std::shuffle(all.begin(), all.end(), random_);
    all.resize(std::min<size_t>(all.size(), 1 + Below(2)));
    return all;
  }

  absl::Status Delete() {
    const auto victims = Pick(VaultModel::Backup::kStored);
    if (victims.empty()) return absl::OkStatus();
    v1::VaultOrder order;
    for (const PlannedBackup& backup : victims) {
      Tell(absl::StrCat("delete ", BackupIdOf(backup)));
      order.mutable_delete_()->add_backup_ids(BackupIdOf(backup));
    }
    order.mutable_delete_()->set_by_person(Below(4) != 0);
    return model_.Deleted(victims, order.delete_().by_person(), vault_->Run(order, {}).status());
  }

  absl::Status Undelete() {
    const auto victims = Pick(VaultModel::Backup::kTrashed);
    if (victims.empty()) return absl::OkStatus();
    v1::VaultOrder order;
    for (const PlannedBackup& backup : victims) {
      Tell(absl::StrCat("undelete ", BackupIdOf(backup)));
      order.mutable_undelete()->add_backup_ids(BackupIdOf(backup));
    }
    return model_.Undeleted(victims, vault_->Run(order, {}).status());
  }

  absl::Status Collect() {
    v1::VaultOrder order;
    order.mutable_gc();
    const auto result = vault_->Run(order, {});
    Tell(absl::StrCat("gc: ",
                      result.ok() ? result->ShortDebugString() : result.status().ToString()));
    EMBER_RETURN_IF_ERROR(model_.Collected(result));
    collected_ = *result;
    return model_.CheckShown(*vault_, true);
  }

  // Half of the checks have something to repair: parity gives back what was flipped.
  absl::Status Check() {
    const bool damages = Below(2) == 0 && FlipAByte();
    v1::VaultOrder order;
    order.mutable_check()->set_read_data(damages || Below(2) == 0);
    order.mutable_check()->set_repair(order.check().read_data());
    const auto result = vault_->Run(order, {});
    Tell(absl::StrCat("check: ",
                      result.ok() ? result->ShortDebugString() : result.status().ToString()));
    EMBER_RETURN_IF_ERROR(result.status());
    if (result->damaged_backups_size() > 0 || result->problems_size() > 0 ||
        result->records_damaged() > 0)
      return absl::InternalError(absl::StrCat("a check: ", result->ShortDebugString()));
    return model_.CheckShown(*vault_, true);
  }

  // Of some pack; false when there is none.
  bool FlipAByte() {
    absl::MutexLock lock(&objects_->mu);
    std::vector<std::string*> packs;
    for (auto& [name, bytes] : objects_->objects) {
      if (absl::StartsWith(name, "packs/")) packs.push_back(&bytes);
    }
    if (packs.empty()) return false;
    std::string& pack = *packs[Below(static_cast<unsigned>(packs.size()))];
    pack[Below(static_cast<unsigned>(pack.size()))] ^= static_cast<char>(1 + Below(255));
    Tell("a byte of a pack is flipped");
    return true;
  }

  absl::Status Restart() {
    Tell("restart");
    vault_.reset();
    model_.Restarted();
    EMBER_RETURN_IF_ERROR(Open());
    return model_.CheckShown(*vault_, true);
  }

  // The next process finds what is there at this moment, without any goodbye of this one.
  absl::Status Crash() {
    Tell("crash");
    auto copy = std::make_unique<TempDir>(FastDirectory());
    auto objects = std::make_shared<MemoryObjects>();
    do {
      absl::MutexLock lock(&objects_->mu);
      absl::MutexLock copy_lock(&objects->mu);
      objects->objects = objects_->objects;
    } while (!CopyLive(directory_->path(), copy->path()));
    if (Below(4) == 0) fs::remove_all(copy->Join("index"));
    vault_.reset();
    directory_ = std::move(copy);
    objects_ = std::move(objects);
    model_.Restarted();
    EMBER_RETURN_IF_ERROR(Open());
    return model_.CheckShown(*vault_, true);
  }

  absl::Status TurnClock() {
    const absl::Duration by = absl::Hours(Below(24 * 9));
    Tell(absl::StrCat("the clock moves by ", absl::FormatDuration(by)));
    if (Below(3) == 0) {
      clock_.JumpWall(-by);
    } else {
      clock_.Advance(by);
    }
    return absl::OkStatus();
  }

  // Long after everybody has left, what nobody needs is collected, and the records form a chain.
  absl::Status End() {
    vault_.reset();
    model_.Restarted();
    clock_.Advance(absl::Hours(24 * 60));
    model_.SetTime(clock_.Now(), clock_.Monotonic());
    EMBER_RETURN_IF_ERROR(Open());
    EMBER_RETURN_IF_ERROR(model_.CheckShown(*vault_, true));
    // A pack is known to be older than the lease of its session when a round has begun since then;
    // what a round copies into a new pack is as young as that.
    for (int round = 0; round < 4; ++round) {
      clock_.Advance(absl::Hours(2 * kSessionLeaseHours));
      model_.SetTime(clock_.Now(), clock_.Monotonic());
      EMBER_RETURN_IF_ERROR(Collect());
    }
    for (const auto& [backup, row] : model_.backups()) {
      if (row.state == VaultModel::Backup::kTrashed)
        return absl::InternalError(absl::StrCat("never purged: ", BackupIdOf(backup)));
    }
    // What is condemned in a pack that is not worth rewriting comes back when somebody asks for it.
    const std::vector<int> garbage = model_.Unreferenced();
    EMBER_ASSIGN_OR_RETURN(VaultClient client, VaultClient::Open(*vault_, {"last-9", 1}, 9));
    EMBER_ASSIGN_OR_RETURN(const std::vector<int> absent, client.Absent(garbage));
    int64_t bytes = 0;
    for (const int record : garbage) {
      if (!std::binary_search(absent.begin(), absent.end(), record))
        bytes += static_cast<int64_t>(vault::kRecordHeaderBytes + PayloadOf(record).size());
    }
    if (bytes * 100 > collected_.bytes_total() * kSweepDeadPercent)
      return absl::InternalError(
          absl::StrCat("garbage that stays: ", bytes, " of ", collected_.bytes_total(), " bytes"));
    vault_.reset();
    MemoryStore store(objects_);
    return CheckChains(store);
  }

  std::mt19937 random_;
  const bool tells_;
  int step_ = 0;
  FakeClock clock_;
  std::unique_ptr<TempDir> directory_;
  std::shared_ptr<MemoryObjects> objects_ = std::make_shared<MemoryObjects>();
  std::shared_ptr<vault::Vault> vault_;
  VaultModel model_;
  v1::VaultResult collected_;  // by the last round
  std::vector<Writer> writers_ = {{"w-0"}, {"w-1"}, {"w-2"}, {"w-3"}};
};

void PlaySeed(unsigned seed, bool tells = false) {
  EXPECT_OK(Play(seed, tells).Run()) << "EMBER_SEED=" << seed;
}

class VaultModelSeeds : public ::testing::TestWithParam<int> {};

TEST_P(VaultModelSeeds, TheVaultDoesWhatItsModelDoes) {
  if (std::getenv("EMBER_SEED") != nullptr) GTEST_SKIP() << "only one seed is wanted";
  const int count = std::getenv("EMBER_LONG") != nullptr ? 10 * kSeedsPerShard : kSeedsPerShard;
  for (int i = 0; i < count && !HasFailure(); ++i)
    PlaySeed(static_cast<unsigned>(GetParam() * 1000000 + i));
}

INSTANTIATE_TEST_SUITE_P(Shard, VaultModelSeeds, ::testing::Range(0, kShards));

TEST(VaultModel, SeedsThatHaveFailedAreTriedForEver) {
  std::ifstream file(EMBER_SEEDS_FILE);
  ASSERT_TRUE(file.good()) << EMBER_SEEDS_FILE;
  for (std::string line; std::getline(file, line);) {
    unsigned seed = 0;
    if (absl::SimpleAtoi(line.substr(0, line.find(' ')), &seed)) PlaySeed(seed);
  }
}

TEST(VaultModel, TheSeedOfTheEnvironment) {
  const char* const wanted = std::getenv("EMBER_SEED");
  unsigned seed = 0;
  if (wanted == nullptr) GTEST_SKIP() << "EMBER_SEED is not set";
  ASSERT_TRUE(absl::SimpleAtoi(wanted, &seed));
  PlaySeed(seed, true);
}

}  // namespace
}  // namespace ember::testing
