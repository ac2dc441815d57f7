#include "tests/support/nasty_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"
#include "common/base/status.h"

namespace ember::testing {
namespace {

class Maker {
 public:
  Maker(int top, const NastyTreeOptions& options)
      : top_(top), options_(options), is_root_(geteuid() == 0) {}

  absl::Status Run() {
    Names();
    Holes();
    Links();
    Specials();
    Attributes();
    Modes();
    Deep();
    Crowd();
    Times();
    if (options_.flags) Flags();
    return error_;
  }

 private:
  void Check(bool done, absl::string_view what) {
    const bool unsupported = errno == ENOTSUP || errno == ENOTTY;
    if (!done && !unsupported && error_.ok()) error_ = ember::ErrnoToStatus(errno, what);
  }
  void Directory(const char* name, mode_t mode = 0755) {
    Check(mkdirat(top_, name, 0755) == 0, name);
    Check(fchmodat(top_, name, mode, 0) == 0, name);
  }
  void File(const std::string& name, absl::string_view content = "x", mode_t mode = 0644) {
    Fd fd(openat(top_, name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
    Check(fd.valid(), name);
    if (!fd.valid()) return;
    if (error_.ok()) error_ = WriteAll(fd.get(), content, name);
    Check(fchmod(fd.get(), mode) == 0, name);
  }
  std::string Proc(const std::string& name) {
    return absl::StrCat("/proc/self/fd/", top_, "/", name);
  }
  void Xattr(const std::string& name, const char* attribute, absl::string_view value) {
    const bool done = lsetxattr(Proc(name).c_str(), attribute, value.data(), value.size(), 0) == 0;
    if (!done && errno == ENOTSUP && options_.insist) {
      if (error_.ok()) {
        error_ = absl::FailedPreconditionError(absl::StrCat(
            "the file system of the tree does not hold ", attribute,
            ": a comparison there would prove nothing about it; use ext4, xfs or btrfs"));
      }
      return;
    }
    Check(done, absl::StrCat(attribute, " of ", name));
  }
  void Time(const char* name, int64_t seconds, long nanos) {
    const timespec times[2] = {{seconds, 123456789}, {seconds, nanos}};
    Check(utimensat(top_, name, times, AT_SYMLINK_NOFOLLOW) == 0, name);
  }

  void Names() {
    Directory("names");
    File("names/line\nbreak", "a");
    File("names/latin1 \xe9\xff", "b");
    File("names/" + std::string(255, 'n'), "c");
    File("names/ leading and trailing ", "d");
    File("names/-rf", "e");
    File("names/\x01\x1b[31m", "f");
    File("names/back\\slash", "");
    // Orders differently by bytes of the path than by component.
    Directory("names/a");
    File("names/a/inside", "1");
    File("names/a.b", "2");
    File("names/a!", "3");
    Directory("names/empty directory");
  }

  void Holes() {
    Directory("holes");
    const auto sparse = [&](const char* name, std::vector<std::pair<off_t, size_t>> data,
                            off_t size) {
      Fd fd(openat(top_, name, O_WRONLY | O_CREAT | O_EXCL, 0644));
      Check(fd.valid(), name);
      for (const auto& [offset, length] : data) {
        const std::string bytes(length, 'h');
        Check(pwrite(fd.get(), bytes.data(), length, offset) == static_cast<ssize_t>(length), name);
      }
      Check(ftruncate(fd.get(), size) == 0, name);
    };
    sparse("holes/only", {}, 10 << 20);
    sparse("holes/small", {}, 100);
    sparse("holes/start", {{1 << 20, 5000}}, (1 << 20) + 5000);
    sparse("holes/end", {{0, 70000}}, 8 << 20);
    sparse("holes/middle", {{0, 4096}, {64 << 10, 4096}, {3 << 20, 100}}, 5 << 20);
    sparse("holes/huge", {{int64_t{1} << 40, 10}}, int64_t{1} << 41);
    std::string big(3 << 20, '\0');
    for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>((i * 2654435761u) >> 13);
    File("holes/none", big);
  }

  void Links() {
    Directory("links");
    Directory("links/z");
    File("links/first", "linked content");
    Check(linkat(top_, "links/first", top_, "links/z/second", 0) == 0, "link");
    Check(linkat(top_, "links/first", top_, "links/third", 0) == 0, "link");
    Check(symlinkat("../../etc/passwd", top_, "links/escaping") == 0, "symlink");
    Check(symlinkat("nowhere\nat all \xff", top_, "links/dangling") == 0, "symlink");
    Check(symlinkat("z", top_, "links/to directory") == 0, "symlink");
    Check(symlinkat(std::string(4000, 't').c_str(), top_, "links/long target") == 0, "symlink");
    Check(linkat(top_, "links/dangling", top_, "links/z/linked symlink", 0) == 0, "link");
  }

  void Specials() {
    Directory("specials");
    Check(mkfifoat(top_, "specials/fifo", 0620) == 0, "fifo");
    Check(linkat(top_, "specials/fifo", top_, "specials/fifo again", 0) == 0, "link");
    Check(mknodat(top_, "specials/socket", S_IFSOCK | 0600, 0) == 0, "socket");
    if (!is_root_) return;
    Check(mknodat(top_, "specials/null", S_IFCHR | 0666, makedev(1, 3)) == 0, "device");
    Check(mknodat(top_, "specials/block", S_IFBLK | 0660, makedev(259, 70000)) == 0, "device");
  }

  void Attributes() {
    Directory("attributes");
    File("attributes/user", "u");
    Xattr("attributes/user", "user.empty", "");
    Xattr("attributes/user", "user.binary", absl::string_view("\0\xff\n", 3));
    Xattr("attributes/user", "user.long", std::string(2000, 'v'));
    Xattr("attributes", "user.directory", "d");
    // u::rw- user:1234:r-- g::r-- m::r-- o::---, see acl(5) and the kernel's posix_acl_xattr.h.
    const std::string acl(
        "\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xd2\x04\0\0\x04\0\x04\0\xff\xff\xff\xff"
        "\x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff",
        44);
    File("attributes/acl", "a", 0640);
    Xattr("attributes/acl", "system.posix_acl_access", acl);
    Directory("attributes/inherits");
    File("attributes/inherits/made before", "i");
    Xattr("attributes/inherits", "system.posix_acl_default", acl);
    File("attributes/inherits/made after", "i", 0640);
    if (!is_root_) return;
    File("attributes/capable", "#!/bin/sh\n", 0755);
    // cap_net_raw+ep, VFS_CAP_REVISION_2
    Xattr("attributes/capable", "security.capability",
          absl::string_view("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
    Xattr("attributes/user", "trusted.ember", "t");
    Check(symlinkat("user", top_, "attributes/link") == 0, "symlink");
    Xattr("attributes/link", "trusted.link", "l");
    Check(fchownat(top_, "attributes/link", 12, 34, AT_SYMLINK_NOFOLLOW) == 0, "chown");
    File("attributes/foreign", "f");
    Check(fchownat(top_, "attributes/foreign", 54321, 65432, 0) == 0, "chown");
  }

  void Modes() {
    Directory("modes");
    File("modes/setuid", "s", 04755);
    File("modes/setgid", "s", 02755);
    File("modes/none", "n", is_root_ ? 0 : 0400);
    Directory("modes/sticky", 01777);
    Directory("modes/setgid directory", 02775);
    File("modes/setgid directory/child", "c");
    Directory("modes/shut");
    File("modes/shut/inside", "i");
    Directory("modes/shut/deeper");
    File("modes/shut/deeper/inside", "i");
    Check(fchmodat(top_, "modes/shut/deeper", 0500, 0) == 0, "chmod");
    Check(fchmodat(top_, "modes/shut", is_root_ ? 0 : 0555, 0) == 0, "chmod");
    if (!is_root_) return;
    File("modes/owned setuid", "o");
    Check(fchownat(top_, "modes/owned setuid", 1000, 1000, 0) == 0, "chown");
    Check(fchmodat(top_, "modes/owned setuid", 06711, 0) == 0, "chmod");
  }

  void Deep() {
    Directory("deep");
    Fd at(openat(top_, "deep", O_RDONLY | O_DIRECTORY));
    const std::string name(200, 'd');
    for (int i = 0; i < options_.depth; ++i) {
      Check(mkdirat(at.get(), name.c_str(), 0755) == 0, "deep");
      at = Fd(openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
      Check(at.valid(), "deep");
    }
    Fd file(openat(at.get(), "at the bottom", O_WRONLY | O_CREAT, 0600));
    if (error_.ok()) error_ = WriteAll(file.get(), "found", "deep");
    Check(symlinkat("at the bottom", at.get(), "link") == 0, "deep");
  }

  void Crowd() {
    Directory("crowd");
    for (int i = 0; i < options_.crowd; ++i)
      File(absl::StrCat("crowd/", i), absl::StrCat("file ", i));
  }

  void Times() {
    Directory("times");
    const auto at = [&](const char* name, int64_t seconds, long nanos) {
      File(name, "t");
      Time(name, seconds, nanos);
    };
    at("times/1960", -315619200, 999999999);
    at("times/just before 1970", -1, 1);
    at("times/2039", 2177452800, 500000001);
    at("times/2105", 4260211200, 7);
    Check(symlinkat("x", top_, "times/link") == 0, "symlink");
    Time("times/link", 1000000000, 42);
    Check(mkfifoat(top_, "times/fifo", 0600) == 0, "fifo");
    Time("times/fifo", 1000000001, 43);
    Directory("times/directory");
    File("times/directory/child", "c");
    Time("times/directory", 1000000002, 44);
    for (const char* name :
         {"names/a", "links", "modes/shut", "specials", "holes", "names", "modes"}) {
      Time(name, 1234567890, 987654321);
    }
  }

  void Flags() {
    Directory("flags");
    const auto set = [&](const char* name, int flags) {
      const Fd fd(openat(top_, name, O_RDONLY | O_NOFOLLOW));
      int now = 0;
      if (ioctl(fd.get(), FS_IOC_GETFLAGS, &now) != 0) return;
      now |= flags;
      Check(ioctl(fd.get(), FS_IOC_SETFLAGS, &now) == 0, name);
    };
    File("flags/nodump", "n");
    set("flags/nodump", FS_NODUMP_FL | FS_NOATIME_FL);
    if (!is_root_) return;
    File("flags/immutable", "i");
    Check(linkat(top_, "flags/immutable", top_, "flags/immutable again", 0) == 0, "link");
    set("flags/immutable", FS_IMMUTABLE_FL);
    File("flags/append", "a");
    set("flags/append", FS_APPEND_FL);
    Directory("flags/frozen");
    File("flags/frozen/child", "c");
    set("flags/frozen", FS_IMMUTABLE_FL);
  }

  const int top_;
  const NastyTreeOptions options_;
  const bool is_root_;
  absl::Status error_;
};

void Loosen(int directory, const char* name) {
  fchmodat(directory, name, 0700, 0);
  const Fd fd(openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  int flags = 0;
  if (!fd.valid() || ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
  flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  ioctl(fd.get(), FS_IOC_SETFLAGS, &flags);
}

void Remove(int directory, const char* name) {
  struct stat info;
  if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)) Loosen(directory, name);
  if (!S_ISDIR(info.st_mode)) {
    unlinkat(directory, name, 0);
    return;
  }
  DIR* open = fdopendir(openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (open == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(open)) names.push_back(entry->d_name);
  for (const std::string& child : names) {
    if (child != "." && child != "..") Remove(dirfd(open), child.c_str());
  }
  closedir(open);
  unlinkat(directory, name, AT_REMOVEDIR);
}

}  // namespace

absl::Status MakeNastyTree(const std::string& directory, const NastyTreeOptions& options) {
  umask(022);
  EMBER_RETURN_IF_ERROR(MakeDirectories(directory, 0755));
  const Fd top(open(directory.c_str(), O_RDONLY | O_DIRECTORY));
  if (!top.valid()) return ErrnoToStatus(errno, directory);
  return Maker(top.get(), options).Run();
}

void RemoveNastyTree(const std::string& directory) { Remove(AT_FDCWD, directory.c_str()); }

}  // namespace ember::testing
