// ember-controller: `init` makes an estate, `bootstrap` makes a lost one anew, without a verb it
// runs.
#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/deadlock_checks.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/identity.h"
#include "controller/bootstrap.h"
#include "controller/controller.h"

namespace ember::controller {
namespace {

int Complain(const absl::Status& status, std::ostream& err = std::cerr) {
  err << "ember-controller: " << status.message() << "\n";
  if (!HintOf(status).empty()) err << "next: " << HintOf(status) << "\n";
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

// Makes `ember` work on this machine at once, unless another estate's identity is there.
std::string InstallAdminIdentity(const std::string& state_directory, const std::string& listen) {
  const std::string admin = JoinPath(state_directory, "admin");
  const char* home = getenv("HOME");
  if (home == nullptr) return admin;
  const std::string config = JoinPath(home, ".config/ember");
  const std::string target = JoinPath(config, "identity");
  if (FileExists(target)) return admin;
  auto identity = rpc::LoadIdentity(admin);
  if (!identity.ok() || !MakeDirectories(config).ok() || !rpc::SaveIdentity(target, *identity).ok())
    return admin;
  const size_t colon = listen.rfind(':');
  std::string host = listen.substr(0, colon);
  if (host.empty() || host == "0.0.0.0" || host == "[::]") host = "127.0.0.1";
  (void)WriteFileAtomic(JoinPath(config, "em"), absl::StrCat(host, listen.substr(colon), "\n"));
  return target;
}

int Init(const std::string& state_directory, const std::string& listen, bool install) {
  if (listen.find(':') == std::string::npos)
    return Complain(
        absl::InvalidArgumentError(absl::StrCat("--listen ", listen, ": not HOST:PORT")));
  if (absl::Status status = InitEstate(state_directory, SystemClock()); !status.ok())
    return Complain(status);
  const std::string identity =
      install ? InstallAdminIdentity(state_directory, listen) : JoinPath(state_directory, "admin");
  std::cout << "estate created in " << state_directory << "\n"
            << "admin identity: " << identity << "\n"
            << "recovery kit:   " << JoinPath(state_directory, "recovery-kit.txt") << "\n"
            << "Print the recovery kit, keep it away from your machines, and delete the file.\n"
            << "next: ember-controller --state-dir " << state_directory << "\n";
  return 0;
}

// The identity that was installed is of the same estate, and as good as before.
int Bootstrap(const BootstrapOptions& options, const std::string& listen, bool install) {
  const absl::StatusOr<Bootstrapped> made = BootstrapEstate(options);
  if (!made.ok()) return Complain(made.status());
  for (const std::string& sentence : made->passed_over)
    std::cerr << "ember-controller: passed over " << sentence << "\n";
  const std::string identity = install ? InstallAdminIdentity(options.state_directory, listen)
                                       : JoinPath(options.state_directory, "admin");
  std::cout
      << "estate " << made->estate_id << " made anew in " << options.state_directory << "\n"
      << "as of:          " << absl::FormatTime(absl::RFC3339_sec, made->made, absl::UTCTimeZone())
      << "; " << made->nodes << " nodes, " << made->workloads << " workloads, " << made->backups
      << " backups\n"
      << "admin identity: " << identity << "\n"
      << "It observes, and decides nothing, until you arm it. Never run the old one again.\n"
      << "next: ember-controller --state-dir " << options.state_directory
      << " at the address that the nodes know, then `ember status` and `ember recovery arm`\n";
  return 0;
}

struct CommandLine {
  ControllerOptions options;
  BootstrapOptions from;
  bool log_json = false;
  bool no_install = false;
  bool init = false;
  bool bootstrap = false;
};

// The exit code when that is all: help was asked for, or something is wrong.
std::optional<int> Parse(int argc, char** argv, std::ostream& out, std::ostream& err,
                         CommandLine* line) {
  line->options.clock = SystemClock();
  line->options.listen = "0.0.0.0:7443";
  CLI::App app{"ember-controller: schedules, watches and recovers an estate"};
  app.set_version_flag("--version", kVersion);
  app.add_option("--state-dir", line->options.state_directory, "where the estate lives");
  app.add_option("--listen", line->options.listen, "HOST:PORT to serve on")->capture_default_str();
  app.add_option("--advertise", line->options.advertise,
                 "HOST:PORT that nodes reach it by, for join tokens");
  app.add_flag("--log-json", line->log_json, "log as JSON lines");
  app.allow_config_extras(false);
  app.set_config("--config", "", "a file with these options (TOML or INI); SIGHUP reads it again");
  CLI::App* init =
      app.add_subcommand("init", "create the estate: CA, admin identity, recovery kit");
  init->add_flag("--no-install", line->no_install,
                 "do not put the admin identity into ~/.config/ember");
  init->fallthrough();
  CLI::App* bootstrap =
      app.add_subcommand("bootstrap", "make a lost estate anew from a vault and the recovery kit");
  bootstrap->add_option("--from-vault", line->from.vault, "the vault's directory")->required();
  bootstrap->add_option("--kit", line->from.kit_file, "the recovery kit")->required();
  bootstrap->add_flag("--no-install", line->no_install,
                      "do not put the admin identity into ~/.config/ember");
  bootstrap->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : 2;
  }
  if (line->options.state_directory.empty()) {
    return Complain(
        WithHint(absl::InvalidArgumentError("--state-dir is missing"), "ember-controller --help"),
        err);
  }
  line->init = init->parsed();
  line->bootstrap = bootstrap->parsed();
  line->from.state_directory = line->options.state_directory;
  line->from.clock = line->options.clock;
  return std::nullopt;
}

// The estate itself lives in the catalog. A file that is no longer valid changes nothing.
void Reload(int argc, char** argv, const ControllerOptions& running, Controller* controller) {
  CommandLine line;
  std::ostringstream said;
  if (Parse(argc, argv, said, said, &line)) {
    return LogError("controller", "--config is not valid: what was read before stays",
                    {{"error", absl::StripAsciiWhitespace(said.str())}});
  }
  ConfigureLog(LogLevel::kInfo, line.log_json);
  controller->SetAdvertise(line.options.advertise);
  const bool moved = line.options.listen != running.listen ||
                     line.options.state_directory != running.state_directory;
  if (moved) LogWarning("controller", "--listen and --state-dir change with a restart only");
  LogInfo("controller", "--config was read again", {{"advertise", line.options.advertise}});
}

int Run(int argc, char** argv, const ControllerOptions& options) {
  // Blocked before any thread starts, so that only this thread takes them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  auto controller = Controller::Start(options);
  if (!controller.ok()) return Complain(controller.status());
  LogInfo(
      "controller", "serving",
      {{"version", kVersion}, {"port", (*controller)->port()}, {"state", options.state_directory}});
  sd_notify(0, "READY=1");
  while (true) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGHUP) break;
    Reload(argc, argv, options, controller->get());
  }
  sd_notify(0, "STOPPING=1");
  LogInfo("controller", "stopping");
  (*controller)->Stop();
  return 0;
}

}  // namespace
}  // namespace ember::controller

int main(int argc, char** argv) {
  using namespace ember::controller;
  CommandLine line;
  if (const auto code = Parse(argc, argv, std::cout, std::cerr, &line)) return *code;
  ember::SkipDeadlockChecks();
  ember::ConfigureLog(ember::LogLevel::kInfo, line.log_json);
  if (line.init) return Init(line.options.state_directory, line.options.listen, !line.no_install);
  if (line.bootstrap) return Bootstrap(line.from, line.options.listen, !line.no_install);
  return Run(argc, argv, line.options);
}
