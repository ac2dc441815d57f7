#include "common/files/xattr.h"

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/entry_path.h"

namespace ember::files {
namespace {

// The system calls take a path or a descriptor that can read; objects that cannot be opened (links,
// sockets) are reached through the descriptor of their directory, so that the path stays short and
// no other link is followed.
std::string ProcPath(const Object& object) {
  return absl::StrCat("/proc/self/fd/", object.directory, "/", object.name);
}

ssize_t List(const Object& object, const std::string& path, char* buffer, size_t size) {
  return object.fd >= 0 ? flistxattr(object.fd, buffer, size)
                        : llistxattr(path.c_str(), buffer, size);
}

ssize_t Get(const Object& object, const std::string& path, const char* name, char* buffer,
            size_t size) {
  return object.fd >= 0 ? fgetxattr(object.fd, name, buffer, size)
                        : lgetxattr(path.c_str(), name, buffer, size);
}

// Calls `get` with a growing buffer: the size may change between asking for it and reading.
template <typename GetInto>
bool Grow(GetInto get, std::string* out) {
  char small[1024];
  ssize_t size = get(small, sizeof small);
  if (size >= 0) {
    out->assign(small, size);
    return true;
  }
  while (errno == ERANGE) {
    size = get(nullptr, 0);
    if (size < 0) return false;
    out->resize(std::max<ssize_t>(size, 1));
    size = get(out->data(), out->size());
    if (size >= 0) {
      out->resize(size);
      return true;
    }
  }
  return false;
}

}  // namespace

std::string ReadXattrs(const Object& object, format::v1::Entry* entry) {
  const std::string path = object.fd >= 0 ? "" : ProcPath(object);
  std::string names;
  if (!Grow([&](char* buffer, size_t size) { return List(object, path, buffer, size); }, &names)) {
    if (errno == ENOTSUP || errno == ENOSYS) return "";
    return absl::StrCat("its extended attributes cannot be listed: ", strerror(errno));
  }
  std::vector<std::string> sorted = absl::StrSplit(names, '\0', absl::SkipEmpty());
  std::sort(sorted.begin(), sorted.end());
  std::string problem;
  for (const std::string& name : sorted) {
    std::string value;
    if (Grow([&](char* buffer,
                 size_t size) { return Get(object, path, name.c_str(), buffer, size); },
             &value)) {
      auto* xattr = entry->add_xattrs();
      xattr->set_name(name);
      xattr->set_value(std::move(value));
    } else if (errno != ENODATA) {  // ENODATA: removed since it was listed
      problem = absl::StrCat("its extended attribute ", Shown(name).substr(1),
                             " cannot be read: ", strerror(errno));
    }
  }
  return problem;
}

void ApplyXattrs(const Object& object, const format::v1::Entry& entry,
                 const AttributeProblem& problem) {
  if (entry.xattrs().empty()) return;
  const std::string path = object.fd >= 0 ? "" : ProcPath(object);
  for (const auto& xattr : entry.xattrs()) {
    const char* name = xattr.name().c_str();
    const int result =
        object.fd >= 0
            ? fsetxattr(object.fd, name, xattr.value().data(), xattr.value().size(), 0)
            : lsetxattr(path.c_str(), name, xattr.value().data(), xattr.value().size(), 0);
    if (result == 0) continue;
    const int error = errno;
    const std::string shown = Shown(xattr.name()).substr(1);
    problem(absl::StrCat("xattr ", shown),
            absl::StrCat("the extended attribute ", shown, " could not be set: ", strerror(error)));
  }
}

void RemoveOtherXattrs(int fd, const format::v1::Entry& entry) {
  format::v1::Entry now;
  ReadXattrs({.fd = fd}, &now);
  for (const auto& xattr : now.xattrs()) {
    const bool kept =
        std::any_of(entry.xattrs().begin(), entry.xattrs().end(),
                    [&](const auto& wanted) { return wanted.name() == xattr.name(); });
    // Security modules label every object; their attributes are not ours to remove.
    const bool label = xattr.name() == "security.selinux" || xattr.name() == "security.SMACK64";
    if (!kept && !label) fremovexattr(fd, xattr.name().c_str());
  }
}

void RemoveInheritedAcls(int fd) {
  fremovexattr(fd, "system.posix_acl_default");
  fremovexattr(fd, "system.posix_acl_access");
}

}  // namespace ember::files
