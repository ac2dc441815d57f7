#include "common/backup/file_cutter.h"

#include <cstring>
#include <limits>
#include <utility>

#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

// Sparse files can have a run per few KiB.
constexpr size_t kRunsMax = 1024;

}  // namespace

FileCutter::FileCutter(const Chunker* chunker, std::function<absl::Status(int64_t bytes)> on_read)
    : chunker_(chunker), on_read_(std::move(on_read)), buffer_(kReadBufferBytes, '\0') {}

absl::StatusOr<FileCutter::Result> FileCutter::Read(FileContent* content, const ChunkSink& sink) {
  Result result;
  fill_ = 0;
  runs_.clear();
  int64_t total = 0;
  while (true) {
    const bool large = total > static_cast<int64_t>(kGroupedFileBytesMax);
    if (large && (buffer_.size() - fill_ < kChunkMax || runs_.size() >= kRunsMax)) {
      EMBER_RETURN_IF_ERROR(Cut(sink, false));
    }
    absl::StatusOr<FileContent::Piece> piece =
        content->Next(absl::Span<char>(buffer_.data() + fill_, buffer_.size() - fill_));
    if (!piece.ok()) {
      result.content = piece.status();
      return result;
    }
    EMBER_RETURN_IF_ERROR(on_read_(static_cast<int64_t>(piece->size)));
    if (piece->size == 0) break;
    if (piece->size > buffer_.size() - fill_ || piece->offset < result.end ||
        piece->offset > std::numeric_limits<int64_t>::max() - static_cast<int64_t>(piece->size)) {
      return absl::InternalError("a source delivers pieces out of order");
    }
    if (!runs_.empty() && piece->offset == result.end) {
      runs_.back().length += static_cast<int64_t>(piece->size);
    } else {
      runs_.push_back({piece->offset, static_cast<int64_t>(piece->size)});
    }
    fill_ += piece->size;
    total += static_cast<int64_t>(piece->size);
    result.end = piece->offset + static_cast<int64_t>(piece->size);
  }
  if (total <= static_cast<int64_t>(kGroupedFileBytesMax)) {
    result.small = true;
    result.runs = std::move(runs_);
    result.bytes = absl::string_view(buffer_.data(), fill_);
    return result;
  }
  EMBER_RETURN_IF_ERROR(Cut(sink, true));
  return result;
}

absl::Status FileCutter::Cut(const ChunkSink& sink, bool all) {
  size_t at = 0;
  for (size_t i = 0; i < runs_.size(); ++i) {
    DataRun& run = runs_[i];
    const bool whole =
        all || i + 1 < runs_.size();  // a later run begins behind a hole: this one has ended
    while (run.length > 0 && (whole || run.length >= static_cast<int64_t>(kChunkMax))) {
      const size_t size =
          chunker_->Cut(absl::string_view(buffer_.data() + at, static_cast<size_t>(run.length)));
      EMBER_RETURN_IF_ERROR(sink(run.offset, absl::string_view(buffer_.data() + at, size)));
      at += size;
      run.offset += static_cast<int64_t>(size);
      run.length -= static_cast<int64_t>(size);
    }
  }
  std::memmove(buffer_.data(), buffer_.data() + at, fill_ - at);
  fill_ -= at;
  if (runs_.size() > 1) runs_.erase(runs_.begin(), runs_.end() - 1);
  if (!runs_.empty() && runs_.back().length == 0) runs_.clear();
  return absl::OkStatus();
}

}  // namespace ember::backup
