// The keyed function that decides where data is cut: a pseudo-random function of a universal hash.
//
//   digest(m) = xor over i of clmul(m[2i] ^ k[2i], m[2i+1] ^ k[2i+1])
//   value(m)  = the first four bytes of AES-128(K, digest(m))
//
// m and k are 64-bit words, digest 16 bytes, value 32 bits, all little-endian; clmul multiplies
// polynomials over GF(2). CLNH (Lemire and Kaser, arXiv 1503.03465) makes two messages collide with
// probability 2^-64 at most; AES makes everything else about the hash invisible (hash then PRF:
// Truong et al., eprint 2025/558). docs/formats.md "Chunking".
//
// No kernel's time or memory access depends on keys or data, other than on the positions it
// returns. Functions are safe for concurrent use.
#ifndef EMBER_COMMON_CRYPTO_CUT_PRF_H_
#define EMBER_COMMON_CRYPTO_CUT_PRF_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/limits.h"

namespace ember {

struct CutKeys {
  // k; of a window the first kCutWindowBytes count.
  alignas(32) unsigned char hash[kCutBlockBytes] = {};
  // K, expanded (FIPS 197).
  alignas(16) unsigned char round[11][16] = {};
};

// `hash_key` is kCutWindowBytes or kCutBlockBytes, `aes_key` 16 bytes.
CutKeys ExpandCutKeys(absl::string_view hash_key, absl::string_view aes_key);

// One implementation; all give the same results.
struct CutKernel {
  const char* name;
  // The first p of at, at + 1, ... below `end` where value(data[p - kCutWindowBytes, p)) has no bit
  // of `mask`; `end` when there is none. at >= kCutWindowBytes; nothing from data[end - 1] on is
  // read.
  size_t (*find_window)(const CutKeys& keys, const unsigned char* data, size_t at, size_t end,
                        uint32_t mask);
  // The same for p of at, at + kCutBlockBytes, ... and data[p - kCutBlockBytes, p). at >=
  // kCutBlockBytes.
  size_t (*find_block)(const CutKeys& keys, const unsigned char* data, size_t at, size_t end,
                       uint32_t mask);
};

const CutKernel& PortableCutKernel();
// Those this machine can run, the fastest first, the portable one last.
std::vector<const CutKernel*> CutKernels();
// The first of `candidates` that agrees with the portable one on fixed data, else the portable one.
// A warning in the log names each that does not: a processor or a compiler is broken, and cuts must
// not depend on it.
const CutKernel& FirstSoundKernel(absl::Span<const CutKernel* const> candidates);
// What this process uses: FirstSoundKernel(CutKernels()), found once.
const CutKernel& BestCutKernel();

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_CUT_PRF_H_
