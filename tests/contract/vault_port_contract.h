// What every vault does for its clients, whatever it is made of. Include it once in a test binary
// and instantiate:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, VaultPortContract, ::testing::Values(VaultPortFactory(...)));
#ifndef EMBER_TESTS_CONTRACT_VAULT_PORT_CONTRACT_H_
#define EMBER_TESTS_CONTRACT_VAULT_PORT_CONTRACT_H_

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/vault_port.h"
#include "common/base/limits.h"
#include "ember/format/v1/format.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/pieces.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {

// A fresh, empty vault and whatever stands behind it.
class VaultUnderTest {
 public:
  virtual ~VaultUnderTest() = default;
  virtual backup::VaultPort* port() = 0;
};
using VaultPortFactory = std::function<std::unique_ptr<VaultUnderTest>()>;

class VaultPortContract : public ::testing::TestWithParam<VaultPortFactory> {
 protected:
  void SetUp() override {
    vault_ = GetParam()();
    ASSERT_NE(vault_, nullptr);
    port_ = vault_->port();
  }

  struct Opened {
    std::string session_id;
    std::string backup_id;
    std::unique_ptr<backup::VaultSession> session;
  };
  v1::OpenSessionRequest Request(const std::string& workload) {
    const std::string number = absl::StrCat(1000 + sessions_++);
    v1::OpenSessionRequest request;
    request.set_domain_id("node-host1");
    request.set_workload(workload);
    request.set_backup_id(absl::StrCat(workload, "/20260101-12", number));
    request.set_session_id(absl::StrCat("session-", number, "xxxx"));  // 16 bytes
    request.set_keybox(absl::StrCat("keybox of ", number));
    return request;
  }
  Opened Open(const v1::OpenSessionRequest& request) {
    auto session = port_->OpenSession(request);
    EXPECT_OK(session);
    return {request.session_id(), request.backup_id(),
            session.ok() ? *std::move(session) : nullptr};
  }
  Opened Open(const std::string& workload = "web") { return Open(Request(workload)); }

