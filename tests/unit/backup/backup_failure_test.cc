#include <atomic>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_vault.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

using backup::BackupWriter;
using backup::RestoreOptions;
using format::v1::RecordType;
using Call = MemoryVault::Call;
constexpr char kFirst[] = "web/20260101-000000";
constexpr char kSecond[] = "web/20260102-000000";
constexpr char kThird[] = "web/20260103-000000";

class BackupFailure : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 40; ++i)
      tree_.Add(absl::StrCat("srv/", i), Noise(i, i % 2 == 0 ? 3000 : 300000));
  }
  std::string cache() const { return bench_.directory.Join("web.cache"); }
  BackupBench bench_;
  MemoryVault vault_;
  FakeTree tree_;
};

TEST_F(BackupFailure, WhatCannotBeReadIsListedAndTheRestIsKept) {
  tree_.at("srv/3").open_error = absl::PermissionDeniedError("permission denied");
  tree_.at("srv/5").read_error = absl::DataLossError("input/output error");
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_EQ(result.outcome(), v1::Outcome::PARTIAL);
  EXPECT_EQ(result.problems_total(), 2);
  ASSERT_EQ(result.problems_size(), 2);
  EXPECT_EQ(result.problems(0).path(), "srv/3");
  EXPECT_EQ(result.problems(0).problem(), "permission denied");
  EXPECT_EQ(result.problems(1).path(), "srv/5");
  EXPECT_EQ(result.entries(), 38);
  tree_.Remove("srv/3");
  tree_.Remove("srv/5");
  FakeTarget target;
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(Difference(tree_, target), "");
  EXPECT_EQ(reader->summary().problems(), 2);
}

TEST_F(BackupFailure, ProblemsAreCountedBeyondThoseListed) {
  ASSERT_OK_AND_ASSIGN(const auto writer, BackupWriter::Open(bench_.Options(kFirst), &vault_));
  for (int i = 0; i < 1000; ++i) writer->AddProblem(absl::StrCat("srv/", i), "unreadable");
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, writer->Commit());
  EXPECT_EQ(result.problems_total(), 1000);
  EXPECT_EQ(result.problems_size(), static_cast<int>(kProblemsReportedMax));
}

TEST_F(BackupFailure, AnotherNameOfAnUnreadableFileIsReadInstead) {
  tree_.Add("srv/a-first", "shared content");
  tree_.AddLink("srv/b-link", "srv/a-first");
  tree_.at("srv/b-link").data[0] = "shared content";
  tree_.at("srv/a-first").open_error = absl::DataLossError("input/output error");
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  FakeTarget target;
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(target.files.at("srv/b-link").data.at(0), "shared content");
  EXPECT_EQ(target.files.at("srv/b-link").entry.hardlink_to(), "");
}

TEST_F(BackupFailure, AFileThatSettlesIsFine) {
  tree_.at("srv/7").unsettled = kUnstableReadsMax - 1;
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_EQ(result.outcome(), v1::Outcome::OK);
  EXPECT_EQ(tree_.at("srv/7").read, kUnstableReadsMax);
}

TEST_F(BackupFailure, AFileThatNeverSettlesIsKeptListedAndReadAgainNextTime) {
  tree_.at("srv/7").unsettled = 1000;
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_EQ(result.outcome(), v1::Outcome::PARTIAL);
  ASSERT_EQ(result.problems_size(), 1);
  EXPECT_EQ(result.problems(0).problem(), "changed while it was read");
  EXPECT_EQ(tree_.at("srv/7").read, kUnstableReadsMax);
  FakeTarget target;
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(target.files.at("srv/7").data.at(0), Noise(7, 300000));
  tree_.ForgetOpened();
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_EQ(tree_.opened(), 1);
}

