// The recovery kit: what opens every backup of an estate when nothing else is left of it.
#ifndef EMBER_COMMON_CRYPTO_RECOVERY_KIT_H_
#define EMBER_COMMON_CRYPTO_RECOVERY_KIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ember {

struct RecoveryKit {
  std::string estate_id;       // "" when the kit does not say
  std::string private_key;     // X25519, 32 bytes
  std::string ca_fingerprint;  // as CertificateFingerprint; "" when the kit does not say
};

// The text of a kit, perhaps typed from paper: case, blanks, dashes and line breaks within the key
// do not matter. INVALID_ARGUMENT saying what is wrong.
absl::StatusOr<RecoveryKit> ParseRecoveryKit(absl::string_view text);

// ParseRecoveryKit of it gives `kit` back.
std::string FormatRecoveryKit(const RecoveryKit& kit, absl::Time created);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_RECOVERY_KIT_H_
