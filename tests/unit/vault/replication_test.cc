// Two vaults: copies of backups, and healing one from the other.
#include <atomic>
#include <filesystem>
#include <set>

#include "common/base/file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/vault_client.h"
#include "tests/support/vault_source.h"

namespace ember::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Replication : public ::testing::Test {
 protected:
  Replication() { Reopen(); }
  void Reopen() {
    home_.reset();
    away_.reset();
    home_ = OpenAt("home");
    away_ = OpenAt("away");
  }
  std::unique_ptr<vault::Vault> OpenAt(const std::string& name) {
    vault::VaultOptions options;
    options.name = name;
    options.directory = dir_.Join(name);
    options.clock = &clock_;
    options.rules.parity = parity_;
    auto vault = vault::Vault::Open(options);
    EXPECT_OK(vault);
    return *std::move(vault);
  }
  void BackUpHeld(int number, absl::Duration hold) {
    PlannedBackup planned = Planned(number);
    planned.hold_seconds = absl::ToInt64Seconds(hold);
    ASSERT_OK_AND_ASSIGN(VaultClient client, VaultClient::Open(*home_, planned));
    ASSERT_OK(BackUp(client));
  }
  void BackUpAtHome(int first, int last) {
    for (int number = first; number <= last; ++number) {
      ASSERT_OK_AND_ASSIGN(VaultClient client, VaultClient::Open(*home_, Planned(number)));
      ASSERT_OK(BackUp(client));
    }
  }
  static PlannedBackup Planned(int number) { return {.workload = "db1", .number = number}; }
  static std::string Id(int number) { return BackupIdOf(Planned(number)); }

  absl::StatusOr<v1::VaultResult> Copy(vault::Vault& from, vault::Vault& to) {
    VaultSource source(from);
    return CopyFrom(source, to);
  }
  absl::StatusOr<v1::VaultResult> CopyFrom(VaultSource& source, vault::Vault& to,
                                           vault::JobContext context = {}) {
    context.other = &source;
    v1::VaultOrder order;
    order.mutable_replicate();
    return to.Run(order, context);
  }
  absl::StatusOr<v1::VaultResult> Heal(vault::Vault& vault, vault::Vault& from) {
    VaultSource source(from);
    vault::JobContext context;
    context.other = &source;
    v1::VaultOrder order;
    order.mutable_check()->set_read_data(true);
    order.mutable_check()->set_repair(true);
    return vault.Run(order, context);
  }
  static absl::StatusOr<v1::VaultResult> Check(vault::Vault& vault) {
    v1::VaultOrder order;
    order.mutable_check()->set_read_data(true);
    return vault.Run(order, {});
  }
  static absl::Status Delete(vault::Vault& vault, const std::string& id) {
    v1::VaultOrder order;
    order.mutable_delete_()->add_backup_ids(id);
    order.mutable_delete_()->set_by_person(true);
    return vault.Run(order, {}).status();
  }
  static absl::Status Collect(vault::Vault& vault) {
    v1::VaultOrder order;
    order.mutable_gc()->set_empty_trash(true);
    return vault.Run(order, {}).status();
  }
  std::vector<std::string> Packs(const std::string& vault) {
    std::vector<std::string> packs;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(dir_.Join(absl::StrCat(vault, "/packs"))))
      if (entry.is_regular_file()) packs.push_back(entry.path());
    std::sort(packs.begin(), packs.end());
    return packs;
  }
  // In the payload of this record.
  void Flip(const std::string& vault, int record) {
    for (const std::string& pack : Packs(vault)) {
      ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(pack, 1 << 30));
      const size_t at = bytes.find(PayloadOf(record));
      if (at == std::string::npos) continue;
      bytes[at + 2] ^= 0x20;
      ASSERT_OK(WriteFileAtomic(pack, bytes));
      return;
    }
    FAIL() << "record " << record << " is nowhere";
  }

  bool parity_ = false;
  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<vault::Vault> home_;
  std::unique_ptr<vault::Vault> away_;
};

