// Any bytes as the messages that come over the network, through the checks that look at nothing
// else: the vault's requests, join tokens, names, times, certificates.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/convert.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"
#include "common/vault/ref_set.h"
#include "common/vault/request_check.h"
#include "ember/v1/vault.pb.h"
#include "node-agent/link/token.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/message_kinds.h"

namespace ember::fuzz {
namespace {

template <typename Message>
Message Parse(absl::string_view bytes) {
  Message message;
  message.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return message;
}

// True when accepted; a request is at fault, never the vault.
bool IsAccepted(const absl::Status& status) {
  Require(status.ok() || absl::IsInvalidArgument(status));
  return status.ok();
}

// It becomes the name of a file, and of nothing above it.
void RequireFileName(absl::string_view name) {
  Require(vault::ValidateObjectName(absl::StrCat("keys/", name)).ok());
  Require(name.find('/') == absl::string_view::npos);
}

template <typename Ids>
void RequireIds(const Ids& ids) {
  for (const std::string& id : ids) Require(id.size() == kRecordIdBytes);
}

void LookAtOpenSession(const v1::OpenSessionRequest& request) {
  if (!IsAccepted(vault::CheckOpenSession(request))) return;
  const auto id = ParseBackupId(request.backup_id());
  Require(id.ok() && id->workload == request.workload());
  for (const std::string& name : {request.domain_id(), request.workload(), id->stamp})
    RequireFileName(name);
  Require(request.session_id().size() == vault::kSessionIdBytes);
  Require(!request.keybox().empty());
  for (const std::string& box : request.recovery_boxes())
    Require(!box.empty() && box.size() <= kKeyboxBytesMax);
}

void LookAtRecord(const v1::Record& record) {
  if (!IsAccepted(vault::CheckRecord(record))) return;
  // What is accepted fits the record's header in a pack.
  Require(record.id().size() == kRecordIdBytes && record.type() <= 0xffff);
  Require(!record.payload().empty() && record.payload().size() <= kRecordBytesMax);
}

void LookAtCommit(const v1::CommitRequest& request) {
  if (!IsAccepted(vault::CheckCommit(request.header())) ||
      !IsAccepted(vault::CheckCommitIds(request))) {
    return;
  }
  const std::vector<std::string> ids(request.ids().begin(), request.ids().end());
  RequireIds(ids);
  vault::NewRefSet set(".", request.header().manifest_root());
  if (!IsAccepted(set.Append(absl::StrJoin(ids, ""))) ||
      !IsAccepted(set.CheckComplete(request.header().ids_total()))) {
    return;
  }
  for (size_t i = 1; i < ids.size(); ++i) Require(ids[i - 1] < ids[i]);
  Require(request.header().ids_total() == ids.size());
  Require(std::count(ids.begin(), ids.end(), request.header().manifest_root()) == 1);
}

void LookAtRead(const v1::ReadRequest& request) {
  if (!IsAccepted(vault::CheckRead(request))) return;
  RequireIds(request.ids());
  Require(request.only_session().empty() || request.ids().empty());
}

void LookAtTokenText(absl::string_view text) {
  const auto token = agent::ParseToken(text);
  if (!IsAccepted(token.status())) return;
  Require(ValidateName("node", token->node()).ok() && !token->secret().empty());
  const auto again = agent::ParseToken(agent::TokenText(*token));
  Require(again.ok() && again->SerializeAsString() == token->SerializeAsString());
}

void LookAtName(absl::string_view text) {
  if (ValidateName("node", text).ok()) {
    RequireFileName(text);
    RequireFileName(DomainOfNode(text));
  }
  const auto id = ParseBackupId(text);
  if (id.ok()) Require(absl::StrCat(id->workload, "/", id->stamp) == text);
  // Either the object of a pack or not; never another's.
  const std::string name = vault::PackNameOf(text);
  Require(name.empty() || vault::PackObject(name) == text);
}

void LookAtTime(const google::protobuf::Timestamp& timestamp) {
  const absl::Time time = rpc::FromTimestamp(timestamp);
  const absl::Time again = rpc::FromTimestamp(rpc::ToTimestamp(time));
  // Those that a Timestamp may have survive; what is beyond becomes the last one.
  Require(rpc::FromTimestamp(rpc::ToTimestamp(again)) == again);
}

std::string ToPem(absl::string_view what, absl::string_view der) {
  std::string pem = absl::StrCat("-----BEGIN ", what, "-----\n");
  const std::string text = absl::Base64Escape(der);
  for (size_t at = 0; at < text.size(); at += 64) absl::StrAppend(&pem, text.substr(at, 64), "\n");
  return absl::StrCat(pem, "-----END ", what, "-----\n");
}

const KeyAndCertificate& Ca() {
  static const KeyAndCertificate ca = CreateCa("home", absl::FromUnixSeconds(1767225600)).value();
  return ca;
}

// Whoever enrols sends it before anybody knows who it is.
void LookAtCsr(absl::string_view pem) {
  const absl::Time now = absl::FromUnixSeconds(1767225600);
  const auto signed_pem = SignCsr(Ca(), pem, "agent", "nas1", now, absl::Hours(1));
  if (!IsAccepted(signed_pem.status())) return;
  const auto info = VerifyCertificate(Ca().certificate_pem, *signed_pem, now);
  Require(info.ok() && info->role == "agent" && info->name == "nas1");
}

void LookAtCertificate(absl::string_view pem) {
  (void)ParseCertificate(pem);
  (void)CertificateFingerprint(pem);
  // Nobody but the CA, whose key is made anew in each run, signs for it.
  Require(!VerifyCertificate(Ca().certificate_pem, pem, absl::FromUnixSeconds(1767225600)).ok());
}

void Look(MessageKind kind, absl::string_view bytes) {
  switch (kind) {
    case kOpenSessionMessage: return LookAtOpenSession(Parse<v1::OpenSessionRequest>(bytes));
    case kHaveMessage: {
      const auto request = Parse<v1::HaveRequest>(bytes);
      if (IsAccepted(vault::CheckHave(request))) RequireIds(request.ids());
      return;
    }
    case kRecordMessage: return LookAtRecord(Parse<v1::Record>(bytes));
    case kCommitMessage: return LookAtCommit(Parse<v1::CommitRequest>(bytes));
    case kReadMessage: return LookAtRead(Parse<v1::ReadRequest>(bytes));
    case kJoinTokenMessage: return LookAtTokenText(agent::TokenText(Parse<v1::JoinToken>(bytes)));
    case kJoinTokenText: return LookAtTokenText(bytes);
    case kNameText: return LookAtName(bytes);
    case kTimeMessage: return LookAtTime(Parse<google::protobuf::Timestamp>(bytes));
    case kCsrDer: return LookAtCsr(ToPem("CERTIFICATE REQUEST", bytes));
    case kCertificateDer: return LookAtCertificate(ToPem("CERTIFICATE", bytes));
    case kPemText: LookAtCsr(bytes); return LookAtCertificate(bytes);
    case kMessageKinds: return;
  }
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  if (bytes.empty()) return;
  const auto kind = static_cast<unsigned char>(bytes[0]) % kMessageKinds;
  Look(static_cast<MessageKind>(kind), bytes.substr(1));
}

}  // namespace ember::fuzz
