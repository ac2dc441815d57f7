// What one core of this machine does per second, step by step: the roofline of a backup.
//
//   ember-bench-primitives [RUNS]     prints the median, the least and the most of RUNS (5) in GB/s
//
// GB = 1e9 bytes; seconds of processor time, so that other processes take less part in the figures.
#include <time.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/chunker.h"
#include "common/backup/record.h"
#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "common/base/zero.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "common/crypto/hmac_batch.h"

namespace ember {
namespace {

constexpr size_t kBytes = 64 << 20;
constexpr size_t kPiece = kChunkTarget;

// What a step computes goes here, so that no compiler leaves the step out.
volatile size_t sink = 0;

struct Data {
  std::string random = std::string(kBytes, '\0');
  std::string text;
  std::string zeroes = std::string(kBytes, '\0');
  std::string copy = std::string(kBytes, '\0');

  Data() {
    std::mt19937_64 generator(1);
    for (size_t i = 0; i < kBytes; i += 8) {
      const uint64_t word = generator();
      std::memcpy(random.data() + i, &word, 8);
    }
    // Words of unlike frequency, about as compressible as source code.
    std::vector<std::string> words;
    for (int i = 0; i < 20000; ++i) {
      std::string word;
      for (uint64_t n = 2 + generator() % 9; n > 0; --n)
        word.push_back(static_cast<char>('a' + generator() % 26));
      words.push_back(word);
    }
    text.reserve(kBytes + 16);
    while (text.size() < kBytes) {
      const uint64_t below = 1 + generator() % words.size();
      text += words[generator() % below];
      text += generator() % 12 == 0 ? ",\n    " : " ";
    }
    text.resize(kBytes);
  }
};

// Calls `step` for each piece of `data`.
void EachPiece(const std::string& data, const std::function<void(absl::string_view)>& step) {
  for (size_t at = 0; at < data.size(); at += kPiece)
    step(absl::string_view(data).substr(at, kPiece));
}

void Cut(const backup::Chunker& chunker, absl::string_view data) {
  while (!data.empty()) {
    const size_t size = chunker.Cut(data);
    data.remove_prefix(size);
    sink = sink + size;
  }
}

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Table {
 public:
  explicit Table(int runs) : runs_(runs) {
    std::printf("| step, one core | GB/s | least | most |\n|---|---|---|---|\n");
  }
  // `step` works on `bytes` bytes.
  void Row(const std::string& name, size_t bytes, const std::function<void()>& step) const {
    step();  // caches, page tables, clock rate
    std::vector<double> speeds;
    for (int run = 0; run < runs_; ++run) {
      const double start = ProcessorSeconds();
      step();
      speeds.push_back(static_cast<double>(bytes) / (ProcessorSeconds() - start) / 1e9);
    }
    std::sort(speeds.begin(), speeds.end());
    std::printf("| %s | %.3f | %.3f | %.3f |\n", name.c_str(), speeds[speeds.size() / 2],
                speeds.front(), speeds.back());
    std::fflush(stdout);
  }

 private:
  const int runs_;
};

void Memory(const Table& table, Data& data) {
  table.Row("memcpy, 64 MiB", kBytes,
            [&] { std::memcpy(data.copy.data(), data.random.data(), kBytes); });
  table.Row("memcpy, 256 KiB in cache", kBytes, [&] {
    for (size_t at = 0; at < kBytes; at += kPiece) {
      std::memcpy(data.copy.data(), data.random.data(), kPiece);
      sink = sink + static_cast<unsigned char>(data.copy[at % kPiece]);
    }
  });
  table.Row("IsAllZero on zeroes", kBytes, [&] { sink = sink + IsAllZero(data.zeroes); });
  table.Row("CRC-32C", kBytes, [&] { sink = sink + Crc32c(data.random); });
}

void Hashing(const Table& table, const Data& data) {
  table.Row("SHA-256, OpenSSL", kBytes, [&] {
    EachPiece(data.random, [](absl::string_view piece) { sink = sink + Sha256(piece).size(); });
  });
  std::vector<HmacMessage> messages;
  EachPiece(data.random, [&](absl::string_view piece) { messages.push_back({1, piece}); });
  std::vector<HmacCode> codes(messages.size());
  std::vector<const Sha256Kernel*> kernels = {nullptr};
  for (const Sha256Kernel* kernel : {ShaNiKernel(), Avx512Sha256Kernel()}) {
    if (kernel != nullptr) kernels.push_back(kernel);
  }
  for (const Sha256Kernel* kernel : kernels) {
    const std::string name =
        kernel == nullptr ? "OpenSSL" : absl::StrCat(kernel->name, ", ", kernel->lanes, " at once");
    const HmacSha256Key key(std::string(32, 'i'), kernel);
    table.Row("HMAC-SHA-256 batch, " + name, kBytes,
              [&] { HmacSha256Batch(key, messages, absl::MakeSpan(codes)); });
  }
}

void Cutting(const Table& table, const Data& data) {
  const std::string key(32, 'c');
  for (const CutKernel* kernel : CutKernels()) {
    // The portable kernel is slow; a part of the data is enough.
    const size_t bytes = kernel == &PortableCutKernel() ? kBytes / 8 : kBytes;
    for (const auto& [name, profile] : {std::pair("stream", backup::Profile::kStream),
                                        std::pair("block", backup::Profile::kBlock)}) {
      const backup::Chunker chunker(key, profile, *kernel);
      table.Row(std::string("chunker ") + name + ", " + kernel->name, bytes,
                [&] { Cut(chunker, absl::string_view(data.random).substr(0, bytes)); });
    }
  }
}

void Sealing(const Table& table, const Data& data) {
  const std::string key(32, 's');
  uint64_t nonce = 0;
  table.Row("AES-256-GCM seal, OpenSSL", kBytes, [&] {
    EachPiece(data.random,
              [&](absl::string_view piece) { sink = sink + Seal(key, ++nonce, "", piece).size(); });
  });
}

void Compressing(const Table& table, const Data& data) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                     ZSTD_freeCCtx);
  std::string out(ZSTD_compressBound(kPiece), '\0');
  for (const int level : {-1, 1, 3}) {
    for (const auto& [name, bytes] :
         {std::pair("text", &data.text), std::pair("random", &data.random)}) {
      size_t compressed = 0;
      const auto step = [&] {
        compressed = 0;
        EachPiece(*bytes, [&](absl::string_view piece) {
          compressed += ZSTD_compressCCtx(context.get(), out.data(), out.size(), piece.data(),
                                          piece.size(), level);
        });
      };
      step();
      char ratio[16];
      std::snprintf(ratio, sizeof(ratio), "%.2f",
                    static_cast<double>(kBytes) / static_cast<double>(compressed));
      table.Row("zstd level " + std::to_string(level) + ", " + name + " (x" + ratio + ")", kBytes,
                step);
    }
  }
}

