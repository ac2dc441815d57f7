// Bytes that are needed as long as this process runs, in no more memory than allowed.
#ifndef EMBER_COMMON_BASE_SCRATCH_FILE_H_
#define EMBER_COMMON_BASE_SCRATCH_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"
#include "common/base/pieces.h"

namespace ember {

// Use from one thread; Read and Visit from several while nothing is appended.
class ScratchFile {
 public:
  // What exceeds `memory_bytes` goes to a file in `directory` that has no name, so that it is gone
  // with this object, or with the process.
  ScratchFile(std::string directory, size_t memory_bytes)
      : directory_(std::move(directory)), memory_bytes_(memory_bytes) {}

  // RESOURCE_EXHAUSTED: the disk is full. After an error nothing more can be appended.
  absl::Status Append(absl::string_view bytes);
  uint64_t size() const { return on_disk_ + in_memory_.size(); }
  // OUT_OF_RANGE when there is less.
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const;
  // All of it, in pieces of `piece_bytes` (the last may be shorter).
  absl::Status Visit(size_t piece_bytes, const PieceSink& sink) const;

 private:
  absl::Status Spill();

  const std::string directory_;
  const size_t memory_bytes_;
  Fd fd_;
  uint64_t on_disk_ = 0;
  std::string in_memory_;  // what follows
};

}  // namespace ember

#endif  // EMBER_COMMON_BASE_SCRATCH_FILE_H_
