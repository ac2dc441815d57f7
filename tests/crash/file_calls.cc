// The definitions here take the place of the C library's for the whole process; each forwards to
// the next one in the order of libraries. No call of theirs is made before main by anything that is
// watched, so the state is a plain static.
#include "tests/crash/file_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <vector>

namespace ember::testing {
namespace {

template <typename Function>
Function* NextOf(Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
// The C library's own `name`.
#define EMBER_NEXT(name)                              \
  (*[] {                                              \
    static auto* const next = NextOf(&::name, #name); \
    return next;                                      \
  }())

// What RocksDB logs for people; written through stdio, which is not watched.
bool IsLog(const std::string& path) {
  const size_t slash = path.rfind('/');
  return path.compare(slash == std::string::npos ? 0 : slash + 1, 3, "LOG") == 0;
}

struct OpenFile {
  int file = 0;  // 0: a directory
  std::string path;
  bool appends = false;
};

// All of it under `mu`. Leaked, since calls come until the very end of the process.
struct Watch {
  std::recursive_mutex mu;
  std::string prefix;  // the root with a slash
  FileObserver* observer = nullptr;
  std::map<std::string, int> files;  // by path
  std::map<int, OpenFile> open;      // by descriptor
  int last_file = 0;
};
Watch& TheWatch() {
  static auto* watch = new Watch;
  return *watch;
}
std::atomic<bool> watching{false};
std::atomic<bool> real_sync{true};

// The path below the root; false when `path` is not below it.
bool Below(const std::string& path, std::string* below) {
  Watch& watch = TheWatch();
  if (path.compare(0, watch.prefix.size(), watch.prefix) != 0) {
    if (path + "/" != watch.prefix) return false;
    below->clear();
    return true;
  }
  *below = path.substr(watch.prefix.size());
  while (!below->empty() && below->back() == '/') below->pop_back();
  return !IsLog(*below);
}

std::string PathOfDescriptor(int fd) {
  char target[4096];
  const ssize_t n =
      readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
  return n > 0 ? std::string(target, static_cast<size_t>(n)) : "";
}

std::string Absolute(int directory, const char* path) {
  if (path[0] == '/') return path;
  if (directory != AT_FDCWD) return PathOfDescriptor(directory) + "/" + path;
  char here[4096];
  return getcwd(here, sizeof here) == nullptr ? path : std::string(here) + "/" + path;
}

// Runs `call` between Before and After. `call` returns what the C library does, -1 for an error.
template <typename Call>
auto Observed(FileOp op, const Call& call) -> decltype(call()) {
  Watch& watch = TheWatch();
  if (const int error = watch.observer->Before(op, nullptr); error != 0) {
    if (op.kind == FileOp::kSyncFile) {
      op.failed = true;
      watch.observer->After(op);
    }
    errno = error;
    return -1;
  }
  const auto result = call();
  if (result >= 0) {
    const int saved = errno;
    watch.observer->After(op);
    errno = saved;
  }
  return result;
}

template <typename Next>
int OpenAt(const Next& next, int directory, const char* path, int flags) {
  if (!watching) return next();
  Watch& watch = TheWatch();
  const std::lock_guard<std::recursive_mutex> lock(watch.mu);
  std::string below;
  if (watch.observer == nullptr || !Below(Absolute(directory, path), &below)) return next();
  struct stat info;
  const bool exists = fstatat(directory, path, &info, 0) == 0;
  OpenFile opened{.path = below, .appends = (flags & O_APPEND) != 0};
  int fd = -1;
  if (exists && S_ISDIR(info.st_mode)) {
    fd = next();
  } else if (exists) {
    opened.file = watch.files[below];
    FileOp op{.kind = FileOp::kResize, .file = opened.file, .path = below};
    const bool cuts = (flags & O_TRUNC) != 0 && info.st_size > 0 && (flags & O_EXCL) == 0;
    fd = cuts ? Observed(op, next) : next();
  } else if ((flags & O_CREAT) != 0) {
    opened.file = watch.last_file + 1;
    fd = Observed({.kind = FileOp::kCreate, .file = opened.file, .path = below}, next);
    if (fd >= 0) watch.files[below] = watch.last_file = opened.file;
  } else {
    fd = next();
  }
  if (fd >= 0) watch.open[fd] = opened;
  return fd;
}

// The watched file or directory behind `fd`; null when it is none.
OpenFile* Find(int fd) {
  Watch& watch = TheWatch();
  if (watch.observer == nullptr) return nullptr;
  const auto found = watch.open.find(fd);
  return found == watch.open.end() ? nullptr : &found->second;
}

template <typename Next>
ssize_t WriteTo(int fd, const std::string& data, off_t offset, const Next& next) {
  Watch& watch = TheWatch();
  OpenFile* const file = Find(fd);
  FileOp op{.kind = FileOp::kWrite, .file = file->file, .path = file->path, .data = data};
  struct stat info;
  if (offset >= 0) {
    op.offset = static_cast<uint64_t>(offset);
  } else if (file->appends) {
    op.offset = fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
  } else {
    op.offset = static_cast<uint64_t>(lseek(fd, 0, SEEK_CUR));
  }
  size_t size = data.size();
  if (const int error = watch.observer->Before(op, &size); error != 0) {
    errno = error;
    return -1;
  }
  const ssize_t written = next(std::min(size, data.size()));
  if (written > 0) {
    op.data.resize(static_cast<size_t>(written));
    watch.observer->After(op);
  }
  return written;
}

template <typename Next>
int SyncOf(int fd, const Next& next) {
  const auto really = [&] { return real_sync ? next() : 0; };
  if (!watching) return really();
  const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
  const OpenFile* const file = Find(fd);
  if (file == nullptr) return really();
  const FileOp::Kind kind = file->file == 0 ? FileOp::kSyncDirectory : FileOp::kSyncFile;
  return Observed({.kind = kind, .file = file->file, .path = file->path}, really);
}

// Calls that name one or two paths.
template <typename Next>
int OnPaths(FileOp::Kind kind, int from_directory, const char* from, int to_directory,
            const char* to, const Next& next) {
  if (!watching) return next();
  Watch& watch = TheWatch();
  const std::lock_guard<std::recursive_mutex> lock(watch.mu);
  FileOp op{.kind = kind};
  if (watch.observer == nullptr || !Below(Absolute(from_directory, from), &op.path)) return next();
  if (to != nullptr && !Below(Absolute(to_directory, to), &op.to)) return next();
  const bool of_directory = kind == FileOp::kMakeDirectory || kind == FileOp::kRemoveDirectory;
  if (!of_directory) {
    const auto known = watch.files.find(op.path);
    if (known == watch.files.end()) return next();
    op.file = known->second;
  }
  const int result = Observed(op, next);
  if (result != 0) return result;
  if (kind == FileOp::kRename || kind == FileOp::kUnlink) watch.files.erase(op.path);
  if (kind == FileOp::kRename || kind == FileOp::kLink) watch.files[op.to] = op.file;
  return result;
}

}  // namespace

void WatchFiles(const std::string& root, FileObserver* observer) {
  Watch& watch = TheWatch();
  const std::lock_guard<std::recursive_mutex> lock(watch.mu);
  watch.observer = observer;
  watch.files.clear();
  watch.open.clear();
  watch.last_file = 0;
  watch.prefix = root + "/";
  watching = observer != nullptr;
  if (observer == nullptr) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    std::string below;
    if (entry.is_regular_file() && Below(entry.path().string(), &below)) watch.files[below] = 0;
  }
  for (auto& [path, number] : watch.files) number = ++watch.last_file;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(entry.path().filename().c_str());
    std::string below;
    if (!Below(PathOfDescriptor(fd), &below)) continue;
    const auto file = watch.files.find(below);
    watch.open[fd] = {.file = file == watch.files.end() ? 0 : file->second,
                      .path = below,
                      .appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0};
  }
}

void SetRealSync(bool real) { real_sync = real; }

std::string ToString(const FileOp& op) {
  static const char* const kNames[] = {"create", "write", "resize", "fsync", "fsync directory",
                                       "rename", "link",  "unlink", "mkdir", "rmdir"};
  std::string text = std::string(kNames[op.kind]) + " " + (op.path.empty() ? "." : op.path);
  if (!op.to.empty()) text += " -> " + op.to;
  if (op.kind == FileOp::kWrite) {
    text += " " + std::to_string(op.data.size()) + " bytes at " + std::to_string(op.offset);
  }
  return op.failed ? text + " (failed)" : text;
}

}  // namespace ember::testing

