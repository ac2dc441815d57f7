#include "common/backup/chunker.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "common/base/limits.h"
#include "common/crypto/digest.h"

namespace ember::backup {
namespace {

constexpr size_t kAesKeyBytes = 16;

CutKeys DeriveKeys(absl::string_view cut_key, absl::string_view info, size_t hash_key_bytes) {
  const std::string keys = HkdfSha256(cut_key, "", info, hash_key_bytes + kAesKeyBytes);
  const absl::string_view view = keys;
  return ExpandCutKeys(view.substr(0, hash_key_bytes), view.substr(hash_key_bytes));
}

}  // namespace

// Harder to cut before the target, easier after it: the sizes gather around the target (normalised
// chunking: Xia et al., FastCDC, ATC'16). The masks are part of the format; the means they give are
// close to the targets.
struct Chunker::Rule {
  size_t min, target, max;
  uint32_t mask_before, mask_after;
  size_t hash_key_bytes;
  const char* info;
  decltype(CutKernel::find_window) CutKernel::*find;
};

const Chunker::Rule& Chunker::RuleOf(Profile profile) {
  static constexpr Rule kStream = {kChunkMin,
                                   kChunkTarget,
                                   kChunkMax,
                                   (1u << 19) - 1,
                                   (1u << 16) - 1,
                                   kCutWindowBytes,
                                   "ember chunker 2 stream",
                                   &CutKernel::find_window};
  static constexpr Rule kBlock = {kBlockChunkMin,          kBlockChunkTarget,     kBlockChunkMax,
                                  (1u << 4) - 1,           (1u << 3) - 1,         kCutBlockBytes,
                                  "ember chunker 2 block", &CutKernel::find_block};
  return profile == Profile::kBlock ? kBlock : kStream;
}

Chunker::Chunker(absl::string_view cut_key, Profile profile, const CutKernel& kernel)
    : rule_(RuleOf(profile)),
      kernel_(kernel),
      keys_(DeriveKeys(cut_key, rule_.info, rule_.hash_key_bytes)) {}

size_t Chunker::Cut(absl::string_view data) const {
  const size_t end = std::min(data.size(), rule_.max);
  if (end <= rule_.min) return end;
  const auto find = kernel_.*rule_.find;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  const size_t normal = std::min(end, rule_.target);
  const size_t cut = find(keys_, bytes, rule_.min, normal, rule_.mask_before);
  return cut < normal ? cut : find(keys_, bytes, normal, end, rule_.mask_after);
}

}  // namespace ember::backup
