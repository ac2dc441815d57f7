#include "common/crypto/cut_prf.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "common/base/log.h"
#include "common/crypto/aes_bitsliced.h"
#include "common/crypto/cpu.h"
#include "common/crypto/cut_x86.h"

namespace ember {
namespace {

void SubWord(unsigned char* word) {
  uint32_t bits[8] = {};
  for (int i = 0; i < 8; ++i) {
    for (int byte = 0; byte < 4; ++byte)
      bits[i] |= static_cast<uint32_t>(word[byte] >> i & 1) << byte;
  }
  BitslicedSubBytes(bits);
  for (int byte = 0; byte < 4; ++byte) {
    word[byte] = 0;
    for (int i = 0; i < 8; ++i)
      word[byte] |= static_cast<unsigned char>((bits[i] >> byte & 1) << i);
  }
}

// FIPS 197, 5.2.
void ExpandAes128(const unsigned char* key, unsigned char (*round)[16]) {
  static constexpr unsigned char kRcon[10] = {0x01, 0x02, 0x04, 0x08, 0x10,
                                              0x20, 0x40, 0x80, 0x1b, 0x36};
  std::memcpy(round[0], key, 16);
  for (int r = 1; r <= 10; ++r) {
    const unsigned char* before = round[r - 1];
    unsigned char word[4] = {before[13], before[14], before[15], before[12]};
    SubWord(word);
    word[0] ^= kRcon[r - 1];
    for (int i = 0; i < 16; ++i) {
      word[i % 4] ^= before[i];
      round[r][i] = word[i % 4];
    }
  }
}

// Long enough for two blocks and for windows that fill no kernel's registers evenly.
constexpr size_t kTestBytes = 4 * kCutBlockBytes + 77;

std::array<unsigned char, kTestBytes> TestData() {
  std::array<unsigned char, kTestBytes> data;
  uint32_t x = 0x9e3779b9;
  for (unsigned char& byte : data) {
    x = x * 1664525 + 1013904223;
    byte = static_cast<unsigned char>(x >> 24);
  }
  return data;
}

using FindFunction = size_t (*)(const CutKeys&, const unsigned char*, size_t, size_t, uint32_t);

// Whether both find the same positions in all of `data`.
bool Agree(FindFunction one, FindFunction other, const CutKeys& keys, absl::string_view data,
           size_t first, size_t step, uint32_t mask) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  for (size_t at = first; at < data.size(); at += step) {
    const size_t found = one(keys, bytes, at, data.size(), mask);
    if (found != other(keys, bytes, at, data.size(), mask)) return false;
    at = found;
  }
  return true;
}

bool IsSound(const CutKernel& kernel) {
  const std::array<unsigned char, kTestBytes> bytes = TestData();
  const absl::string_view data(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const CutKeys keys = ExpandCutKeys(data.substr(77, kCutBlockBytes), data.substr(0, 16));
  const CutKernel& portable = PortableCutKernel();
  return Agree(kernel.find_window, portable.find_window, keys, data.substr(0, 1 << 11),
               kCutWindowBytes, 1, 0x1f) &&
         Agree(kernel.find_window, portable.find_window, keys, data.substr(0, 1 << 10),
               kCutWindowBytes, 1, 0x03000000) &&
         Agree(kernel.find_block, portable.find_block, keys, data, kCutBlockBytes, kCutBlockBytes,
               0x1) &&
         Agree(kernel.find_block, portable.find_block, keys, data, kCutBlockBytes, kCutBlockBytes,
               0x100);
}

}  // namespace

CutKeys ExpandCutKeys(absl::string_view hash_key, absl::string_view aes_key) {
  assert(hash_key.size() == kCutWindowBytes || hash_key.size() == kCutBlockBytes);
  assert(aes_key.size() == 16);
  CutKeys keys;
  std::memcpy(keys.hash, hash_key.data(), std::min(hash_key.size(), sizeof(keys.hash)));
  ExpandAes128(reinterpret_cast<const unsigned char*>(aes_key.data()), keys.round);
  return keys;
}

std::vector<const CutKernel*> CutKernels() {
  std::vector<const CutKernel*> kernels;
#if defined(__x86_64__)
  const Cpu cpu = DetectCpu();
  if (cpu.vaes512) kernels.push_back(&Vaes512CutKernel());
  if (cpu.vaes) kernels.push_back(&VaesCutKernel());
  if (cpu.aes) kernels.push_back(&AesNiCutKernel());
#endif
  kernels.push_back(&PortableCutKernel());
  return kernels;
}

const CutKernel& FirstSoundKernel(absl::Span<const CutKernel* const> candidates) {
  for (const CutKernel* kernel : candidates) {
    if (kernel == &PortableCutKernel() || IsSound(*kernel)) return *kernel;
    LogWarning("crypto", "a chunker kernel miscomputes on this processor and is not used",
               {{"kernel", kernel->name}});
  }
  return PortableCutKernel();
}

const CutKernel& BestCutKernel() {
  static const CutKernel& kernel = FirstSoundKernel(CutKernels());
  return kernel;
}

}  // namespace ember
