// Every golden vault beside this file, opened as a later Ember opens it: by the engine, by the
// recovery kit alone, and to go on with.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/offline/directory_vault.h"
#include "cli/offline/offline_vault.h"
#include "common/backup/domain_keys.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/crypto/keybox.h"
#include "common/files/files_restore.h"
#include "common/vault/pack.h"
#include "common/vault/vault.h"
#include "tests/golden/golden_vault.h"
#include "tests/golden/listing.h"
#include "tests/golden/local_vault.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kGoldens[] = EMBER_SOURCE_DIR "/tests/golden";

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(kGoldens)) {
    if (file.path().extension() == ".tar") names.push_back(file.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string base = absl::StrCat(kGoldens, "/", GetParam());
    kit_ = base + ".kit";
    ASSERT_OK(Unpack(base + ".tar", Directory()));
    ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(base + ".tree"));
    ASSERT_OK_AND_ASSIGN(tree_, ParseTree(text));
    ASSERT_THAT(tree_, Not(IsEmpty()));
  }

  std::string Directory() const { return scratch_.Join("vault"); }
  void OpenVault() {
    vault::VaultOptions options{.name = "golden", .directory = Directory(), .clock = &clock_};
    ASSERT_OK_AND_ASSIGN(vault_, vault::Vault::Open(options));
  }
  void OpenOffline() {
    ASSERT_OK_AND_ASSIGN(cli::OfflineVault vault, cli::OfflineVault::Open(Directory(), kit_));
    offline_ = std::make_unique<cli::OfflineVault>(std::move(vault));
  }
  std::vector<std::string> Ids(GoldenState state) const {
    std::vector<std::string> ids;
    for (const auto& [id, backup] : tree_) {
      if (backup.state == state) ids.push_back(id);
    }
    return ids;
  }

  // The keys come from the kit and the vault, as they will when nothing else is left.
  absl::StatusOr<std::unique_ptr<backup::RestoreReader>> Open(backup::VaultPort& port,
                                                              const std::string& id) {
    EMBER_ASSIGN_OR_RETURN(const v1::StoredBackup stored, port.GetBackup(id));
    EMBER_ASSIGN_OR_RETURN(format::v1::DomainSecrets secrets,
                           offline_->SecretsOf(stored.domain_id()));
    return backup::RestoreReader::Open(&port, id, backup::KeysOfDomain(std::move(secrets)));
  }
  // As the controller would hand them out for the next backup.
  absl::StatusOr<v1::DomainKeys> KeysOf(const std::string& domain_id) {
    EMBER_ASSIGN_OR_RETURN(const format::v1::DomainSecrets secrets, offline_->SecretsOf(domain_id));
    v1::DomainKeys keys;
    keys.set_id(domain_id);
    keys.set_id_key(secrets.id_key());
    keys.set_cut_key(secrets.cut_key());
    EMBER_ASSIGN_OR_RETURN(*keys.mutable_public_key(), X25519PublicKey(secrets.private_key()));
    return keys;
  }
  static FakeTree TreeOf(backup::RestoreReader& reader) {
    FakeTarget target;
    EXPECT_OK(reader.Restore({}, &target, nullptr));
    FakeTree tree;
    for (const auto& [path, restored] : target.files) {
      tree.files()[path].entry = restored.entry;
      tree.files()[path].data = restored.data;
    }
    return tree;
  }
  // In memory, and on a disk.
  void ExpectRestores(backup::VaultPort& port, const std::string& id) {
    SCOPED_TRACE(id);
    ASSERT_OK_AND_ASSIGN(const auto reader, Open(port, id));
    ASSERT_OK_AND_ASSIGN(const auto listing, ReadListing(*reader));
    EXPECT_EQ(LinesOf(listing), tree_.at(id).lines);
    const TempDir target;
    files::RestorePlan plan;
    plan.order_id = "golden";
    plan.target_directory = target.Join("restored");
    plan.now = clock_.Now();
    ASSERT_OK_AND_ASSIGN(const v1::RestoreResult result, files::RestoreFiles(reader.get(), plan));
    EXPECT_EQ(result.holes_size(), 0);
    EXPECT_THAT(DifferencesOnDisk(listing, reader->summary().roots(0), plan.target_directory),
                IsEmpty());
  }
  void ExpectAllRestore(const std::vector<std::string>& ids) {
    LocalVault port(*vault_, "host1");
    for (const std::string& id : ids) ExpectRestores(port, id);
  }

  absl::StatusOr<v1::VaultResult> Check(bool repair) {
    v1::VaultOrder order;
    order.mutable_check()->set_read_data(true);
    order.mutable_check()->set_repair(repair);
    return vault_->Run(order, {});
  }
  absl::Status Undelete(const std::vector<std::string>& ids) {
    v1::VaultOrder order;
    for (const std::string& id : ids) order.mutable_undelete()->add_backup_ids(id);
    return vault_->Run(order, {}).status();
  }
  static void ExpectSound(const v1::VaultResult& result) {
    EXPECT_EQ(result.records_damaged(), 0);
    EXPECT_THAT(result.problems(), IsEmpty());
    EXPECT_THAT(result.damaged_backups(), IsEmpty());
    EXPECT_GT(result.packs_checked(), 0);
  }

  // The packs that can mend themselves.
  std::vector<std::string> PacksWithParity() {
    std::vector<std::string> packs;
    for (const auto& file : std::filesystem::recursive_directory_iterator(Directory() + "/packs")) {
      if (!file.is_regular_file()) continue;
      const auto bytes = ReadFile(file.path());
      if (bytes.ok() && vault::FindParityTable(*bytes).ok()) packs.push_back(file.path());
    }
    return packs;
  }
  static void FlipInTheMiddle(const std::string& path) {
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(path));
    bytes[bytes.size() / 3] ^= 0x10;
    ASSERT_OK(WriteFileAtomic(path, bytes));
  }

  TempDir scratch_;
  FakeClock clock_;
  std::string kit_;
  GoldenTree tree_;
  std::unique_ptr<vault::Vault> vault_;
  std::unique_ptr<cli::OfflineVault> offline_;
};

