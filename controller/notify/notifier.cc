#include "controller/notify/notifier.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/rpc/convert.h"

namespace ember::controller {

namespace rec = record::v1;

void Notifier::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void Notifier::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

void Notifier::Loop() {
  while (!stop_.HasBeenNotified()) {
    if (TellNext()) continue;
    absl::MutexLock lock(&em_.mu);
    const auto more = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return em_.catalog->last_event_seq() > seen_ || stop_.HasBeenNotified();
    };
    em_.mu.AwaitWithTimeout(absl::Condition(&more), absl::Milliseconds(kTickMillis));
  }
}

bool Notifier::TellNext() {
  std::vector<v1::NotifyChannel> channels;
  std::optional<Notice> notice;
  {
    absl::MutexLock lock(&em_.mu);
    notice = Next(&channels);
  }
  if (!notice) return false;
  const std::vector<v1::NotifyChannel> failed = Send(channels, *notice);
  // Stopped in between, it is told again.
  if (stop_.HasBeenNotified() && !failed.empty()) return false;
  Record(notice->event.seq(), failed);
  return true;
}

std::optional<Notice> Notifier::Next(std::vector<v1::NotifyChannel>* channels) {
  seen_ = std::max(seen_, em_.catalog->meta().notified_seq());
  for (const v1::NotifyChannel& channel : em_.catalog->estate().estate().settings().notify())
    channels->push_back(channel);
  if (channels->empty()) {
    seen_ = em_.catalog->last_event_seq();
    return std::nullopt;
  }
  std::optional<Notice> found;
  const uint64_t before = seen_;
  const absl::Time oldest = em_.clock->Now() - absl::Hours(kNoticeAgeMaxHours);
  const absl::Status scanned =
      em_.catalog->ScanEvents(before, [&](const rec::EventRecord& record) {
        const v1::Event& event = record.event();
        if (rpc::FromTimestamp(event.time()) >= oldest) found = NoticeOf(event, record.workload());
        if (!found) seen_ = event.seq();
        return !found && event.seq() - before < static_cast<uint64_t>(kEventsPerReplyMax);
      });
  if (!scanned.ok()) LogError("notify", "events cannot be read", {{"error", scanned.message()}});
  return found;
}

std::vector<v1::NotifyChannel> Notifier::Send(std::vector<v1::NotifyChannel> channels,
                                              const Notice& notice) {
  absl::Duration pause = absl::Milliseconds(kNoticeRetryMillis);
  for (int attempt = 1; attempt <= kNoticeTries && !channels.empty(); ++attempt, pause *= 2) {
    if (attempt > 1 && em_.clock->Sleep(pause, stop_)) break;
    std::erase_if(channels, [&](const v1::NotifyChannel& channel) {
      const absl::Status sent = send_(channel, notice, stop_);
      if (sent.ok() || absl::IsUnimplemented(sent)) return true;
      LogWarning("notify", "a notice was not taken",
                 {{"channel", channel.kind()}, {"try", attempt}, {"error", sent.message()}});
      return false;
    });
  }
  return channels;
}

void Notifier::Record(uint64_t seq, const std::vector<v1::NotifyChannel>& failed) {
  absl::MutexLock lock(&em_.mu);
  seen_ = seq;
  rec::MetaRecord meta = em_.catalog->meta();
  meta.set_notified_seq(seq);
  Batch batch;
  batch.Put(meta);
  for (const v1::NotifyChannel& channel : failed) {
    batch.AddEvent("notify.failed", channel.kind(),
                   absl::StrCat(channel.url(), " did not take the notice of event ", seq));
  }
  if (const absl::Status stored = em_.Commit(batch); !stored.ok())
    LogError("notify", "may tell something twice", {{"error", stored.message()}});
}

}  // namespace ember::controller
