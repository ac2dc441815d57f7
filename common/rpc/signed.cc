#include "common/rpc/signed.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/crypto/signature.h"

namespace ember::rpc {
namespace {

// So that one kind of statement is never taken for another.
constexpr absl::string_view kGrantPurpose = "ember grant v1:";
constexpr absl::string_view kReadGrantPurpose = "ember read grant v1:";
constexpr absl::string_view kReceiptPurpose = "ember receipt v1:";

absl::Status Refused(absl::string_view what) { return absl::PermissionDeniedError(what); }

absl::StatusOr<v1::Signed> SignStatement(absl::string_view ca_key_pem, absl::string_view purpose,
                                         std::string statement) {
  v1::Signed signed_statement;
  signed_statement.set_statement(std::move(statement));
  EMBER_ASSIGN_OR_RETURN(
      *signed_statement.mutable_signature(),
      SignMessage(ca_key_pem, absl::StrCat(purpose, signed_statement.statement())));
  return signed_statement;
}

// The statement itself is judged by the caller.
absl::Status CheckIsControllers(absl::string_view ca_pem, absl::string_view purpose,
                                const v1::Signed& grant) {
  if (grant.statement().empty()) return Refused("the controller's grant is missing");
  return CheckSignature(ca_pem, absl::StrCat(purpose, grant.statement()), grant.signature()).ok()
             ? absl::OkStatus()
             : Refused("the grant is not the controller's");
}

}  // namespace

absl::StatusOr<v1::Signed> SignGrant(absl::string_view ca_key_pem, const v1::Grant& grant) {
  return SignStatement(ca_key_pem, kGrantPurpose, grant.SerializeAsString());
}

absl::StatusOr<v1::Signed> SignReadGrant(absl::string_view ca_key_pem, const v1::ReadGrant& grant) {
  return SignStatement(ca_key_pem, kReadGrantPurpose, grant.SerializeAsString());
}

absl::StatusOr<v1::ReadGrant> OpenReadGrant(absl::string_view ca_pem, const v1::Signed& grant,
                                            absl::string_view node, absl::string_view vault) {
  EMBER_RETURN_IF_ERROR(CheckIsControllers(ca_pem, kReadGrantPurpose, grant));
  v1::ReadGrant given;
  if (!given.ParseFromString(grant.statement())) return Refused("the grant does not parse");
  if (given.node() != node || given.vault() != vault) {
    return Refused(absl::StrCat("the controller granted reading in vault '", given.vault(),
                                "' to node '", given.node(), "'"));
  }
  return given;
}

absl::Status CheckGrant(absl::string_view ca_pem, const v1::Signed& grant,
                        const v1::Grant& needed) {
  EMBER_RETURN_IF_ERROR(CheckIsControllers(ca_pem, kGrantPurpose, grant));
  v1::Grant given;
  if (!given.ParseFromString(grant.statement())) return Refused("the grant does not parse");
  if (given.node() != needed.node() || given.workload() != needed.workload() ||
      given.epoch() != needed.epoch() || given.vault() != needed.vault() ||
      given.backup_id() != needed.backup_id()) {
    return Refused(absl::StrCat("the controller granted backup ", given.backup_id(), " of epoch ",
                                given.epoch(), " in vault '", given.vault(), "' to node '",
                                given.node(), "', and nothing else"));
  }
  return absl::OkStatus();
}

absl::Status SignReceipt(const Identity& host, v1::Signed* receipt) {
  receipt->set_certificate_pem(host.certificate_pem);
  EMBER_ASSIGN_OR_RETURN(
      *receipt->mutable_signature(),
      SignMessage(host.key_pem, absl::StrCat(kReceiptPurpose, receipt->statement())));
  return absl::OkStatus();
}

absl::StatusOr<v1::Receipt> OpenReceipt(absl::string_view ca_pem, const v1::Signed& receipt,
                                        absl::string_view node, absl::Time now) {
  if (receipt.statement().empty()) return Refused("the vault's receipt is missing");
  v1::Receipt opened;
  if (!opened.ParseFromString(receipt.statement())) return Refused("the receipt does not parse");
  // Not at the time of the receipt: a vault whose clock was ahead once goes on from there.
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo signer,
                         VerifyCertificate(ca_pem, receipt.certificate_pem(), now));
  if (signer.role != "agent" || signer.name != node) {
    return Refused(absl::StrCat("the receipt is signed by ", signer.role, " '", signer.name,
                                "', not by the vault's node '", node, "'"));
  }
  EMBER_RETURN_IF_ERROR(CheckSignature(receipt.certificate_pem(),
                                       absl::StrCat(kReceiptPurpose, receipt.statement()),
                                       receipt.signature()));
  return opened;
}

}  // namespace ember::rpc
