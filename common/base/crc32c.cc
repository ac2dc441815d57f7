#include "common/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ember {
namespace {

constexpr uint32_t kPolynomialReflected = 0x82f63b78;

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? kPolynomialReflected : 0);
    table[i] = value;
  }
  return table;
}

uint32_t Portable(absl::string_view data, uint32_t state) {
  static constexpr std::array<uint32_t, 256> kTable = MakeTable();
  for (const char c : data) state = (state >> 8) ^ kTable[(state ^ static_cast<unsigned char>(c)) & 0xff];
  return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t Sse42(absl::string_view data, uint32_t state) {
  uint64_t wide = state;
  while (data.size() >= 8) {
    uint64_t word;
    memcpy(&word, data.data(), 8);
    wide = _mm_crc32_u64(wide, word);
    data.remove_prefix(8);
  }
  state = static_cast<uint32_t>(wide);
  for (const char c : data) state = _mm_crc32_u8(state, static_cast<unsigned char>(c));
  return state;
}
#endif

}  // namespace

uint32_t Crc32c(absl::string_view data, uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2");
  if (has_sse42) return ~Sse42(data, ~crc);
#endif
  return ~Portable(data, ~crc);
}

}  // namespace ember
