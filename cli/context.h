// Everything a verb may touch of the world around it.
#ifndef EMBER_CLI_CONTEXT_H_
#define EMBER_CLI_CONTEXT_H_

#include <atomic>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/limits.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace ember::cli {

// The options that every verb takes, as typed.
struct GlobalOptions {
  std::string em;
  std::string identity;
  bool json = false;
  bool yes = false;
  double timeout_seconds = kCliTimeoutSeconds;
};

// Ctrl-C. Unarmed, it ends the process at once; armed, the first one notifies `pressed` and leaves
// the rest to the verb that armed it.
struct Interrupt {
  std::atomic<bool> armed{false};
  absl::Notification pressed;
};

// A channel to the EM, or to the agent of that name, at HOST:PORT with the identity in a directory.
using Dialler = std::function<absl::StatusOr<std::shared_ptr<grpc::Channel>>(
    const std::string& address, const std::string& identity_directory, const std::string& agent)>;

// One invocation of `ember`. Used by one thread. Pointers are not owned.
struct Context {
  GlobalOptions options;
  std::istream* in = nullptr;
  std::ostream* out = nullptr;  // the answer
  std::ostream* err = nullptr;  // progress, questions, warnings, errors
  bool in_terminal = false;
  bool out_terminal = false;
  bool err_terminal = false;
  std::function<std::string(const char* name)> environment;  // "" when unset
  std::string system_directory = "/etc/ember";
  absl::TimeZone zone;  // in which people read times
  Clock* clock = nullptr;
  Interrupt* interrupt = nullptr;
  Dialler dial;

  absl::Duration timeout() const { return absl::Seconds(options.timeout_seconds); }
};

// True when colours may be written to `context.out`: a terminal, no NO_COLOR, no TERM=dumb.
bool ColorsWelcome(const Context& context);

// OK when --yes was given or the person at the terminal answers yes to "`what`?".
// FAILED_PRECONDITION otherwise, with the reason and what to do.
absl::Status Confirm(Context& context, absl::string_view what);

// `refused` is the EM's, which wants `what` confirmed and says what it would cost: shown to the
// person at the terminal, who is then asked. OK when the answer is yes; otherwise the reason why
// nothing is done.
absl::Status ConfirmRefused(Context& context, const absl::Status& refused, absl::string_view what);

}  // namespace ember::cli

#endif  // EMBER_CLI_CONTEXT_H_