using ember::testing::FileOp;
using ember::testing::Find;
using ember::testing::NextOf;
using ember::testing::OnPaths;
using ember::testing::OpenAt;
using ember::testing::SyncOf;
using ember::testing::TheWatch;
using ember::testing::watching;
using ember::testing::WriteTo;

namespace {

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

template <typename Next>
ssize_t WriteBytes(int fd, const void* data, size_t size, off_t offset, const Next& next) {
  if (!watching) return next(size);
  const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
  if (Find(fd) == nullptr) return next(size);
  return WriteTo(fd, std::string(static_cast<const char*>(data), size), offset, next);
}

template <typename Next>
ssize_t ReadBytes(int fd, const Next& next) {
  if (watching) {
    const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
    const auto* file = Find(fd);
    const int error =
        file == nullptr || file->file == 0 ? 0 : TheWatch().observer->BeforeRead(file->path);
    if (error != 0) {
      errno = error;
      return -1;
    }
  }
  return next();
}

template <typename Next>
int Resize(int fd, off_t size, const Next& next) {
  if (!watching) return next();
  const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
  const auto* file = Find(fd);
  if (file == nullptr) return next();
  return ember::testing::Observed({.kind = FileOp::kResize,
                                   .file = file->file,
                                   .path = file->path,
                                   .offset = static_cast<uint64_t>(size)},
                                  next);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt([&] { return EMBER_NEXT(open)(path, flags, mode); }, AT_FDCWD, path, flags);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt([&] { return EMBER_NEXT(open64)(path, flags, mode); }, AT_FDCWD, path, flags);
}
int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt([&] { return EMBER_NEXT(openat)(directory, path, flags, mode); }, directory, path,
                flags);
}
int openat64(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt([&] { return EMBER_NEXT(openat64)(directory, path, flags, mode); }, directory, path,
                flags);
}
int creat(const char* path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char* path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
  if (!watching) return EMBER_NEXT(close)(fd);
  const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
  TheWatch().open.erase(fd);
  return EMBER_NEXT(close)(fd);
}
int dup(int fd) noexcept {
  const int copy = EMBER_NEXT(dup)(fd);
  if (!watching || copy < 0) return copy;
  const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
  if (const auto* file = Find(fd)) TheWatch().open[copy] = *file;
  return copy;
}