TEST_F(Replication, CopiesRestoreAndSayWhereTheyComeFrom) {
  BackUpAtHome(1, 4);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, Copy(*home_, *away_));
  EXPECT_THAT(result.backups(), UnorderedElementsAre(Id(1), Id(2), Id(3), Id(4)));
  EXPECT_THAT(result.problems(), IsEmpty());
  EXPECT_GT(result.bytes_copied(), 0);
  Reopen();
  for (int number = 1; number <= 4; ++number) EXPECT_OK(CheckRestores(*away_, Planned(number)));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup original, home_->GetBackup(Id(3)));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup copy, away_->GetBackup(Id(3)));
  EXPECT_EQ(copy.origin_vault_id(), original.vault_id());
  EXPECT_EQ(copy.origin_sequence(), original.sequence());
  EXPECT_EQ(copy.origin_received().seconds(), original.received().seconds());
  EXPECT_NE(copy.vault_id(), original.vault_id());
  EXPECT_EQ(copy.manifest_root(), original.manifest_root());
  EXPECT_EQ(copy.sealed_summary(), original.sealed_summary());
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult check, Check(*away_));
  EXPECT_THAT(check.problems(), IsEmpty());
}

TEST_F(Replication, OnlyWhatIsMissingIsReadAndItIsNamedAll) {
  BackUpAtHome(1, 3);
  ASSERT_OK(Copy(*home_, *away_));
  VaultSource source(*home_);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult again, CopyFrom(source, *away_));
  EXPECT_EQ(source.records_read, 0);
  EXPECT_EQ(again.backups_size(), 3) << "an answer that was lost is given again";
  BackUpAtHome(4, 4);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult more, CopyFrom(source, *away_));
  // Six of ten of the shared ones, three of five of its own.
  EXPECT_EQ(source.records_read, 9);
  EXPECT_EQ(more.records_copied(), 9);
  EXPECT_OK(CheckRestores(*away_, Planned(4)));
}

TEST_F(Replication, WhatCameBeforeTheLinkWasCutDoesNotComeAgain) {
  BackUpAtHome(1, 6);
  VaultSource source(*home_);
  source.fail_read_after = 30;
  EXPECT_THAT(CopyFrom(source, *away_), HasCode(absl::StatusCode::kUnavailable));
  Reopen();
  VaultSource again(*home_);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, CopyFrom(again, *away_));
  EXPECT_EQ(result.backups_size(), 6);
  int64_t distinct = 0;
  {
    std::set<int> records;
    for (int number = 1; number <= 6; ++number)
      for (const int record : RecordsOf(Planned(number))) records.insert(record);
    distinct = static_cast<int64_t>(records.size());
  }
  EXPECT_LE(again.records_read, distinct - 15) << "at least one backup's was kept";
  for (int number = 1; number <= 6; ++number) EXPECT_OK(CheckRestores(*away_, Planned(number)));
}

TEST_F(Replication, AnInterruptedCopyOutlivesACollection) {
  BackUpAtHome(1, 2);
  VaultSource source(*home_);
  source.fail_read_after = 20;
  EXPECT_THAT(CopyFrom(source, *away_), HasCode(absl::StatusCode::kUnavailable));
  ASSERT_OK(Collect(*away_));
  VaultSource again(*home_);
  ASSERT_OK(CopyFrom(again, *away_));
  EXPECT_LT(again.records_read, 15) << "what had come was kept";
  for (int number = 1; number <= 2; ++number) EXPECT_OK(CheckRestores(*away_, Planned(number)));
}

TEST_F(Replication, DeletionsDoNotPropagate) {
  BackUpAtHome(1, 3);
  ASSERT_OK(Copy(*home_, *away_));
  ASSERT_OK(Delete(*home_, Id(1)));
  ASSERT_OK(Collect(*home_));
  ASSERT_OK(Copy(*home_, *away_));
  EXPECT_OK(CheckRestores(*away_, Planned(1)));
  EXPECT_OK(CheckRestores(*away_, Planned(2)));
}

