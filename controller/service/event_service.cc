// The event log: reading, following, verifying its chain.
#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/service/services.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

class EventServiceImpl : public v1::EventService::Service {
 public:
  explicit EventServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status ListEvents(grpc::ServerContext* context, const v1::ListEventsRequest* request,
                          v1::ListEventsReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    const absl::Duration wait =
        std::min(absl::Milliseconds(request->wait_millis()), absl::Seconds(kEventWaitSecondsMax));
    const absl::Duration until = em_.clock->Monotonic() + wait;
    while (em_.catalog->last_event_seq() <= request->after_seq() && !context->IsCancelled()) {
      const absl::Duration left = until - em_.clock->Monotonic();
      if (left <= absl::ZeroDuration()) break;
      const auto arrived = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return em_.catalog->last_event_seq() > request->after_seq();
      };
      em_.mu.AwaitWithTimeout(absl::Condition(&arrived), std::min(left, absl::Seconds(1)));
    }
    const int limit =
        request->limit() > 0 ? std::min(request->limit(), kEventsPerReplyMax) : kEventsPerReplyMax;
    const absl::Time since = rpc::FromTimestamp(request->since());
    reply->set_last_seq(request->after_seq());
    // In slices, as in VerifyLog.
    while (reply->items_size() < limit && !context->IsCancelled()) {
      const uint64_t before = reply->last_seq();
      const absl::Status status =
          em_.catalog->ScanEvents(before, [&](const rec::EventRecord& record) {
            const v1::Event& event = record.event();
            reply->set_last_seq(event.seq());
            const bool wanted =
                (request->workload().empty() || record.workload() == request->workload()) &&
                (request->type().empty() || event.type() == request->type()) &&
                rpc::FromTimestamp(event.time()) >= since;
            if (wanted) *reply->add_items() = event;
            return reply->items_size() < limit &&
                   event.seq() - before < static_cast<uint64_t>(kEventsPerReplyMax);
          });
      if (!status.ok()) return rpc::ToGrpc(status);
      if (reply->last_seq() == before) break;
      em_.mu.Unlock();
      em_.mu.Lock();
    }
    return grpc::Status::OK;
  }

  // In slices, so that a long log does not hold up the tick.
  grpc::Status VerifyLog(grpc::ServerContext*, const v1::VerifyLogRequest*,
                         v1::VerifyLogReply* reply) override {
    std::string head(32, '\0');
    uint64_t seq = 0;
    reply->set_intact(true);
    while (true) {
      absl::MutexLock lock(&em_.mu);
      const uint64_t before = seq;
      const absl::Status status = em_.catalog->ScanEvents(seq, [&](const rec::EventRecord& record) {
        const bool good = record.event().seq() == seq + 1 && record.previous_hash() == head &&
                          EventHash(record) == record.hash() &&
                          record.event().hash() == absl::BytesToHexString(record.hash());
        if (!good) {
          reply->set_intact(false);
          reply->set_first_bad_seq(seq + 1);
          return false;
        }
        head = record.hash();
        seq = record.event().seq();
        return seq - before < static_cast<uint64_t>(kEventsPerReplyMax);
      });
      if (!status.ok()) return rpc::ToGrpc(status);
      if (!reply->intact()) break;
      if (seq != before) continue;
      if (head != em_.catalog->head_hash()) {
        reply->set_intact(false);
        reply->set_first_bad_seq(seq + 1);
      }
      break;
    }
    reply->set_events(seq);
    reply->set_head_hash(absl::BytesToHexString(head));
    return grpc::Status::OK;
  }

 private:
  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewEventService(EmState* em) {
  return std::make_unique<EventServiceImpl>(em);
}

}  // namespace ember::controller