ssize_t read(int fd, void* data, size_t size) {
  return ReadBytes(fd, [&] { return EMBER_NEXT(read)(fd, data, size); });
}
ssize_t pread(int fd, void* data, size_t size, off_t offset) {
  return ReadBytes(fd, [&] { return EMBER_NEXT(pread)(fd, data, size, offset); });
}
ssize_t pread64(int fd, void* data, size_t size, off64_t offset) {
  return ReadBytes(fd, [&] { return EMBER_NEXT(pread64)(fd, data, size, offset); });
}
ssize_t write(int fd, const void* data, size_t size) {
  return WriteBytes(fd, data, size, -1, [&](size_t n) { return EMBER_NEXT(write)(fd, data, n); });
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return WriteBytes(fd, data, size, offset,
                    [&](size_t n) { return EMBER_NEXT(pwrite)(fd, data, n, offset); });
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return WriteBytes(fd, data, size, offset,
                    [&](size_t n) { return EMBER_NEXT(pwrite64)(fd, data, n, offset); });
}
ssize_t writev(int fd, const iovec* pieces, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  if (watching) {
    const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
    if (Find(fd) != nullptr) return write(fd, all.data(), all.size());
  }
  return EMBER_NEXT(writev)(fd, pieces, count);
}
ssize_t pwritev(int fd, const iovec* pieces, int count, off_t offset) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  if (watching) {
    const std::lock_guard<std::recursive_mutex> lock(TheWatch().mu);
    if (Find(fd) != nullptr) return pwrite(fd, all.data(), all.size(), offset);
  }
  return EMBER_NEXT(pwritev)(fd, pieces, count, offset);
}