TEST_F(Replication, WhatIsHeldThereIsHeldHere) {
  BackUpHeld(1, absl::Hours(24));
  BackUpAtHome(2, 2);
  ASSERT_OK(Copy(*home_, *away_));
  Reopen();
  EXPECT_THAT(Delete(*away_, Id(1)), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(Delete(*away_, Id(2)));
  clock_.Advance(absl::Hours(25));
  EXPECT_OK(Delete(*away_, Id(1)));
}

TEST_F(Replication, WhatWasDeletedHereIsNotCopiedAgain) {
  BackUpAtHome(1, 2);
  ASSERT_OK(Copy(*home_, *away_));
  ASSERT_OK(Delete(*away_, Id(1)));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult trashed, Copy(*home_, *away_));
  EXPECT_THAT(trashed.backups(), ElementsAre(Id(2)));
  ASSERT_OK(Collect(*away_));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult purged, Copy(*home_, *away_));
  EXPECT_THAT(purged.backups(), ElementsAre(Id(2)));
  EXPECT_THAT(away_->GetBackup(Id(1)), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(Replication, ABackupThatIsDamagedThereIsAProblemAndTheOthersAreCopied) {
  BackUpAtHome(1, 3);
  // The second one's own.
  Flip("home", RecordsOf(Planned(2))[12]);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, Copy(*home_, *away_));
  ASSERT_EQ(result.problems_size(), 1);
  EXPECT_THAT(result.problems(0), HasSubstr(Id(2)));
  EXPECT_THAT(away_->GetBackup(Id(2)), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(CheckRestores(*away_, Planned(1)));
}

TEST_F(Replication, ACopyOfACopyRemembersTheFirst) {
  BackUpAtHome(1, 1);
  ASSERT_OK(Copy(*home_, *away_));
  const auto third = OpenAt("third");
  ASSERT_OK(Copy(*away_, *third));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup copy, third->GetBackup(Id(1)));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup original, home_->GetBackup(Id(1)));
  EXPECT_EQ(copy.origin_vault_id(), original.vault_id());
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult back, Copy(*third, *home_));
  EXPECT_EQ(back.records_copied(), 0);
  EXPECT_OK(CheckRestores(*home_, Planned(1)));
}

TEST_F(Replication, WhatAnotherVaultSaysIsNotTrusted) {
  BackUpAtHome(1, 1);
  const std::vector<std::function<void(v1::StoredBackup&)>> lies = {
      [](v1::StoredBackup& b) { b.set_domain_id("../../etc"); },
      [](v1::StoredBackup& b) { b.set_workload("other"); },
      [](v1::StoredBackup& b) { b.set_backup_id("db1/20260101-000000-9"); },
      [](v1::StoredBackup& b) { b.set_session_id("short"); },
      [](v1::StoredBackup& b) { b.clear_keyboxes(); },
      [](v1::StoredBackup& b) { b.set_manifest_root(std::string(32, 'x')); },
      [](v1::StoredBackup& b) { b.set_ids_total(3); },
      [](v1::StoredBackup& b) { b.set_ids_total(uint64_t{1} << 60); },
      [](v1::StoredBackup& b) { b.clear_vault_id(); },
      [](v1::StoredBackup& b) { b.set_sealed_summary(std::string(kSummaryBytesMax + 1, 's')); },
      [](v1::StoredBackup& b) { b.add_recovery_boxes(std::string(kKeyboxBytesMax + 1, 'k')); },
  };
  for (size_t i = 0; i < lies.size(); ++i) {
    VaultSource source(*home_);
    source.change_backup = lies[i];
    ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, CopyFrom(source, *away_));
    EXPECT_EQ(result.problems_size(), 1) << i;
    EXPECT_THAT(result.backups(), IsEmpty()) << i;
  }
  ASSERT_OK_AND_ASSIGN(const auto list, away_->ListBackups(""));
  EXPECT_THAT(list.items(), IsEmpty());
}

TEST_F(Replication, ASessionThatIsNotOfTheBackupBringsNothing) {
  BackUpAtHome(1, 2);
  VaultSource source(*home_);
  source.change_backup = [](v1::StoredBackup& backup) {
    // All keys but that of its own session.
    const std::string own = backup.session_id();
    v1::StoredBackup kept = backup;
    kept.clear_keyboxes();
    for (const v1::Keybox& box : backup.keyboxes())
      if (box.session_id() == own) *kept.add_keyboxes() = box;
    if (backup.backup_id() == Id(2)) backup = kept;
  };
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, CopyFrom(source, *away_));
  EXPECT_THAT(result.backups(), ElementsAre(Id(1), Id(2)))
      << "the first one's records are here under their own session";
  const auto third = OpenAt("third");
  ASSERT_OK(Delete(*home_, Id(1)));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult refused, CopyFrom(source, *third));
  EXPECT_THAT(refused.backups(), IsEmpty());
  EXPECT_EQ(refused.problems_size(), 1);
}

