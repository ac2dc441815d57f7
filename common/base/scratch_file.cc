#include "common/base/scratch_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace ember {
namespace {

absl::Status FromErrno(int error, absl::string_view what, const std::string& directory) {
  return ErrnoToStatus(error, absl::StrCat(what, " a scratch file in ", directory));
}

absl::StatusOr<Fd> CreateWithoutName(const std::string& directory) {
  Fd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid() || (errno != EOPNOTSUPP && errno != EISDIR)) {
    if (!fd.valid()) return FromErrno(errno, "create", directory);
    return fd;
  }
  // A file system without O_TMPFILE (open(2)).
  std::string path = JoinPath(directory, ".scratch-XXXXXX");
  fd = Fd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, "create", directory);
  if (unlink(path.c_str()) != 0) return FromErrno(errno, "unlink", directory);
  return fd;
}

}  // namespace

absl::Status ScratchFile::Append(absl::string_view bytes) {
  if (in_memory_.size() + bytes.size() > memory_bytes_) EMBER_RETURN_IF_ERROR(Spill());
  if (bytes.size() <= memory_bytes_) {
    in_memory_.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  EMBER_RETURN_IF_ERROR(WriteAll(fd_.get(), bytes, directory_));
  on_disk_ += bytes.size();
  return absl::OkStatus();
}

absl::Status ScratchFile::Spill() {
  if (!fd_.valid()) {
    EMBER_ASSIGN_OR_RETURN(fd_, CreateWithoutName(directory_));
  }
  EMBER_RETURN_IF_ERROR(WriteAll(fd_.get(), in_memory_, directory_));
  on_disk_ += in_memory_.size();
  in_memory_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::string> ScratchFile::Read(uint64_t offset, size_t size) const {
  if (offset > this->size() || size > this->size() - offset)
    return absl::OutOfRangeError("a scratch file is shorter than what is read of it");
  std::string bytes;
  if (offset < on_disk_) {
    bytes.resize(std::min<uint64_t>(size, on_disk_ - offset));
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t got = pread(fd_.get(), bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FromErrno(errno, "read", directory_);
      if (got == 0)
        return absl::DataLossError(
            absl::StrCat("a scratch file in ", directory_, " became shorter"));
      done += static_cast<size_t>(got);
    }
    offset += bytes.size();
  }
  if (bytes.size() < size) bytes.append(in_memory_, offset - on_disk_, size - bytes.size());
  return bytes;
}

absl::Status ScratchFile::Visit(size_t piece_bytes, const PieceSink& sink) const {
  for (uint64_t at = 0; at < size();) {
    EMBER_ASSIGN_OR_RETURN(const std::string piece,
                           Read(at, std::min<uint64_t>(piece_bytes, size() - at)));
    EMBER_RETURN_IF_ERROR(sink(piece));
    at += piece.size();
  }
  return absl::OkStatus();
}

}  // namespace ember
