// Objects as files. Write order: temp file in the same file system, append, fdatasync, rename,
// fsync of the directory (and of the parents of new directories). After a failed write or sync the
// temp file is dropped: the kernel may have thrown the failed pages away, and a second fdatasync
// would lie (Rebello et al., USENIX ATC 2020).
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/object_store.h"

namespace ember::vault {
namespace {

constexpr char kTempDirectory[] = "tmp";

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

class DirectoryStore : public ObjectStore {
 public:
  explicit DirectoryStore(std::string root) : root_(std::move(root)) {}

  absl::Status Prepare();
  absl::StatusOr<std::unique_ptr<ObjectWriter>> Create() override;
  absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset, size_t size) override;
  absl::StatusOr<uint64_t> Size(absl::string_view name) override;
  absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  absl::Status SyncNames() override;
  absl::StatusOr<Space> GetSpace() override;

  // SyncDirectory; when it fails, SyncNames tries again.
  absl::Status SyncOrRemember(const std::string& path);
  // The path of `name`, whose directory exists durably.
  absl::StatusOr<std::string> PathToPublish(absl::string_view name);
  void AddUsed(int64_t bytes) { used_bytes_ += bytes; }
  // A full disk is said the way a person reads it.
  absl::Status Explain(absl::Status status) const {
    return absl::IsResourceExhausted(status) ? DiskFull(absl::StrCat("vault in ", root_)) : status;
  }

 private:
  absl::StatusOr<std::string> PathOf(absl::string_view name) const;
  absl::Status EnsureDirectory(const std::string& path);
  // Calls `visit(name, path, info)` for every file and directory below `prefix`, in name order.
  template <typename Visit>
  absl::Status Walk(const std::string& prefix, const Visit& visit);

  const std::string root_;
  std::atomic<uint64_t> temp_counter_{0};
  std::atomic<int64_t> used_bytes_{0};
  absl::Mutex mu_;
  // Directories whose own entry is durable: a second publisher must not rely on a mkdir that is not
  // yet synced.
  std::set<std::string> durable_directories_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> unsynced_ ABSL_GUARDED_BY(mu_);
};

class FileWriter : public ObjectWriter {
 public:
  FileWriter(DirectoryStore* store, std::string temp, Fd fd)
      : store_(store), temp_(std::move(temp)), fd_(std::move(fd)) {}
  ~FileWriter() override {
    if (!published_) unlink(temp_.c_str());
  }

  absl::Status Append(absl::string_view data) override {
    EMBER_RETURN_IF_ERROR(failure_);
    if (buffer_.size() + data.size() <= kObjectBufferBytes) {
      buffer_.append(data.data(), data.size());
      return absl::OkStatus();
    }
    EMBER_RETURN_IF_ERROR(Flush());
    if (data.size() > kObjectBufferBytes / 2) return Write(data);
    buffer_.append(data.data(), data.size());
    return absl::OkStatus();
  }

  absl::Status Publish(absl::string_view name) override {
    EMBER_RETURN_IF_ERROR(failure_);
    if (published_) return absl::FailedPreconditionError("the object is published already");
    EMBER_RETURN_IF_ERROR(Flush());
    if (fdatasync(fd_.get()) != 0)
      return Fail(ErrnoToStatus(errno, absl::StrCat("fdatasync ", temp_)));
    auto path = store_->PathToPublish(name);
    if (!path.ok()) return Fail(path.status());
    if (absl::Status moved = MoveTo(*path); !moved.ok()) {
      // Whoever made it may have failed right after its rename.
      if (!absl::IsAlreadyExists(moved)) return Fail(std::move(moved));
      EMBER_RETURN_IF_ERROR(SyncDirectory(ParentOf(*path)));
      return moved;
    }
    published_ = true;
    if (absl::Status synced = SyncDirectory(ParentOf(*path)); !synced.ok()) {
      unlink(path->c_str());  // nobody was told; a later attempt must not take it for durable
      return Fail(std::move(synced));
    }
    Finish(static_cast<int64_t>(size_));
    return absl::OkStatus();
  }