TEST_F(Replication, ASessionThatIsKnownHereKeepsItsKey) {
  BackUpAtHome(1, 2);
  VaultSource honest(*home_);
  ASSERT_OK(CopyFrom(honest, *away_));
  BackUpAtHome(3, 3);
  for (const bool other_domain : {false, true}) {
    VaultSource liar(*home_);
    liar.change_backup = [&](v1::StoredBackup& backup) {
      if (other_domain) backup.set_domain_id("host9");
      if (other_domain) return;
      for (v1::Keybox& box : *backup.mutable_keyboxes())
        if (box.session_id() == SessionIdOf(Planned(2))) box.set_sealed("no key of it");
    };
    ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, CopyFrom(liar, *away_));
    EXPECT_THAT(result.problems(), ElementsAre(HasSubstr("with another key")));
    EXPECT_THAT(away_->GetBackup(Id(3)), HasCode(absl::StatusCode::kNotFound));
  }
  EXPECT_OK(CheckRestores(*away_, Planned(2)));
}

TEST_F(Replication, AnIncompleteCopyIsMadeWholeByTheNextReplication) {
  BackUpAtHome(1, 2);
  ASSERT_OK(Copy(*home_, *away_));
  Flip("away", RecordsOf(Planned(2))[12]);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult found, Check(*away_));
  EXPECT_THAT(found.damaged_backups(), ElementsAre(Id(2)));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, Copy(*home_, *away_));
  EXPECT_EQ(result.records_copied(), 1);
  EXPECT_THAT(result.backups(), UnorderedElementsAre(Id(1), Id(2)));
  EXPECT_OK(CheckRestores(*away_, Planned(2)));
}

TEST_F(Replication, ARepairTakesNothingForGarbageWhoseNeedItCannotRead) {
  BackUpAtHome(1, 2);
  for (const std::string& pack : Packs("home")) ASSERT_OK(RemoveFile(pack));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.Join("home/refs"))) {
    if (!entry.is_regular_file()) continue;
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(entry.path(), 1 << 20));
    bytes[60] ^= 1;
    ASSERT_OK(WriteFileAtomic(entry.path(), bytes));
  }
  v1::VaultOrder order;
  order.mutable_check()->set_read_data(true);
  order.mutable_check()->set_repair(true);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, home_->Run(order, {}));
  EXPECT_THAT(result.problems(), ::testing::Contains(HasSubstr("is gone")));
  const std::string trash = dir_.Join("home/trash/packs");
  EXPECT_TRUE(!std::filesystem::exists(trash) || std::filesystem::is_empty(trash));
}

TEST_F(Replication, HealingDoesNotDependOnTheOrderOfBackups) {
  BackUpAtHome(1, 3);
  ASSERT_OK(Copy(*home_, *away_));
  ASSERT_OK(Delete(*away_, Id(1)));
  // Needed by the first, which the other vault has no more, and by the second.
  Flip("home", 6 + 6);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult healed, Heal(*home_, *away_));
  EXPECT_THAT(healed.damaged_backups(), IsEmpty());
  EXPECT_THAT(healed.problems(), IsEmpty());
}

TEST_F(Replication, NeedsASourceAndIsCancelled) {
  v1::VaultOrder order;
  order.mutable_replicate();
  EXPECT_THAT(away_->Run(order, {}), HasCode(absl::StatusCode::kInvalidArgument));
  BackUpAtHome(1, 2);
  std::atomic<bool> cancelled{true};
  VaultSource source(*home_);
  EXPECT_THAT(CopyFrom(source, *away_, {.cancelled = &cancelled}),
              HasCode(absl::StatusCode::kCancelled));
}

