// ember-agent: joins an estate, then runs on every node of it.
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "common/base/allocator.h"
#include "common/base/deadlock_checks.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "node-agent/agent.h"
#include "node-agent/link/join.h"
#include "node-agent/service/service.h"
#include "node-agent/signals.h"
#include "node-agent/supervise/environment.h"
#include "node-agent/supervise/supervisor.h"
#include "node-agent/systemd_notify.h"

namespace ember::agent {
namespace {

// The same numbers as `ember` (docs: exit codes).
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kRefused = 4;

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk: return 0;
    case absl::StatusCode::kInvalidArgument: return kUsage;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated: return kRefused;
    case absl::StatusCode::kNotFound: return 5;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded: return 6;
    case absl::StatusCode::kDataLoss: return 7;
    default: return kFailed;
  }
}

// What failed, why, what to do next: a line each.
int Fail(const absl::Status& status) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(status.message(), absl::MaxSplits(": ", 1));
  std::fprintf(stderr, "ember-agent: %s\n", parts.first.c_str());
  if (!parts.second.empty()) std::fprintf(stderr, "%s\n", parts.second.c_str());
  if (const std::string hint = HintOf(status); !hint.empty())
    std::fprintf(stderr, "%s\n", hint.c_str());
  return ExitCode(status);
}

std::string OwnBinary() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, size) : std::string("/proc/self/exe");
}

int RunJoin(const std::string& token, const std::string& state_directory) {
  absl::StatusOr<Joined> joined = Join(token, StateDirectory(state_directory), SystemClock());
  if (!joined.ok()) return Fail(joined.status());
  std::printf("joined estate %s as node %s\nnext: ember-agent --state-dir %s --name %s\n",
              joined->estate_id.c_str(), joined->node.c_str(), state_directory.c_str(),
              joined->node.c_str());
  return 0;
}

int RunDown(const std::string& state_directory) {
  const StateDirectory state(state_directory);
  absl::StatusOr<Fd> lock = state.Lock();
  if (!lock.ok()) {
    Fail(lock.status());
    return kFailed;
  }
  absl::StatusOr<std::vector<std::string>> stopped =
      StopAll(HostEnvironment(state.workloads(), OwnBinary(), SystemClock(), [] {}));
  if (!stopped.ok()) return Fail(stopped.status());
  for (const std::string& workload : *stopped) std::printf("stopped %s\n", workload.c_str());
  return 0;
}

// Returns when the process should end; the exit code.
int WaitForEnd(Agent* agent) {
  const absl::Duration period = WatchdogPeriod();
  while (true) {
    switch (WaitForWake(period)) {
      case Wake::kTimeout: FeedWatchdog(); break;
      case Wake::kReload:
        if (const absl::Status reloaded = agent->Reload(); !reloaded.ok()) {
          LogError("agent", "the identity cannot be read again", {{"error", reloaded.ToString()}});
        }
        break;
      case Wake::kStop: return 0;
      case Wake::kDuplicate:
        LogError("agent",
                 "another live agent has this node's name: this one ends, and leaves all workloads "
                 "alone");
        return kRefused;
    }
  }
}

int RunAgent(const AgentOptions& options) {
  CatchSignals();
  absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Start(options);
  // "In use" is no unreachable controller.
  if (!agent.ok())
    return absl::IsUnavailable(agent.status()) ? (Fail(agent.status()), kFailed)
                                               : Fail(agent.status());
  NotifyReady();
  const int code = WaitForEnd(agent->get());
  NotifyStopping();
  LogInfo("agent", "stopping; workloads run on");
  // All that matters is durable already: what hangs is not waited for.
  absl::Notification ended;
  std::thread limit([&] {
    if (!options.clock->Sleep(absl::Seconds(kAgentStopSeconds), ended)) _exit(code);
  });
  agent->reset();
  ended.Notify();
  limit.join();
  return code;
}

int Main(int argc, char** argv) {
  AgentOptions options;
  options.state_directory = "/var/lib/ember/agent";
  options.clock = SystemClock();
  options.agent_binary = OwnBinary();
  options.duplicate = PostDuplicate;
  bool log_json = false;
  std::string token;
  std::string guarded;

  CLI::App app("The Ember node agent: runs, protects and recovers the workloads of one node.",
               "ember-agent");
  app.set_version_flag("--version", kVersion);
  app.add_option("--state-dir", options.state_directory, "directory of this agent's state")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--name", options.node, "name of this node; checked against its certificate")
      ->type_name("NODE");
  app.add_option("--em", options.em, "controller, instead of the one of the join token")
      ->type_name("HOST:PORT");
  app.add_option("--listen", options.listen, "serves vaults and peers here")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app.add_option("--advertise", options.advertise, "address that other nodes use for --listen")
      ->type_name("HOST:PORT");
  app.add_option("--watchdog", options.watchdog,
                 "resets this machine when a workload that must stop here does not")
      ->type_name("DEVICE");
  app.add_flag("--log-json", log_json, "log JSON lines");
  CLI::App* join =
      app.add_subcommand("join", "enrol this machine with a token of `ember node token NODE`");
  join->add_option("TOKEN", token)->required();
  CLI::App* down =
      app.add_subcommand("down", "stop every workload this agent started; the agent must not run");
  CLI::App* guard =
      app.add_subcommand("guard", "look after one process; started by the agent itself");
  guard->add_option("STATE_DIRECTORY", guarded)->required();
  for (CLI::App* verb : {join, down, guard}) verb->fallthrough();
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }

  ConfigureLog(LogLevel::kInfo, log_json);
  if (guard->parsed()) return RunGuard(guarded);
  if (join->parsed()) return RunJoin(token, options.state_directory);
  if (down->parsed()) return RunDown(options.state_directory);
  return RunAgent(options);
}

}  // namespace
}  // namespace ember::agent

int main(int argc, char** argv) {
  ember::LimitAllocator();
  ember::SkipDeadlockChecks();
  return ember::agent::Main(argc, argv);
}
