#include "common/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember {

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t size_bytes_max) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  std::string data;
  char buffer[64 << 10];
  while (true) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoToStatus(errno, absl::StrCat("read ", path));
    if (n == 0) return data;
    if (data.size() + n > size_bytes_max) {
      return absl::ResourceExhaustedError(absl::StrCat(path, " is larger than ", size_bytes_max, " bytes"));
    }
    data.append(buffer, n);
  }
}

absl::Status WriteAll(int fd, absl::string_view data, absl::string_view what) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoToStatus(errno, absl::StrCat("write ", what));
    data.remove_prefix(n);
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& directory) {
  Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", directory));
  if (fsync(fd.get()) != 0) return ErrnoToStatus(errno, absl::StrCat("fsync ", directory));
  return absl::OkStatus();
}

absl::Status WriteFileAtomic(const std::string& path, absl::string_view data, int mode) {
  static std::atomic<uint64_t> counter{0};
  const std::string temp = absl::StrCat(path, ".tmp.", getpid(), ".", ++counter);
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  absl::Status status = [&] {
    Fd fd(open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("create ", temp));
    EMBER_RETURN_IF_ERROR(WriteAll(fd.get(), data, temp));
    if (fdatasync(fd.get()) != 0) return ErrnoToStatus(errno, absl::StrCat("fdatasync ", temp));
    if (rename(temp.c_str(), path.c_str()) != 0) return ErrnoToStatus(errno, absl::StrCat("rename to ", path));
    return absl::OkStatus();
  }();
  if (!status.ok()) {
    unlink(temp.c_str());
    return status;
  }
  return SyncDirectory(directory);
}

absl::Status MakeDirectories(const std::string& path, int mode) {
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string prefix = path.substr(0, at);
    if (mkdir(prefix.c_str(), mode) != 0 && errno != EEXIST) {
      return ErrnoToStatus(errno, absl::StrCat("mkdir ", prefix));
    }
  }
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, absl::StrCat("stat ", path));
  if (!S_ISDIR(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return ErrnoToStatus(errno, absl::StrCat("opendir ", path));
  std::vector<std::string> names;
  errno = 0;
  while (dirent* entry = readdir(directory)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  closedir(directory);
  if (error != 0) return ErrnoToStatus(error, absl::StrCat("readdir ", path));
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoToStatus(errno, absl::StrCat("unlink ", path));
  return absl::OkStatus();
}

bool FileExists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

absl::StatusOr<Fd> LockFile(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return StateDirInUse(path.substr(0, path.rfind('/')));
    return ErrnoToStatus(errno, absl::StrCat("lock ", path));
  }
  return fd;
}

std::string JoinPath(absl::string_view directory, absl::string_view name) {
  if (directory.empty()) return std::string(name);
  return directory.back() == '/' ? absl::StrCat(directory, name) : absl::StrCat(directory, "/", name);
}

}  // namespace ember
