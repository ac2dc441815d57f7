// Waiting for a run of the EM: backup, restore, verify, work on a vault.
#ifndef EMBER_CLI_WAIT_H_
#define EMBER_CLI_WAIT_H_

#include <deque>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/context.h"
#include "cli/exit_code.h"

namespace ember::cli {

// Polls until `run` has ended and returns it, with live progress on `err`. Outlives an EM that goes
// away: gives up (UNAVAILABLE) only when --timeout has passed since its last answer. On Ctrl-C asks
// the EM to cancel the run and returns CANCELLED. `what` names the run for people: "the backup of
// 'db'".
absl::StatusOr<v1::Run> WaitForRun(Context& context, Client& client, v1::Run run,
                                   const std::string& what);

// The error of a run that FAILED; OK for all others. Never UNAVAILABLE or DEADLINE_EXCEEDED: those
// codes mean that the EM does not answer, and here it did.
absl::Status FailureOf(const v1::Run& run, const std::string& what);

// Asks for the restore, or the comparison, and waits for its end; FailureOf it is an error.
absl::StatusOr<v1::Run> RestoreToEnd(Context& context, Client& client,
                                     const v1::RestoreRequest& request);

// Lists what a PARTIAL outcome left out, on `err`.
void PrintProblems(Context& context,
                   const google::protobuf::RepeatedPtrField<v1::PathProblem>& problems,
                   int64_t total, const std::string& title);

// The one line that tells how far a run is.
class ProgressLine {
 public:
  explicit ProgressLine(Context& context) : context_(context) {}
  // Redraws on a terminal; elsewhere prints a line per kProgressLineSeconds.
  void Update(const v1::Run& run);
  // A remark on a line of its own.
  void Say(const std::string& text);
  void Clear();

 private:
  std::string Text(const v1::Run& run, absl::Duration now);

  Context& context_;
  std::deque<std::pair<absl::Duration, int64_t>> samples_;  // (when, bytes read), oldest first
  absl::Duration last_line_ = -absl::InfiniteDuration();
  bool drawn_ = false;
};

}  // namespace ember::cli

#endif  // EMBER_CLI_WAIT_H_
