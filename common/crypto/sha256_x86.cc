// SHA-256 in SHA-NI instructions (Intel, "Intel SHA Extensions", 2013), one and two streams.
#include "common/crypto/cpu.h"
#include "common/crypto/hmac_batch.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define EMBER_SHA_NI __attribute__((target("sha,ssse3,sse4.1")))
#define EMBER_INLINE inline __attribute__((always_inline))
#endif

namespace ember {
#if defined(__x86_64__)
namespace {

alignas(16) constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The working variables as the instructions want them, and the last sixteen words of the schedule.
struct Stream {
  __m128i abef, cdgh;
  __m128i w[4];
};

EMBER_SHA_NI EMBER_INLINE void LoadState(const uint32_t* state, Stream& s) {
  const __m128i abcd = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
  const __m128i efgh = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));
  const __m128i cdab = _mm_shuffle_epi32(abcd, 0xb1), hgfe = _mm_shuffle_epi32(efgh, 0x1b);
  s.abef = _mm_alignr_epi8(cdab, hgfe, 8);
  s.cdgh = _mm_blend_epi16(hgfe, cdab, 0xf0);
}

EMBER_SHA_NI EMBER_INLINE void StoreState(const Stream& s, uint32_t* state) {
  const __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

EMBER_SHA_NI EMBER_INLINE void LoadBlock(const unsigned char* data, Stream& s) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    s.w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i), swap);
}

// Rounds 4q to 4q + 3, and the words that later rounds need.
EMBER_SHA_NI EMBER_INLINE void FourRounds(int q, Stream& s) {
  const __m128i now = s.w[q % 4];
  __m128i sum = _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i*>(kRound) + q));
  s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
  if (q >= 3 && q < 15) {
    __m128i& next = s.w[(q + 1) % 4];
    next = _mm_add_epi32(next, _mm_alignr_epi8(now, s.w[(q + 3) % 4], 4));
    next = _mm_sha256msg2_epu32(next, now);
  }
  sum = _mm_shuffle_epi32(sum, 0x0e);
  s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, sum);
  if (q >= 1 && q < 13) s.w[(q + 3) % 4] = _mm_sha256msg1_epu32(s.w[(q + 3) % 4], now);
}

template <int kStreams>
EMBER_SHA_NI EMBER_INLINE void Compress(uint32_t* const* states, const unsigned char** data,
                                        size_t blocks) {
  Stream streams[kStreams];
#pragma GCC unroll 2
  for (int i = 0; i < kStreams; ++i) LoadState(states[i], streams[i]);
  for (; blocks > 0; --blocks) {
    __m128i abef[kStreams], cdgh[kStreams];
#pragma GCC unroll 2
    for (int i = 0; i < kStreams; ++i) {
      abef[i] = streams[i].abef;
      cdgh[i] = streams[i].cdgh;
      LoadBlock(data[i], streams[i]);
      data[i] += 64;
    }
#pragma GCC unroll 16
    for (int q = 0; q < 16; ++q) {
#pragma GCC unroll 2
      for (int i = 0; i < kStreams; ++i) FourRounds(q, streams[i]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < kStreams; ++i) {
      streams[i].abef = _mm_add_epi32(streams[i].abef, abef[i]);
      streams[i].cdgh = _mm_add_epi32(streams[i].cdgh, cdgh[i]);
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kStreams; ++i) StoreState(streams[i], states[i]);
}

EMBER_SHA_NI void CompressOne(uint32_t* state, const unsigned char* data, size_t blocks) {
  uint32_t* states[] = {state};
  Compress<1>(states, &data, blocks);
}

EMBER_SHA_NI void CompressTwo(uint32_t* state, const unsigned char* data, uint32_t* other_state,
                              const unsigned char* other_data, size_t blocks) {
  uint32_t* states[] = {state, other_state};
  const unsigned char* both[] = {data, other_data};
  Compress<2>(states, both, blocks);
}

}  // namespace

const Sha256Kernel* ShaNiKernel() {
  static constexpr Sha256Kernel kKernel = {"sha-ni", CompressOne, CompressTwo};
  return DetectCpu().sha ? &kKernel : nullptr;
}
#else

const Sha256Kernel* ShaNiKernel() { return nullptr; }
#endif

}  // namespace ember
