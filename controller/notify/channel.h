// Ways to reach a person. A kind is a function and a line in channel.cc.
#ifndef EMBER_CONTROLLER_NOTIFY_CHANNEL_H_
#define EMBER_CONTROLLER_NOTIFY_CHANNEL_H_

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "controller/notify/notices.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

// webhook: POST of {"title", "urgent", "time", "type", "subject", "workload", "message"} as JSON.
// ntfy: POST of the message, title and priority in headers (https://docs.ntfy.sh/publish/).
// Blocks for kNoticeTimeoutSeconds at most, less when `stop` is notified. UNIMPLEMENTED: a kind that
// this version does not send.
absl::Status SendNotice(const v1::NotifyChannel& channel, const Notice& notice,
                        const absl::Notification& stop);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_NOTIFY_CHANNEL_H_
