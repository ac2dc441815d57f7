// Content-defined cutting, keyed per dedup domain.
#ifndef EMBER_COMMON_BACKUP_CHUNKER_H_
#define EMBER_COMMON_BACKUP_CHUNKER_H_

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace ember::backup {

// Cuts a byte stream so that equal regions give equal chunks wherever they stand. Sizes: kChunkMin, kChunkTarget,
// kChunkMax. Chunker 1: Gear with a table derived from the key, normalised chunking (Xia et al., FastCDC, ATC'16).
// Immutable; safe for concurrent use.
class Chunker {
 public:
  // `cut_key` is K_cut, 32 bytes.
  explicit Chunker(absl::string_view cut_key);
  // Length of the first chunk of `data`; all of it when no cut is found. Final only if it is smaller than `data`, or
  // `data` has kChunkMax bytes, or `data` ends the stream.
  size_t Cut(absl::string_view data) const;

 private:
  std::array<uint64_t, 256> gear_;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_CHUNKER_H_
