#include "node-agent/service/guard_record.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <map>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember::agent {
namespace {

const std::map<GuardState, std::string>& StateNames() {
  static const auto* names = new std::map<GuardState, std::string>{
      {GuardState::kStarting, "starting"}, {GuardState::kRunning, "running"},
      {GuardState::kStopping, "stopping"}, {GuardState::kExited, "exited"},
      {GuardState::kStopped, "stopped"},   {GuardState::kFenced, "fenced"},
      {GuardState::kFailed, "failed"}};
  return *names;
}

bool ParseState(const std::string& name, GuardState* state) {
  for (const auto& [value, known] : StateNames()) {
    if (known == name) {
      *state = value;
      return true;
    }
  }
  return false;
}

bool ParseIdentity(const std::string& text, ProcessIdentity* identity) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  return parts.size() == 2 && absl::SimpleAtoi(parts[0], &identity->pid) &&
         absl::SimpleAtoi(parts[1], &identity->start_ticks);
}

bool ParseTime(const std::string& text, absl::Time* time) {
  int64_t millis;
  if (!absl::SimpleAtoi(text, &millis)) return false;
  *time = absl::FromUnixMillis(millis);
  return true;
}

std::string Format(const ProcessIdentity& identity) {
  return absl::StrCat(identity.pid, "/", identity.start_ticks);
}

}  // namespace

bool IsActive(GuardState state) {
  return state == GuardState::kStarting || state == GuardState::kRunning ||
         state == GuardState::kStopping;
}

bool GuardLives(const GuardRecord& record) {
  const absl::StatusOr<std::string> boot_id = BootId();
  return boot_id.ok() && *boot_id == record.boot_id && IsAlive(record.guard);
}

absl::StatusOr<GuardRecord> ReadGuardRecord(const std::string& state_directory) {
  const std::string path = JoinPath(state_directory, kStatusFile);
  EMBER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::map<std::string, std::string> fields;  // keys of a newer version are passed over
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    fields.insert(field);
  }
  GuardRecord record;
  record.boot_id = fields["boot"];
  record.run = fields["run"];
  if (!ParseState(fields["state"], &record.state) || record.boot_id.empty() ||
      !ParseIdentity(fields["guard"], &record.guard) ||
      !ParseIdentity(fields["command"], &record.command) ||
      !absl::SimpleAtoi(fields["exit_status"], &record.exit_status) ||
      !ParseTime(fields["started_millis"], &record.started) ||
      !ParseTime(fields["ended_millis"], &record.ended) ||
      !absl::CUnescape(fields["reason"], &record.reason)) {
    return Damaged(path, "not the record of a guard");
  }
  return record;
}

absl::Status WriteGuardRecord(const std::string& state_directory, const GuardRecord& record) {
  const std::string text = absl::StrCat(
      "state ", StateNames().at(record.state), "\nboot ", record.boot_id, "\nrun ", record.run,
      "\nguard ", Format(record.guard), "\ncommand ", Format(record.command), "\nexit_status ",
      record.exit_status, "\nstarted_millis ", absl::ToUnixMillis(record.started),
      "\nended_millis ", absl::ToUnixMillis(record.ended), "\nreason ",
      absl::CEscape(record.reason), "\n");
  return WriteFileAtomic(JoinPath(state_directory, kStatusFile), text);
}

absl::StatusOr<absl::Duration> ReadDeadline(const std::string& state_directory) {
  const std::string path = JoinPath(state_directory, kDeadlineFile);
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return absl::InfiniteDuration();
  EMBER_RETURN_IF_ERROR(text.status());
  const std::vector<std::string> parts =
      absl::StrSplit(*text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  int64_t nanoseconds;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &nanoseconds))
    return Damaged(path, "not a deadline");
  EMBER_ASSIGN_OR_RETURN(const std::string boot_id, BootId());
  if (parts[0] != boot_id) return absl::InfiniteDuration();
  return absl::Nanoseconds(nanoseconds);
}

absl::Status WriteDeadline(const std::string& state_directory, absl::Duration deadline) {
  const std::string path = JoinPath(state_directory, kDeadlineFile);
  if (deadline == absl::InfiniteDuration()) return RemoveFile(path);
  EMBER_ASSIGN_OR_RETURN(const std::string boot_id, BootId());
  const std::string temp = absl::StrCat(path, ".new");
  Fd fd(open(temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("create ", temp));
  const std::string text = absl::StrCat(boot_id, " ", absl::ToInt64Nanoseconds(deadline), "\n");
  EMBER_RETURN_IF_ERROR(WriteAll(fd.get(), text, temp));
  if (rename(temp.c_str(), path.c_str()) != 0)
    return ErrnoToStatus(errno, absl::StrCat("rename to ", path));
  return absl::OkStatus();
}

}  // namespace ember::agent
