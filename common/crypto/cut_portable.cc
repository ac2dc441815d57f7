// Everything as Boolean circuits over bit planes: plane i holds bit i of a value for 128 positions
// at once.
#include <algorithm>
#include <bit>
#include <cstring>

#include "common/crypto/aes_bitsliced.h"
#include "common/crypto/cut_prf.h"

namespace ember {
namespace {

// A register of any 64-bit machine with vectors; the compiler makes two words of it elsewhere.
using Plane = uint64_t __attribute__((vector_size(16)));
constexpr size_t kLanes = 128;
constexpr size_t kWordBits = 64;
constexpr size_t kBlockBits = 128;  // of AES

// All ones when bit `at` of `bytes` is set.
Plane Broadcast(const unsigned char* bytes, size_t at) {
  const uint64_t word = -static_cast<uint64_t>(bytes[at / 8] >> (at % 8) & 1);
  return Plane{word, word};
}

uint64_t LoadWord(const unsigned char* bytes) {
  uint64_t word = 0;
  for (int i = 7; i >= 0; --i) word = word << 8 | bytes[i];
  return word;
}

// sum ^= clmul(a, b), lane by lane; `a`, `b` have kWordBits planes, `sum` kBlockBits.
void AddProduct(const Plane* a, const Plane* b, Plane* sum) {
  for (size_t k = 0; k < 2 * kWordBits - 1; ++k) {
    Plane bit = sum[k];
    const size_t last = std::min(k, kWordBits - 1);
    for (size_t i = k - std::min(k, kWordBits - 1); i <= last; ++i) bit ^= a[i] & b[k - i];
    sum[k] = bit;
  }
}

void AddRoundKey(const unsigned char* key, Plane* state) {
  for (size_t i = 0; i < kBlockBits; ++i) state[i] ^= Broadcast(key, i);
}

// FIPS 197, 5.1.2 and 5.1.3. Byte 4c + r of the state is row r of column c.
void ShiftRowsMixColumns(const Plane* in, Plane* out) {
  for (size_t column = 0; column < 4; ++column) {
    const Plane* row[4];
    for (size_t r = 0; r < 4; ++r) row[r] = in + 8 * (4 * ((column + r) % 4) + r);
    for (size_t r = 0; r < 4; ++r) {
      const Plane *a = row[r], *b = row[(r + 1) % 4], *c = row[(r + 2) % 4], *d = row[(r + 3) % 4];
      const Plane carry = a[7] ^ b[7];
      Plane* to = out + 8 * (4 * column + r);
      for (size_t i = 0; i < 8; ++i) {
        to[i] = b[i] ^ c[i] ^ d[i];
        if (i > 0) to[i] ^= a[i - 1] ^ b[i - 1];
        if (i == 0 || i == 1 || i == 3 || i == 4) to[i] ^= carry;  // x^8 = x^4 + x^3 + x + 1
      }
    }
  }
}

// Of the lanes whose AES output has no bit of `mask`; overwrites `state`.
Plane Hits(const CutKeys& keys, Plane* state, uint32_t mask) {
  Plane mixed[kBlockBits];
  AddRoundKey(keys.round[0], state);
  for (int round = 1; round < 10; ++round) {
    for (size_t byte = 0; byte < 16; ++byte) BitslicedSubBytes(state + 8 * byte);
    ShiftRowsMixColumns(state, mixed);
    AddRoundKey(keys.round[round], mixed);
    std::copy(mixed, mixed + kBlockBits, state);
  }
  Plane any = {};
  for (size_t byte = 0; byte < 4; ++byte) {  // only these are looked at: row `byte` of column 0
    Plane* bits = state + 8 * (4 * byte + byte);
    BitslicedSubBytes(bits);
    for (size_t i = 0; i < 8; ++i) {
      const size_t at = 8 * byte + i;
      if (mask >> at & 1) any |= bits[i] ^ Broadcast(keys.round[10], at);
    }
  }
  return ~any;
}

// The bits of equal weight of eight bytes side by side: byte i of the result holds bit i of each.
uint64_t Transpose8(uint64_t x) {
  uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aa;
  x ^= t ^ t << 7;
  t = (x ^ x >> 14) & 0x0000cccc0000cccc;
  x ^= t ^ t << 14;
  t = (x ^ x >> 28) & 0x00000000f0f0f0f0;
  return x ^ t ^ t << 28;
}

// The digests of `count` windows, one byte apart, of which the first begins at `bytes`.
void WindowDigests(const CutKeys& keys, const unsigned char* bytes, size_t count, Plane* digest) {
  constexpr size_t kWords = (kLanes + kCutWindowBytes) / kWordBits + 1;
  unsigned char padded[kWords * kWordBits] = {};
  std::memcpy(padded, bytes, count + kCutWindowBytes - 1);
  uint64_t stream[8][kWords] = {};  // bit i of every byte
  for (size_t at = 0; at < sizeof(padded); at += 8) {
    const uint64_t bits = Transpose8(LoadWord(padded + at));
    for (size_t i = 0; i < 8; ++i)
      stream[i][at / kWordBits] |= (bits >> (8 * i) & 0xff) << (at % kWordBits);
  }
  Plane window[8 * kCutWindowBytes];
  for (size_t i = 0; i < 8 * kCutWindowBytes; ++i) {
    const uint64_t* bits = stream[i % 8];
    const size_t byte = i / 8;  // byte `byte` of window p is byte p + `byte` of the stream
    Plane& plane = window[i];
    for (size_t word = 0; word < 2; ++word)
      plane[word] =
          byte == 0 ? bits[word] : bits[word] >> byte | bits[word + 1] << (kWordBits - byte);
    plane ^= Broadcast(keys.hash, i);
  }
  std::fill(digest, digest + kBlockBits, Plane{});
  AddProduct(window, window + kWordBits, digest);
  AddProduct(window + 2 * kWordBits, window + 3 * kWordBits, digest);
}

// Bit c of row r goes to bit r of row c (Warren, Hacker's Delight, 7-3).
void Transpose64(uint64_t* rows) {
  uint64_t low = 0x00000000ffffffff;
  for (size_t width = 32; width != 0; width >>= 1, low ^= low << width) {
    for (size_t r = 0; r < 64; r = ((r | width) + 1) & ~width) {
      const uint64_t swapped = (rows[r] >> width ^ rows[r | width]) & low;
      rows[r] ^= swapped << width;
      rows[r | width] ^= swapped;
    }
  }
}

// The digest of one block in lane 0: its products are summed in kLanes lanes, then these into one.
void BlockDigest(const CutKeys& keys, const unsigned char* block, Plane* digest) {
  static_assert(kCutBlockBytes % (16 * kLanes) == 0);
  std::fill(digest, digest + kBlockBits, Plane{});
  for (size_t base = 0; base < kCutBlockBytes; base += 16 * kLanes) {
    Plane factor[2][kWordBits];
    for (size_t which = 0; which < 2; ++which) {
      for (size_t half = 0; half < 2; ++half) {
        uint64_t rows[kWordBits];
        for (size_t lane = 0; lane < kWordBits; ++lane) {
          const size_t at = base + 16 * (kWordBits * half + lane) + 8 * which;
          rows[lane] = LoadWord(block + at) ^ LoadWord(keys.hash + at);
        }
        Transpose64(rows);
        for (size_t i = 0; i < kWordBits; ++i) factor[which][i][half] = rows[i];
      }
    }
    AddProduct(factor[0], factor[1], digest);
  }
  for (size_t i = 0; i < kBlockBits; ++i) {
    uint64_t parity = digest[i][0] ^ digest[i][1];
    for (size_t shift = 32; shift != 0; shift >>= 1) parity ^= parity >> shift;
    digest[i] = Plane{parity & 1, 0};
  }
}

size_t FindWindow(const CutKeys& keys, const unsigned char* data, size_t at, size_t end,
                  uint32_t mask) {
  for (; at < end; at += std::min(kLanes, end - at)) {
    Plane state[kBlockBits];
    const size_t count = std::min(kLanes, end - at);
    WindowDigests(keys, data + at - kCutWindowBytes, count, state);
    const Plane hits = Hits(keys, state, mask);
    const uint64_t low = hits[0], high = hits[1];
    const size_t lane =
        static_cast<size_t>(low != 0 ? std::countr_zero(low) : 64 + std::countr_zero(high));
    if (lane < count) return at + lane;
  }
  return end;
}

size_t FindBlock(const CutKeys& keys, const unsigned char* data, size_t at, size_t end,
                 uint32_t mask) {
  for (; at < end; at += kCutBlockBytes) {
    Plane state[kBlockBits];
    BlockDigest(keys, data + at - kCutBlockBytes, state);
    if (Hits(keys, state, mask)[0] & 1) return at;
  }
  return end;
}

}  // namespace

const CutKernel& PortableCutKernel() {
  static constexpr CutKernel kKernel = {"portable", FindWindow, FindBlock};
  return kKernel;
}

}  // namespace ember