  absl::Status Replace(absl::string_view name) override {
    EMBER_RETURN_IF_ERROR(failure_);
    if (published_) return absl::FailedPreconditionError("the object is published already");
    EMBER_ASSIGN_OR_RETURN(const uint64_t old_size, store_->Size(name));
    EMBER_RETURN_IF_ERROR(Flush());
    if (fdatasync(fd_.get()) != 0)
      return Fail(ErrnoToStatus(errno, absl::StrCat("fdatasync ", temp_)));
    auto path = store_->PathToPublish(name);
    if (!path.ok()) return Fail(path.status());
    if (rename(temp_.c_str(), path->c_str()) != 0)
      return Fail(ErrnoToStatus(errno, absl::StrCat("rename to ", *path)));
    published_ = true;
    Finish(static_cast<int64_t>(size_) - static_cast<int64_t>(old_size));
    return store_->SyncOrRemember(ParentOf(*path));
  }

 private:
  void Finish(int64_t used_more) {
    store_->AddUsed(used_more);
    // What is read next shall come from the disk: a read-back of cached pages proves nothing.
    posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
    fd_ = Fd();
  }

  absl::Status Fail(absl::Status status) {
    failure_ = store_->Explain(std::move(status));
    return failure_;
  }

  absl::Status Flush() {
    EMBER_RETURN_IF_ERROR(Write(buffer_));
    buffer_.clear();
    return absl::OkStatus();
  }

  absl::Status Write(absl::string_view data) {
    if (absl::Status status = WriteAll(fd_.get(), data, temp_); !status.ok())
      return Fail(std::move(status));
    size_ += data.size();
    if (size_ - write_back_ >= kWriteBackBytes) {
      // Only starts the transfer, so that the fdatasync at the end waits for little; errors surface
      // there.
      sync_file_range(fd_.get(), static_cast<off_t>(write_back_),
                      static_cast<off_t>(size_ - write_back_), SYNC_FILE_RANGE_WRITE);
      write_back_ = size_;
    }
    return absl::OkStatus();
  }