int ftruncate(int fd, off_t size) noexcept {
  return Resize(fd, size, [&] { return EMBER_NEXT(ftruncate)(fd, size); });
}
int ftruncate64(int fd, off64_t size) noexcept {
  return Resize(fd, size, [&] { return EMBER_NEXT(ftruncate64)(fd, size); });
}
// Room reserved beyond the end, as RocksDB does for its logs, changes nothing that can be read; a
// file system in memory would clear megabytes for it.
int fallocate(int fd, int mode, off_t offset, off_t size) {
  return (mode & FALLOC_FL_KEEP_SIZE) != 0 ? 0 : EMBER_NEXT(fallocate)(fd, mode, offset, size);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
  return (mode & FALLOC_FL_KEEP_SIZE) != 0 ? 0 : EMBER_NEXT(fallocate64)(fd, mode, offset, size);
}

int fsync(int fd) {
  return SyncOf(fd, [&] { return EMBER_NEXT(fsync)(fd); });
}
int fdatasync(int fd) {
  return SyncOf(fd, [&] { return EMBER_NEXT(fdatasync)(fd); });
}

int rename(const char* from, const char* to) noexcept {
  return OnPaths(FileOp::kRename, AT_FDCWD, from, AT_FDCWD, to,
                 [&] { return EMBER_NEXT(rename)(from, to); });
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return OnPaths(FileOp::kRename, from_directory, from, to_directory, to,
                 [&] { return EMBER_NEXT(renameat)(from_directory, from, to_directory, to); });
}
int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  return OnPaths(FileOp::kRename, from_directory, from, to_directory, to, [&] {
    return EMBER_NEXT(renameat2)(from_directory, from, to_directory, to, flags);
  });
}
int link(const char* from, const char* to) noexcept {
  return OnPaths(FileOp::kLink, AT_FDCWD, from, AT_FDCWD, to,
                 [&] { return EMBER_NEXT(link)(from, to); });
}
int unlink(const char* path) noexcept {
  return OnPaths(FileOp::kUnlink, AT_FDCWD, path, AT_FDCWD, nullptr,
                 [&] { return EMBER_NEXT(unlink)(path); });
}
int unlinkat(int directory, const char* path, int flags) noexcept {
  const auto kind = (flags & AT_REMOVEDIR) != 0 ? FileOp::kRemoveDirectory : FileOp::kUnlink;
  return OnPaths(kind, directory, path, AT_FDCWD, nullptr,
                 [&] { return EMBER_NEXT(unlinkat)(directory, path, flags); });
}
int remove(const char* path) noexcept {
  struct stat info;
  const bool is_directory = lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
  return is_directory ? rmdir(path) : unlink(path);
}
int mkdir(const char* path, mode_t mode) noexcept {
  return OnPaths(FileOp::kMakeDirectory, AT_FDCWD, path, AT_FDCWD, nullptr,
                 [&] { return EMBER_NEXT(mkdir)(path, mode); });
}
int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  return OnPaths(FileOp::kMakeDirectory, directory, path, AT_FDCWD, nullptr,
                 [&] { return EMBER_NEXT(mkdirat)(directory, path, mode); });
}
int rmdir(const char* path) noexcept {
  return OnPaths(FileOp::kRemoveDirectory, AT_FDCWD, path, AT_FDCWD, nullptr,
                 [&] { return EMBER_NEXT(rmdir)(path); });
}

}  // extern "C"
