// Messages of this node's workloads on their way to the controller: kept in order until it has
// them, whether it is there or not (docs/formats.md, message log).
#ifndef EMBER_NODE_AGENT_LINK_MESSAGE_LOG_H_
#define EMBER_NODE_AGENT_LINK_MESSAGE_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/base/file.h"
#include "ember/v1/agent.pb.h"
#include "grpcpp/impl/codegen/service_type.h"

namespace ember::agent {

// Segments of kMessageSegmentBytes, appended and synced; one whose messages are all acknowledged is
// removed, but for the newest. Memory: the ids of what waits. Safe for concurrent use.
class MessageLog {
 public:
  // Told of messages that were lost with a damaged segment.
  using Lost = std::function<void(absl::string_view what)>;
  // What was being written when the power went is cut off: nobody was told that it is kept. Of a
  // segment damaged otherwise, a copy is set aside as NAME.damaged, and what is before the damage
  // is kept.
  static absl::StatusOr<std::unique_ptr<MessageLog>> Open(const std::string& directory,
                                                          const Lost& lost);

  // Names the log; another one after a loss of all of it.
  const std::string& id() const { return id_; }

  // Durable when OK. An id that is not acknowledged yet is kept once. INVALID_ARGUMENT: over the
  // bounds. RESOURCE_EXHAUSTED: the log, or the disk, is full.
  absl::Status Append(const v1::Message& message);
  // Oldest first, as many as fit into a beat.
  std::vector<v1::SpooledMessage> Head() const;
  // The controller has all up to `seq`.
  void Acknowledge(uint64_t seq);

 private:
  struct Segment {
    std::string path;
    uint64_t last = 0;  // highest seq in it; that of the one before while it is empty
    uint64_t bytes = 0;
  };
  struct Waiting {
    uint64_t seq = 0;
    std::string id;
    std::string path;  // of its segment
    uint64_t offset = 0;
    size_t bytes = 0;  // with its frame
  };
  explicit MessageLog(std::string directory) : directory_(std::move(directory)) {}
  absl::Status Load(const Lost& lost) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status LoadSegment(const std::string& path, bool newest, const Lost& lost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status BeginSegment() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Write(absl::string_view frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string directory_;
  std::string id_;  // set by Open
  mutable absl::Mutex mu_;
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mu_);  // oldest first
  Fd newest_ ABSL_GUARDED_BY(mu_);                     // the last of them
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mu_);
  uint64_t waiting_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;  // seq
};

// MessageService as an agent serves it: Send alone, into the log. `kept` is told of each; must not
// block.
std::unique_ptr<grpc::Service> NewMessageSpoolService(MessageLog* log, std::string node,
                                                      std::function<void()> kept);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_MESSAGE_LOG_H_