// The steps of a backup on one core, with the code that a backup uses: cut, two ids at once,
// compress, seal.
void Pipeline(const Table& table, const Data& data) {
  const backup::Chunker chunker(std::string(32, 'c'));
  const HmacSha256Key id_key(std::string(32, 'i'));
  const std::string session_key(32, 's');
  uint64_t nonce = 0;
  const auto seal = [&](const backup::RecordId& id, absl::string_view plaintext) {
    sink = sink + backup::SealRecord("domain", session_key, ++nonce, id, backup::RecordType::DATA,
                                     plaintext)
                      .size();
  };
  for (const auto& [name, bytes] :
       {std::pair("text", &data.text), std::pair("random", &data.random)}) {
    table.Row(std::string("pipeline, ") + name, kBytes, [&, bytes = bytes] {
      absl::string_view rest = *bytes;
      while (!rest.empty()) {
        std::string chunks[2];
        HmacMessage messages[2];
        backup::RecordId ids[2];
        size_t count = 0;
        for (; count < 2 && !rest.empty(); ++count) {
          const size_t size = chunker.Cut(rest);
          chunks[count] = std::string(rest.substr(0, size));
          messages[count] = {backup::RecordType::DATA, chunks[count]};
          rest.remove_prefix(size);
        }
        HmacSha256Batch(id_key, absl::MakeConstSpan(messages, count), absl::MakeSpan(ids, count));
        for (size_t i = 0; i < count; ++i) seal(ids[i], chunks[i]);
      }
    });
  }
}

}  // namespace
}  // namespace ember

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  ember::Data data;
  const ember::Table table(runs);
  ember::Memory(table, data);
  ember::Hashing(table, data);
  ember::Cutting(table, data);
  ember::Sealing(table, data);
  ember::Compressing(table, data);
  ember::Pipeline(table, data);
}
