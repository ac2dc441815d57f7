#include "controller/estate/map_reader.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "controller/estate/units.h"

namespace ember::controller {
namespace {

constexpr size_t kShownBytes = 60;

void Expected(const DocumentNode& node, absl::string_view what, absl::string_view expected,
              Problems* problems) {
  problems->Error(node.position,
                  absl::StrCat(what, ": expected ", expected, ", not ", Describe(node)));
}

bool IsDigits(absl::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == absl::string_view::npos;
}

}  // namespace

std::string Describe(const DocumentNode& node) {
  switch (node.kind) {
    case DocumentNode::kNull: return "nothing";
    case DocumentNode::kList: return "a list";
    case DocumentNode::kMap: return "a map";
    case DocumentNode::kScalar: break;
  }
  if (node.text.size() <= kShownBytes) return absl::StrCat("'", node.text, "'");
  return "a long text";
}

bool ReadString(const DocumentNode& node, absl::string_view what, Problems* problems,
                std::string* out, bool allow_empty) {
  if (node.kind != DocumentNode::kScalar) {
    Expected(node, what, "a text", problems);
    return false;
  }
  if (node.text.empty() && !allow_empty) {
    problems->Error(node.position, absl::StrCat(what, " is empty"));
    return false;
  }
  if (node.text.find('\0') != std::string::npos) {
    problems->Error(node.position, absl::StrCat(what, " holds a zero byte"));
    return false;
  }
  *out = node.text;
  return true;
}

bool ReadList(const DocumentNode& node, absl::string_view what, Problems* problems) {
  if (node.kind == DocumentNode::kList) return true;
  Expected(node, what, "a list ([a, b], or [] for none)", problems);
  return false;
}

bool ReadStrings(const DocumentNode& node, absl::string_view what, Problems* problems,
                 std::vector<std::string>* out, bool allow_empty_elements) {
  if (!ReadList(node, what, problems)) return false;
  bool ok = true;
  for (const auto& item : node.items) {
    std::string text;
    if (ReadString(*item, what, problems, &text, allow_empty_elements)) {
      out->push_back(std::move(text));
    } else {
      ok = false;
    }
  }
  return ok;
}

bool ReadBool(const DocumentNode& node, absl::string_view what, Problems* problems, bool* out) {
  if (node.kind == DocumentNode::kScalar && (node.text == "true" || node.text == "false")) {
    *out = node.text == "true";
    return true;
  }
  Expected(node, what, "true or false", problems);
  return false;
}

bool ReadInt(const DocumentNode& node, absl::string_view what, int min, int max, Problems* problems,
             int* out) {
  int value = 0;
  const bool number = node.kind == DocumentNode::kScalar && IsDigits(node.text) &&
                      absl::SimpleAtoi(node.text, &value);
  if (!number || value < min || value > max) {
    Expected(node, what, absl::StrCat("a number from ", min, " to ", max), problems);
    return false;
  }
  *out = value;
  return true;
}

bool ReadPercent(const DocumentNode& node, absl::string_view what, Problems* problems, int* out) {
  absl::string_view digits = node.text;
  int value = 0;
  if (node.kind != DocumentNode::kScalar || !absl::ConsumeSuffix(&digits, "%") ||
      !IsDigits(digits) || !absl::SimpleAtoi(digits, &value) || value < 1 || value > 100) {
    Expected(node, what, "1% to 100%", problems);
    return false;
  }
  *out = value;
  return true;
}

bool ReadSize(const DocumentNode& node, absl::string_view what, Problems* problems, int64_t* out) {
  const absl::StatusOr<int64_t> size = ParseSize(node.text);
  if (node.kind != DocumentNode::kScalar || !size.ok() || *size == 0) {
    Expected(node, what, "a size such as 512MiB or 2GiB", problems);
    return false;
  }
  *out = *size;
  return true;
}

bool ReadMillis(const DocumentNode& node, absl::string_view what, int64_t min_millis,
                Problems* problems, int64_t* out) {
  if (node.kind != DocumentNode::kScalar) {
    Expected(node, what, "a duration such as 20s or 5m", problems);
    return false;
  }
  const absl::StatusOr<int64_t> millis = ParseMillis(node.text);
  if (!millis.ok()) {
    problems->Error(node.position, absl::StrCat(what, ": ", millis.status().message()));
    return false;
  }
  if (*millis < min_millis) {
    problems->Error(node.position, absl::StrCat(what, " is ", FormatMillis(*millis),
                                                ", the least is ", FormatMillis(min_millis)));
    return false;
  }
  *out = *millis;
  return true;
}

bool ReadSeconds(const DocumentNode& node, absl::string_view what, Problems* problems,
                 int64_t* out) {
  int64_t millis = 0;
  if (!ReadMillis(node, what, 1000, problems, &millis)) return false;
  if (millis % 1000 != 0) {
    problems->Error(node.position, absl::StrCat(what, " is ", FormatMillis(millis),
                                                ", not a whole number of seconds"));
    return false;
  }
  *out = millis / 1000;
  return true;
}

int ReadWord(const DocumentNode& node, absl::string_view what,
             const std::vector<std::string>& words, Problems* problems) {
  std::string text;
  if (!ReadString(node, what, problems, &text)) return -1;
  const auto it = std::find(words.begin(), words.end(), text);
  if (it != words.end()) return static_cast<int>(it - words.begin());
  problems->Error(node.position, absl::StrCat(what, ": '", text, "' is not known",
                                              problems->Suggestion(text, words, "it is one of")));
  return -1;
}

MapReader::MapReader(const DocumentNode& node, absl::string_view what, Problems* problems)
    : node_(node), what_(what), problems_(problems) {
  if (!is_map()) {
    Expected(node, what, "a map (key: value)", problems);
    return;
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (const auto& [key, value] : node.entries) {
    if (key->kind != DocumentNode::kScalar) {
      problems->Error(key->position,
                      absl::StrCat("a key of ", what, " is ", Describe(*key), ", not a word"));
    } else if (!seen.insert(key->text).second) {
      problems->Error(key->position, absl::StrCat("key '", key->text, "' is repeated in ", what));
    }
  }
}

const DocumentNode* MapReader::Find(absl::string_view key) const {
  for (const auto& [name, value] : node_.entries) {
    if (name->kind == DocumentNode::kScalar && name->text == key) return value.get();
  }
  return nullptr;
}

const DocumentNode* MapReader::Take(absl::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return Find(key);
}

Position MapReader::Of(absl::string_view key) const {
  const DocumentNode* value = Find(key);
  return value == nullptr ? node_.position : value->position;
}

const DocumentNode* MapReader::Require(absl::string_view key) {
  const DocumentNode* value = Take(key);
  if (value == nullptr && is_map()) {
    problems_->Error(node_.position, absl::StrCat(what_, " has no '", key, "'"));
  }
  return value;
}

bool MapReader::String(absl::string_view key, std::string* out) {
  const DocumentNode* value = Take(key);
  return value != nullptr && ReadString(*value, key, problems_, out);
}

bool MapReader::Bool(absl::string_view key, bool* out) {
  const DocumentNode* value = Take(key);
  return value != nullptr && ReadBool(*value, key, problems_, out);
}

bool MapReader::Int(absl::string_view key, int min, int max, int* out) {
  const DocumentNode* value = Take(key);
  return value != nullptr && ReadInt(*value, key, min, max, problems_, out);
}

bool MapReader::Millis(absl::string_view key, int64_t min_millis, int64_t* out) {
  const DocumentNode* value = Take(key);
  return value != nullptr && ReadMillis(*value, key, min_millis, problems_, out);
}

bool MapReader::Seconds(absl::string_view key, int64_t* out) {
  const DocumentNode* value = Take(key);
  return value != nullptr && ReadSeconds(*value, key, problems_, out);
}

void MapReader::RejectUnknownKeys() {
  for (const auto& [key, value] : node_.entries) {
    if (key->kind != DocumentNode::kScalar ||
        std::find(known_.begin(), known_.end(), key->text) != known_.end()) {
      continue;
    }
    problems_->Error(key->position,
                     absl::StrCat("unknown key '", key->text, "' in ", what_,
                                  problems_->Suggestion(key->text, known_, "known keys")));
  }
}

}  // namespace ember::controller
