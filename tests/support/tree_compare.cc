#include "tests/support/tree_compare.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"

namespace ember::testing {
namespace {

// An object by its name in an open directory.
struct At {
  int directory;
  std::string name;
  // A path whose middle is a descriptor; AT_FDCWD has none.
  std::string Proc() const {
    if (directory == AT_FDCWD) return name;
    return absl::StrCat("/proc/self/fd/", directory, "/", name);
  }
  Fd Open(int flags = 0) const {
    flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    Fd fd(openat(directory, name.c_str(), flags | O_NOATIME));
    return fd.valid() ? std::move(fd) : Fd(openat(directory, name.c_str(), flags));
  }
};

std::set<std::string> Names(int directory) {
  std::set<std::string> names;
  DIR* open = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME));
  if (open == nullptr) open = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (open == nullptr) return names;
  while (const dirent* entry = readdir(open)) {
    const std::string name = entry->d_name;
    const bool own =
        absl::StrContains(name, ".ember-safety-") || absl::StartsWith(name, ".ember-restore-");
    if (name != "." && name != ".." && !own) names.insert(name);
  }
  closedir(open);
  return names;
}

std::map<std::string, std::string> Xattrs(const At& at) {
  std::map<std::string, std::string> xattrs;
  std::string names(64 << 10, '\0');
  const ssize_t size = llistxattr(at.Proc().c_str(), names.data(), names.size());
  if (size <= 0) return xattrs;
  names.resize(size);
  for (const std::string& name :
       std::vector<std::string>(absl::StrSplit(names, '\0', absl::SkipEmpty()))) {
    std::string value(64 << 10, '\0');
    const ssize_t length = lgetxattr(at.Proc().c_str(), name.c_str(), value.data(), value.size());
    value.resize(std::max<ssize_t>(length, 0));
    xattrs[name] = value;
  }
  return xattrs;
}

// Where the data is: "0-4096 65536-69632".
std::string DataMap(int fd, off_t size) {
  std::string map;
  for (off_t at = 0; at < size;) {
    const off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0) break;
    at = lseek(fd, data, SEEK_HOLE);
    absl::StrAppend(&map, data, "-", at, " ");
    if (at < 0) break;
  }
  return map;
}

bool SameContent(int a, int b, off_t size) {
  std::string left(64 << 10, '\0'), right(64 << 10, '\0');
  for (off_t at = 0; at < size;) {
    const off_t data_a = lseek(a, at, SEEK_DATA), data_b = lseek(b, at, SEEK_DATA);
    if (data_a < 0 && data_b < 0) return true;  // holes to the end
    at = data_a < 0 ? data_b : data_b < 0 ? data_a : std::min(data_a, data_b);
    const ssize_t got_a = pread(a, left.data(), left.size(), at),
                  got_b = pread(b, right.data(), right.size(), at);
    if (got_a != got_b || got_a < 0 || memcmp(left.data(), right.data(), got_a) != 0) return false;
    if (got_a == 0) return true;
    at += got_a;
  }
  return true;
}

int Flags(int fd) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return 0;
  return flags & (FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL |
                  FS_NOCOW_FL | FS_DIRSYNC_FL | FS_COMPR_FL);
}

std::string Time(const timespec& time) { return absl::StrCat(time.tv_sec, ".", time.tv_nsec); }

class Comparison {
 public:
  explicit Comparison(const TreeCompareOptions& options) : options_(options) {}
  std::vector<std::string> lines;

  void Objects(const std::string& path, const At& a, const At& b) {
    struct stat sa, sb;
    const bool there_a = fstatat(a.directory, a.name.c_str(), &sa, AT_SYMLINK_NOFOLLOW) == 0;
    const bool there_b = fstatat(b.directory, b.name.c_str(), &sb, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there_a || !there_b) {
      Differ(path, "is", there_a ? "there" : "absent", there_b ? "there" : "absent");
      return;
    }
    if ((sa.st_mode & S_IFMT) != (sb.st_mode & S_IFMT)) {
      Differ(path, "type", absl::StrCat(sa.st_mode & S_IFMT), absl::StrCat(sb.st_mode & S_IFMT));
      return;
    }
    if (!S_ISLNK(sa.st_mode)) Differ(path, "mode", Octal(sa.st_mode), Octal(sb.st_mode));
    if (options_.owner) {
      Differ(path, "owner", absl::StrCat(sa.st_uid, ":", sa.st_gid),
             absl::StrCat(sb.st_uid, ":", sb.st_gid));
    }
    Differ(path, "mtime", Time(sa.st_mtim), Time(sb.st_mtim));
    if (options_.atime) Differ(path, "atime", Time(sa.st_atim), Time(sb.st_atim));
    Xattributes(path, a, b);
    if (!S_ISDIR(sa.st_mode)) Links(path, sa, sb);
    switch (sa.st_mode & S_IFMT) {
      case S_IFREG: Files(path, a, b, sa.st_size, sb.st_size); break;
      case S_IFDIR: Directories(path, a, b); break;
      case S_IFLNK: Differ(path, "target", Target(a), Target(b)); break;
      case S_IFCHR:
      case S_IFBLK:
        Differ(path, "device", absl::StrCat(sa.st_rdev), absl::StrCat(sb.st_rdev));
        break;
    }
  }

