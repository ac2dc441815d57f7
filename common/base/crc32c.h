// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4: finds flipped bits, proves nothing against an attacker.
#ifndef EMBER_COMMON_BASE_CRC32C_H_
#define EMBER_COMMON_BASE_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace ember {

// The checksum of `data` appended to bytes whose checksum is `crc` (0 for none).
uint32_t Crc32c(absl::string_view data, uint32_t crc = 0);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_CRC32C_H_
