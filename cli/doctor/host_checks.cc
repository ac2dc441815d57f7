#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/doctor/finding.h"
#include "cli/format.h"
#include "common/base/file.h"
#include "common/base/limits.h"

namespace ember::cli {
namespace {

// What a full restore needs, by the kernel's numbers (capabilities(7)).
struct Capability {
  int number;
  const char* name;
  const char* without_it;
};
constexpr Capability kNeeded[] = {
    {0, "CAP_CHOWN", "owners"},
    {1, "CAP_DAC_OVERRIDE", "files of others"},
    {3, "CAP_FOWNER", "modes, times and ACLs of others' files"},
    {21, "CAP_SYS_ADMIN", "trusted attributes"},
    {27, "CAP_MKNOD", "devices"},
    {31, "CAP_SETFCAP", "file capabilities"},
};

// The effective capabilities of this process, one bit each; 0 when the kernel does not say.
uint64_t EffectiveCapabilities() {
  const auto status = ReadFile("/proc/self/status");
  if (!status.ok()) return 0;
  for (absl::string_view line : absl::StrSplit(*status, '\n')) {
    uint64_t bits = 0;
    if (absl::ConsumePrefix(&line, "CapEff:\t") && absl::SimpleHexAtoi(line, &bits)) return bits;
  }
  return 0;
}

Finding Permissions() {
  const uint64_t held = EffectiveCapabilities();
  std::vector<std::string> missing;
  std::vector<std::string> lost;
  for (const Capability& each : kNeeded) {
    if ((held >> each.number & 1) != 0) continue;
    missing.push_back(each.name);
    lost.push_back(each.without_it);
  }
  const std::string who = geteuid() == 0 ? "root" : absl::StrCat("user ", geteuid());
  if (missing.empty())
    return {Finding::kOk, "permissions", who + ": a restore can set everything", ""};
  return {Finding::kWarn, "permissions",
          absl::StrCat(who, " lacks ", absl::StrJoin(missing, ", "), ": a restore cannot set ",
                       absl::StrJoin(lost, ", ")),
          "run the agent as root (deploy/ember-agent.service does)"};
}

Finding Room(const std::string& directory) {
  struct statvfs system;
  if (statvfs(directory.c_str(), &system) != 0) {
    return {Finding::kFail, "space", absl::StrCat(directory, ": ", strerror(errno)),
            "name a directory that exists: ember doctor DIR"};
  }
  const auto free = static_cast<int64_t>(system.f_bavail * system.f_frsize);
  const std::string found = absl::StrCat(FormatBytes(free), " free at ", directory);
  const bool inodes = system.f_files == 0 || system.f_favail > 0;
  if (free == 0 || !inodes) {
    return {Finding::kFail, "space", inodes ? found : absl::StrCat("no inodes at ", directory),
            "free some, or use another file system"};
  }
  if (free < kDoctorFreeBytes)
    return {Finding::kWarn, "space", found, "free some before it is full"};
  return {Finding::kOk, "space", found, ""};
}

Finding Libvirt() {
  for (const char* socket : {"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"}) {
    if (FileExists(socket))
      return {Finding::kOk, "libvirt", absl::StrCat("listens at ", socket), ""};
  }
  return {Finding::kOk, "libvirt", "not here; only machines that hold virtual machines need it",
          ""};
}

}  // namespace

void CheckHost(const std::string& directory, std::vector<Finding>* findings) {
  struct utsname kernel;
  const bool known = uname(&kernel) == 0;
  findings->push_back(
      {Finding::kOk, "version",
       absl::StrCat("ember ", kVersion, known ? " on " : "", known ? kernel.sysname : "",
                    known ? " " : "", known ? kernel.release : ""),
       ""});
  findings->push_back(Permissions());
  findings->push_back(Room(directory));
  findings->push_back(Libvirt());
}

}  // namespace ember::cli