 private:
  static std::string Octal(mode_t mode) { return absl::StrCat(absl::Hex(mode & 07777)); }
  static std::string Target(const At& at) {
    char target[4096];
    const ssize_t length = readlinkat(at.directory, at.name.c_str(), target, sizeof target);
    return length < 0 ? strerror(errno) : std::string(target, length);
  }

  void Differ(const std::string& path, const std::string& what, const std::string& a,
              const std::string& b) {
    if (a == b) return;
    lines.push_back(absl::StrCat(absl::CHexEscape(path), ": ", what, ": ", absl::CHexEscape(a),
                                 " | ", absl::CHexEscape(b)));
  }

  void Xattributes(const std::string& path, const At& a, const At& b) {
    const auto xa = Xattrs(a), xb = Xattrs(b);
    if (xa == xb) return;
    std::string names_a, names_b;
    for (const auto& [name, value] : xa) absl::StrAppend(&names_a, name, "=", value, " ");
    for (const auto& [name, value] : xb) absl::StrAppend(&names_b, name, "=", value, " ");
    Differ(path, "xattrs", names_a, names_b);
  }

  // Names that share an inode on one side must share one on the other.
  void Links(const std::string& path, const struct stat& a, const struct stat& b) {
    if (a.st_nlink < 2 && b.st_nlink < 2) return;
    Differ(path, "first link", first_a_.try_emplace({a.st_dev, a.st_ino}, path).first->second,
           first_b_.try_emplace({b.st_dev, b.st_ino}, path).first->second);
  }

  void Files(const std::string& path, const At& a, const At& b, off_t size_a, off_t size_b) {
    if (size_a != size_b) {
      Differ(path, "size", absl::StrCat(size_a), absl::StrCat(size_b));
      return;
    }
    const Fd fa = a.Open(), fb = b.Open();
    if (!fa.valid() || !fb.valid()) {
      lines.push_back(absl::StrCat(absl::CHexEscape(path), ": cannot be read: ", strerror(errno)));
      return;
    }
    if (!SameContent(fa.get(), fb.get(), size_a))
      lines.push_back(absl::StrCat(absl::CHexEscape(path), ": content"));
    Differ(path, "data", DataMap(fa.get(), size_a), DataMap(fb.get(), size_b));
    Differ(path, "flags", absl::StrCat(Flags(fa.get())), absl::StrCat(Flags(fb.get())));
  }

  void Directories(const std::string& path, const At& a, const At& b) {
    const Fd fa = a.Open(O_DIRECTORY), fb = b.Open(O_DIRECTORY);
    if (!fa.valid() || !fb.valid()) {
      lines.push_back(
          absl::StrCat(absl::CHexEscape(path), ": cannot be listed: ", strerror(errno)));
      return;
    }
    Differ(path, "flags", absl::StrCat(Flags(fa.get())), absl::StrCat(Flags(fb.get())));
    std::set<std::string> names = Names(fa.get());
    names.merge(Names(fb.get()));
    for (const std::string& name : names) {
      Objects(absl::StrCat(path, "/", name), {fa.get(), name}, {fb.get(), name});
    }
  }

  const TreeCompareOptions options_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_a_, first_b_;
};

}  // namespace

std::vector<std::string> CompareTrees(const std::string& a, const std::string& b,
                                      const TreeCompareOptions& options) {
  rlimit files;  // one descriptor per level and side
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  Comparison comparison(options);
  comparison.Objects("", {AT_FDCWD, a}, {AT_FDCWD, b});
  return std::move(comparison.lines);
}

}  // namespace ember::testing
