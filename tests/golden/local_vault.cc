#include "tests/golden/local_vault.h"

#include <utility>
#include <vector>

#include "common/base/status.h"

namespace ember::testing {
namespace {

class LocalSession : public backup::VaultSession {
 public:
  LocalSession(vault::Vault& vault, std::string node, std::string session_id,
               v1::OpenSessionReply reply)
      : vault_(vault),
        node_(std::move(node)),
        session_id_(std::move(session_id)),
        reply_(std::move(reply)) {}

  bool domain_empty() const override { return reply_.domain_empty(); }
  bool parent_present() const override { return reply_.parent_present(); }
  const IdFilter* known() const override { return nullptr; }

  absl::StatusOr<std::vector<bool>> Absent(const std::vector<std::string>& ids) override {
    v1::HaveRequest request;
    request.set_session_id(session_id_);
    request.set_token(reply_.token());
    for (const std::string& id : ids) request.add_ids(id);
    EMBER_ASSIGN_OR_RETURN(const v1::HaveReply reply, vault_.Have(node_, request));
    std::vector<bool> absent;
    for (const char each : reply.absent()) absent.push_back(each == '\1');
    return absent;
  }
  absl::Status Upload(v1::Record record) override {
    v1::UploadRequest request;
    request.set_session_id(session_id_);
    request.set_token(reply_.token());
    *request.add_records() = std::move(record);
    return vault_.Append(node_, request);
  }
  absl::Status Flush() override { return vault_.Sync(session_id_).status(); }
  absl::StatusOr<v1::CommitReply> Commit(const v1::CommitHeader& header,
                                         const Pieces& ids) override {
    return vault_.Commit(node_, session_id_, reply_.token(), header, ids);
  }

 private:
  vault::Vault& vault_;
  const std::string node_;
  const std::string session_id_;
  const v1::OpenSessionReply reply_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<backup::VaultSession>> LocalVault::OpenSession(
    v1::OpenSessionRequest request) {
  EMBER_ASSIGN_OR_RETURN(v1::OpenSessionReply reply, vault_.OpenSession(node_, request));
  return std::make_unique<LocalSession>(vault_, node_, request.session_id(), std::move(reply));
}

}  // namespace ember::testing
