// Each function names the instructions it needs, so that the rest of the build stays baseline
// x86-64.
#include "common/crypto/cut_x86.h"

#if defined(__x86_64__)
// GCC 12 takes the undefined registers of its own AVX-512 header for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#define EMBER_AES_NI __attribute__((target("aes,pclmul,sse4.1")))
#define EMBER_VAES __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq")))
#define EMBER_VAES512 __attribute__((target("avx512f,avx2,aes,pclmul,vaes,vpclmulqdq")))
#define EMBER_INLINE inline __attribute__((always_inline))

namespace ember {
namespace {

// Independent AES computations in flight: two units, four cycles each.
constexpr int kInFlight = 8;
constexpr int kLastRound = 10;

EMBER_AES_NI EMBER_INLINE __m128i Load(const unsigned char* bytes) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}

// clmul of the two words of `bytes` with the two of `key` added.
EMBER_AES_NI EMBER_INLINE __m128i Product(const unsigned char* bytes, const unsigned char* key) {
  const __m128i words = _mm_xor_si128(Load(bytes), Load(key));
  return _mm_clmulepi64_si128(words, words, 0x10);
}

EMBER_AES_NI EMBER_INLINE __m128i WindowDigest(const CutKeys& keys, const unsigned char* window) {
  return _mm_xor_si128(Product(window, keys.hash), Product(window + 16, keys.hash + 16));
}

EMBER_AES_NI EMBER_INLINE bool IsHit(const CutKeys& keys, __m128i digest, uint32_t mask) {
  __m128i state = _mm_xor_si128(digest, Load(keys.round[0]));
  for (int round = 1; round < kLastRound; ++round)
    state = _mm_aesenc_si128(state, Load(keys.round[round]));
  state = _mm_aesenclast_si128(state, Load(keys.round[kLastRound]));
  return (static_cast<uint32_t>(_mm_cvtsi128_si32(state)) & mask) == 0;
}

EMBER_AES_NI size_t FindWindowSingly(const CutKeys& keys, const unsigned char* data, size_t at,
                                     size_t end, uint32_t mask) {
  while (at < end && !IsHit(keys, WindowDigest(keys, data + at - kCutWindowBytes), mask)) ++at;
  return at;
}

// Whether one of kInFlight windows, one byte apart, is a hit.
EMBER_AES_NI EMBER_INLINE bool AnyHit(const CutKeys& keys, const unsigned char* window,
                                      __m128i mask) {
  __m128i state[kInFlight];
  const __m128i first = Load(keys.round[0]), last = Load(keys.round[kLastRound]);
#pragma GCC unroll 8
  for (int i = 0; i < kInFlight; ++i)
    state[i] = _mm_xor_si128(WindowDigest(keys, window + i), first);
#pragma GCC unroll 9
  for (int round = 1; round < kLastRound; ++round) {
    const __m128i key = Load(keys.round[round]);
#pragma GCC unroll 8
    for (int i = 0; i < kInFlight; ++i) state[i] = _mm_aesenc_si128(state[i], key);
  }
  __m128i least = _mm_set1_epi32(-1);
#pragma GCC unroll 8
  for (int i = 0; i < kInFlight; ++i)
    least = _mm_min_epu32(least, _mm_and_si128(_mm_aesenclast_si128(state[i], last), mask));
  return _mm_cvtsi128_si32(least) == 0;
}

EMBER_AES_NI size_t FindWindowAesNi(const CutKeys& keys, const unsigned char* data, size_t at,
                                    size_t end, uint32_t mask) {
  const __m128i masks = _mm_set1_epi32(static_cast<int>(mask));
  for (; at < end && end - at >= kInFlight; at += kInFlight) {
    if (AnyHit(keys, data + at - kCutWindowBytes, masks)) break;
  }
  return FindWindowSingly(keys, data, at, end, mask);
}

EMBER_AES_NI size_t FindBlockAesNi(const CutKeys& keys, const unsigned char* data, size_t at,
                                   size_t end, uint32_t mask) {
  constexpr int kSums = 4;
  for (; at < end; at += kCutBlockBytes) {
    const unsigned char* block = data + at - kCutBlockBytes;
    __m128i sum[kSums] = {};
    for (size_t from = 0; from < kCutBlockBytes; from += 16 * kSums) {
#pragma GCC unroll 4
      for (int i = 0; i < kSums; ++i)
        sum[i] = _mm_xor_si128(sum[i], Product(block + from + 16 * i, keys.hash + from + 16 * i));
    }
    const __m128i digest =
        _mm_xor_si128(_mm_xor_si128(sum[0], sum[1]), _mm_xor_si128(sum[2], sum[3]));
    if (IsHit(keys, digest, mask)) return at;
  }
  return end;
}

EMBER_VAES EMBER_INLINE __m256i LoadTwice(const unsigned char* bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

EMBER_VAES EMBER_INLINE __m256i Products(const unsigned char* bytes, __m256i key) {
  const __m256i words =
      _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)), key);
  return _mm256_clmulepi64_epi128(words, words, 0x10);
}

