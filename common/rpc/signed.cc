#include "common/rpc/signed.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/crypto/signature.h"

namespace ember::rpc {
namespace {

// So that one kind of statement is never taken for another.
constexpr absl::string_view kGrantPurpose = "ember grant v1:";
constexpr absl::string_view kReceiptPurpose = "ember receipt v1:";

absl::Status Refused(absl::string_view what) { return absl::PermissionDeniedError(what); }

}  // namespace

absl::StatusOr<v1::Signed> SignGrant(absl::string_view ca_key_pem, const v1::Grant& grant) {
  v1::Signed signed_grant;
  signed_grant.set_statement(grant.SerializeAsString());
  EMBER_ASSIGN_OR_RETURN(
      *signed_grant.mutable_signature(),
      SignMessage(ca_key_pem, absl::StrCat(kGrantPurpose, signed_grant.statement())));
  return signed_grant;
}

absl::Status CheckGrant(absl::string_view ca_pem, const v1::Signed& grant,
                        const v1::Grant& needed) {
  if (grant.statement().empty()) return Refused("the controller's grant is missing");
  if (!CheckSignature(ca_pem, absl::StrCat(kGrantPurpose, grant.statement()), grant.signature())
           .ok()) {
    return Refused("the grant is not the controller's");
  }
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
