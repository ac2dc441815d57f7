// Making keys, requests and certificates. Reading and checking them: certificate_check.cc.
#include "common/crypto/certificate.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/certificate_name.h"
#include "common/crypto/openssl.h"

namespace ember {
namespace {

constexpr int kSerialBits = 127;  // RFC 5280 section 4.1.2.2: positive, at most 20 octets

using BnPtr = OpenSslPtr<BIGNUM, BN_free>;
using ExtensionPtr = OpenSslPtr<X509_EXTENSION, X509_EXTENSION_free>;

// What differs between the certificates of an estate.
struct Template {
  std::string common_name;  // for people; nothing decides by it
  std::string san;
  std::string basic_constraints;
  std::string key_usage;
  std::string extended_key_usage;  // empty: none
  absl::Time not_before;
  absl::Time not_after;
};

void SetTime(ASN1_TIME* field, absl::Time time) {
  CheckOpenSsl(ASN1_TIME_set(field, absl::ToTimeT(time)) != nullptr, "ASN1_TIME_set");
}

void SetRandomSerial(X509* certificate) {
  const BnPtr number(BN_new());
  CheckOpenSsl(number != nullptr &&
                   BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                   BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
               "serial number");
}

void SetSubject(X509* certificate, absl::string_view common_name) {
  CheckOpenSsl(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                          Bytes(common_name), static_cast<int>(common_name.size()),
                                          -1, 0) == 1,
               "subject");
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  CheckOpenSsl(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1,
               "extension");
}

// `issuer` null: self-signed.
std::string Issue(const Template& form, EVP_PKEY* subject_key, X509* issuer, EVP_PKEY* issuer_key) {
  const X509Ptr certificate(X509_new());
  CheckOpenSsl(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1,
               "X509_new");
  if (issuer == nullptr) issuer = certificate.get();
  SetRandomSerial(certificate.get());
  SetSubject(certificate.get(), form.common_name);
  SetTime(X509_getm_notBefore(certificate.get()), form.not_before);
  SetTime(X509_getm_notAfter(certificate.get()), form.not_after);
  CheckOpenSsl(X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) == 1 &&
                   X509_set_pubkey(certificate.get(), subject_key) == 1,
               "certificate");
  AddExtension(certificate.get(), issuer, NID_basic_constraints, form.basic_constraints);
  AddExtension(certificate.get(), issuer, NID_key_usage, form.key_usage);
  AddExtension(certificate.get(), issuer, NID_ext_key_usage, form.extended_key_usage);
  AddExtension(certificate.get(), issuer, NID_subject_key_identifier, "hash");
  AddExtension(certificate.get(), issuer, NID_authority_key_identifier, "keyid");
  AddExtension(certificate.get(), issuer, NID_subject_alt_name, form.san);
  CheckOpenSsl(X509_sign(certificate.get(), issuer_key, EVP_sha256()) > 0, "X509_sign");
  return ToPem(certificate.get());
}

// The key a CSR asks a certificate for.
absl::StatusOr<PkeyPtr> RequestedKey(absl::string_view csr_pem) {
  const BioPtr bio(BIO_new_mem_buf(csr_pem.data(), static_cast<int>(csr_pem.size())));
  CheckOpenSsl(bio != nullptr, "BIO_new_mem_buf");
  const X509ReqPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (request == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a certificate request: ", TakeOpenSslError()));
  }
  PkeyPtr key(X509_REQ_get_pubkey(request.get()));
  char group[32] = "";
  if (key == nullptr || EVP_PKEY_is_a(key.get(), "EC") != 1 ||
      EVP_PKEY_get_group_name(key.get(), group, sizeof group, nullptr) != 1 ||
      absl::string_view(group) != SN_X9_62_prime256v1) {
    TakeOpenSslError();
    return absl::InvalidArgumentError("the certificate request has no ECDSA P-256 key");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    TakeOpenSslError();
    return absl::InvalidArgumentError(
        "the certificate request does not prove that its sender has the key");
  }
  return key;
}

}  // namespace

absl::StatusOr<KeyAndCertificate> CreateCa(absl::string_view estate_id, absl::Time now) {
  EMBER_RETURN_IF_ERROR(ValidateName("estate", estate_id));
  KeyAndCertificate ca;
  ca.key_pem = NewPrivateKeyPem();
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, PrivateKeyFromPem(ca.key_pem));
  Template form;
  form.common_name = "Ember estate CA";
  form.san = absl::StrCat("URI:", CertificateUri(estate_id, kCaRole, kCaRole));
  form.basic_constraints = "critical,CA:TRUE,pathlen:0";
  form.key_usage = "critical,keyCertSign,cRLSign";
  form.not_before = now - absl::Hours(kCertificateBackdateHours);
  form.not_after = now + absl::Hours(24 * 365 * kCaYears);
  ca.certificate_pem = Issue(form, key.get(), nullptr, key.get());
  return ca;
}

std::string NewPrivateKeyPem() {
  const PkeyPtr key(EVP_EC_gen(SN_X9_62_prime256v1));
  const BioPtr bio(BIO_new(BIO_s_mem()));
  CheckOpenSsl(key != nullptr && bio != nullptr &&
                   PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                                 nullptr) == 1,
               "new private key");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size);
}

absl::StatusOr<std::string> CreateCsr(absl::string_view key_pem) {
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, PrivateKeyFromPem(key_pem));
  const X509ReqPtr request(X509_REQ_new());
  const BioPtr bio(BIO_new(BIO_s_mem()));
  CheckOpenSsl(request != nullptr && bio != nullptr, "X509_REQ_new");
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot make a certificate request: ", TakeOpenSslError()));
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size);
}

absl::StatusOr<std::string> SignCsr(const KeyAndCertificate& ca, absl::string_view csr_pem,
                                    absl::string_view role, absl::string_view name, absl::Time now,
                                    absl::Duration lifetime) {
  EMBER_RETURN_IF_ERROR(ValidateRole(role));
  EMBER_RETURN_IF_ERROR(ValidateName(role, name));
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, RequestedKey(csr_pem));
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr ca_key, PrivateKeyFromPem(ca.key_pem));
  EMBER_ASSIGN_OR_RETURN(const X509Ptr ca_certificate, CertificateFromPem(ca.certificate_pem));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo ca_info, ParseCertificate(ca.certificate_pem));
  EMBER_RETURN_IF_ERROR(CheckKeyMatches(ca.certificate_pem, ca.key_pem));
  const bool serves = role == "agent" || role == "controller";
  Template form;
  form.common_name = std::string(name);
  form.san = absl::StrCat("URI:", CertificateUri(ca_info.estate_id, role, name),
                          ",DNS:", TlsName(role, name));
  form.basic_constraints = "critical,CA:FALSE";
  form.key_usage = "critical,digitalSignature";
  form.extended_key_usage = serves ? "serverAuth,clientAuth" : "clientAuth";
  form.not_before = now - absl::Hours(kCertificateBackdateHours);
  form.not_after = std::min(now + lifetime, ca_info.not_after);
  return Issue(form, key.get(), ca_certificate.get(), ca_key.get());
}

}  // namespace ember
