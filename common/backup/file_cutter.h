// Turns the content of one file into chunks, or into one small piece.
#ifndef EMBER_COMMON_BACKUP_FILE_CUTTER_H_
#define EMBER_COMMON_BACKUP_FILE_CUTTER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/backup/backup_writer.h"
#include "common/backup/chunker.h"

namespace ember::backup {

// `length` bytes of data at `offset` of a file; what lies between runs is a hole.
struct DataRun {
  int64_t offset = 0;
  int64_t length = 0;
};

// Use from one thread, for one file at a time.
class FileCutter {
 public:
  // `stop` is asked between reads: an error ends the reading (the whole backup). `read` is told
  // about read bytes.
  FileCutter(const Chunker* chunker, std::function<absl::Status(int64_t bytes)> on_read);

  struct Result {
    absl::Status content;  // an error of the file itself
    int64_t end = 0;       // behind the last byte of data
    bool small = false;  // at most kGroupedFileBytesMax bytes of data: in `bytes`, and nothing went
                         // to the sink
    std::vector<DataRun> runs;  // of `bytes`
    absl::string_view bytes;    // valid until the next Read
  };
  using ChunkSink = std::function<absl::Status(int64_t offset, absl::string_view bytes)>;
  // Reads to the end. Errors returned are those of `sink` and `on_read`.
  absl::StatusOr<Result> Read(FileContent* content, const ChunkSink& sink);

 private:
  // Cuts what is in the buffer; keeps what may still grow unless `all`.
  absl::Status Cut(const ChunkSink& sink, bool all);

  const Chunker* const chunker_;
  const std::function<absl::Status(int64_t bytes)> on_read_;
  std::string buffer_;
  size_t fill_ = 0;
  std::vector<DataRun> runs_;  // of the bytes in the buffer, in order
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_FILE_CUTTER_H_