  static std::string Id(int n) {
    std::string id = absl::StrCat("id-", n);
    // Ids are spread like the digests they are.
    id.insert(id.begin(), static_cast<char>(n * 167));
    id.resize(32, static_cast<char>(n));
    return id;
  }
  static v1::Record Record(int n, size_t size = 1000) {
    v1::Record record;
    record.set_id(Id(n));
    record.set_type(format::v1::RecordType::DATA);
    record.set_nonce(static_cast<uint64_t>(n) + 1);
    std::string payload(size, static_cast<char>(n));
    for (size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<char>(i * 31 + static_cast<size_t>(n));
    record.set_payload(std::move(payload));
    return record;
  }
  static std::vector<std::string> Ids(int from, int to) {
    std::vector<std::string> ids;
    for (int n = from; n < to; ++n) ids.push_back(Id(n));
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  static v1::CommitHeader Header(const std::vector<std::string>& ids, int root) {
    v1::CommitHeader header;
    header.set_manifest_root(Id(root));
    header.set_sealed_summary(absl::StrCat("summary of ", root));
    header.set_summary_nonce(99);
    header.set_ids_total(ids.size());
    return header;
  }
  // Uploads [from, to) and commits them with `from` as root.
  void Store(Opened& opened, int from, int to) {
    for (int n = from; n < to; ++n) ASSERT_OK(opened.session->Upload(Record(n)));
    ASSERT_OK(opened.session->Flush());
    const auto ids = Ids(from, to);
    const auto reply = opened.session->Commit(Header(ids, from), PiecesOf(ids));
    ASSERT_OK(reply);
    ASSERT_EQ(reply->need_size(), 0);
  }
  struct ReadBack {
    absl::Status status;
    std::map<std::string, v1::Record> records;
    std::map<std::string, v1::ReadProblem> problems;
    int replies = 0;
    bool repeated = false;
  };
  ReadBack Read(const v1::ReadRequest& request) {
    ReadBack read;
    read.status = port_->Read(request, [&](v1::ReadReply&& reply) {
      ++read.replies;
      for (const auto& record : reply.records())
        read.repeated |= !read.records.emplace(record.id(), record).second;
      for (const auto& problem : reply.problems()) read.problems[problem.id()] = problem;
      return absl::OkStatus();
    });
    return read;
  }

  std::unique_ptr<VaultUnderTest> vault_;
  backup::VaultPort* port_ = nullptr;
  int sessions_ = 0;
};

TEST_P(VaultPortContract, ANewDomainIsEmptyAndHasNothing) {
  Opened opened = Open();
  EXPECT_TRUE(opened.session->domain_empty());
  EXPECT_FALSE(opened.session->parent_present());
  ASSERT_OK_AND_ASSIGN(const std::vector<bool> absent, opened.session->Absent({Id(1), Id(2)}));
  EXPECT_THAT(absent, ::testing::ElementsAre(true, true));
}

TEST_P(VaultPortContract, WhatWasFlushedIsPresentInTheOrderAsked) {
  Opened opened = Open();
  ASSERT_OK(opened.session->Upload(Record(2)));
  ASSERT_OK(opened.session->Flush());
  ASSERT_OK_AND_ASSIGN(const std::vector<bool> absent,
                       opened.session->Absent({Id(1), Id(2), Id(3)}));
  EXPECT_THAT(absent, ::testing::ElementsAre(true, false, true));
}

TEST_P(VaultPortContract, ReturnsRecordsAsTheyCame) {
  Opened opened = Open();
  Store(opened, 0, 50);
  v1::ReadRequest request;
  for (int n = 0; n < 50; ++n) request.add_ids(Id(n));
  const ReadBack read = Read(request);
  ASSERT_OK(read.status);
  ASSERT_EQ(read.records.size(), 50u);
  for (int n = 0; n < 50; ++n) {
    const v1::Record& got = read.records.at(Id(n));
    EXPECT_EQ(got.payload(), Record(n).payload());
    EXPECT_EQ(got.nonce(), Record(n).nonce());
    EXPECT_EQ(got.type(), Record(n).type());
    EXPECT_EQ(got.session_id(), opened.session_id);
  }
}

TEST_P(VaultPortContract, CarriesLargeRecords) {
  Opened opened = Open();
  for (int n = 0; n < 20; ++n) ASSERT_OK(opened.session->Upload(Record(n, kRecordBytesMax)));
  ASSERT_OK(opened.session->Flush());
  v1::ReadRequest request;
  request.set_only_session(opened.session_id);
  const ReadBack read = Read(request);
  ASSERT_OK(read.status);
  ASSERT_EQ(read.records.size(), 20u);
  EXPECT_EQ(read.records.at(Id(19)).payload(), Record(19, kRecordBytesMax).payload());
}

TEST_P(VaultPortContract, ReportsAbsentRecordsAndGoesOn) {
  Opened opened = Open();
  Store(opened, 0, 3);
  v1::ReadRequest request;
  request.add_ids(Id(0));
  request.add_ids(Id(77));
  request.add_ids(Id(2));
  const ReadBack read = Read(request);
  ASSERT_OK(read.status);
  EXPECT_EQ(read.records.size(), 2u);
  ASSERT_EQ(read.problems.count(Id(77)), 1u);
  EXPECT_TRUE(read.problems.at(Id(77)).absent());
}

TEST_P(VaultPortContract, ReadsBackOneSessionOnly) {
  Opened first = Open("web");
  Store(first, 0, 10);
  Opened second = Open("db");
  Store(second, 10, 15);
  v1::ReadRequest request;
  request.set_only_session(second.session_id);
  const ReadBack read = Read(request);
  ASSERT_OK(read.status);
  EXPECT_EQ(read.records.size(), 5u);
  EXPECT_FALSE(read.repeated);
  for (const auto& [id, record] : read.records) EXPECT_EQ(record.session_id(), second.session_id);
}

TEST_P(VaultPortContract, AnErrorOfTheSinkEndsTheReading) {
  Opened opened = Open();
  for (int n = 0; n < 12; ++n) ASSERT_OK(opened.session->Upload(Record(n, 1 << 20)));
  ASSERT_OK(opened.session->Flush());
  v1::ReadRequest request;
  request.set_only_session(opened.session_id);
  int calls = 0;
  const absl::Status status = port_->Read(request, [&](v1::ReadReply&&) {
    ++calls;
    return absl::CancelledError("enough");
  });
  EXPECT_THAT(status, HasCodeAndText(absl::StatusCode::kCancelled, "enough"));
  EXPECT_EQ(calls, 1);
}

TEST_P(VaultPortContract, CommitPublishes) {
  Opened opened = Open();
  EXPECT_THAT(port_->GetBackup(opened.backup_id), HasCode(absl::StatusCode::kNotFound));
  Store(opened, 0, 5);
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, port_->GetBackup(opened.backup_id));
  EXPECT_EQ(stored.backup_id(), opened.backup_id);
  EXPECT_EQ(stored.domain_id(), "node-host1");
  EXPECT_EQ(stored.workload(), "web");
  EXPECT_EQ(stored.session_id(), opened.session_id);
  EXPECT_EQ(stored.manifest_root(), Id(0));
  EXPECT_EQ(stored.sealed_summary(), "summary of 0");
  EXPECT_EQ(stored.summary_nonce(), 99u);
  EXPECT_EQ(stored.ids_total(), 5u);
  EXPECT_GT(stored.sequence(), 0u);
  ASSERT_EQ(stored.keyboxes_size(), 1);
  EXPECT_EQ(stored.keyboxes(0).session_id(), opened.session_id);
  EXPECT_EQ(stored.keyboxes(0).sealed(), "keybox of 1000");
}

TEST_P(VaultPortContract, TheRecoveryBoxesOfADomainAreKeptAndGrow) {
  v1::OpenSessionRequest request = Request("web");
  request.add_recovery_boxes("for the owner");
  Opened first = Open(request);
  Store(first, 0, 5);
  request = Request("web");
  request.add_recovery_boxes("for the safe");
  Open(request);
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, port_->GetBackup(first.backup_id));
  EXPECT_THAT(stored.recovery_boxes(),
              ::testing::UnorderedElementsAre("for the owner", "for the safe"));
  ASSERT_OK_AND_ASSIGN(const auto listed, port_->ListBackups("web"));
  EXPECT_EQ(listed.items(0).recovery_boxes_size(), 0);
}