TEST_F(Replication, OnlyTheWorkloadsThatAreAskedForAreCopied) {
  BackUpAtHome(1, 1);
  const PlannedBackup other{.workload = "web2", .number = 1};
  ASSERT_OK_AND_ASSIGN(VaultClient client, VaultClient::Open(*home_, other));
  ASSERT_OK(BackUp(client));
  VaultSource source(*home_);
  vault::JobContext context;
  context.other = &source;
  v1::VaultOrder order;
  order.mutable_replicate()->add_workloads("web2");
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, away_->Run(order, context));
  EXPECT_THAT(result.backups(), ElementsAre(BackupIdOf(other)));
}

TEST_F(Replication, DamageWithoutParityIsHealedRecordByRecord) {
  BackUpAtHome(1, 4);
  ASSERT_OK(Copy(*home_, *away_));
  const std::vector<int> records = RecordsOf(Planned(2));
  Flip("home", records[3]);
  Flip("home", records[12]);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult found, Check(*home_));
  EXPECT_EQ(found.records_damaged(), 2);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult healed, Heal(*home_, *away_));
  EXPECT_EQ(healed.records_repaired(), 2);
  EXPECT_EQ(healed.records_damaged(), 0);
  EXPECT_THAT(healed.damaged_backups(), IsEmpty());
  EXPECT_THAT(healed.problems(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult after, Check(*home_));
  EXPECT_THAT(after.problems(), IsEmpty()) << "what is intact in the damaged packs was rewritten";
  Reopen();
  for (int number = 1; number <= 4; ++number) EXPECT_OK(CheckRestores(*home_, Planned(number)));
  ASSERT_OK(Collect(*home_));
  for (int number = 1; number <= 4; ++number) EXPECT_OK(CheckRestores(*home_, Planned(number)));
}

TEST_F(Replication, LostPacksComeBack) {
  BackUpAtHome(1, 4);
  ASSERT_OK(Copy(*home_, *away_));
  for (const std::string& pack : Packs("home")) ASSERT_OK(RemoveFile(pack));
  EXPECT_FALSE(CheckRestores(*home_, Planned(1)).ok());
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult healed, Heal(*home_, *away_));
  EXPECT_THAT(healed.problems(), IsEmpty());
  EXPECT_THAT(healed.damaged_backups(), IsEmpty());
  for (int number = 1; number <= 4; ++number) EXPECT_OK(CheckRestores(*home_, Planned(number)));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult after, Check(*home_));
  EXPECT_THAT(after.problems(), IsEmpty());
  ASSERT_OK(Collect(*home_));
  Reopen();
  for (int number = 1; number <= 4; ++number) EXPECT_OK(CheckRestores(*home_, Planned(number)));
}

TEST_F(Replication, WhatTheOtherVaultHasNotStaysDamaged) {
  BackUpAtHome(1, 2);
  ASSERT_OK(Copy(*home_, *away_));
  BackUpAtHome(3, 3);
  Flip("home", RecordsOf(Planned(1))[0]);
  Flip("home", RecordsOf(Planned(3))[9]);
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult healed, Heal(*home_, *away_));
  EXPECT_EQ(healed.records_repaired(), 1);
  EXPECT_EQ(healed.records_damaged(), 1);
  EXPECT_THAT(healed.damaged_backups(), ElementsAre(Id(3)));
  EXPECT_OK(CheckRestores(*home_, Planned(1)));
  EXPECT_FALSE(CheckRestores(*home_, Planned(3)).ok());
}

TEST_F(Replication, AnUnreachableHelperEndsTheCheckAndNothingIsLost) {
  BackUpAtHome(1, 2);
  ASSERT_OK(Copy(*home_, *away_));
  Flip("home", RecordsOf(Planned(1))[0]);
  VaultSource source(*away_);
  source.fail_read_after = 0;
  vault::JobContext context;
  context.other = &source;
  v1::VaultOrder order;
  order.mutable_check()->set_read_data(true);
  EXPECT_THAT(home_->Run(order, context), HasCode(absl::StatusCode::kFailedPrecondition))
      << "healing is a repair";
  order.mutable_check()->set_repair(true);
  EXPECT_THAT(home_->Run(order, context), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_OK(CheckRestores(*home_, Planned(2)));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult healed, Heal(*home_, *away_));
  EXPECT_THAT(healed.damaged_backups(), IsEmpty());
}

}  // namespace
}  // namespace ember::testing
