#include "tests/golden/golden_vault.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace ember::testing {
namespace {

constexpr std::pair<GoldenState, const char*> kStates[] = {{GoldenState::kCommitted, "committed"},
                                                           {GoldenState::kTrashed, "trashed"},
                                                           {GoldenState::kPurged, "purged"}};

// Quotes by apostrophes: no name here has one.
absl::Status RunTar(const std::string& arguments) {
  const std::string command = absl::StrCat("LC_ALL=C tar ", arguments);
  return std::system(command.c_str()) == 0 ? absl::OkStatus()
                                           : absl::UnknownError(absl::StrCat("failed: ", command));
}

absl::StatusOr<std::pair<std::string, GoldenBackup>> ParseHead(absl::string_view line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  for (const auto& [state, name] : kStates) {
    if (words.size() == 3 && words[2] == name)
      return std::make_pair(words[1], GoldenBackup{.state = state, .lines = {}});
  }
  return absl::InvalidArgumentError(absl::StrCat("not the head of a backup: ", line));
}

}  // namespace

std::string ToText(const GoldenTree& tree) {
  std::string text;
  for (const auto& [id, backup] : tree) {
    for (const auto& [state, name] : kStates) {
      if (state == backup.state) absl::StrAppend(&text, "backup ", id, " ", name, "\n");
    }
    for (const std::string& line : backup.lines) absl::StrAppend(&text, line, "\n");
  }
  return text;
}

absl::StatusOr<GoldenTree> ParseTree(const std::string& text) {
  GoldenTree tree;
  GoldenBackup* current = nullptr;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, "backup ")) {
      auto head = ParseHead(line);
      if (!head.ok()) return head.status();
      current = &tree.insert(*std::move(head)).first->second;
    } else if (current == nullptr) {
      return absl::InvalidArgumentError("an entry of no backup");
    } else {
      current->lines.emplace_back(line);
    }
  }
  return tree;
}

absl::Status Unpack(const std::string& tar, const std::string& directory) {
  std::filesystem::create_directories(directory);
  return RunTar(absl::StrCat("-xf '", tar, "' -C '", directory, "' --no-same-owner"));
}

absl::Status Pack(const std::string& directory, const std::string& tar) {
  return RunTar(
      absl::StrCat("-cf '", tar, "' -C '", directory,
                   "' --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0"
                   " --format=ustar --exclude=./index --exclude=./LOCK --exclude=./tmp ."));
}

}  // namespace ember::testing
