// X.509 (RFC 5280) as the estate uses it: one CA, ECDSA P-256, a role and a name in a SAN URI
// `ember://ESTATE/ROLE/NAME` (role: agent, viewer, operator, admin, controller) and a DNS SAN for the dialled name.
#ifndef EMBER_COMMON_CRYPTO_CERTIFICATE_H_
#define EMBER_COMMON_CRYPTO_CERTIFICATE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ember {

struct KeyAndCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

struct CertificateInfo {
  std::string estate_id;
  std::string role;
  std::string name;
  std::string serial;  // lower-case hex
  absl::Time not_before;
  absl::Time not_after;
};

// A self-signed CA for `estate_id`, valid kCaYears from `now` (backdated kCertificateBackdateHours).
absl::StatusOr<KeyAndCertificate> CreateCa(absl::string_view estate_id, absl::Time now);

// A fresh ECDSA P-256 key, PKCS#8 PEM.
std::string NewPrivateKeyPem();
// A PKCS#10 request (RFC 2986) for the key. The subject is not trusted by the signer.
absl::StatusOr<std::string> CreateCsr(absl::string_view key_pem);

// Signs the CSR's key for (role, name). DNS SANs: "NAME.ROLE.ember" (so a node's is "nas1.agent.ember" and the
// EM's "em.controller.ember"). INVALID_ARGUMENT: not a CSR, or its proof of possession fails.
absl::StatusOr<std::string> SignCsr(const KeyAndCertificate& ca, absl::string_view csr_pem, absl::string_view role,
                                    absl::string_view name, absl::Time now, absl::Duration lifetime);

// Parses without verifying.
absl::StatusOr<CertificateInfo> ParseCertificate(absl::string_view certificate_pem);

// Checks the signature by the CA, the validity at `now`, and the name form. PERMISSION_DENIED says which failed.
absl::StatusOr<CertificateInfo> VerifyCertificate(absl::string_view ca_pem, absl::string_view certificate_pem,
                                                  absl::Time now);

// The validity part of VerifyCertificate, for a certificate that was verified before. PERMISSION_DENIED.
absl::Status CheckValidity(const CertificateInfo& info, absl::Time now);

// INVALID_ARGUMENT: not the key that the certificate is for.
absl::Status CheckKeyMatches(absl::string_view certificate_pem, absl::string_view key_pem);

// Lower-case hex SHA-256 of the DER form.
absl::StatusOr<std::string> CertificateFingerprint(absl::string_view certificate_pem);

// The name to check in the server's certificate when dialling: "NAME.ROLE.ember".
std::string TlsName(absl::string_view role, absl::string_view name);

// Connects by TLS 1.3 without trusting anybody, and returns the PEM of the certificate among the peer's chain whose
// fingerprint is `fingerprint`. UNAVAILABLE: no connection; PERMISSION_DENIED: no such certificate in the chain.
// The server therefore sends its CA along. `address` is HOST:PORT.
absl::StatusOr<std::string> FetchCertificateByFingerprint(absl::string_view address, absl::string_view fingerprint,
                                                          absl::Duration timeout);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_CERTIFICATE_H_
