// Reading and checking certificates.
#include <ctime>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/crypto/certificate_name.h"
#include "common/crypto/digest.h"
#include "common/crypto/openssl.h"

namespace ember {
namespace {

constexpr absl::string_view kScheme("ember://", 8);

using StorePtr = OpenSslPtr<X509_STORE, X509_STORE_free>;
using StoreCtxPtr = OpenSslPtr<X509_STORE_CTX, X509_STORE_CTX_free>;
using BnPtr = OpenSslPtr<BIGNUM, BN_free>;

absl::StatusOr<absl::Time> ToTime(const ASN1_TIME* field) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(field, &utc) != 1)
    return absl::InvalidArgumentError("the certificate has no valid dates");
  return absl::FromTM(utc, absl::UTCTimeZone());
}

std::string SerialOf(const X509* certificate) {
  const BnPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  CheckOpenSsl(number != nullptr, "serial number");
  char* hex = BN_bn2hex(number.get());
  CheckOpenSsl(hex != nullptr, "serial number");
  std::string serial = absl::AsciiStrToLower(hex);
  OPENSSL_free(hex);
  return serial;
}

// The one ember:// URI among the alternative names.
absl::StatusOr<std::string> UriOf(const X509* certificate) {
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_STRING* text = name->d.uniformResourceIdentifier;
    const absl::string_view uri(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                ASN1_STRING_length(text));
    if (absl::StartsWith(uri, kScheme)) uris.emplace_back(uri);
  }
  if (uris.size() != 1)
    return absl::InvalidArgumentError("the certificate does not name a member of an estate");
  return uris[0];
}

absl::StatusOr<CertificateInfo> InfoOf(const X509* certificate) {
  EMBER_ASSIGN_OR_RETURN(const std::string uri, UriOf(certificate));
  const std::vector<std::string> parts = absl::StrSplit(absl::StripPrefix(uri, kScheme), '/');
  if (parts.size() != 3) {
    return absl::InvalidArgumentError(
        "the certificate's name is not of the form ember://ESTATE/ROLE/NAME");
  }
  CertificateInfo info;
  info.estate_id = parts[0];
  info.role = parts[1];
  info.name = parts[2];
  EMBER_RETURN_IF_ERROR(ValidateName("estate", info.estate_id));
  EMBER_RETURN_IF_ERROR(ValidateName("role", info.role));
  EMBER_RETURN_IF_ERROR(ValidateName(info.role, info.name));
  info.serial = SerialOf(certificate);
  EMBER_ASSIGN_OR_RETURN(info.not_before, ToTime(X509_get0_notBefore(certificate)));
  EMBER_ASSIGN_OR_RETURN(info.not_after, ToTime(X509_get0_notAfter(certificate)));
  return info;
}

absl::Status CheckIssued(X509* ca, X509* certificate) {
  const StorePtr store(X509_STORE_new());
  const StoreCtxPtr context(X509_STORE_CTX_new());
  CheckOpenSsl(store != nullptr && context != nullptr &&
                   X509_STORE_add_cert(store.get(), ca) == 1 &&
                   X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) == 1,
               "certificate store");
  // Validity is checked apart from this (CheckValidity), with the time given.
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
  const bool issued = X509_verify_cert(context.get()) == 1;
  TakeOpenSslError();
  if (issued) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the certificate is not from this estate's CA (",
                   X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())), ")"));
}

}  // namespace

std::string CertificateUri(absl::string_view estate_id, absl::string_view role,
                           absl::string_view name) {
  return absl::StrCat(kScheme, estate_id, "/", role, "/", name);
}

absl::Status ValidateRole(absl::string_view role) {
  for (const absl::string_view known : {"agent", "viewer", "operator", "admin", "controller"}) {
    if (role == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("'", role, "' is not a role"));
}

std::string TlsName(absl::string_view role, absl::string_view name) {
  return absl::StrCat(name, ".", role, ".ember");
}

absl::StatusOr<CertificateInfo> ParseCertificate(absl::string_view certificate_pem) {
  EMBER_ASSIGN_OR_RETURN(const X509Ptr certificate, CertificateFromPem(certificate_pem));
  return InfoOf(certificate.get());
}

absl::Status CheckValidity(const CertificateInfo& info, absl::Time now) {
  const absl::TimeZone utc = absl::UTCTimeZone();
  if (now < info.not_before) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the certificate of '", info.name, "' is not yet valid: it starts at ",
        absl::FormatTime(absl::RFC3339_sec, info.not_before, utc), "; compare the clocks"));
  }
  if (now > info.not_after) {
    return absl::PermissionDeniedError(
        absl::StrCat("the certificate of '", info.name, "' expired at ",
                     absl::FormatTime(absl::RFC3339_sec, info.not_after, utc)));
  }
  return absl::OkStatus();
}

absl::StatusOr<CertificateInfo> VerifyCertificate(absl::string_view ca_pem,
                                                  absl::string_view certificate_pem,
                                                  absl::Time now) {
  EMBER_ASSIGN_OR_RETURN(const X509Ptr ca, CertificateFromPem(ca_pem));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo ca_info, InfoOf(ca.get()));
  const absl::StatusOr<X509Ptr> certificate = CertificateFromPem(certificate_pem);
  if (!certificate.ok()) return absl::PermissionDeniedError(certificate.status().message());
  EMBER_RETURN_IF_ERROR(CheckIssued(ca.get(), certificate->get()));
  absl::StatusOr<CertificateInfo> info = InfoOf(certificate->get());
  if (!info.ok()) return absl::PermissionDeniedError(info.status().message());
  if (!ValidateRole(info->role).ok() || info->estate_id != ca_info.estate_id) {
    return absl::PermissionDeniedError("the certificate does not name a peer of this estate");
  }
  EMBER_RETURN_IF_ERROR(CheckValidity(ca_info, now));
  EMBER_RETURN_IF_ERROR(CheckValidity(*info, now));
  return info;
}

absl::StatusOr<std::string> CertificateFingerprint(absl::string_view certificate_pem) {
  EMBER_ASSIGN_OR_RETURN(const X509Ptr certificate, CertificateFromPem(certificate_pem));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  CheckOpenSsl(size > 0, "i2d_X509");
  std::string fingerprint = Sha256Hex(absl::string_view(reinterpret_cast<char*>(der), size));
  OPENSSL_free(der);
  return fingerprint;
}

absl::Status CheckKeyMatches(absl::string_view certificate_pem, absl::string_view key_pem) {
  EMBER_ASSIGN_OR_RETURN(const X509Ptr certificate, CertificateFromPem(certificate_pem));
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, PrivateKeyFromPem(key_pem));
  if (X509_check_private_key(certificate.get(), key.get()) == 1) return absl::OkStatus();
  TakeOpenSslError();
  return absl::InvalidArgumentError("the private key does not belong to the certificate");
}

}  // namespace ember