TEST_P(Golden, TheEngineOpensChecksAndRestoresIt) {
  OpenOffline();
  OpenVault();
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult checked, Check(false));
  ExpectSound(checked);
  ASSERT_OK_AND_ASSIGN(const v1::ListStoredBackupsReply listed, vault_->ListBackups(""));
  std::vector<std::string> ids;
  for (const v1::StoredBackup& backup : listed.items()) ids.push_back(backup.backup_id());
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, Ids(GoldenState::kCommitted));
  ExpectAllRestore(ids);
}

TEST_P(Golden, TheKitAloneRestoresIt) {
  OpenOffline();
  ASSERT_OK(offline_->CheckKit());
  EXPECT_THAT(offline_->archive().problems(), IsEmpty());
  cli::DirectoryVault port(offline_->archive(), {});
  for (const auto& [id, backup] : tree_) {
    if (backup.state != GoldenState::kPurged) ExpectRestores(port, id);
  }
  EXPECT_THAT(port.problems(), IsEmpty());
  for (const std::string& id : Ids(GoldenState::kPurged))
    EXPECT_THAT(port.GetBackup(id), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(Golden, WhatIsInTheTrashComesBackAndWhatWasPurgedDoesNot) {
  OpenOffline();
  OpenVault();
  const std::vector<std::string> trashed = Ids(GoldenState::kTrashed);
  ASSERT_OK(Undelete(trashed));
  ExpectAllRestore(trashed);
  for (const std::string& id : Ids(GoldenState::kPurged)) {
    EXPECT_THAT(vault_->GetBackup(id), HasCode(absl::StatusCode::kNotFound));
    EXPECT_THAT(Undelete({id}), HasCode(absl::StatusCode::kNotFound));
  }
}

TEST_P(Golden, ItsOwnParityRepairsIt) {
  OpenOffline();
  const std::vector<std::string> packs = PacksWithParity();
  ASSERT_THAT(packs, Not(IsEmpty()));
  for (const std::string& pack : packs) FlipInTheMiddle(pack);
  OpenVault();
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult repaired, Check(true));
  ExpectSound(repaired);
  EXPECT_GT(repaired.records_repaired(), 0);
  ExpectAllRestore(Ids(GoldenState::kCommitted));
}

TEST_P(Golden, GarbageCollectionLeavesWhatIsNeeded) {
  OpenOffline();
  OpenVault();
  clock_.Advance(absl::Hours(24 * 60));
  v1::VaultOrder order;
  order.mutable_gc()->set_empty_trash(true);
  for (int round = 0; round < 2; ++round) ASSERT_OK(vault_->Run(order, {}));
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult checked, Check(false));
  ExpectSound(checked);
  ExpectAllRestore(Ids(GoldenState::kCommitted));
}

// The chain goes on, and as long as files are cut alike (docs/formats.md, chunking) what is there
// is not sent again.
TEST_P(Golden, BackupsGoOnWhereItEnds) {
  OpenOffline();
  OpenVault();
  clock_.Advance(absl::Hours(24 * 60));
  const std::vector<std::string> committed = Ids(GoldenState::kCommitted);
  LocalVault port(*vault_, "host1");
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup before, vault_->GetBackup(committed.back()));
  ASSERT_OK_AND_ASSIGN(const auto reader, Open(port, committed.back()));
  FakeTree tree = TreeOf(*reader);
  BackupBench bench;
  ASSERT_OK_AND_ASSIGN(bench.domain, KeysOf(before.domain_id()));
  auto options = bench.Options(BackupId(before.workload(), clock_.Now()));
  options.workload = before.workload();
  options.epoch = 1;
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench.Backup(tree, &port, options));
  EXPECT_TRUE(result.read_back_ok()) << result.read_back_error();
  EXPECT_EQ(result.added_bytes(), 0);
  tree_[options.backup_id] = tree_.at(committed.back());
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult checked, Check(false));
  ExpectSound(checked);
  ExpectAllRestore(Ids(GoldenState::kCommitted));
}

INSTANTIATE_TEST_SUITE_P(Vault, Golden, ::testing::ValuesIn(Names()));

TEST(Goldens, AreThere) { EXPECT_THAT(Names(), Not(IsEmpty())); }

}  // namespace
}  // namespace ember::testing
