// Files that must survive a crash, and handles that close themselves.
#ifndef EMBER_COMMON_BASE_FILE_H_
#define EMBER_COMMON_BASE_FILE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// The whole file. NOT_FOUND, or RESOURCE_EXHAUSTED when larger than `size_bytes_max`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t size_bytes_max = 64 << 20);

// Replaces `path` so that after OK, even across power loss, it holds `data`, and before OK the old content or the new,
// never a mixture: temp file in the same directory, fdatasync, rename, fsync of the directory.
absl::Status WriteFileAtomic(const std::string& path, absl::string_view data, int mode = 0600);

// Writes all bytes; EINTR and short writes handled.
absl::Status WriteAll(int fd, absl::string_view data, absl::string_view what);

absl::Status SyncDirectory(const std::string& directory);
// mkdir -p with `mode` for what is missing.
absl::Status MakeDirectories(const std::string& path, int mode = 0700);
// Names in a directory without "." and "..", sorted bytewise.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);
absl::Status RemoveFile(const std::string& path);  // absent is OK
bool FileExists(const std::string& path);

// Exclusive lock on `path` (created) for the life of the handle. UNAVAILABLE when another process holds it.
absl::StatusOr<Fd> LockFile(const std::string& path);

std::string JoinPath(absl::string_view directory, absl::string_view name);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_FILE_H_
