// What happened here and the controller must hear of: kept until it has.
#ifndef EMBER_NODE_AGENT_LINK_EVENT_SPOOL_H_
#define EMBER_NODE_AGENT_LINK_EVENT_SPOOL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "ember/record/v1/agent_state.pb.h"

namespace ember::agent {

// Durable in one file, numbered without gaps. Full at kEventsSpooledMax: later events are counted,
// not kept, and the count becomes an event itself ("events.dropped") as soon as there is room. Safe
// for concurrent use.
class EventSpool {
 public:
  // A damaged file is set aside as PATH.damaged: events are news, not state.
  static absl::StatusOr<std::unique_ptr<EventSpool>> Open(const std::string& path, Clock* clock);

  // Logged as well. Not being able to store it is logged and not an error of the caller's work.
  void Add(absl::string_view type, absl::string_view subject, absl::string_view message);
  // Oldest first, at most kEventsPerBeat.
  std::vector<v1::AgentEvent> Head() const;
  // The controller has all up to `seq`. A number beyond the newest means that this spool is younger
  // than what the controller remembers; what is kept is then renumbered after it.
  void Acknowledge(uint64_t seq);

 private:
  EventSpool(std::string path, Clock* clock) : path_(std::move(path)), clock_(clock) {}
  void Append(absl::string_view type, absl::string_view subject, absl::string_view message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Save() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  Clock* const clock_;
  mutable absl::Mutex mu_;
  record::v1::AgentEvents spool_ ABSL_GUARDED_BY(mu_);
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_EVENT_SPOOL_H_
