#include "node-agent/service/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/status.h"

namespace ember::agent {
namespace {

// The two arguments of posix_spawn(3) that need an end.
struct SpawnSetup {
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

int Prepare(int output_fd, SpawnStderr mode, SpawnSetup* setup) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&setup->attributes, &none);
  posix_spawnattr_setsigdefault(&setup->attributes, &all);
  int error = posix_spawnattr_setflags(
      &setup->attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const auto then = [&error](int result) { error = error != 0 ? error : result; };
  then(posix_spawn_file_actions_adddup2(&setup->actions, output_fd, STDOUT_FILENO));
  then(posix_spawn_file_actions_addopen(&setup->actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  if (mode == SpawnStderr::kToOutput) {
    then(posix_spawn_file_actions_adddup2(&setup->actions, STDOUT_FILENO, STDERR_FILENO));
  } else {
    then(
        posix_spawn_file_actions_addopen(&setup->actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0));
  }
  then(posix_spawn_file_actions_addclosefrom_np(&setup->actions, STDERR_FILENO + 1));
  return error;
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& argv, int output_fd, SpawnStderr mode) {
  if (argv.empty()) return absl::InvalidArgumentError("no command given");
  SpawnSetup setup;
  if (const int error = Prepare(output_fd, mode, &setup); error != 0) {
    return ErrnoToStatus(error, "prepare to execute " + argv[0]);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid;
  const int error = posix_spawnp(&pid, arguments[0], &setup.actions, &setup.attributes,
                                 arguments.data(), environ);
  if (error != 0) return ErrnoToStatus(error, "execute " + argv[0]);
  return pid;
}

absl::StatusOr<PipeEnds> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoToStatus(errno, "pipe");
  return PipeEnds{Fd(fds[0]), Fd(fds[1])};
}

absl::Status RedirectToNull(int fd) {
  Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return ErrnoToStatus(errno, "open /dev/null");
  if (dup2(null.get(), fd) < 0) return ErrnoToStatus(errno, "redirect to /dev/null");
  return absl::OkStatus();
}

}  // namespace ember::agent