TEST_F(BackupFailure, EntriesOutOfOrderAreRefused) {
  ASSERT_OK_AND_ASSIGN(const auto writer, BackupWriter::Open(bench_.Options(kFirst), &vault_));
  format::v1::Entry entry;
  entry.set_type(format::v1::EntryType::DIRECTORY);
  entry.set_path("b");
  ASSERT_OK(writer->Add(entry, {}, nullptr));
  EXPECT_THAT(writer->Add(entry, {}, nullptr), HasCode(absl::StatusCode::kInternal));
  EXPECT_THAT(writer->Commit(), HasCode(absl::StatusCode::kInternal));
  EXPECT_THAT(vault_.GetBackup(kFirst), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(BackupFailure, PathsThatLeaveTheTreeAreRefused) {
  for (const std::string path : {"../etc", "a/../b", "/abs", "a//b", "a/", "a/./b"}) {
    ASSERT_OK_AND_ASSIGN(const auto writer, BackupWriter::Open(bench_.Options(kFirst), &vault_));
    format::v1::Entry entry;
    entry.set_type(format::v1::EntryType::DIRECTORY);
    entry.set_path(path);
    EXPECT_THAT(writer->Add(entry, {}, nullptr), HasCode(absl::StatusCode::kInternal)) << path;
  }
}

TEST_F(BackupFailure, AVaultErrorEndsTheBackupWithItsCode) {
  const std::pair<Call, absl::Status> faults[] = {
      {Call::kOpenSession, absl::UnavailableError("gone")},
      {Call::kUpload, absl::ResourceExhaustedError("disk full")},
      {Call::kUpload, absl::AbortedError("superseded")},
      {Call::kFlush, absl::UnavailableError("gone")},
      {Call::kCommit, absl::AbortedError("superseded")},
  };
  for (const auto& [call, status] : faults) {
    for (const int after : {0, 5}) {
      MemoryVault vault;
      if (after > 0 && call != Call::kUpload) continue;
      vault.FailAfter(call, after, status);
      EXPECT_THAT(bench_.Backup(tree_, &vault, kFirst), HasCode(status.code())) << status;
      EXPECT_FALSE(FileExists(cache()));
      EXPECT_FALSE(FileExists(cache() + ".new"));
    }
  }
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  vault_.FailAfter(Call::kAbsent, 0, absl::UnavailableError("gone"));
  tree_.Add("srv/new", Noise(99, 100000));
  EXPECT_THAT(bench_.Backup(tree_, &vault_, kSecond), HasCode(absl::StatusCode::kUnavailable));
}

// The vault said when the session was opened what its domain has.
TEST_F(BackupFailure, WithoutAParentWhatIsNewIsNotAskedAbout) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK(RemoveFile(cache()));
  FakeTree other;
  for (int i = 0; i < 200; ++i) other.Add(absl::StrCat("srv/new", i), Noise(1000 + i, 70000));
  const int64_t asked = vault_.calls(Call::kAbsent);
  ASSERT_OK(bench_.Backup(other, &vault_, kSecond));
  EXPECT_EQ(vault_.calls(Call::kAbsent), asked);
  ASSERT_OK(RemoveFile(cache()));
  ASSERT_OK(bench_.Backup(other, &vault_, kThird));
  EXPECT_GT(vault_.calls(Call::kAbsent), asked);  // about what may be there
}

TEST_F(BackupFailure, AFailedUploadEndsALargeBackupEarly) {
  vault_.FailAfter(Call::kUpload, 3, absl::ResourceExhaustedError("disk full"));
  const std::string noise = Noise(5, 1 << 20);
  for (int i = 0; i < 200; ++i) {
    std::string content = noise;
    content[0] = static_cast<char>(i);
    tree_.Add(absl::StrCat("srv/x", i), content).piece_max = 1 << 20;
  }
  EXPECT_THAT(bench_.Backup(tree_, &vault_, kFirst), HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_LT(tree_.opened(), 200);
}

TEST_F(BackupFailure, CancellationIsPrompt) {
  std::atomic<bool> cancelled{false};
  tree_.at("srv/21").on_read = [&] { cancelled = true; };
  auto options = bench_.Options(kFirst);
  options.cancelled = &cancelled;
  EXPECT_THAT(bench_.Backup(tree_, &vault_, options), HasCode(absl::StatusCode::kCancelled));
  EXPECT_EQ(tree_.at("srv/23").opened, 0);
  EXPECT_THAT(vault_.GetBackup(kFirst), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(BackupFailure, RecordsTheVaultLostAreNoticedAndTheNextBackupSendsThem) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  vault_.ChangeStored([](v1::Record& record) { return record.type() != RecordType::DATA; });
  EXPECT_THAT(bench_.Backup(tree_, &vault_, kSecond),
              HasCodeAndText(absl::StatusCode::kAborted, "lost"));
  EXPECT_FALSE(FileExists(cache()));
  EXPECT_THAT(vault_.GetBackup(kSecond), HasCode(absl::StatusCode::kNotFound));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kSecond));
  FakeTarget target;
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kSecond));
  ASSERT_OK(reader->Restore({}, &target, nullptr));
  EXPECT_EQ(Difference(tree_, target), "");
}

