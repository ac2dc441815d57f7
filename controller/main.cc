// ember-controller: `init` makes an estate, without a verb it runs.
#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/identity.h"
#include "controller/controller.h"

namespace ember::controller {
namespace {

int Complain(const absl::Status& status) {
  std::cerr << "ember-controller: " << status.message() << "\n";
  if (!HintOf(status).empty()) std::cerr << "next: " << HintOf(status) << "\n";
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

int Run(const ControllerOptions& options) {
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
    LogInfo("controller",
            "the estate lives in the catalog: nothing to read again; use `ember apply`");
  }
  sd_notify(0, "STOPPING=1");
  LogInfo("controller", "stopping");
  (*controller)->Stop();
  return 0;
}

}  // namespace
}  // namespace ember::controller

int main(int argc, char** argv) {
  ember::controller::ControllerOptions options;
  options.clock = ember::SystemClock();
  options.listen = "0.0.0.0:7443";
  bool log_json = false;
  bool no_install = false;
  CLI::App app{"ember-controller: schedules, watches and recovers an estate"};
  app.set_version_flag("--version", ember::kVersion);
  app.add_option("--state-dir", options.state_directory, "where the estate lives")->required();
  app.add_option("--listen", options.listen, "HOST:PORT to serve on")->capture_default_str();
  app.add_option("--advertise", options.advertise,
                 "HOST:PORT that nodes reach it by, for join tokens");
  app.add_flag("--log-json", log_json, "log as JSON lines");
  app.set_config("--config", "", "a file with these options (TOML or INI)");
  CLI::App* init =
      app.add_subcommand("init", "create the estate: CA, admin identity, recovery kit");
  init->add_flag("--no-install", no_install, "do not put the admin identity into ~/.config/ember");
  init->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  ember::ConfigureLog(ember::LogLevel::kInfo, log_json);
  if (*init) return ember::controller::Init(options.state_directory, options.listen, !no_install);
  return ember::controller::Run(options);
}
