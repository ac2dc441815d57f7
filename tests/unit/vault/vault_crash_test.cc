// A process that dies leaves its directory as it is at that moment: a copy of the directory,
// opened.
#include <set>

#include "common/base/file.h"
#include "tests/unit/vault/vault_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
namespace fs = std::filesystem;

class VaultCrash : public VaultFixture {
 protected:
  // The vault as a new process would find it now, without any goodbye of the old one.
  void Crash() {
    copies_.push_back(std::make_unique<TempDir>());
    while (!CopyLive(directory_.path(), copies_.back()->path())) {
    }
    vault_.reset();
    ASSERT_OK_AND_ASSIGN(vault_, vault::Vault::Open(Options(copies_.back()->path())));
  }
  const std::string& place() const { return copies_.back()->path(); }

  std::vector<std::unique_ptr<TempDir>> copies_;
};

TEST_F(VaultCrash, ABackupExistsFromItsCommitOn) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 2)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 20, 20)));
  Crash();
  EXPECT_OK(vault_->GetBackup(IdOf("db", 1)));
  ExpectReadable(0, 20);
  EXPECT_THAT(vault_->GetBackup(IdOf("db", 2)), HasCode(StatusCode::kNotFound));
  EXPECT_EQ(vault_->Facts().backups(), 1);
  EXPECT_THAT(*ListDirectory(JoinPath(place(), "tmp")), ::testing::IsEmpty());
}

TEST_F(VaultCrash, SyncedRecordsNeedNotBeSentAgain) {
  ASSERT_OK_AND_ASSIGN(auto session, Open(SessionRequest("db", 1)));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 20)));
  ASSERT_OK(vault_->Sync(session.request.session_id()));
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 20, 5)));
  Crash();
  EXPECT_THAT(vault_->Append("host1", UploadOf(session, 25, 1)), HasCode(StatusCode::kAborted));
  ASSERT_OK_AND_ASSIGN(session, Open(session.request));
  EXPECT_EQ(CountAbsent(session, 0, 25), 5);
  ASSERT_OK_AND_ASSIGN(const auto need, Commit(session, SortedIds(0, 25)));
  EXPECT_EQ(need.need_size(), 5);
  ASSERT_OK(vault_->Append("host1", UploadOf(session, 20, 5)));
  ASSERT_OK_AND_ASSIGN(const auto reply, Commit(session, SortedIds(0, 25)));
  EXPECT_EQ(reply.need_size(), 0);
  ExpectReadable(0, 25);
}

TEST_F(VaultCrash, ACommitCutShortBeforeItsRecordNeverHappened) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  vault_.reset();
  // The ids are written, the record is not: the state between the two.
  ASSERT_OK_AND_ASSIGN(auto store, vault::OpenDirectoryStore(directory_.path()));
  ASSERT_OK(vault::PutObject(*store, "refs/host1/00000000000000000002-20260101-000002", "ids"));
  store.reset();
  Reopen();
  EXPECT_EQ(vault_->Facts().backups(), 1);
  EXPECT_EQ(Files("refs").size(), 1u);
  ASSERT_OK(Backup("db", 2, 5, 5));
}

TEST_F(VaultCrash, AnIndexThatIsBehindIsCompleted) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  vault_.reset();
  fs::copy(directory_.Join("index"), directory_.Join("old-index"), fs::copy_options::recursive);
  Reopen();
  ASSERT_OK(Backup("db", 2, 20, 20));
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  fs::rename(directory_.Join("old-index"), directory_.Join("index"));
  Reopen();
  ExpectReadable(0, 40);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 3)));
  EXPECT_EQ(CountAbsent(session, 0, 40), 0);
}

TEST_F(VaultCrash, ADeletedIndexIsMadeAnewAndEqual) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  ASSERT_OK(Backup("web", 1, 10, 50));
  ASSERT_OK_AND_ASSIGN(const auto before, vault_->GetBackup(IdOf("web", 1)));
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto after, vault_->GetBackup(IdOf("web", 1)));
  EXPECT_EQ(before.SerializeAsString(), after.SerializeAsString());
  ExpectReadable(0, 60);
  ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("db", 2)));
  EXPECT_FALSE(session.reply.domain_empty());
  EXPECT_EQ(CountAbsent(session, 0, 60), 0);
}

