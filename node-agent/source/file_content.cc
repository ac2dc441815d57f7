#include "node-agent/source/file_content.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/file_metadata.h"

namespace ember::agent {
namespace {

using files::MetadataReader;
using files::Object;

class Content : public backup::FileContent {
 public:
  Content(std::shared_ptr<const Fd> file, const struct statx& info,
          std::shared_ptr<std::atomic<bool>> failed)
      : file_(std::move(file)), before_(info), size_(info.stx_size), failed_(std::move(failed)) {
    if (size_ >= kReadAheadFileBytes) posix_fadvise(file_->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  absl::StatusOr<Piece> Next(absl::Span<char> buffer) override {
    if (at_ >= data_end_ && !FindData()) return Piece{.offset = size_, .size = 0};
    const size_t wanted = std::min<int64_t>(buffer.size(), data_end_ - at_);
    ssize_t got;
    do {
      got = pread(file_->get(), buffer.data(), wanted, at_);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      failed_->store(true);
      return ErrnoToStatus(errno, "read");
    }
    if (got == 0) {  // it became shorter; Settled will say so
      at_ = data_end_ = size_;
      return Piece{.offset = size_, .size = 0};
    }
    const Piece piece{.offset = at_, .size = static_cast<size_t>(got)};
    at_ += got;
    return piece;
  }

  absl::StatusOr<bool> Settled(format::v1::Entry* entry, backup::SourceStamp* stamp) override {
    struct statx now;
    const Object object{.fd = file_->get()};
    if (!files::Stat(object, &now)) {
      failed_->store(true);
      return ErrnoToStatus(errno, "stat");
    }
    if (now.stx_size == before_.stx_size && SameTime(now.stx_mtime, before_.stx_mtime) &&
        SameTime(now.stx_ctime, before_.stx_ctime)) {
      return true;
    }
    // A reader of its own: this may be another thread than the walk's.
    MetadataReader metadata;
    const std::string problem = metadata.Read(object, now, entry);
    *stamp = metadata.Stamp(file_->get(), now);
    stamp->covers_metadata = stamp->covers_metadata && problem.empty();
    before_ = now;
    size_ = now.stx_size;
    at_ = data_end_ = 0;
    return false;
  }

 private:
  static bool SameTime(const statx_timestamp& a, const statx_timestamp& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  }

  // Moves to the next bytes that are no hole. False at the end of the file.
  bool FindData() {
    if (at_ >= size_) return false;
    const int64_t data = lseek(file_->get(), at_, SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) return false;  // nothing but a hole from here
      data_end_ = size_;                 // a file system that does not know holes
      return true;
    }
    if (data >= size_) return false;
    const int64_t hole = lseek(file_->get(), data, SEEK_HOLE);
    at_ = data;
    data_end_ = hole > data ? std::min(hole, size_) : size_;
    return true;
  }

  const std::shared_ptr<const Fd> file_;
  struct statx before_;
  int64_t size_;  // when it was opened; what is appended later waits for the next backup
  const std::shared_ptr<std::atomic<bool>> failed_;
  int64_t at_ = 0;
  int64_t data_end_ = 0;  // of the data around at_
};

}  // namespace

std::unique_ptr<backup::FileContent> OpenContent(std::shared_ptr<const Fd> file,
                                                 const struct statx& info,
                                                 std::shared_ptr<std::atomic<bool>> failed) {
  return std::make_unique<Content>(std::move(file), info, std::move(failed));
}

}  // namespace ember::agent
