#include "tests/support/temp_dir.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "common/base/file.h"

namespace ember::testing {

TempDir::TempDir() {
  const char* base = getenv("TMPDIR");
  std::string pattern = JoinPath(base != nullptr ? base : "/tmp", "ember-test-XXXXXX");
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Join(absl::string_view name) const { return JoinPath(path_, name); }

}  // namespace ember::testing