  // rename(2) that never replaces; file systems without that flag get link(2).
  absl::Status MoveTo(const std::string& path) {
    if (renameat2(AT_FDCWD, temp_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
      return absl::OkStatus();
    if (errno != EINVAL && errno != ENOSYS)
      return ErrnoToStatus(errno, absl::StrCat("rename to ", path));
    if (link(temp_.c_str(), path.c_str()) != 0)
      return ErrnoToStatus(errno, absl::StrCat("link to ", path));
    unlink(temp_.c_str());
    return absl::OkStatus();
  }

  DirectoryStore* const store_;
  const std::string temp_;
  Fd fd_;
  std::string buffer_;
  uint64_t size_ = 0;
  uint64_t write_back_ = 0;
  absl::Status failure_;
  bool published_ = false;
};

absl::Status DirectoryStore::Prepare() {
  EMBER_RETURN_IF_ERROR(MakeDirectories(root_));
  const std::string temp = JoinPath(root_, kTempDirectory);
  EMBER_RETURN_IF_ERROR(MakeDirectories(temp));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> left, ListDirectory(temp));
  for (const std::string& name : left) EMBER_RETURN_IF_ERROR(RemoveFile(JoinPath(temp, name)));
  // A process that died between rename and fsync left names that only the page cache knows.
  EMBER_RETURN_IF_ERROR(SyncDirectory(ParentOf(root_).empty() ? "/" : ParentOf(root_)));
  EMBER_RETURN_IF_ERROR(SyncDirectory(root_));
  {
    absl::MutexLock lock(&mu_);
    durable_directories_.insert(root_);
  }
  return Walk("", [this](const std::string&, const std::string& path, const struct stat& info) {
    if (!S_ISDIR(info.st_mode)) {
      used_bytes_ += info.st_size;
      return absl::OkStatus();
    }
    absl::MutexLock lock(&mu_);
    durable_directories_.insert(path);
    return SyncDirectory(path);
  });
}

template <typename Visit>
absl::Status DirectoryStore::Walk(const std::string& prefix, const Visit& visit) {
  auto names = ListDirectory(prefix.empty() ? root_ : JoinPath(root_, prefix));
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(names.status());
  for (const std::string& entry : *names) {
    const std::string name = JoinPath(prefix, entry);
    if (!ValidateObjectName(entry).ok() || name == kTempDirectory) continue;
    const std::string path = JoinPath(root_, name);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) {
      if (errno == ENOENT) continue;  // deleted since it was listed
      return ErrnoToStatus(errno, absl::StrCat("stat ", path));
    }
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) continue;
    EMBER_RETURN_IF_ERROR(visit(name, path, info));
    if (S_ISDIR(info.st_mode)) EMBER_RETURN_IF_ERROR(Walk(name, visit));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> DirectoryStore::PathOf(absl::string_view name) const {
  EMBER_RETURN_IF_ERROR(ValidateObjectName(name));
  if (name == kTempDirectory || absl::StartsWith(name, absl::StrCat(kTempDirectory, "/"))) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not an object name"));
  }
  return JoinPath(root_, name);
}

absl::StatusOr<std::string> DirectoryStore::PathToPublish(absl::string_view name) {
  EMBER_ASSIGN_OR_RETURN(std::string path, PathOf(name));
  for (size_t slash = name.find('/'); slash != absl::string_view::npos;
       slash = name.find('/', slash + 1)) {
    EMBER_RETURN_IF_ERROR(EnsureDirectory(JoinPath(root_, name.substr(0, slash))));
  }
  return path;
}

absl::Status DirectoryStore::EnsureDirectory(const std::string& path) {
  absl::MutexLock lock(&mu_);
  if (durable_directories_.contains(path)) return absl::OkStatus();
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return ErrnoToStatus(errno, absl::StrCat("mkdir ", path));
  EMBER_RETURN_IF_ERROR(SyncDirectory(ParentOf(path)));
  durable_directories_.insert(path);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ObjectWriter>> DirectoryStore::Create() {
  const std::string temp =
      absl::StrCat(root_, "/", kTempDirectory, "/", getpid(), "-", ++temp_counter_);
  Fd fd(open(temp.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return Explain(ErrnoToStatus(errno, absl::StrCat("create ", temp)));
  return std::make_unique<FileWriter>(this, temp, std::move(fd));
}

absl::StatusOr<std::string> DirectoryStore::Read(absl::string_view name, uint64_t offset,
                                                 size_t size) {
  EMBER_ASSIGN_OR_RETURN(const std::string path, PathOf(name));
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoToStatus(errno, absl::StrCat("stat ", path));
  const uint64_t total = static_cast<uint64_t>(info.st_size);
  if (offset > total || size > total - offset) {
    return absl::OutOfRangeError(
        absl::StrCat(name, " has ", total, " bytes, ", size, " wanted at ", offset));
  }
  std::string data(size, '\0');
  for (size_t done = 0; done < size;) {
    const ssize_t n =
        pread(fd.get(), data.data() + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoToStatus(errno, absl::StrCat("read ", path));
    if (n == 0) return absl::OutOfRangeError(absl::StrCat(name, " became shorter"));
    done += static_cast<size_t>(n);
  }
  return data;
}

absl::StatusOr<uint64_t> DirectoryStore::Size(absl::string_view name) {
  EMBER_ASSIGN_OR_RETURN(const std::string path, PathOf(name));
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, absl::StrCat("stat ", path));
  if (!S_ISREG(info.st_mode)) return absl::NotFoundError(absl::StrCat(name, " is not an object"));
  return static_cast<uint64_t>(info.st_size);
}

absl::StatusOr<std::vector<std::string>> DirectoryStore::List(absl::string_view prefix) {
  if (!prefix.empty()) EMBER_RETURN_IF_ERROR(PathOf(prefix).status());
  std::vector<std::string> names;
  EMBER_RETURN_IF_ERROR(
      Walk(std::string(prefix),
           [&names](const std::string& name, const std::string&, const struct stat& info) {
             if (S_ISREG(info.st_mode)) names.push_back(name);
             return absl::OkStatus();
           }));
  std::sort(names.begin(),
            names.end());  // "a-b" sorts before "a/b", a walk finds them the other way round
  return names;
}

absl::Status DirectoryStore::Delete(absl::string_view name) {
  EMBER_ASSIGN_OR_RETURN(const std::string path, PathOf(name));
  auto size = Size(name);
  if (size.ok()) {
    EMBER_RETURN_IF_ERROR(RemoveFile(path));
    used_bytes_ -= static_cast<int64_t>(*size);
  } else if (!absl::IsNotFound(size.status())) {
    return size.status();
  }
  // Also when it is absent: an earlier attempt may have failed right after its unlink.
  const absl::Status synced = SyncDirectory(ParentOf(path));
  return absl::IsNotFound(synced) ? absl::OkStatus() : synced;
}

absl::Status DirectoryStore::SyncOrRemember(const std::string& path) {
  absl::Status synced = SyncDirectory(path);
  absl::MutexLock lock(&mu_);
  if (synced.ok()) {
    unsynced_.erase(path);
  } else {
    unsynced_.insert(path);
  }
  return synced;
}

absl::Status DirectoryStore::SyncNames() {
  std::set<std::string> paths;
  {
    absl::MutexLock lock(&mu_);
    paths = unsynced_;
  }
  for (const std::string& path : paths) EMBER_RETURN_IF_ERROR(SyncOrRemember(path));
  return absl::OkStatus();
}

absl::StatusOr<ObjectStore::Space> DirectoryStore::GetSpace() {
  struct statvfs info;
  if (statvfs(root_.c_str(), &info) != 0)
    return ErrnoToStatus(errno, absl::StrCat("statvfs ", root_));
  return Space{
      .free_bytes = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize),
      .used_bytes = used_bytes_};
}

// A DirectoryStore that was never prepared, and of which nothing but the reading half is used.
class ReadOnlyStore : public ObjectStore {
 public:
  explicit ReadOnlyStore(std::string root) : store_(std::move(root)) {}
  absl::StatusOr<std::unique_ptr<ObjectWriter>> Create() override { return Refused(); }
  absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset, size_t size) override {
    return store_.Read(name, offset, size);
  }
  absl::StatusOr<uint64_t> Size(absl::string_view name) override { return store_.Size(name); }
  absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) override {
    return store_.List(prefix);
  }
  absl::Status Delete(absl::string_view) override { return Refused(); }
  absl::StatusOr<Space> GetSpace() override { return store_.GetSpace(); }

 private:
  static absl::Status Refused() {
    return absl::FailedPreconditionError("the vault is open for reading only");
  }
  DirectoryStore store_;
};

absl::StatusOr<std::string> AbsolutePath(const std::string& root) {
  std::error_code error;
  std::string path = std::filesystem::absolute(root, error).lexically_normal().string();
  if (root.empty() || error)
    return absl::InvalidArgumentError(absl::StrCat("'", root, "' is not a directory name"));
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenDirectoryForReading(const std::string& root) {
  EMBER_ASSIGN_OR_RETURN(std::string path, AbsolutePath(root));
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  if (!S_ISDIR(info.st_mode)) return absl::NotFoundError(absl::StrCat(path, " is no directory"));
  return std::make_unique<ReadOnlyStore>(std::move(path));
}

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenDirectoryStore(const std::string& root) {
  EMBER_ASSIGN_OR_RETURN(std::string path, AbsolutePath(root));
  auto store = std::make_unique<DirectoryStore>(std::move(path));
  EMBER_RETURN_IF_ERROR(store->Prepare());
  return store;
}

}  // namespace ember::vault