TEST_F(VaultCrash, ABackupHasTheKeyOfEveryCopyThatAnIndexMadeAnewPrefers) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  // Others that did not ask what is there: any of the copies may be the one that is found later.
  for (int n = 1; n <= 6; ++n) {
    ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("web", n)));
    ASSERT_OK(vault_->Append("host1", UploadOf(session, 0, 20)));
    ASSERT_OK(vault_->Sync(session.request.session_id()));
  }
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const auto backup, vault_->GetBackup(IdOf("db", 1)));
  std::set<std::string> boxes;
  for (const auto& box : backup.keyboxes()) boxes.insert(box.session_id());
  for (const auto& [id, record] : Read(SortedIds(0, 20)).records) {
    EXPECT_TRUE(boxes.contains(record.session_id()));
  }
}

TEST_F(VaultCrash, AGarbledIndexIsMadeAnew) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  vault_.reset();
  for (const std::string& file : Files("index")) {
    if (fs::path(file).filename() != "CURRENT") continue;
    ASSERT_OK(WriteFileAtomic(file, "MANIFEST-nonsense\n"));
  }
  Reopen();
  ExpectReadable(0, 20);
}

TEST_F(VaultCrash, AFlippedByteInATableOfTheIndexCostsNothingButTheIndex) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  Reopen();  // the log becomes tables
  vault_.reset();
  TempDir saved;
  fs::copy(directory_.Join("index"), saved.Join("index"), fs::copy_options::recursive);
  int flips = 0;
  for (const std::string& file : Files("index")) {
    if (fs::path(file).extension() != ".sst") continue;
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(file));
    for (size_t at = 0; at < bytes.size(); at += 83) {
      SCOPED_TRACE(absl::StrCat(file, " at ", at));
      fs::remove_all(directory_.Join("index"));
      fs::copy(saved.Join("index"), directory_.Join("index"), fs::copy_options::recursive);
      bytes[at] ^= 0x40;
      ASSERT_OK(WriteFileAtomic(file, bytes));
      bytes[at] ^= 0x40;
      Reopen();
      ReadResult read;
      v1::ReadRequest request;
      for (const std::string& id : SortedIds(0, 20)) request.add_ids(id);
      (void)vault_->Read(request, "", Into(&read));  // it may fail until the vault is opened again
      for (int n = 0; n < 20; ++n) {
        const auto found = read.payloads.find(RecordId(n));
        if (found == read.payloads.end()) continue;
        EXPECT_EQ(found->second, RecordPayload(n));
      }
      Reopen();
      ExpectReadable(0, 20);
      vault_.reset();
      ++flips;
    }
  }
  EXPECT_GT(flips, 20);
}

TEST_F(VaultCrash, AnIndexWhoseLogIsLostIsCompleted) {
  ASSERT_OK(Backup("db", 1, 0, 20));
  vault_.reset();
  for (const std::string& file : Files("index")) {
    if (fs::path(file).extension() == ".log") fs::resize_file(file, 0);
  }
  Reopen();
  ExpectReadable(0, 20);
}

TEST_F(VaultCrash, AnIndexElsewhereMayBeLostWithItsDisk) {
  vault_.reset();
  fs::remove_all(directory_.Join("index"));
  TempDir fast;
  auto options = Options(directory_.path());
  options.index_directory = fast.Join("index");
  ASSERT_OK_AND_ASSIGN(vault_, vault::Vault::Open(options));
  ASSERT_OK(Backup("db", 1, 0, 20));
  EXPECT_FALSE(FileExists(directory_.Join("index")));
  Reopen();
  ExpectReadable(0, 20);
}

TEST_F(VaultCrash, TheStateOfManyCrashesAddsUp) {
  for (int n = 1; n <= 4; ++n) {
    ASSERT_OK(Backup("db", n, n * 10, 15));
    ASSERT_OK_AND_ASSIGN(const auto session, Open(SessionRequest("web", n)));
    ASSERT_OK(vault_->Append("host1", UploadOf(session, 500 + n, 1)));
    Crash();
    EXPECT_EQ(vault_->Facts().backups(), n);
    // The next round goes on from the copy.
    vault_.reset();
    fs::remove_all(directory_.path());
    fs::copy(place(), directory_.path(), fs::copy_options::recursive);
    Reopen();
  }
  ExpectReadable(10, 45);
  EXPECT_EQ(vault_->ListBackups("db")->items_size(), 4);
}

TEST_F(VaultCrash, AVaultOfANewerEmberIsLeftAlone) {
  vault_.reset();
  ASSERT_OK_AND_ASSIGN(std::string header, ReadFile(directory_.Join("VAULT")));
  // Version 2 of the frame, digest as a newer Ember would make it.
  header[4] = 2;
  header.replace(8, 32, Sha256(header.substr(0, 8) + header.substr(40)));
  ASSERT_OK(WriteFileAtomic(directory_.Join("VAULT"), header));
  EXPECT_THAT(vault::Vault::Open(Options(directory_.path())),
              HasCode(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace ember::testing
