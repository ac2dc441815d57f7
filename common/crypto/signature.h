// Signatures: ECDSA (FIPS 186-5) over SHA-256 by the P-256 keys that certificates are for.
#ifndef EMBER_COMMON_CRYPTO_SIGNATURE_H_
#define EMBER_COMMON_CRYPTO_SIGNATURE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember {

// DER, at most 72 bytes; another one each time. INVALID_ARGUMENT: not a key.
absl::StatusOr<std::string> SignMessage(absl::string_view key_pem, absl::string_view message);

// PERMISSION_DENIED: not by the key of this certificate, about whose own worth nothing is said.
// INVALID_ARGUMENT: not a certificate.
absl::Status CheckSignature(absl::string_view certificate_pem, absl::string_view message,
                            absl::string_view signature);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_SIGNATURE_H_
