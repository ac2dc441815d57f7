#include "node-agent/service/guard_command.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "node-agent/service/guard_record.h"
#include "node-agent/service/spawn.h"

namespace ember::agent {
namespace {

struct Account {
  std::string name;
  std::string home;
  uid_t uid = 0;
  gid_t gid = 0;
  bool switch_to = false;
};

absl::StatusOr<Account> FindAccount(const std::string& user) {
  errno = 0;
  const passwd* entry = user.empty() ? getpwuid(geteuid()) : getpwnam(user.c_str());
  if (entry == nullptr && user.empty())
    return Account{absl::StrCat(geteuid()), "/", geteuid(), getegid()};
  if (entry == nullptr) {
    return WithHint(absl::FailedPreconditionError(
                        absl::StrCat("user ", user, ": no such account on this node")),
                    "create the account, or correct service.exec.user");
  }
  Account account{entry->pw_name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
  account.switch_to = account.uid != geteuid();
  if (account.switch_to && geteuid() != 0) {
    return WithHint(absl::PermissionDeniedError(absl::StrCat(
                        "user ", user, ": only an agent that runs as root can switch to it")),
                    "run ember-agent as root, or remove service.exec.user");
  }
  return account;
}

std::vector<std::string> Environment(const v1::ExecService& spec, const Account& account,
                                     const std::string& run) {
  std::map<std::string, std::string> variables = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", account.home},
      {"LANG", "C.UTF-8"},
      {"USER", account.name},
      {"LOGNAME", account.name}};
  for (const auto& [name, value] : spec.environment()) variables[name] = value;
  variables[kRunVariable] = run;
  std::vector<std::string> lines;
  for (const auto& [name, value] : variables) lines.push_back(absl::StrCat(name, "=", value));
  return lines;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What the child reports when it does not get as far as the command.
enum class Stage : int { kSession, kStreams, kAccount, kBind, kDirectory, kExecute };
struct Failure {
  Stage stage;
  int error;
};

absl::Status Describe(const Failure& failure, const v1::ExecService& spec, const Account& account) {
  switch (failure.stage) {
    case Stage::kSession: return ErrnoToStatus(failure.error, "start a session");
    case Stage::kStreams: return ErrnoToStatus(failure.error, "set up standard input and output");
    case Stage::kAccount:
      return ErrnoToStatus(failure.error, absl::StrCat("become user ", account.name));
    case Stage::kBind: return ErrnoToStatus(failure.error, "bind to the guard");
    case Stage::kDirectory:
      return ErrnoToStatus(failure.error, absl::StrCat("enter directory ", spec.directory()));
    case Stage::kExecute:
      return ErrnoToStatus(failure.error, absl::StrCat("execute ", spec.command(0)));
  }
  return absl::InternalError("the command ended before it was executed");
}

// In the child: everything up to exec. Returns only the failure.
Failure Become(const v1::ExecService& spec, const Account& account, pid_t guard, int output,
               const std::vector<char*>& arguments, std::vector<char*>& environment) {
  if (setsid() < 0) return {Stage::kSession, errno};
  if (!RedirectToNull(STDIN_FILENO).ok() || dup2(output, STDOUT_FILENO) < 0 ||
      dup2(output, STDERR_FILENO) < 0) {
    return {Stage::kStreams, errno};
  }
  if (account.switch_to && (initgroups(account.name.c_str(), account.gid) != 0 ||
                            setgid(account.gid) != 0 || setuid(account.uid) != 0)) {
    return {Stage::kAccount, errno};
  }
  // After the change of account, which clears it (prctl(2)). The guard may have died before.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return {Stage::kBind, errno};
  if (getppid() != guard) return {Stage::kBind, ESRCH};
  if (chdir(spec.directory().empty() ? "/" : spec.directory().c_str()) != 0)
    return {Stage::kDirectory, errno};
  umask(022);
  for (const int ignored : {SIGPIPE, SIGHUP, SIGINT}) signal(ignored, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  environ = environment.data();
  execvp(arguments[0], arguments.data());
  return {Stage::kExecute, errno};
}

}  // namespace

StartedCommand StartCommand(const v1::ExecService& spec, const std::string& run) {
  StartedCommand started;
  started.exit_status = 126;
  const auto fail = [&started](absl::Status status) {
    started.status = std::move(status);
    return std::move(started);
  };
  const absl::StatusOr<Account> account = FindAccount(spec.user());
  if (!account.ok()) return fail(account.status());
  absl::StatusOr<PipeEnds> output = MakePipe();
  absl::StatusOr<PipeEnds> report = MakePipe();
  if (!output.ok() || !report.ok()) return fail(output.ok() ? report.status() : output.status());
  // A command that opens /dev/stdout by name needs to own the pipe.
  if (account->switch_to && fchown(output->write.get(), account->uid, account->gid) != 0) {
    return fail(ErrnoToStatus(errno, "give the output pipe to the user"));
  }
  const std::vector<std::string> command(spec.command().begin(), spec.command().end());
  const std::vector<std::string> variables = Environment(spec, *account, run);
  const std::vector<char*> arguments = Pointers(command);
  std::vector<char*> environment = Pointers(variables);
  const pid_t guard = getpid();
  started.pid = fork();
  if (started.pid < 0) {
    started.pid = 0;
    return fail(ErrnoToStatus(errno, "fork"));
  }
  if (started.pid == 0) {
    const Failure failure =
        Become(spec, *account, guard, output->write.get(), arguments, environment);
    (void)!write(report->write.get(), &failure, sizeof failure);
    _exit(127);
  }
  output->write = Fd();
  report->write = Fd();
  started.output = std::move(output->read);
  if (fcntl(started.output.get(), F_SETFL, O_NONBLOCK) != 0)
    return fail(ErrnoToStatus(errno, "fcntl"));
  Failure failure;
  ssize_t n;
  do {
    n = read(report->read.get(), &failure, sizeof failure);
  } while (n < 0 && errno == EINTR);
  if (n == 0) {
    started.exit_status = 0;
    return started;  // closed by exec
  }
  if (failure.stage == Stage::kExecute && failure.error == ENOENT) started.exit_status = 127;
  return fail(Describe(failure, spec, *account));
}

}  // namespace ember::agent
