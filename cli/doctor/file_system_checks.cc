#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/doctor/finding.h"
#include "common/base/file.h"

namespace ember::cli {
namespace {

// One file in a directory of its own; both go with this object.
class Trial {
 public:
  explicit Trial(const std::string& directory)
      : directory_(JoinPath(directory, ".ember-doctor-XXXXXX")) {
    if (mkdtemp(directory_.data()) == nullptr) {
      error_ = errno;
      directory_.clear();
      return;
    }
    file_ = JoinPath(directory_, "file");
    other_ = JoinPath(directory_, "other");
    for (const std::string& path : {file_, other_}) {
      const Fd fd(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
      if (!fd.valid()) error_ = errno;
    }
  }
  ~Trial() {
    if (directory_.empty()) return;
    unlink(file_.c_str());
    unlink(other_.c_str());
    rmdir(directory_.c_str());
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  int error() const { return error_; }
  const std::string& file() const { return file_; }
  const std::string& other() const { return other_; }

 private:
  std::string directory_;
  std::string file_;
  std::string other_;
  int error_ = 0;
};

// u::rw- user:1234:r-- g::r-- m::r-- o::---, see acl(5) and the kernel's posix_acl_xattr.h.
constexpr absl::string_view kAcl(
    "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xd2\x04\x00\x00"
    "\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x00\x00"
    "\xff\xff\xff\xff",
    44);

int SetAttribute(const std::string& path, const char* name, absl::string_view value) {
  return setxattr(path.c_str(), name, value.data(), value.size(), 0) == 0 ? 0 : errno;
}

// 0 when a file may be larger than what it takes on disk.
int MakeHole(const std::string& path) {
  constexpr off_t kBytes = 1 << 20;
  struct stat info;
  if (truncate(path.c_str(), kBytes) != 0 || stat(path.c_str(), &info) != 0) return errno;
  return info.st_blocks * 512 < kBytes ? 0 : EOPNOTSUPP;
}

int Exchange(const std::string& a, const std::string& b) {
  return renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0 ? 0 : errno;
}

Finding Tried(const char* check, const std::string& directory, int error, const char* lost) {
  if (error == 0) return {Finding::kOk, check, absl::StrCat("work at ", directory), ""};
  return {Finding::kWarn, check,
          absl::StrCat("do not work at ", directory, " (", strerror(error), "): ", lost),
          "keep protected data on ext4, xfs or btrfs"};
}

}  // namespace

void CheckFileSystem(const std::string& directory, std::vector<Finding>* findings) {
  const Trial trial(directory);
  if (trial.error() != 0) {
    findings->push_back(
        {Finding::kFail, "file system",
         absl::StrCat("nothing can be written at ", directory, ": ", strerror(trial.error())),
         "name a directory that this user may write: ember doctor DIR"});
    return;
  }
  findings->push_back(Tried("xattrs", directory,
                            SetAttribute(trial.file(), "user.ember.doctor", "x"),
                            "a restore to there loses extended attributes, with a warning"));
  findings->push_back(Tried("ACLs", directory,
                            SetAttribute(trial.file(), "system.posix_acl_access", kAcl),
                            "a restore to there loses access control lists, with a warning"));
  findings->push_back(
      Tried("holes", directory, MakeHole(trial.file()), "sparse files take their full size"));
  findings->push_back(Tried("exchanges", directory, Exchange(trial.file(), trial.other()),
                            "for an instant of an in-place restore nothing has the name"));
}

}  // namespace ember::cli
