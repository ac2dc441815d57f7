// From the text a person applies to an estate that is safe to run.
#ifndef EMBER_CONTROLLER_ESTATE_PARSER_H_
#define EMBER_CONTROLLER_ESTATE_PARSER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

// The estate that `text` (YAML or JSON) declares, defaults filled in. INVALID_ARGUMENT with every
// error found (at most kEstateErrorsMax), one line `file:line:column: message` each: unknown keys
// and names with the nearest known one, wrong types, repeated keys, contradictions, cycles, unsafe
// fail-over, what this version does not support. `file_name` is for messages only. What is accepted
// but has no effect in this version, or is unwise, is appended to `warnings` (may be null), a line
// each in the same form.
absl::StatusOr<v1::Estate> ParseEstate(absl::string_view text, absl::string_view file_name,
                                       std::vector<std::string>* warnings = nullptr);

// Whether `text` is a backup schedule (backup_schedule.json) rather than an estate: a map with
// `daily`, `weekly` or `on_change` and without a section of an estate.
bool IsBackupSchedule(absl::string_view text);

// `current` with the schedules and retention of the backup schedule `text`: each of `daily`,
// `weekly` and `on_change` creates or updates a policy ("daily-schedule", "weekly-schedule",
// "on-change-schedule"), attaches it to the workloads named ("*": all with data) and detaches it
// from the others. A part that is absent changes nothing. A new policy keeps its backups in all
// vaults of the estate. Errors and warnings as for ParseEstate.
absl::StatusOr<v1::Estate> MergeSchedule(const v1::Estate& current, absl::string_view text,
                                         absl::string_view file_name,
                                         std::vector<std::string>* warnings = nullptr);

// What applying `text` to `current` makes of it: MergeSchedule for a backup schedule, else
// ParseEstate.
absl::StatusOr<v1::Estate> EstateAfter(const v1::Estate& current, absl::string_view text,
                                       absl::string_view file_name,
                                       std::vector<std::string>* warnings = nullptr);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_PARSER_H_
