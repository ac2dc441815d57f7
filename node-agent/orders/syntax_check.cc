#include "node-agent/orders/syntax_check.h"

#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/files/entry_path.h"
#include "nlohmann/json.hpp"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace ember::agent {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

// Hears a document and keeps nothing of it.
class Deaf final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

bool IsJson(absl::string_view path) { return absl::EndsWithIgnoreCase(path, ".json"); }
bool IsYaml(absl::string_view path) {
  return absl::EndsWithIgnoreCase(path, ".yaml") || absl::EndsWithIgnoreCase(path, ".yml");
}

bool IsWorthALook(const Entry& entry) {
  return entry.type() == EntryType::FILE &&
         entry.size() <= static_cast<int64_t>(kSyntaxCheckBytesMax) &&
         (IsJson(entry.path()) || IsYaml(entry.path()));
}

void Warn(const std::string& path, absl::string_view problem, v1::RestoreResult* result) {
  if (result->warnings_size() >= static_cast<int>(kProblemsReportedMax)) return;
  v1::PathProblem* warning = result->add_warnings();
  warning->set_path(path);
  warning->set_problem(std::string(problem));
}

void CheckFile(const Entry& entry, v1::RestoreResult* result) {
  const std::string path = absl::StrCat("/", entry.path());
  const auto text = ReadFile(path, kSyntaxCheckBytesMax);
  if (!text.ok()) return;
  const absl::Status status = IsJson(path) ? CheckJson(*text) : CheckYaml(*text);
  if (!status.ok()) Warn(path, status.message(), result);
}

}  // namespace

absl::Status CheckJson(absl::string_view text) {
  if (nlohmann::json::accept(text.begin(), text.end(), /*ignore_comments=*/true))
    return absl::OkStatus();
  return absl::InvalidArgumentError("it is restored, but it is not valid JSON");
}

// The one place here where yaml-cpp's exceptions are caught.
absl::Status CheckYaml(absl::string_view text) {
  std::istringstream stream{std::string(text)};
  Deaf deaf;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(deaf)) {
    }
    return absl::OkStatus();
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "it is restored, but it is not valid YAML: line ", error.mark.line + 1, ": ", error.msg));
  }
}

void CheckSyntax(backup::RestoreReader* reader, const std::vector<std::string>& paths,
                 v1::RestoreResult* result) {
  backup::RestoreOptions options;
  options.anyway = true;  // what is damaged was told by the restore
  for (const std::string& owners_path : paths) {
    const auto path = files::EntryPath(owners_path);
    if (path.ok()) options.paths.push_back(*path);
  }
  size_t looked = 0;
  const absl::Status read = reader->ForEachEntry(options, [&](const Entry& entry) {
    if (!IsWorthALook(entry)) return absl::OkStatus();
    if (++looked > kSyntaxCheckFilesMax) {
      Warn(absl::StrCat("/", entry.path()),
           absl::StrCat("from here on the syntax of settings files was not checked: more than ",
                        kSyntaxCheckFilesMax),
           result);
      return absl::CancelledError();
    }
    CheckFile(entry, result);
    return absl::OkStatus();
  });
  if (!read.ok() && looked <= kSyntaxCheckFilesMax)
    LogWarning("restore", "settings files were not checked", {{"error", read.message()}});
}

}  // namespace ember::agent
