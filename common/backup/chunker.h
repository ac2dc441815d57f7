// Content-defined cutting, keyed per dedup domain: chunker 2, docs/formats.md "Chunking".
#ifndef EMBER_COMMON_BACKUP_CHUNKER_H_
#define EMBER_COMMON_BACKUP_CHUNKER_H_

#include "absl/strings/string_view.h"
#include "common/crypto/cut_prf.h"

namespace ember::backup {

enum class Profile {
  kStream,  // files: any position may be cut; kChunkMin, kChunkTarget, kChunkMax
  kBlock,   // disks and raw images: only multiples of kCutBlockBytes; kBlockChunkMin, -Target, -Max
};

// Cuts a byte stream so that equal regions give equal chunks wherever they stand (kBlock: at
// whichever block), and so that where it cuts tells nothing about the bytes to whoever lacks the
// key. Immutable; safe for concurrent use.
class Chunker {
 public:
  // `cut_key` is K_cut, 32 bytes. All kernels cut alike.
  explicit Chunker(absl::string_view cut_key, Profile profile = Profile::kStream,
                   const CutKernel& kernel = BestCutKernel());
  // Length of the first chunk of `data`; all of it when no cut is found. Final only if it is
  // smaller than `data`, or `data` has kChunkMax (kBlock: kBlockChunkMax) bytes, or `data` ends the
  // stream. kBlock: `data` begins where a block of the disk begins.
  size_t Cut(absl::string_view data) const;

 private:
  struct Rule;
  static const Rule& RuleOf(Profile profile);

  const Rule& rule_;
  const CutKernel& kernel_;
  const CutKeys keys_;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_CHUNKER_H_
