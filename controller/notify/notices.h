// Which events a person is told of, and in what words. Pure.
#ifndef EMBER_CONTROLLER_NOTIFY_NOTICES_H_
#define EMBER_CONTROLLER_NOTIFY_NOTICES_H_

#include <optional>
#include <string>

#include "ember/v1/control.pb.h"

namespace ember::controller {

struct Notice {
  std::string title;    // one line
  bool urgent = false;  // something stays broken until a person acts
  v1::Event event;
  std::string workload;  // empty: of none
};

// At the end of the message of an event that a person expects.
inline constexpr char kInMaintenance[] = " (in maintenance)";

// Nothing for what a person need not know at once. `workload` as in the event's record.
std::optional<Notice> NoticeOf(const v1::Event& event, const std::string& workload);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_NOTIFY_NOTICES_H_
