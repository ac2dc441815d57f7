// Fixed-width little-endian integers of the vault's binary formats.
#ifndef EMBER_COMMON_VAULT_LITTLE_ENDIAN_H_
#define EMBER_COMMON_VAULT_LITTLE_ENDIAN_H_

#include <bit>
#include <cstring>
#include <string>
#include <type_traits>

#include "absl/strings/string_view.h"

namespace ember::vault {

static_assert(std::endian::native == std::endian::little, "bytes are stored as they are in memory");

template <typename T>
void PutFixed(std::string& out, std::type_identity_t<T> value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// `at + sizeof(T)` must be within `bytes`.
template <typename T>
T GetFixed(absl::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_LITTLE_ENDIAN_H_
