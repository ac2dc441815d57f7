// SHA-256 in SHA-NI instructions (Intel, "Intel SHA Extensions", 2013), one and two streams.
#include "common/crypto/cpu.h"
#include "common/crypto/hmac_batch.h"
#include "common/crypto/sha256_round.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define EMBER_SHA_NI __attribute__((target("sha,ssse3,sse4.1")))
#define EMBER_INLINE inline __attribute__((always_inline))
#endif

namespace ember {
#if defined(__x86_64__)
namespace {

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
  __m128i sum =
      _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i*>(kSha256Round) + q));
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

EMBER_SHA_NI void CompressUpToTwo(uint32_t* const* states, const unsigned char* const* data,
                                  size_t count, size_t blocks) {
  const unsigned char* at[2] = {data[0], data[count - 1]};
  count == 1 ? Compress<1>(states, at, blocks) : Compress<2>(states, at, blocks);
}

}  // namespace

const Sha256Kernel* ShaNiKernel() {
  static constexpr Sha256Kernel kKernel = {"sha-ni", 2, 1, CompressUpToTwo};
  return DetectCpu().sha ? &kKernel : nullptr;
}
#else

const Sha256Kernel* ShaNiKernel() { return nullptr; }
#endif

}  // namespace ember
