// Typed reading of a document: each function reports what is wrong at its place and goes on, so
// that one pass finds every error of a file.
#ifndef EMBER_CONTROLLER_ESTATE_MAP_READER_H_
#define EMBER_CONTROLLER_ESTATE_MAP_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/estate/document.h"
#include "controller/estate/problems.h"

namespace ember::controller {

// What an expected type is not: "a list", "a map", "nothing", "'abc'".
std::string Describe(const DocumentNode& node);

// Each returns false after reporting; `what` names the value in the message ("schedule"). A string
// is not empty unless `allow_empty`, and holds no NUL byte.
bool ReadString(const DocumentNode& node, absl::string_view what, Problems* problems,
                std::string* out, bool allow_empty = false);
bool ReadStrings(const DocumentNode& node, absl::string_view what, Problems* problems,
                 std::vector<std::string>* out, bool allow_empty_elements = false);
bool ReadBool(const DocumentNode& node, absl::string_view what, Problems* problems, bool* out);
bool ReadInt(const DocumentNode& node, absl::string_view what, int min, int max, Problems* problems,
             int* out);
bool ReadPercent(const DocumentNode& node, absl::string_view what, Problems* problems, int* out);
// A size such as 2GiB, not 0, in bytes.
bool ReadSize(const DocumentNode& node, absl::string_view what, Problems* problems, int64_t* out);
bool ReadMillis(const DocumentNode& node, absl::string_view what, int64_t min_millis,
                Problems* problems, int64_t* out);
// A duration of at least a second, whole.
bool ReadSeconds(const DocumentNode& node, absl::string_view what, Problems* problems,
                 int64_t* out);
bool ReadList(const DocumentNode& node, absl::string_view what, Problems* problems);

// One map. Keys that were never taken are unknown.
class MapReader {
 public:
  // Reports when `node` is no map, a key is no word, or a key is repeated. `what`: "policy
  // 'daily'".
  MapReader(const DocumentNode& node, absl::string_view what, Problems* problems);

  const std::string& what() const { return what_; }
  Position position() const { return node_.position; }
  bool is_map() const { return node_.kind == DocumentNode::kMap; }

  // The value of `key`, null when absent. From now on the key is known.
  const DocumentNode* Take(absl::string_view key);
  // The value's place, the map's when absent. Does not make the key known.
  Position Of(absl::string_view key) const;
  // Like Take, but reports a key that is absent.
  const DocumentNode* Require(absl::string_view key);

  // False when absent or wrong (and then reported).
  bool String(absl::string_view key, std::string* out);
  bool Bool(absl::string_view key, bool* out);
  bool Int(absl::string_view key, int min, int max, int* out);
  bool Millis(absl::string_view key, int64_t min_millis, int64_t* out);
  bool Seconds(absl::string_view key, int64_t* out);

  // Reports the keys nobody asked for, with the nearest that is known.
  void RejectUnknownKeys();

 private:
  const DocumentNode* Find(absl::string_view key) const;

  const DocumentNode& node_;
  const std::string what_;
  Problems* const problems_;
  std::vector<std::string> known_;
};

// The word that `node` must be one of: its index in `words`, -1 after reporting.
int ReadWord(const DocumentNode& node, absl::string_view what,
             const std::vector<std::string>& words, Problems* problems);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_MAP_READER_H_
