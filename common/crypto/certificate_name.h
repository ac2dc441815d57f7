// The SAN URI that says who a certificate is for.
#ifndef EMBER_COMMON_CRYPTO_CERTIFICATE_NAME_H_
#define EMBER_COMMON_CRYPTO_CERTIFICATE_NAME_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ember {

// Role and name of the CA itself, so that no peer's certificate can look like it.
inline constexpr char kCaRole[] = "ca";

// ember://ESTATE/ROLE/NAME
std::string CertificateUri(absl::string_view estate_id, absl::string_view role,
                           absl::string_view name);

// INVALID_ARGUMENT: not a role of peers.
absl::Status ValidateRole(absl::string_view role);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_CERTIFICATE_NAME_H_
