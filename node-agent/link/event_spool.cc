#include "node-agent/link/event_spool.h"

#include <cstdio>

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::agent {

absl::StatusOr<std::unique_ptr<EventSpool>> EventSpool::Open(const std::string& path,
                                                             Clock* clock) {
  std::unique_ptr<EventSpool> spool(new EventSpool(path, clock));
  absl::MutexLock lock(&spool->mu_);
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (!bytes.ok() && !absl::IsNotFound(bytes.status())) return bytes.status();
  if (bytes.ok() && !spool->spool_.ParseFromString(*bytes)) {
    LogError("events", "the spool is damaged and set aside", {{"path", path}});
    if (std::rename(path.c_str(), (path + ".damaged").c_str()) != 0)
      return ErrnoToStatus(errno, "rename " + path);
    spool->spool_.Clear();
  }
  if (spool->spool_.next_seq() == 0) spool->spool_.set_next_seq(1);
  return spool;
}

void EventSpool::Add(absl::string_view type, absl::string_view subject, absl::string_view message) {
  LogInfo("events", message, {{"type", type}, {"subject", subject}});
  absl::MutexLock lock(&mu_);
  if (static_cast<size_t>(spool_.events_size()) >= kEventsSpooledMax) {
    spool_.set_dropped(spool_.dropped() + 1);
  } else {
    Append(type, subject, message);
  }
  Save();
}

void EventSpool::Append(absl::string_view type, absl::string_view subject,
                        absl::string_view message) {
  v1::AgentEvent* event = spool_.add_events();
  event->set_seq(spool_.next_seq());
  spool_.set_next_seq(spool_.next_seq() + 1);
  *event->mutable_time() = rpc::ToTimestamp(clock_->Now());
  event->set_type(std::string(type));
  event->set_subject(std::string(subject));
  event->set_message(std::string(message));
}

std::vector<v1::AgentEvent> EventSpool::Head() const {
  absl::MutexLock lock(&mu_);
  const size_t count = std::min<size_t>(spool_.events_size(), kEventsPerBeat);
  return {spool_.events().begin(), spool_.events().begin() + count};
}

void EventSpool::Acknowledge(uint64_t seq) {
  absl::MutexLock lock(&mu_);
  if (seq >= spool_.next_seq()) {
    for (v1::AgentEvent& event : *spool_.mutable_events()) event.set_seq(++seq);
    spool_.set_next_seq(seq + 1);
    Save();
    return;
  }
  int known = 0;
  while (known < spool_.events_size() && spool_.events(known).seq() <= seq) ++known;
  if (known == 0) return;
  spool_.mutable_events()->DeleteSubrange(0, known);
  if (spool_.dropped() > 0) {
    Append("events.dropped", "",
           absl::StrCat(spool_.dropped(), " events were not kept: the spool was full"));
    spool_.set_dropped(0);
  }
  Save();
}

void EventSpool::Save() {
  if (absl::Status saved = WriteFileAtomic(path_, spool_.SerializeAsString()); !saved.ok()) {
    LogError("events", "the spool cannot be written", {{"error", saved.ToString()}});
  }
}

}  // namespace ember::agent
