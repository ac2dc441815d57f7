#include "controller/estate/sections.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"

namespace ember::controller {

std::string LabelOf(absl::string_view kind, const DocumentNode& node) {
  for (const auto& [key, value] : node.entries) {
    if (key->text == "name" && !value->text.empty())
      return absl::StrCat(kind, " ", Describe(*value));
  }
  return std::string(kind);
}

std::string ReadName(absl::string_view kind, absl::string_view key, absl::string_view path,
                     MapReader* map, Reading* reading) {
  const DocumentNode* node = map->Require(key);
  std::string name;
  if (node == nullptr || !ReadString(*node, key, &reading->problems, &name)) return "";
  const absl::Status valid = ValidateName(kind, name);
  if (!valid.ok()) {
    reading->problems.Error(node->position, valid.message());
    return "";
  }
  reading->positions.Set(absl::StrCat(path, "/", key), node->position);
  return name;
}

void AddName(absl::string_view kind, absl::string_view key, const DocumentNode& item,
             absl::string_view path, absl::string_view owner, Reading* reading,
             google::protobuf::RepeatedPtrField<std::string>* names) {
  std::string name;
  if (!ReadString(item, absl::StrCat(key, " of ", owner), &reading->problems, &name)) return;
  const absl::Status valid = ValidateName(kind, name);
  if (!valid.ok()) {
    reading->problems.Error(item.position, valid.message());
  } else if (std::find(names->begin(), names->end(), name) != names->end()) {
    reading->problems.Error(
        item.position, absl::StrCat(kind, " '", name, "' is repeated in ", key, " of ", owner));
  } else {
    reading->positions.Set(absl::StrCat(path, "/", key, "/", names->size()), item.position);
    *names->Add() = std::move(name);
  }
}

void ReadNames(absl::string_view kind, absl::string_view key, absl::string_view path,
               MapReader* map, Reading* reading,
               google::protobuf::RepeatedPtrField<std::string>* names) {
  const DocumentNode* list = map->Take(key);
  if (list == nullptr || !ReadList(*list, key, &reading->problems)) return;
  for (const auto& item : list->items) AddName(kind, key, *item, path, map->what(), reading, names);
}

std::vector<std::string> ReadCommand(const DocumentNode& node, Reading* reading) {
  std::vector<std::string> command;
  if (node.kind != DocumentNode::kList) {
    reading->problems.Error(
        node.position,
        absl::StrCat("command: expected a list such as [/usr/bin/true, argument], not ",
                     Describe(node)));
    return {};
  }
  if (!ReadStrings(node, "command", &reading->problems, &command, /*allow_empty_elements=*/true))
    return {};
  if (command.empty() || command[0].empty()) {
    reading->problems.Error(node.position, "command is empty: it begins with a program");
  }
  return command;
}

bool ReadPath(const DocumentNode& node, absl::string_view what, Reading* reading,
              std::string* path) {
  std::string text;
  if (!ReadString(node, what, &reading->problems, &text)) return false;
  if (text[0] != '/') {
    reading->problems.Error(
        node.position, absl::StrCat(what, " '", text, "' is not absolute: it begins with '/'"));
    return false;
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/', absl::SkipEmpty());
  for (absl::string_view part : parts) {
    if (part == "." || part == "..") {
      reading->problems.Error(node.position,
                              absl::StrCat(what, " '", text, "' goes through '", part, "'"));
      return false;
    }
  }
  *path = absl::StrCat("/", absl::StrJoin(parts, "/"));
  return true;
}

void ReadUrl(const DocumentNode& node, absl::string_view what, Reading* reading, std::string* url) {
  if (!ReadString(node, what, &reading->problems, url)) return;
  const absl::string_view text = *url;
  const bool scheme = absl::StartsWith(text, "http://") || absl::StartsWith(text, "https://");
  const size_t host = text.find("://") + 3;
  if (!scheme || host >= text.size() || text[host] == '/' ||
      text.find_first_of(" \t\r\n") != text.npos) {
    reading->problems.Error(node.position,
                            absl::StrCat(what, " '", text, "' is not a URL (http://HOST/…)"));
  }
}

std::pair<std::string, const DocumentNode*> ReadSingle(const DocumentNode& node,
                                                       absl::string_view what, Reading* reading) {
  const bool single = node.kind == DocumentNode::kMap && node.entries.size() == 1 &&
                      node.entries[0].first->kind == DocumentNode::kScalar;
  if (!single) {
    reading->problems.Error(node.position,
                            absl::StrCat(what, ": expected one {kind: …}, not ",
                                         node.entries.size() > 1 ? "several" : Describe(node)));
    return {"", nullptr};
  }
  return {node.entries[0].first->text, node.entries[0].second.get()};
}

}  // namespace ember::controller
