#include "node-agent/supervise/host_watchdog.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace ember::agent {
namespace {

class LinuxWatchdog final : public WatchdogDevice {
 public:
  explicit LinuxWatchdog(std::string path) : path_(std::move(path)) {}
  ~LinuxWatchdog() override = default;

  absl::Status Arm(absl::Duration timeout) override {
    if (!fd_.valid()) fd_ = Fd(open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd_.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path_));
    int seconds = static_cast<int>(absl::ToInt64Seconds(timeout));
    if (ioctl(fd_.get(), WDIOC_SETTIMEOUT, &seconds) == 0) return absl::OkStatus();
    const int error = errno;
    Disarm();
    if (error == ENOTTY)
      return absl::FailedPreconditionError(absl::StrCat(path_, " is no watchdog"));
    return ErrnoToStatus(error, absl::StrCat("set the time-out of ", path_));
  }

  absl::Status Feed() override {
    if (ioctl(fd_.get(), WDIOC_KEEPALIVE, 0) == 0) return absl::OkStatus();
    return ErrnoToStatus(errno, absl::StrCat("feed ", path_));
  }

  // Closed without this letter it would go on counting.
  void Disarm() override {
    if (fd_.valid() && write(fd_.get(), "V", 1) != 1)
      LogWarning("watchdog", "it cannot be disarmed", {{"device", path_}});
    fd_ = Fd();
  }

 private:
  const std::string path_;
  Fd fd_;
};

}  // namespace

std::unique_ptr<WatchdogDevice> OpenWatchdogDevice(std::string path) {
  return std::make_unique<LinuxWatchdog>(std::move(path));
}

WatchdogAction DecideWatchdog(bool fences, bool overdue) {
  if (overdue) return WatchdogAction::kStarve;
  return fences ? WatchdogAction::kFeed : WatchdogAction::kDisarm;
}

HostWatchdog::HostWatchdog(Ports ports) : ports_(std::move(ports)) {}

HostWatchdog::~HostWatchdog() {
  Stop();
  if (armed_ && !starves_) ports_.device->Disarm();
}

void HostWatchdog::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void HostWatchdog::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

void HostWatchdog::Loop() {
  do {
    LookOnce();
  } while (!ports_.clock->Sleep(absl::Seconds(1), stop_));
}

void HostWatchdog::NoteProblem(const absl::Status& status) {
  if (status.message() == problem_) return;
  problem_ = std::string(status.message());
  if (status.ok()) return;
  LogError("watchdog", "it does not protect this node", {{"error", status.ToString()}});
  ports_.event("node.watchdog", absl::StrCat("it does not protect this node: ", problem_));
}

void HostWatchdog::LookOnce() {
  if (starves_) return;
  switch (DecideWatchdog(ports_.fences(), ports_.overdue())) {
    case WatchdogAction::kDisarm:
      if (std::exchange(armed_, false)) ports_.device->Disarm();
      return;
    case WatchdogAction::kFeed: {
      absl::Status fed = absl::OkStatus();
      if (!armed_) fed = ports_.device->Arm(absl::Seconds(kWatchdogSeconds));
      armed_ = fed.ok();
      if (armed_) fed = ports_.device->Feed();
      return NoteProblem(fed);
    }
    case WatchdogAction::kStarve: {
      const absl::Status last = ports_.device->Arm(absl::Seconds(kWatchdogStarveSeconds));
      armed_ = starves_ = last.ok();
      LogError("watchdog",
               last.ok() ? "a workload that must stop does not: this machine is reset"
                         : "a workload that must stop does not, and the watchdog fails",
               {{"error", last.ToString()}});
      return NoteProblem(last);
    }
  }
}

}  // namespace ember::agent