TEST_F(BackupFailure, ReadBackFindsARecordDamagedOnItsWay) {
  int stored = 0;
  vault_.OnStore([&](v1::Record& record) {
    if (++stored == 5) (*record.mutable_payload())[record.payload().size() / 2] ^= 1;
    return true;
  });
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_FALSE(result.read_back_ok());
  EXPECT_NE(result.read_back_error(), "");
  EXPECT_FALSE(FileExists(cache()));
}

TEST_F(BackupFailure, ReadBackFindsAWrongNonceAndALostVault) {
  vault_.OnStore([](v1::Record& record) {
    if (record.type() == RecordType::LEAF) record.set_nonce(record.nonce() + 1);
    return true;
  });
  ASSERT_OK_AND_ASSIGN(v1::BackupResult result, bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_FALSE(result.read_back_ok());
  vault_.OnStore(nullptr);
  vault_.FailAfter(Call::kRead, 0, absl::UnavailableError("gone"));
  tree_.Add("srv/new", "new");
  ASSERT_OK_AND_ASSIGN(result, bench_.Backup(tree_, &vault_, kSecond));
  EXPECT_FALSE(result.read_back_ok());
  EXPECT_TRUE(absl::StrContains(result.read_back_error(), "gone")) << result.read_back_error();
}

TEST_F(BackupFailure, ARestoreNamesWorkloadAndPathOfDamage) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  vault_.ChangeStored([](v1::Record& record) {
    if (record.type() == RecordType::DATA) (*record.mutable_payload())[0] ^= 1;
    return true;
  });
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  FakeTarget target;
  const absl::Status status = reader->Restore({}, &target, nullptr);
  EXPECT_THAT(status, HasCodeAndText(absl::StatusCode::kDataLoss, "web"));
  EXPECT_THAT(status, HasCodeAndText(absl::StatusCode::kDataLoss, "/srv/1,"));
  v1::VerifyResult verified;
  EXPECT_THAT(reader->Verify({}, &verified),
              HasCodeAndText(absl::StatusCode::kDataLoss, "/srv/1,"));
  std::set<std::string> damaged;
  for (const v1::PathProblem& problem : verified.damaged()) damaged.insert(problem.path());
  std::set<std::string> of_large_files;  // small ones are in groups
  for (const auto& [path, file] : tree_.files()) {
    if (file.entry.size() > static_cast<int64_t>(kGroupedFileBytesMax)) of_large_files.insert(path);
  }
  EXPECT_EQ(damaged, of_large_files) << "all that is damaged, not the first alone";
  EXPECT_EQ(verified.damaged_total(), static_cast<int64_t>(damaged.size()));
}