// The least masked values of 2 * kInFlight windows: those that begin at window + i and at window +
// i + 16. Windows 16 bytes apart share a load: the second half of one is the first half of the
// other.
EMBER_VAES EMBER_INLINE __m256i LeastOf(const CutKeys& keys, const unsigned char* window,
                                        __m256i mask) {
  const __m256i front = LoadTwice(keys.hash), back = LoadTwice(keys.hash + 16);
  const __m256i first = LoadTwice(keys.round[0]), last = LoadTwice(keys.round[kLastRound]);
  __m256i state[kInFlight];
#pragma GCC unroll 8
  for (int i = 0; i < kInFlight; ++i) {
    const __m256i digests =
        _mm256_xor_si256(Products(window + i, front), Products(window + i + 16, back));
    state[i] = _mm256_xor_si256(digests, first);
  }
#pragma GCC unroll 9
  for (int round = 1; round < kLastRound; ++round) {
    const __m256i key = LoadTwice(keys.round[round]);
#pragma GCC unroll 8
    for (int i = 0; i < kInFlight; ++i) state[i] = _mm256_aesenc_epi128(state[i], key);
  }
  __m256i least = _mm256_set1_epi32(-1);
#pragma GCC unroll 8
  for (int i = 0; i < kInFlight; ++i)
    least =
        _mm256_min_epu32(least, _mm256_and_si256(_mm256_aesenclast_epi128(state[i], last), mask));
  return least;
}

EMBER_VAES size_t FindWindowVaes(const CutKeys& keys, const unsigned char* data, size_t at,
                                 size_t end, uint32_t mask) {
  static_assert(kInFlight == 8);
  constexpr size_t kStep = 4 * kInFlight;
  const __m256i masks = _mm256_set1_epi32(static_cast<int>(mask));
  for (; at < end && end - at >= kStep; at += kStep) {
    const unsigned char* window = data + at - kCutWindowBytes;
    const __m256i least =
        _mm256_min_epu32(LeastOf(keys, window, masks), LeastOf(keys, window + kInFlight, masks));
    const __m256i zero = _mm256_cmpeq_epi32(least, _mm256_setzero_si256());
    if (_mm256_movemask_epi8(zero) & 0x00010001) break;  // the first word of either AES block
  }
  return FindWindowSingly(keys, data, at, end, mask);
}

