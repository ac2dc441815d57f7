// The last resort of a node that must stop a workload and cannot: the machine is reset.
#ifndef EMBER_NODE_AGENT_SUPERVISE_HOST_WATCHDOG_H_
#define EMBER_NODE_AGENT_SUPERVISE_HOST_WATCHDOG_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace ember::agent {

// A hardware or software watchdog (Linux, Documentation/watchdog/watchdog-api.rst). Used by one
// thread.
class WatchdogDevice {
 public:
  virtual ~WatchdogDevice() = default;
  // From now on it resets the machine when it is not fed for `timeout` (whole seconds). Again: with
  // another time. FAILED_PRECONDITION: it is no watchdog.
  virtual absl::Status Arm(absl::Duration timeout) = 0;
  virtual absl::Status Feed() = 0;
  // It resets nothing any more, unless its driver says otherwise (nowayout).
  virtual void Disarm() = 0;
};
std::unique_ptr<WatchdogDevice> OpenWatchdogDevice(std::string path);

enum class WatchdogAction { kDisarm, kFeed, kStarve };
// `fences`: a workload that fences itself runs here. `overdue`: one should have stopped, and has
// not. Pure.
WatchdogAction DecideWatchdog(bool fences, bool overdue);

// Has a thread of its own.
class HostWatchdog {
 public:
  struct Ports {
    Clock* clock = nullptr;
    std::unique_ptr<WatchdogDevice> device;
    std::function<bool()> fences;
    std::function<bool()> overdue;
    std::function<void(absl::string_view type, absl::string_view message)> event;
  };
  explicit HostWatchdog(Ports ports);
  // Disarms, because services outlive their agent; but not when it starves.
  ~HostWatchdog();

  void Run();
  void Stop();

 private:
  void Loop();
  void LookOnce();
  void NoteProblem(const absl::Status& status);

  const Ports ports_;
  bool armed_ = false;
  bool starves_ = false;
  std::string problem_;  // that was told
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SUPERVISE_HOST_WATCHDOG_H_
