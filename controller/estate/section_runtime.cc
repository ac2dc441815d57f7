// The parts `sources`, `service` and `health` of a workload.
#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "controller/estate/sections.h"
#include "controller/estate/units.h"

namespace ember::controller {
namespace {

// Kinds of the format that a later version brings.
const std::vector<std::string>& LaterSources() {
  static const auto* kinds =
      new std::vector<std::string>{"vm", "postgresql", "mariadb", "redis", "sqlite", "command"};
  return *kinds;
}

const std::vector<std::string>& LaterServices() {
  static const auto* kinds = new std::vector<std::string>{"libvirt", "container"};
  return *kinds;
}

bool Contains(const std::vector<std::string>& words, absl::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void ReadFiles(const DocumentNode& node, absl::string_view path, Reading* reading,
               v1::FilesSource* files) {
  MapReader map(node, "files", &reading->problems);
  const DocumentNode* paths = map.Require("paths");
  if (paths != nullptr && ReadList(*paths, "paths", &reading->problems)) {
    if (paths->items.empty())
      reading->problems.Error(paths->position, "paths names nothing to back up");
    for (const auto& item : paths->items) {
      std::string directory;
      if (!ReadPath(*item, "path", reading, &directory)) continue;
      if (std::find(files->paths().begin(), files->paths().end(), directory) !=
          files->paths().end()) {
        reading->problems.Error(item->position, absl::StrCat("path '", directory, "' is repeated"));
      }
      reading->positions.Set(absl::StrCat(path, "/paths/", files->paths_size()), item->position);
      files->add_paths(directory);
    }
  }
  std::vector<std::string> exclude;
  if (const DocumentNode* globs = map.Take("exclude"))
    ReadStrings(*globs, "exclude", &reading->problems, &exclude);
  files->mutable_exclude()->Assign(exclude.begin(), exclude.end());
  bool one_file_system = false;
  if (map.Bool("one_file_system", &one_file_system)) files->set_one_file_system(one_file_system);
  map.RejectUnknownKeys();
}

void ReadExec(const DocumentNode& node, Reading* reading, v1::ExecService* exec) {
  Problems* const problems = &reading->problems;
  MapReader map(node, "exec", problems);
  if (const DocumentNode* command = map.Require("command")) {
    const std::vector<std::string> words = ReadCommand(*command, reading);
    exec->mutable_command()->Assign(words.begin(), words.end());
  }
  if (map.String("user", exec->mutable_user()) && exec->user()[0] == '-') {
    problems->Error(map.Of("user"), absl::StrCat("user '", exec->user(), "' is not a user name"));
  }
  if (const DocumentNode* directory = map.Take("directory")) {
    ReadPath(*directory, "directory", reading, exec->mutable_directory());
  }
  if (const DocumentNode* environment = map.Take("environment")) {
    const MapReader variables(*environment, "environment", problems);
    for (const auto& [name, value] : environment->entries) {
      std::string text;
      const bool read =
          ReadString(*value, "environment variable", problems, &text, /*allow_empty=*/true);
      if (name->text.empty() || name->text.size() > kVariableNameBytesMax ||
          name->text.find_first_of("=\0", 0, 2) != std::string::npos) {
        problems->Error(name->position, absl::StrCat("environment: a variable's name has 1 to ",
                                                     kVariableNameBytesMax, " bytes and no '='"));
      } else if (read) {
        (*exec->mutable_environment())[name->text] = text;
      }
    }
  }
  int64_t stop_timeout = kStopTimeoutSeconds;
  map.Seconds("stop_timeout", &stop_timeout);
  exec->set_stop_timeout_seconds(stop_timeout);
  map.RejectUnknownKeys();
}

void ReadSystemd(const DocumentNode& node, Reading* reading, v1::ServiceSpec* service) {
  std::string unit;
  if (!ReadString(node, "systemd", &reading->problems, &unit)) return;
  // As systemd.unit(5) has it; never an option of a command line.
  const bool valid = absl::ascii_isalnum(static_cast<unsigned char>(unit[0])) &&
                     std::all_of(unit.begin(), unit.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                              std::string(":-_.\\@").find(c) != std::string::npos;
                     });
  if (!valid)
    reading->problems.Error(node.position,
                            absl::StrCat("systemd: '", unit, "' is not the name of a unit"));
  service->set_systemd(unit);
}

// "3 in 5m".
void ReadRestart(const DocumentNode& node, Reading* reading, v1::ServiceSpec* service) {
  const std::vector<std::string> words = absl::StrSplit(node.text, ' ', absl::SkipEmpty());
  int limit = 0;
  const absl::StatusOr<int64_t> millis =
      words.size() == 3 ? ParseMillis(words[2]) : absl::StatusOr<int64_t>(0);
  if (words.size() != 3 || words[1] != "in" || !absl::SimpleAtoi(words[0], &limit) || limit < 1 ||
      limit > kRestartLimitMax || !millis.ok() || *millis < 1000 || *millis % 1000 != 0) {
    reading->problems.Error(
        node.position,
        absl::StrCat("restart: expected a text such as '3 in 5m', not ", Describe(node)));
    return;
  }
  service->set_restart_limit(limit);
  service->set_restart_window_seconds(*millis / 1000);
}

// `kinds` that are present in `map`; more than one is an error.
std::string OnlyKind(const std::vector<std::string>& kinds, MapReader* map, Reading* reading) {
  std::vector<std::string> present;
  for (const std::string& kind : kinds) {
    if (map->Take(kind) != nullptr) present.push_back(kind);
  }
  if (present.size() > 1) {
    reading->problems.Error(map->position(),
                            absl::StrCat(map->what(), " has more than one kind: ",
                                         absl::StrJoin(present, ", "), "; keep one"));
  }
  return present.empty() ? "" : present[0];
}

// HOST:PORT, an IPv6 address in brackets.
bool IsHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port))
    return false;
  const absl::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const bool plain = host.find_first_of(":[]/ \t\r\n") == absl::string_view::npos;
  return (bracketed || plain) && port >= 1 && port <= 65535 && absl::ascii_isdigit(text[colon + 1]);
}

