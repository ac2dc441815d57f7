#include "common/base/id_filter.h"

#include <cstdint>
#include <utility>

#include "absl/numeric/bits.h"
#include "absl/status/status.h"
#include "common/base/limits.h"

namespace ember {
namespace {

constexpr size_t kBlockBytes = 64;
constexpr int kProbes = 6;
constexpr int kProbeBits = 9;  // of a block's 512
static_assert(1 << kProbeBits == kBlockBytes * 8 && kProbes * kProbeBits <= 64);
static_assert(absl::has_single_bit(kIdFilterBytesMax) && kIdFilterBytesMax >= kBlockBytes);

uint64_t LoadLittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Calls `visit(byte, mask)` for each bit of `id`, until it returns false.
template <typename Visit>
bool EachBit(absl::string_view id, size_t filter_bytes, const Visit& visit) {
  const size_t block = LoadLittleEndian(id) & (filter_bytes / kBlockBytes - 1);
  uint64_t probes = LoadLittleEndian(id.substr(8));
  for (int i = 0; i < kProbes; ++i, probes >>= kProbeBits) {
    const size_t bit = probes & ((1 << kProbeBits) - 1);
    if (!visit(block * kBlockBytes + bit / 8, static_cast<char>(1 << bit % 8))) return false;
  }
  return true;
}

}  // namespace

IdFilter::IdFilter() : bits_(kIdFilterBytesMax, '\0') {}

absl::StatusOr<IdFilter> IdFilter::Parse(std::string bytes) {
  if (!absl::has_single_bit(bytes.size()) || bytes.size() < kBlockBytes ||
      bytes.size() > kIdFilterBytesMax)
    return absl::InvalidArgumentError("a filter of ids has a size that none has");
  return IdFilter(std::move(bytes));
}

void IdFilter::Add(absl::string_view id) {
  EachBit(id, bits_.size(), [this](size_t byte, char mask) { return bits_[byte] |= mask, true; });
  ++added_;
}

bool IdFilter::MayContain(absl::string_view id) const {
  return EachBit(id, bits_.size(),
                 [this](size_t byte, char mask) { return (bits_[byte] & mask) != 0; });
}

std::string IdFilter::Serialize() const {
  std::string bytes = bits_;
  // The low bits choose the block, so the upper half laid over the lower one is the filter of half
  // the size.
  while (bytes.size() / 2 >= kBlockBytes && bytes.size() / 2 * 8 >= added_ * kIdFilterBitsMin) {
    const size_t half = bytes.size() / 2;
    for (size_t i = 0; i < half; ++i) bytes[i] |= bytes[half + i];
    bytes.resize(half);
  }
  return bytes;
}

}  // namespace ember
