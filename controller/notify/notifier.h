// Tells the owner what happened, by the channels of the estate's settings.
#ifndef EMBER_CONTROLLER_NOTIFY_NOTIFIER_H_
#define EMBER_CONTROLLER_NOTIFY_NOTIFIER_H_

#include <functional>
#include <optional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "controller/em_state.h"
#include "controller/notify/notices.h"

namespace ember::controller {

using NoticeSender = std::function<absl::Status(const v1::NotifyChannel&, const Notice&,
                                                const absl::Notification& stop)>;

// Follows the event log on a thread of its own. Each notice is given to every channel at least once,
// also across restarts; a channel that does not take it after kNoticeTries is passed over, with an
// event "notify.failed". What happened while there was no channel is not told later.
class Notifier {
 public:
  Notifier(EmState* em, NoticeSender send) : em_(*em), send_(std::move(send)) {}
  ~Notifier() { Stop(); }
  void Run();
  // Ends what is being sent. Idempotent.
  void Stop();

  // Tells of the next event, if any. False: there is none.
  bool TellNext() ABSL_LOCKS_EXCLUDED(em_.mu);

 private:
  void Loop();
  // Passes what nobody need know.
  std::optional<Notice> Next(std::vector<v1::NotifyChannel>* channels)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu);
  // The channels that did not take it.
  std::vector<v1::NotifyChannel> Send(std::vector<v1::NotifyChannel> channels,
                                      const Notice& notice);
  void Record(uint64_t seq, const std::vector<v1::NotifyChannel>& failed)
      ABSL_LOCKS_EXCLUDED(em_.mu);

  EmState& em_;
  const NoticeSender send_;
  uint64_t seen_ = 0;  // events up to here are done with
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_NOTIFY_NOTIFIER_H_