void ReadHealthKind(absl::string_view kind, const DocumentNode& node, Reading* reading,
                    v1::HealthSpec* health) {
  Problems* const problems = &reading->problems;
  if (kind == "tcp") {
    if (ReadString(node, "tcp", problems, health->mutable_tcp()) && !IsHostPort(health->tcp())) {
      problems->Error(node.position, absl::StrCat("tcp: '", health->tcp(), "' is not HOST:PORT"));
    }
  } else if (kind == "http") {
    ReadUrl(node, "http", reading, health->mutable_http());
  } else if (kind == "command") {
    const std::vector<std::string> words = ReadCommand(node, reading);
    health->mutable_command()->mutable_command()->Assign(words.begin(), words.end());
  } else if (kind == "heartbeat") {
    int64_t millis = 0;
    ReadMillis(node, "heartbeat", kProbeEveryMillisMin, problems, &millis);
    health->set_heartbeat_millis(millis);
  } else {
    bool process = true;
    if (ReadBool(node, "process", problems, &process) && !process) {
      problems->Error(node.position,
                      "process: false leaves nothing to look at; name another kind instead");
    }
    health->set_process(true);
  }
}

}  // namespace

void ReadSource(const DocumentNode& node, absl::string_view path, Reading* reading,
                v1::SourceSpec* source) {
  reading->positions.Set(path, node.position);
  const auto [kind, value] = ReadSingle(node, "source", reading);
  if (value == nullptr) return;
  if (kind == "files") {
    ReadFiles(*value, path, reading, source->mutable_files());
  } else if (Contains(LaterSources(), kind)) {
    reading->problems.Error(
        node.entries[0].first->position,
        absl::StrCat("a '", kind, "' source is not supported by this version; use 'files'"));
  } else {
    std::vector<std::string> known = LaterSources();
    known.insert(known.begin(), "files");
    reading->problems.Error(node.entries[0].first->position,
                            absl::StrCat("unknown key '", kind, "' in source",
                                         reading->problems.Suggestion(kind, known, "known keys")));
  }
}

void ReadService(const DocumentNode* node, Reading* reading, v1::ServiceSpec* service) {
  service->set_restart_limit(kRestartLimit);
  service->set_restart_window_seconds(kRestartWindowSeconds);
  if (node == nullptr || (node->kind == DocumentNode::kScalar && node->text == "none")) {
    service->mutable_none();
    return;
  }
  MapReader map(*node, "service", &reading->problems);
  std::vector<std::string> kinds = {"systemd", "exec", "none"};
  kinds.insert(kinds.end(), LaterServices().begin(), LaterServices().end());
  const std::string kind = OnlyKind(kinds, &map, reading);
  const DocumentNode* value = kind.empty() ? nullptr : map.Take(kind);
  if (Contains(LaterServices(), kind)) {
    reading->problems.Error(
        value->position,
        absl::StrCat("a '", kind, "' service is not supported by this version; use ",
                     "'systemd' or 'exec'"));
  } else if (kind == "exec") {
    ReadExec(*value, reading, service->mutable_exec());
  } else if (kind == "systemd") {
    ReadSystemd(*value, reading, service);
  } else if (kind == "none") {
    service->mutable_none();
  } else if (map.is_map()) {
    reading->problems.Error(node->position, "service has no kind: one of systemd, exec, none");
  }
  if (const DocumentNode* restart = map.Take("restart")) ReadRestart(*restart, reading, service);
  map.RejectUnknownKeys();
}

void ReadHealth(const DocumentNode* node, Reading* reading, v1::HealthSpec* health) {
  int64_t every = kProbeEveryMillis;
  int64_t timeout = kProbeTimeoutMillis;
  int failures = kProbeFailures;
  health->set_process(true);
  if (node != nullptr) {
    MapReader map(*node, "health", &reading->problems);
    const std::string kind =
        OnlyKind({"process", "tcp", "http", "command", "heartbeat"}, &map, reading);
    if (!kind.empty()) ReadHealthKind(kind, *map.Take(kind), reading, health);
    map.Millis("every", kProbeEveryMillisMin, &every);
    map.Millis("timeout", 1, &timeout);
    map.Int("failures", 1, kProbeFailuresMax, &failures);
    map.RejectUnknownKeys();
  }
  health->set_every_millis(every);
  health->set_timeout_millis(timeout);
  health->set_failures(failures);
}

}  // namespace ember::controller
