// A directory that goes away with the test.
#ifndef EMBER_TESTS_SUPPORT_TEMP_DIR_H_
#define EMBER_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>

#include "absl/strings/string_view.h"

namespace ember::testing {

class TempDir {
 public:
  TempDir();
  explicit TempDir(const std::string& base);  // in `base`
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string Join(absl::string_view name) const;

 private:
  std::string path_;
};

// `to` becomes a copy of a directory in which others delete files meanwhile. False: one vanished
// just then, and `to` is nothing; try again.
bool CopyLive(const std::string& from, const std::string& to);

// Where many small files are quickest: a file system in memory when there is one with room, else
// where TempDir is by itself.
std::string FastDirectory();

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_TEMP_DIR_H_