TEST_P(VaultPortContract, CommitSaysWhatIsMissingAndPublishesNothing) {
  Opened opened = Open();
  ASSERT_OK(opened.session->Upload(Record(0)));
  ASSERT_OK(opened.session->Flush());
  const auto ids = Ids(0, 3);
  ASSERT_OK_AND_ASSIGN(v1::CommitReply reply,
                       opened.session->Commit(Header(ids, 0), PiecesOf(ids)));
  EXPECT_THAT(std::vector<std::string>(reply.need().begin(), reply.need().end()),
              ::testing::UnorderedElementsAre(Id(1), Id(2)));
  EXPECT_THAT(port_->GetBackup(opened.backup_id), HasCode(absl::StatusCode::kNotFound));
  ASSERT_OK(opened.session->Upload(Record(1)));
  ASSERT_OK(opened.session->Upload(Record(2)));
  ASSERT_OK(opened.session->Flush());
  ASSERT_OK_AND_ASSIGN(reply, opened.session->Commit(Header(ids, 0), PiecesOf(ids)));
  EXPECT_EQ(reply.need_size(), 0);
  EXPECT_OK(port_->GetBackup(opened.backup_id));
}

TEST_P(VaultPortContract, CommitTwiceIsCommitOnce) {
  Opened opened = Open();
  Store(opened, 0, 3);
  const auto ids = Ids(0, 3);
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply again,
                       opened.session->Commit(Header(ids, 0), PiecesOf(ids)));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, port_->GetBackup(opened.backup_id));
  EXPECT_EQ(again.sequence(), stored.sequence());
  ASSERT_OK_AND_ASSIGN(const v1::ListStoredBackupsReply list, port_->ListBackups("web"));
  EXPECT_EQ(list.items_size(), 1);
}

TEST_P(VaultPortContract, CommitTellsWhatWasAdded) {
  Opened first = Open();
  for (int n = 0; n < 4; ++n) ASSERT_OK(first.session->Upload(Record(n, 100000)));
  const auto ids = Ids(0, 4);
  ASSERT_OK(first.session->Flush());
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply reply,
                       first.session->Commit(Header(ids, 0), PiecesOf(ids)));
  EXPECT_GE(reply.added_bytes(), 400000);
  EXPECT_LT(reply.added_bytes(), 430000) << "headers, footers, and 5 % of parity";
  Opened second = Open();
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply nothing,
                       second.session->Commit(Header(ids, 0), PiecesOf(ids)));
  EXPECT_LT(nothing.added_bytes(), 1000);
}

