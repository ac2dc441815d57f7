// SHA-256 (FIPS 180-4, 6.2.2) of sixteen messages at once: one in each 32-bit lane of AVX-512
// registers.
#include "common/crypto/cpu.h"
#include "common/crypto/hmac_batch.h"
#include "common/crypto/sha256_round.h"

#if defined(__x86_64__)
// GCC 12 takes the undefined registers of its own AVX-512 header for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define EMBER_AVX512 __attribute__((target("avx512f,avx512bw")))
#define EMBER_INLINE inline __attribute__((always_inline))
#endif

namespace ember {
#if defined(__x86_64__)
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kBlock = 64;

// Boolean functions of three operands as vpternlogd wants them: its truth table.
constexpr int kXor3 = 0x96, kChoose = 0xca, kMajority = 0xe8;

EMBER_AVX512 EMBER_INLINE __m512i Sigma(__m512i x, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi32(x, a, b, kXor3);
}

// Word i of every message: from sixteen rows, one message's block each, to sixteen columns.
EMBER_AVX512 EMBER_INLINE void Transpose(__m512i* r) {
  __m512i t[kLanes];
#pragma GCC unroll 8
  for (size_t i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < kLanes; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

EMBER_AVX512 void Compress(uint32_t* const* states, const unsigned char* const* data, size_t count,
                           size_t blocks) {
  constexpr int64_t kHigh = 0x0c0d0e0f08090a0b, kLow = 0x0405060700010203;
  const __m512i swap = _mm512_set_epi64(kHigh, kLow, kHigh, kLow, kHigh, kLow, kHigh, kLow);
  alignas(64) uint32_t words[8][kLanes];
  for (size_t i = 0; i < 8; ++i) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      words[i][lane] = states[lane < count ? lane : 0][i];
  }
  __m512i s[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) s[i] = _mm512_load_si512(words[i]);
  for (size_t block = 0; block < blocks; ++block) {
    __m512i w[16];
#pragma GCC unroll 16
    for (size_t lane = 0; lane < kLanes; ++lane) {
      // Lanes without a message do what the first one does, for nobody.
      const unsigned char* from = data[lane < count ? lane : 0] + block * kBlock;
      w[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512(from), swap);
    }
    Transpose(w);
    __m512i a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
#pragma GCC unroll 64
    for (int round = 0; round < 64; ++round) {
      __m512i& word = w[round % 16];
      if (round >= 16) {
        const __m512i before2 = w[(round + 14) % 16], before15 = w[(round + 1) % 16];
        const __m512i s1 = Sigma(_mm512_ror_epi32(before2, 17), _mm512_ror_epi32(before2, 19),
                                 _mm512_srli_epi32(before2, 10));
        const __m512i s0 = Sigma(_mm512_ror_epi32(before15, 7), _mm512_ror_epi32(before15, 18),
                                 _mm512_srli_epi32(before15, 3));
        word =
            _mm512_add_epi32(_mm512_add_epi32(word, s0), _mm512_add_epi32(w[(round + 9) % 16], s1));
      }
      const __m512i t1 = _mm512_add_epi32(
          _mm512_add_epi32(
              _mm512_add_epi32(h, _mm512_add_epi32(word, _mm512_set1_epi32(static_cast<int>(
                                                             kSha256Round[round])))),
              _mm512_ternarylogic_epi32(e, f, g, kChoose)),
          Sigma(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25)));
      const __m512i t2 = _mm512_add_epi32(
          Sigma(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22)),
          _mm512_ternarylogic_epi32(a, b, c, kMajority));
      h = g;
      g = f;
      f = e;
      e = _mm512_add_epi32(d, t1);
      d = c;
      c = b;
      b = a;
      a = _mm512_add_epi32(t1, t2);
    }
    const __m512i now[8] = {a, b, c, d, e, f, g, h};
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) s[i] = _mm512_add_epi32(s[i], now[i]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) _mm512_store_si512(words[i], s[i]);
  for (size_t i = 0; i < 8; ++i) {
    for (size_t lane = 0; lane < count; ++lane) states[lane][i] = words[i][lane];
  }
}

}  // namespace

const Sha256Kernel* Avx512Sha256Kernel() {
  // With a quarter of the lanes it does 1.0 GB/s, where OpenSSL without SHA-NI does half of that.
  static constexpr Sha256Kernel kKernel = {"avx-512", kLanes, kLanes / 4, Compress};
  return DetectCpu().avx512 ? &kKernel : nullptr;
}
#else

const Sha256Kernel* Avx512Sha256Kernel() { return nullptr; }
#endif

}  // namespace ember
