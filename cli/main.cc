// ember: the command of people and scripts.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "cli/client.h"
#include "cli/context.h"
#include "cli/program.h"

namespace {

// Takes SIGINT for all threads; must be called before there are others. `interrupt` lives as long
// as the process.
void WatchInterrupt(ember::cli::Interrupt* interrupt) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread([interrupt, set] {
    int number = 0;
    sigwait(&set, &number);
    if (interrupt->armed) {
      interrupt->pressed.Notify();
      sigwait(&set, &number);
    }
    // Unarmed, or pressed again: end as by an ordinary Ctrl-C, so that the shell sees it.
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    raise(SIGINT);
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  static ember::cli::Interrupt interrupt;
  WatchInterrupt(&interrupt);
  ember::cli::Context context;
  context.in = &std::cin;
  context.out = &std::cout;
  context.err = &std::cerr;
  context.in_terminal = isatty(STDIN_FILENO) != 0;
  context.out_terminal = isatty(STDOUT_FILENO) != 0;
  context.err_terminal = isatty(STDERR_FILENO) != 0;
  context.environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  context.zone = absl::LocalTimeZone();
  context.clock = ember::SystemClock();
  context.interrupt = &interrupt;
  context.dial = ember::cli::Dial;
  const ember::cli::ExitCode code =
      ember::cli::Run(std::vector<std::string>(argv + 1, argv + argc), context);
  std::cout.flush();
  // A full disk or a closed pipe must not look like success.
  return !std::cout.good() && code == ember::cli::kExitDone ? ember::cli::kExitFailed : code;
}