TEST_F(BackupFailure, AnywayLeavesHolesAndListsThem) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  int data = 0;
  vault_.ChangeStored(
      [&](v1::Record& record) { return record.type() != RecordType::DATA || ++data % 3 != 0; });
  ASSERT_GT(data, 3);
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  FakeTarget target;
  RestoreOptions options;
  options.anyway = true;
  std::vector<v1::PathProblem> holes;
  ASSERT_OK(reader->Restore(options, &target, &holes));
  EXPECT_FALSE(holes.empty());
  EXPECT_EQ(target.files.size(), tree_.files().size());
  size_t damaged = 0;
  for (const auto& [path, file] : target.files) {
    EXPECT_TRUE(file.ended);
    if (file.content.ok()) {
      EXPECT_EQ(file.data, tree_.at(path).data) << path;
      continue;
    }
    ++damaged;
    EXPECT_THAT(file.content, HasCode(absl::StatusCode::kDataLoss));
  }
  EXPECT_EQ(damaged, holes.size());
}

TEST_F(BackupFailure, AnywayGoesOnBehindALostLeaf) {
  for (int i = 0; i < 3000; ++i) tree_.Add(absl::StrCat("srv/many/", i), absl::StrCat("file ", i));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  int leaves = 0;
  vault_.ChangeStored(
      [&](v1::Record& record) { return record.type() != RecordType::LEAF || ++leaves != 4; });
  ASSERT_GT(leaves, 4);
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  FakeTarget target;
  EXPECT_THAT(reader->Restore({}, &target, nullptr), HasCode(absl::StatusCode::kDataLoss));
  v1::VerifyResult verified;
  EXPECT_THAT(reader->Verify({}, &verified), HasCode(absl::StatusCode::kDataLoss));
  ASSERT_EQ(verified.damaged_size(), 1);
  EXPECT_THAT(verified.damaged(0).problem(), ::testing::HasSubstr("file list"));
  RestoreOptions options;
  options.anyway = true;
  std::vector<v1::PathProblem> holes;
  FakeTarget most;
  ASSERT_OK(reader->Restore(options, &most, &holes));
  EXPECT_EQ(holes.size(), 1u);
  EXPECT_GT(most.files.size(), 1000u);
  EXPECT_LT(most.files.size(), tree_.files().size());
  EXPECT_EQ(most.order_error, "");
}

TEST_F(BackupFailure, OpenSaysWhatIsWrong) {
  EXPECT_THAT(bench_.Open(&vault_, kFirst), HasCode(absl::StatusCode::kNotFound));
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  EXPECT_THAT(backup::RestoreReader::Open(
                  &vault_, kFirst,
                  [](const auto&, const auto&) -> absl::StatusOr<backup::RestoreKeys> {
                    return absl::PermissionDeniedError("no order");
                  }),
              HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(backup::RestoreReader::Open(
                  &vault_, kFirst,
                  [](const auto&, const auto&) -> absl::StatusOr<backup::RestoreKeys> {
                    return backup::RestoreKeys();
                  }),
              HasCode(absl::StatusCode::kDataLoss));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, vault_.GetBackup(kFirst));
  vault_.ReportDamaged(stored.manifest_root());
  EXPECT_THAT(bench_.Open(&vault_, kFirst), HasCodeAndText(absl::StatusCode::kDataLoss, kFirst));
}

TEST_F(BackupFailure, ARestoreStopsAtTheTargetsErrorAndWhenCancelled) {
  ASSERT_OK(bench_.Backup(tree_, &vault_, kFirst));
  ASSERT_OK_AND_ASSIGN(const auto reader, bench_.Open(&vault_, kFirst));
  FakeTarget full;
  full.write_error = absl::ResourceExhaustedError("disk full");
  EXPECT_THAT(reader->Restore({}, &full, nullptr), HasCode(absl::StatusCode::kResourceExhausted));
  std::atomic<bool> cancelled{true};
  RestoreOptions options;
  options.cancelled = &cancelled;
  FakeTarget target;
  EXPECT_THAT(reader->Restore(options, &target, nullptr), HasCode(absl::StatusCode::kCancelled));
  vault_.FailAfter(Call::kRead, 2, absl::UnavailableError("gone"));
  EXPECT_THAT(reader->Restore({}, &target, nullptr), HasCode(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace ember::testing
