// A small picture of a large set of record ids: "surely not in it", or "perhaps".
#ifndef EMBER_COMMON_BASE_ID_FILTER_H_
#define EMBER_COMMON_BASE_ID_FILTER_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember {

// A blocked Bloom filter (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters,
// 2007). Ids are outputs of a PRF, so their bytes serve as the hashes: of the first 16, the low
// bits of the first eight choose a block of 64 bytes, the other eight kProbes bits in it. Whoever
// makes ids by hand can make "perhaps" more frequent, and nothing else. Not thread-safe.
class IdFilter {
 public:
  // An empty set, at its largest: kIdFilterBytesMax.
  IdFilter();
  // Of what Serialize gave; INVALID_ARGUMENT: another size.
  static absl::StatusOr<IdFilter> Parse(std::string bytes);

  // `id` (here and below): at least its first 16 bytes. Not to one that was parsed.
  void Add(absl::string_view id);
  bool MayContain(absl::string_view id) const;
  size_t added() const { return added_; }
  // As small as kIdFilterBitsMin bits for each id allow: then about one id in 50 that is not in the
  // set is "perhaps".
  std::string Serialize() const;

 private:
  explicit IdFilter(std::string bits) : bits_(std::move(bits)) {}

  std::string bits_;
  size_t added_ = 0;
};

}  // namespace ember

#endif  // EMBER_COMMON_BASE_ID_FILTER_H_