EMBER_VAES size_t FindBlockVaes(const CutKeys& keys, const unsigned char* data, size_t at,
                                size_t end, uint32_t mask) {
  constexpr int kSums = 4;
  for (; at < end; at += kCutBlockBytes) {
    const unsigned char* block = data + at - kCutBlockBytes;
    __m256i sum[kSums] = {};
    for (size_t from = 0; from < kCutBlockBytes; from += 32 * kSums) {
#pragma GCC unroll 4
      for (int i = 0; i < kSums; ++i) {
        const size_t place = from + 32 * i;
        const __m256i key = _mm256_load_si256(reinterpret_cast<const __m256i*>(keys.hash + place));
        sum[i] = _mm256_xor_si256(sum[i], Products(block + place, key));
      }
    }
    const __m256i wide =
        _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
    const __m128i digest =
        _mm_xor_si128(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    if (IsHit(keys, digest, mask)) return at;
  }
  return end;
}

EMBER_VAES512 EMBER_INLINE __m512i LoadFourTimes(const unsigned char* bytes) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

EMBER_VAES512 EMBER_INLINE __m512i ProductsOf(const unsigned char* bytes, __m512i key) {
  const __m512i words = _mm512_xor_si512(_mm512_loadu_si512(bytes), key);
  return _mm512_clmulepi64_epi128(words, words, 0x10);
}

// LeastOf for four windows a register: those that begin at window + i, + 16, + 32 and + 48.
EMBER_VAES512 EMBER_INLINE __m512i LeastOfMore(const CutKeys& keys, const unsigned char* window,
                                               __m512i mask) {
  const __m512i front = LoadFourTimes(keys.hash), back = LoadFourTimes(keys.hash + 16);
  const __m512i first = LoadFourTimes(keys.round[0]), last = LoadFourTimes(keys.round[kLastRound]);
  __m512i state[kInFlight];
#pragma GCC unroll 8
  for (int i = 0; i < kInFlight; ++i) {
    const __m512i digests =
        _mm512_xor_si512(ProductsOf(window + i, front), ProductsOf(window + i + 16, back));
    state[i] = _mm512_xor_si512(digests, first);
  }
#pragma GCC unroll 9
  for (int round = 1; round < kLastRound; ++round) {
    const __m512i key = LoadFourTimes(keys.round[round]);
#pragma GCC unroll 8
    for (int i = 0; i < kInFlight; ++i) state[i] = _mm512_aesenc_epi128(state[i], key);
  }
  __m512i least = _mm512_set1_epi32(-1);
#pragma GCC unroll 8
  for (int i = 0; i < kInFlight; ++i)
    least =
        _mm512_min_epu32(least, _mm512_and_si512(_mm512_aesenclast_epi128(state[i], last), mask));
  return least;
}

EMBER_VAES512 size_t FindWindowVaes512(const CutKeys& keys, const unsigned char* data, size_t at,
                                       size_t end, uint32_t mask) {
  static_assert(kInFlight == 8);
  constexpr size_t kStep = 8 * kInFlight;
  constexpr __mmask16 kFirstWords = 0x1111;  // of the four AES blocks
  const __m512i masks = _mm512_set1_epi32(static_cast<int>(mask));
  for (; at < end && end - at >= kStep; at += kStep) {
    const unsigned char* window = data + at - kCutWindowBytes;
    const __m512i least = _mm512_min_epu32(LeastOfMore(keys, window, masks),
                                           LeastOfMore(keys, window + kInFlight, masks));
    if (_mm512_mask_testn_epi32_mask(kFirstWords, least, least) != 0) break;
  }
  return FindWindowSingly(keys, data, at, end, mask);
}

}  // namespace

const CutKernel& AesNiCutKernel() {
  static constexpr CutKernel kKernel = {"aes-ni", FindWindowAesNi, FindBlockAesNi};
  return kKernel;
}

const CutKernel& VaesCutKernel() {
  static constexpr CutKernel kKernel = {"vaes", FindWindowVaes, FindBlockVaes};
  return kKernel;
}

// Blocks are read faster than memory is, on 256 bits too.
const CutKernel& Vaes512CutKernel() {
  static constexpr CutKernel kKernel = {"vaes-512", FindWindowVaes512, FindBlockVaes};
  return kKernel;
}

}  // namespace ember
#endif
