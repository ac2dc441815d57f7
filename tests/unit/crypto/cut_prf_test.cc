#include "common/crypto/cut_prf.h"

#include <openssl/evp.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace ember {
namespace {

std::string Noise(size_t size) {
  static std::mt19937_64 random(5);
  std::string noise(size, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  return noise;
}

const unsigned char* Raw(absl::string_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}

uint64_t Word(absl::string_view bytes) {
  uint64_t word = 0;
  for (int i = 7; i >= 0; --i) word = word << 8 | static_cast<unsigned char>(bytes[i]);
  return word;
}

// As cut_prf.h defines it, one bit at a time, with OpenSSL's AES.
uint32_t Value(absl::string_view hash_key, absl::string_view aes_key, absl::string_view message) {
  uint64_t low = 0, high = 0;
  for (size_t at = 0; at < message.size(); at += 16) {
    const uint64_t a = Word(message.substr(at)) ^ Word(hash_key.substr(at));
    const uint64_t b = Word(message.substr(at + 8)) ^ Word(hash_key.substr(at + 8));
    for (int i = 0; i < 64; ++i) {
      if ((b >> i & 1) == 0) continue;
      low ^= a << i;
      if (i > 0) high ^= a >> (64 - i);
    }
  }
  unsigned char digest[16], out[32];
  for (int i = 0; i < 8; ++i) {
    digest[i] = static_cast<unsigned char>(low >> (8 * i));
    digest[8 + i] = static_cast<unsigned char>(high >> (8 * i));
  }
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int size = 0;
  EXPECT_EQ(EVP_EncryptInit_ex(context.get(), EVP_aes_128_ecb(), nullptr, Raw(aes_key), nullptr),
            1);
  EXPECT_EQ(EVP_EncryptUpdate(context.get(), out, &size, digest, sizeof(digest)), 1);
  EXPECT_EQ(size, 16);
  return out[0] | out[1] << 8 | out[2] << 16 | static_cast<uint32_t>(out[3]) << 24;
}

TEST(CutPrf, KeysAreExpandedAsFips197Says) {
  const CutKeys keys = ExpandCutKeys(std::string(kCutWindowBytes, 'h'),
                                     absl::HexStringToBytes("2b7e151628aed2a6abf7158809cf4f3c"));
  EXPECT_EQ(absl::BytesToHexString({reinterpret_cast<const char*>(keys.round[1]), 16}),
            "a0fafe1788542cb123a339392a6c7605");
  EXPECT_EQ(absl::BytesToHexString({reinterpret_cast<const char*>(keys.round[10]), 16}),
            "d014f9a8c9ee2589e13f0cc8b6630ca6");
}

TEST(CutPrf, EveryKernelFindsTheWindowsOfTheDefinition) {
  const std::string hash_key = Noise(kCutWindowBytes), aes_key = Noise(16), data = Noise(1500);
  const CutKeys keys = ExpandCutKeys(hash_key, aes_key);
  std::vector<uint32_t> values;
  for (size_t p = kCutWindowBytes; p < data.size(); ++p)
    values.push_back(Value(hash_key, aes_key,
                           absl::string_view(data).substr(p - kCutWindowBytes, kCutWindowBytes)));
  for (const CutKernel* kernel : CutKernels()) {
    for (const uint32_t mask : {0x1u, 0x3fu, 0x7u << 29, 0x00810000u}) {
      size_t expected = data.size();
      for (size_t at = data.size(); at-- > kCutWindowBytes;) {
        if ((values[at - kCutWindowBytes] & mask) == 0) expected = at;
        ASSERT_EQ(kernel->find_window(keys, Raw(data), at, data.size(), mask), expected)
            << kernel->name << " from " << at << " under " << mask;
      }
    }
  }
}

TEST(CutPrf, EveryKernelFindsTheBlocksOfTheDefinition) {
  const std::string hash_key = Noise(kCutBlockBytes), aes_key = Noise(16),
                    data = Noise(24 * kCutBlockBytes + 5);
  const CutKeys keys = ExpandCutKeys(hash_key, aes_key);
  for (const CutKernel* kernel : CutKernels()) {
    for (const uint32_t mask : {0x1u, 0x7u, 0xc0000000u}) {
      size_t expected = data.size();
      for (size_t at = 24 * kCutBlockBytes; at > 0; at -= kCutBlockBytes) {
        const absl::string_view block =
            absl::string_view(data).substr(at - kCutBlockBytes, kCutBlockBytes);
        if ((Value(hash_key, aes_key, block) & mask) == 0) expected = at;
        ASSERT_EQ(kernel->find_block(keys, Raw(data), at, data.size(), mask), expected)
            << kernel->name << " " << at;
      }
    }
  }
}

TEST(CutPrf, TheEndIsNoCandidateAndAnEmptyRangeHasNone) {
  const CutKeys keys = ExpandCutKeys(Noise(kCutBlockBytes), Noise(16));
  const std::string data = Noise(2 * kCutBlockBytes);
  for (const CutKernel* kernel : CutKernels()) {
    EXPECT_EQ(kernel->find_window(keys, Raw(data), 100, 100, 0), 100u);
    EXPECT_EQ(kernel->find_window(keys, Raw(data), 100, 101, 0), 100u);
    EXPECT_EQ(kernel->find_block(keys, Raw(data), kCutBlockBytes, kCutBlockBytes, 0),
              kCutBlockBytes);
    EXPECT_EQ(kernel->find_block(keys, Raw(data), kCutBlockBytes, kCutBlockBytes + 1, 0),
              kCutBlockBytes);
  }
}

// The last byte that may be read is the one before the last candidate: what lies behind belongs to
// nobody.
TEST(CutPrf, NothingBehindTheLastWindowIsRead) {
  const CutKeys keys = ExpandCutKeys(Noise(kCutWindowBytes), Noise(16));
  for (const CutKernel* kernel : CutKernels()) {
    for (size_t end = kCutWindowBytes + 1; end < 300; ++end) {
      const std::string noise = Noise(end - 1);
      // Exactly as many bytes as may be read: the address sanitizer sees one more.
      const std::unique_ptr<unsigned char[]> exact(new unsigned char[end - 1]);
      std::copy(noise.begin(), noise.end(), exact.get());
      EXPECT_EQ(kernel->find_window(keys, exact.get(), kCutWindowBytes, end, 0xffffffff), end);
    }
  }
}

TEST(CutPrf, AKernelThatMiscomputesIsNotUsed) {
  const auto never = [](const CutKeys&, const unsigned char*, size_t, size_t end, uint32_t) {
    return end;
  };
  const CutKernel& portable = PortableCutKernel();
  const CutKernel no_windows = {"no windows", never, portable.find_block};
  const CutKernel no_blocks = {"no blocks", portable.find_window, never};
  const CutKernel sound = {"sound", portable.find_window, portable.find_block};
  EXPECT_EQ(&FirstSoundKernel({&no_windows, &no_blocks, &sound}), &sound);
  EXPECT_EQ(&FirstSoundKernel({&no_windows}), &portable);
  for (const CutKernel* kernel : CutKernels()) EXPECT_EQ(&FirstSoundKernel({kernel}), kernel);
  EXPECT_EQ(&BestCutKernel(), CutKernels().front());
}

}  // namespace
}  // namespace ember
