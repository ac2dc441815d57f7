// Starting a program from a process with threads.
#ifndef EMBER_NODE_AGENT_SERVICE_SPAWN_H_
#define EMBER_NODE_AGENT_SERVICE_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"

namespace ember::agent {

enum class SpawnStderr { kDiscard, kToOutput };

// Starts `argv` (argv[0] looked up in PATH) with our environment in a session and process group of
// its own, standard input from /dev/null, standard output to `output_fd`, no other descriptor of
// ours, no signal blocked or ignored. The caller reaps it. NOT_FOUND or PERMISSION_DENIED when it
// cannot be executed.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& argv, int output_fd, SpawnStderr mode);

struct PipeEnds {
  Fd read;
  Fd write;
};
// Closed on exec.
absl::StatusOr<PipeEnds> MakePipe();

// Opens /dev/null and makes it descriptor `fd`.
absl::Status RedirectToNull(int fd);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SERVICE_SPAWN_H_