TEST_P(VaultPortContract, SequencesRiseAndListsAreByWorkload) {
  Opened first = Open("web");
  Store(first, 0, 2);
  Opened other = Open("db");
  Store(other, 2, 4);
  Opened second = Open("web");
  Store(second, 4, 6);
  ASSERT_OK_AND_ASSIGN(const v1::ListStoredBackupsReply list, port_->ListBackups("web"));
  ASSERT_EQ(list.items_size(), 2);
  EXPECT_LT(list.items(0).sequence(), list.items(1).sequence());
  EXPECT_EQ(list.items(0).backup_id(), first.backup_id);
  EXPECT_EQ(list.items(1).backup_id(), second.backup_id);
}

TEST_P(VaultPortContract, AParentIsPresentOnceItIsCommitted) {
  Opened opened = Open();
  Store(opened, 0, 3);
  v1::OpenSessionRequest known = Request("web");
  known.set_parent_root(Id(0));
  Opened child = Open(known);
  EXPECT_TRUE(child.session->parent_present());
  EXPECT_FALSE(child.session->domain_empty());
  v1::OpenSessionRequest unknown = Request("web");
  unknown.set_parent_root(Id(1));
  EXPECT_FALSE(Open(unknown).session->parent_present());
}

TEST_P(VaultPortContract, WithoutAParentAllThatTheDomainHasIsPerhapsKnown) {
  EXPECT_EQ(Open().session->known(), nullptr);
  Opened first = Open();
  Store(first, 0, 20);
  Opened other = Open("db");
  ASSERT_NE(other.session->known(), nullptr);
  for (const std::string& id : Ids(0, 20)) EXPECT_TRUE(other.session->known()->MayContain(id));
  int perhaps = 0;
  for (const std::string& id : Ids(20, 120))
    perhaps += other.session->known()->MayContain(id) ? 1 : 0;
  EXPECT_LT(perhaps, 50);  // these ids are no digests

  v1::OpenSessionRequest child = Request("web");
  child.set_parent_root(Id(0));
  EXPECT_EQ(Open(child).session->known(), nullptr);
}

TEST_P(VaultPortContract, ABackupNamesTheKeyboxesOfAllItsSessions) {
  Opened first = Open();
  Store(first, 0, 3);
  Opened second = Open();
  ASSERT_OK(second.session->Upload(Record(3)));
  ASSERT_OK(second.session->Flush());
  const auto ids = Ids(0, 4);
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply reply,
                       second.session->Commit(Header(ids, 3), PiecesOf(ids)));
  ASSERT_EQ(reply.need_size(), 0);
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, port_->GetBackup(second.backup_id));
  std::map<std::string, std::string> boxes;
  for (const auto& box : stored.keyboxes()) boxes[box.session_id()] = box.sealed();
  EXPECT_EQ(boxes[first.session_id], "keybox of 1000");
  EXPECT_EQ(boxes[second.session_id], "keybox of 1001");
}

TEST_P(VaultPortContract, ALaterSessionOfTheWorkloadSupersedes) {
  Opened first = Open("web");
  ASSERT_OK(first.session->Upload(Record(0)));
  ASSERT_OK(first.session->Flush());
  Opened other = Open("db");  // another workload does not
  EXPECT_OK(first.session->Absent({Id(0)}));
  Opened second = Open("web");
  const auto ids = Ids(0, 1);
  EXPECT_THAT(first.session->Commit(Header(ids, 0), PiecesOf(ids)),
              HasCode(absl::StatusCode::kAborted));
  EXPECT_THAT(port_->GetBackup(first.backup_id), HasCode(absl::StatusCode::kNotFound));
  Store(second, 1, 2);
}

TEST_P(VaultPortContract, AnOldPlacementEpochIsRefused) {
  v1::OpenSessionRequest request = Request("web");
  request.set_epoch(5);
  Open(request);
  v1::OpenSessionRequest old = Request("web");
  old.set_epoch(4);
  EXPECT_THAT(port_->OpenSession(old), HasCode(absl::StatusCode::kAborted));
  v1::OpenSessionRequest same = Request("web");
  same.set_epoch(5);
  EXPECT_OK(port_->OpenSession(same));
}

TEST_P(VaultPortContract, TooManyQuestionsAtOnceAreRefused) {
  Opened opened = Open();
  EXPECT_OK(opened.session->Absent(Ids(0, kHaveBatchMax)));
  EXPECT_THAT(opened.session->Absent(Ids(0, kHaveBatchMax + 1)),
              HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_CONTRACT_VAULT_PORT_CONTRACT_H_
