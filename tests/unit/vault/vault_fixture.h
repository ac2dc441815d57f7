// A vault on a temporary directory, and a client that fills it.
#ifndef EMBER_TESTS_UNIT_VAULT_VAULT_FIXTURE_H_
#define EMBER_TESTS_UNIT_VAULT_VAULT_FIXTURE_H_

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/crypto/digest.h"
#include "common/vault/vault.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pieces.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

// Record number `n`: its id and what is stored under it.
inline std::string RecordId(int n) { return Sha256(absl::StrCat("record ", n)); }
inline std::string RecordPayload(int n) {
  return absl::StrCat("sealed ", n, std::string(n % 50 * 11, 's'));
}
inline std::vector<std::string> SortedIds(int first, int count) {
  std::vector<std::string> ids;
  for (int n = first; n < first + count; ++n) ids.push_back(RecordId(n));
  std::sort(ids.begin(), ids.end());
  return ids;
}

// A client's side of one session.
struct ClientSession {
  v1::OpenSessionRequest request;
  v1::OpenSessionReply reply;
};

// Number `n` of the backups of `workload`.
inline v1::OpenSessionRequest SessionRequest(const std::string& workload, int n) {
  v1::OpenSessionRequest request;
  request.set_vault("nas");
  request.set_domain_id("host1");
  request.set_workload(workload);
  request.set_backup_id(BackupId(workload, absl::FromUnixSeconds(1767225600 + n)));
  request.set_session_id(Sha256(absl::StrCat("session ", workload, n)).substr(0, 16));
  request.set_keybox(absl::StrCat("keybox ", workload, n));
  request.add_recovery_boxes("recovery box");
  return request;
}

inline v1::UploadRequest UploadOf(const ClientSession& session, int first, int count) {
  v1::UploadRequest request;
  request.set_vault("nas");
  request.set_session_id(session.request.session_id());
  request.set_token(session.reply.token());
  for (int n = first; n < first + count; ++n) {
    v1::Record* record = request.add_records();
    record->set_id(RecordId(n));
    record->set_type(1);
    record->set_nonce(static_cast<uint64_t>(n));
    record->set_payload(RecordPayload(n));
  }
  return request;
}

inline v1::CommitHeader HeaderOf(const std::vector<std::string>& ids) {
  v1::CommitHeader header;
  header.set_manifest_root(ids.empty() ? "" : ids[0]);
  header.set_sealed_summary("sealed summary");
  header.set_summary_nonce(7);
  header.set_ids_total(ids.size());
  return header;
}

class VaultFixture : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  virtual vault::VaultOptions Options(const std::string& directory) {
    return {.name = "nas", .directory = directory, .clock = &clock_};
  }
  void Reopen() {
    vault_.reset();
    ASSERT_OK_AND_ASSIGN(vault_, vault::Vault::Open(Options(directory_.path())));
  }

  absl::StatusOr<ClientSession> Open(v1::OpenSessionRequest request,
                                     const std::string& node = "host1") {
    EMBER_ASSIGN_OR_RETURN(v1::OpenSessionReply reply, vault_->OpenSession(node, request));
    return ClientSession{std::move(request), std::move(reply)};
  }
  absl::StatusOr<v1::CommitReply> Commit(const ClientSession& session,
                                         const std::vector<std::string>& ids,
                                         const std::string& node = "host1") {
    return vault_->Commit(node, session.request.session_id(), session.reply.token(), HeaderOf(ids),
                          PiecesOf(ids));
  }
  // Records `first`... uploaded and committed as backup `n`.
  absl::StatusOr<v1::CommitReply> Backup(const std::string& workload, int n, int first, int count) {
    EMBER_ASSIGN_OR_RETURN(const ClientSession session, Open(SessionRequest(workload, n)));
    EMBER_RETURN_IF_ERROR(vault_->Append("host1", UploadOf(session, first, count)));
    return Commit(session, SortedIds(first, count));
  }
  static std::string IdOf(const std::string& workload, int n) {
    return SessionRequest(workload, n).backup_id();
  }

  struct ReadResult {
    std::map<std::string, std::string> payloads;
    std::map<std::string, v1::ReadProblem> problems;
    std::map<std::string, v1::Record> records;
  };
  // Takes replies into `result`; no record comes twice.
  static auto Into(ReadResult* result) {
    return [result](v1::ReadReply&& reply) {
      for (const v1::Record& record : reply.records()) {
        EXPECT_TRUE(result->payloads.try_emplace(record.id(), record.payload()).second);
        result->records[record.id()] = record;
      }
      for (const v1::ReadProblem& problem : reply.problems())
        result->problems[problem.id()] = problem;
      return absl::OkStatus();
    };
  }
  static ReadResult Read(vault::Vault& vault, const v1::ReadRequest& request) {
    ReadResult result;
    EXPECT_OK(vault.Read(request, "", Into(&result)));
    return result;
  }
  ReadResult Read(const std::vector<std::string>& ids) {
    v1::ReadRequest request;
    for (const std::string& id : ids) request.add_ids(id);
    return Read(*vault_, request);
  }
  // The records come back as they were sent.
  void ExpectReadable(int first, int count) {
    const ReadResult result = Read(SortedIds(first, count));
    EXPECT_EQ(result.problems.size(), 0u);
    for (int n = first; n < first + count; ++n) {
      EXPECT_EQ(
          result.payloads.contains(RecordId(n)) ? result.payloads.at(RecordId(n)) : "(absent)",
          RecordPayload(n));
    }
  }
  // How many of the records the vault says are absent.
  int CountAbsent(const ClientSession& session, int first, int count) {
    v1::HaveRequest request;
    request.set_session_id(session.request.session_id());
    request.set_token(session.reply.token());
    for (int n = first; n < first + count; ++n) request.add_ids(RecordId(n));
    const auto reply = vault_->Have("host1", request);
    EXPECT_OK(reply);
    if (!reply.ok()) return -1;
    return static_cast<int>(std::count(reply->absent().begin(), reply->absent().end(), '\1'));
  }

  std::vector<std::string> Files(const std::string& below) {
    std::vector<std::string> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.Join(below))) {
      if (file.is_regular_file()) files.push_back(file.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  FakeClock clock_;
  TempDir directory_;
  std::shared_ptr<vault::Vault> vault_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_VAULT_VAULT_FIXTURE_H_
