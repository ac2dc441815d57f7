#include "common/backup/chunker.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "common/base/limits.h"
#include "common/crypto/digest.h"

namespace ember::backup {
namespace {

// A shift per byte: the hash forgets a byte after this many.
constexpr size_t kWindow = 64;
static_assert(kChunkMin > kWindow);
// Harder to cut before the target, easier after it (normalised chunking, level 2): the sizes gather
// around the target.
constexpr int kBitsBefore = 20;
constexpr int kBitsAfter = 16;
static_assert(kChunkTarget == size_t{1} << ((kBitsBefore + kBitsAfter) / 2));

// First position in [at, end) after whose byte the hash is below `limit`; `end` when there is none.
// The top bits of a Gear hash depend on the whole window, the low bits only on the last few bytes.
size_t FindCut(const uint64_t* gear, const unsigned char* data, size_t at, size_t end,
               uint64_t limit, uint64_t* hash) {
  uint64_t h = *hash;
  for (; at < end; ++at) {
    h = (h << 1) + gear[data[at]];
    if (h < limit) break;
  }
  *hash = h;
  return at;
}

}  // namespace

Chunker::Chunker(absl::string_view cut_key) {
  const std::string table = HkdfSha256(cut_key, "", "ember chunker 1", gear_.size() * 8);
  for (size_t i = 0; i < gear_.size(); ++i) {
    uint64_t word = 0;
    for (int byte = 7; byte >= 0; --byte)
      word = word << 8 | static_cast<unsigned char>(table[i * 8 + byte]);
    gear_[i] = word;
  }
}

size_t Chunker::Cut(absl::string_view data) const {
  const size_t end = std::min(data.size(), kChunkMax);
  if (end <= kChunkMin) return end;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  uint64_t hash = 0;
  // Fill the window, so that a cut at kChunkMin depends on as much as any other.
  FindCut(gear_.data(), bytes, kChunkMin - kWindow, kChunkMin - 1, 0, &hash);
  const size_t normal = std::min(end, kChunkTarget);
  size_t at =
      FindCut(gear_.data(), bytes, kChunkMin - 1, normal, uint64_t{1} << (64 - kBitsBefore), &hash);
  if (at < normal) return at + 1;
  at = FindCut(gear_.data(), bytes, normal, end, uint64_t{1} << (64 - kBitsAfter), &hash);
  return at < end ? at + 1 : end;
}

}  // namespace ember::backup
