#include "controller/recover/judge.h"

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"

namespace ember::controller {
namespace {

std::string ExitText(const v1::WorkloadFact& fact) {
  return fact.has_exit() && !fact.running()
             ? absl::StrCat(" (exit status ", fact.exit_status(), ")")
             : "";
}

}  // namespace

WorkloadJudgement JudgeWorkload(const v1::WorkloadSpec& spec, const v1::WorkloadFact* fact,
                                const ApplicationBeat& beat) {
  if (fact == nullptr) return {Health::kUnknown, ""};
  const int failures = spec.health().failures() > 0 ? spec.health().failures() : kProbeFailures;
  if (fact->data_missing()) {
    return {Health::kDead,
            fact->probe_message().empty() ? "its data is missing" : fact->probe_message()};
  }
  if (fact->restarts_exhausted()) {
    return {Health::kDead,
            absl::StrCat("it keeps failing after ", fact->restarts(), " local restarts",
                         ExitText(*fact), ": ", fact->probe_message())};
  }
  if (fact->consecutive_failures() >= failures) {
    return {Health::kDead, absl::StrCat(fact->consecutive_failures(), " probes failed",
                                        ExitText(*fact), ": ", fact->probe_message())};
  }
  const bool beats = spec.health().heartbeat_millis() > 0 && fact->running();
  if (beats && beat.silence > absl::Milliseconds(spec.health().heartbeat_millis()) * failures) {
    return {Health::kDead, absl::StrCat("no heartbeat for ", absl::FormatDuration(absl::Trunc(
                                                                 beat.silence, absl::Seconds(1))))};
  }
  if (fact->consecutive_failures() > 0) return {Health::kFailing, fact->probe_message()};
  if (!fact->probed() || (beats && !beat.heard)) return {Health::kStarting, ""};
  if (fact->healthy()) return {Health::kHealthy, ""};
  return {Health::kFailing, fact->probe_message()};
}

}  // namespace ember::controller
