// An identity's certificate: how long it is good, and how it gets a new one.
#ifndef EMBER_COMMON_RPC_RENEWAL_H_
#define EMBER_COMMON_RPC_RENEWAL_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/identity.h"

namespace ember::rpc {

// What the certificate of an identity says, unverified.
struct IdentityTerm {
  std::string role;
  std::string name;
  absl::Time not_before;
  absl::Time not_after;
};
// Of the identity in `directory`. NOT_FOUND: there is none; INVALID_ARGUMENT: it is no certificate.
absl::StatusOr<IdentityTerm> TermOf(const std::string& directory);

// True when less than 1/kIdentityRenewPart of its life is left, and some of it.
bool RenewalDue(const IdentityTerm& term, absl::Time now);

// The certificate that the controller makes of a CSR (PEM).
using CertificateSigner = std::function<absl::StatusOr<std::string>(const std::string& csr_pem)>;

// `identity` with `key_pem` and the certificate that `sign` makes for it. PERMISSION_DENIED: the
// answer is for another role or name.
absl::StatusOr<Identity> RenewedIdentity(Identity identity, std::string key_pem, absl::Time now,
                                         const CertificateSigner& sign);

// Asks `sign` for a new certificate for the key in `directory` and puts it in the old one's place,
// in one step: whatever happens, key and certificate belong together. PERMISSION_DENIED: the
// directory may not be written (nothing was asked for then), or the answer is not this estate's
// certificate for the same role, name and key; the old one stays.
absl::Status RenewCertificate(const std::string& directory, absl::Time now,
                              const CertificateSigner& sign);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_RENEWAL_H_
