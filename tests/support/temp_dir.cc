#include "tests/support/temp_dir.h"

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "common/base/file.h"

namespace ember::testing {

namespace {

std::string UsualDirectory() {
  const char* base = getenv("TMPDIR");
  return base != nullptr ? base : "/tmp";
}

}  // namespace

TempDir::TempDir() : TempDir(UsualDirectory()) {}

TempDir::TempDir(const std::string& base) {
  std::string pattern = JoinPath(base, "ember-test-XXXXXX");
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Join(absl::string_view name) const { return JoinPath(path_, name); }

bool CopyLive(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive, error);
  return !error;
}

std::string FastDirectory() {
  constexpr char kMemory[] = "/dev/shm";
  constexpr uint64_t kRoomBytes = 1 << 30;
  struct statvfs info;
  const bool has_room = access(kMemory, W_OK) == 0 && statvfs(kMemory, &info) == 0 &&
                        info.f_bavail * info.f_frsize >= kRoomBytes;
  return has_room ? kMemory : UsualDirectory();
}

}  // namespace ember::testing
