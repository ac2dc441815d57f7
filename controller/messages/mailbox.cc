#include "controller/messages/mailbox.h"

#include <deque>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

absl::Status Validate(const EmState& em, const v1::Message& message)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  if (message.id().empty() || message.id().size() > kMessageIdBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message needs an id of 1 to ", kMessageIdBytesMax, " bytes"));
  }
  if (message.body().size() > kMessageBytesMax) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat("a message has ", message.body().size(),
                                                            " bytes: at most ", kMessageBytesMax)),
                    "put large data where both sides reach it, and send where it is");
  }
  const v1::Estate& estate = em.catalog->estate().estate();
  if (FindWorkload(estate, message.to()) == nullptr) return WorkloadNotFound(message.to());
  if (!message.from().empty() && FindWorkload(estate, message.from()) == nullptr)
    return WorkloadNotFound(message.from());
  return absl::OkStatus();
}

// Messages on their way into one batch, counted together with those that are kept already.
class Intake {
 public:
  explicit Intake(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu)
      : em_(em), last_seq_(em.catalog->meta().last_message_seq()) {
    for (const auto& [key, record] : em.catalog->messages()) Count(record);
  }

  // As KeepMessage.
  absl::StatusOr<v1::Message> Take(v1::Message message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(Validate(em_, message));
    Box& box = boxes_[message.to()];
    if (const auto known = box.by_id.find(message.id()); known != box.by_id.end())
      return *known->second;
    const bool full = box.waiting >= kMessagesPerReceiverMax || waiting_ >= kMessagesMax ||
                      bytes_ + message.body().size() > kMessageBytesTotalMax;
    if (full) {
      return WithHint(absl::ResourceExhaustedError(absl::StrCat("too many messages wait already, ",
                                                                box.waiting, " for '", message.to(),
                                                                "' and ", waiting_, " in all")),
                      absl::StrCat("ember message receive ", message.to()));
    }
    if (!message.has_sent()) *message.mutable_sent() = rpc::ToTimestamp(em_.clock->Now());
    message.set_seq(++last_seq_);
    *taken_.emplace_back().mutable_message() = message;
    Count(taken_.back());
    return message;
  }

  // What was taken, and the number of the last one.
  void Finish(Batch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    if (taken_.empty()) return;
    rec::MetaRecord meta = em_.catalog->meta();
    meta.set_last_message_seq(last_seq_);
    batch->Put(std::move(meta));
    for (const rec::MessageRecord& record : taken_) batch->Put(record);
  }

 private:
  struct Box {
    size_t waiting = 0;
    absl::flat_hash_map<absl::string_view, const v1::Message*> by_id;
  };
  void Count(const rec::MessageRecord& record) {
    const v1::Message& message = record.message();
    Box& box = boxes_[message.to()];
    box.by_id.emplace(message.id(), &message);
    if (record.confirmed()) return;
    ++box.waiting;
    ++waiting_;
    bytes_ += message.body().size();
  }

  const EmState& em_;
  uint64_t last_seq_;
  std::map<std::string, Box> boxes_;  // by receiver
  size_t waiting_ = 0;
  size_t bytes_ = 0;
  std::deque<rec::MessageRecord> taken_;  // whose addresses stay
};

}  // namespace

absl::StatusOr<v1::Message> KeepMessage(EmState& em, v1::Message message) {
  Intake intake(em);
  EMBER_ASSIGN_OR_RETURN(v1::Message kept, intake.Take(std::move(message)));
  Batch batch;
  intake.Finish(&batch);
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  return kept;
}

absl::Status RecordSpooled(EmState& em, const std::string& node,
                           const v1::HeartbeatRequest& request) {
  if (request.messages().empty()) return absl::OkStatus();
  rec::NodeRecord record = em.catalog->nodes().at(node);
  if (record.message_spool() != request.message_spool()) {
    record.set_message_spool(request.message_spool());
    record.set_acknowledged_message_seq(0);
  }
  const uint64_t before = record.acknowledged_message_seq();
  Intake intake(em);
  Batch batch;
  for (const v1::SpooledMessage& spooled : request.messages()) {
    if (spooled.seq() <= record.acknowledged_message_seq()) continue;
    const auto from = em.catalog->workloads().find(spooled.message().from());
    const bool elsewhere = from != em.catalog->workloads().end() && from->second.node() != node;
    const absl::Status taken =
        elsewhere
            ? PeerRefused(node, absl::StrCat(from->first, " is placed on ", from->second.node()))
            : intake.Take(spooled.message()).status();
    if (absl::IsResourceExhausted(taken)) break;
    if (!taken.ok()) {
      batch.AddEvent("message.refused", node,
                     absl::StrCat("message ", spooled.message().id(), " to '",
                                  spooled.message().to(), "': ", taken.message()));
    }
    record.set_acknowledged_message_seq(spooled.seq());
  }
  if (record.acknowledged_message_seq() == before &&
      record.message_spool() == em.catalog->nodes().at(node).message_spool()) {
    return absl::OkStatus();
  }
  intake.Finish(&batch);
  batch.Put(record);
  return em.Commit(batch);
}

const v1::Message* OldestFor(const Catalog& catalog, const std::string& workload) {
  const std::string begin = MessageKey(workload, 0);
  for (auto it = catalog.messages().lower_bound(begin);
       it != catalog.messages().end() && absl::StartsWith(it->first, begin); ++it) {
    if (!it->second.confirmed()) return &it->second.message();
  }
  return nullptr;
}

absl::Status ConfirmMessage(EmState& em, const std::string& workload, uint64_t seq) {
  const auto& messages = em.catalog->messages();
  const auto found = messages.find(MessageKey(workload, seq));
  if (found == messages.end() || found->second.confirmed()) return absl::OkStatus();
  rec::MessageRecord record = found->second;
  record.set_confirmed(true);
  record.mutable_message()->clear_body();
  Batch batch;
  batch.Put(record);
  // So many ids are remembered; the oldest go.
  const std::string begin = MessageKey(workload, 0);
  size_t confirmed = 1;
  for (auto it = messages.lower_bound(begin);
       it != messages.end() && absl::StartsWith(it->first, begin); ++it)
    confirmed += it->second.confirmed() ? 1 : 0;
  for (auto it = messages.lower_bound(begin); confirmed > kMessagesListedMax; ++it) {
    if (!it->second.confirmed()) continue;
    batch.Erase(it->second);
    --confirmed;
  }
  return em.Commit(batch);
}

void EraseMailboxesNotIn(const v1::Estate& next, const Catalog& catalog, Batch* batch) {
  std::map<std::string, int> lost;
  for (const auto& [key, record] : catalog.messages()) {
    const std::string& receiver = record.message().to();
    if (FindWorkload(next, receiver) != nullptr) continue;
    batch->Erase(record);
    if (!record.confirmed()) ++lost[receiver];
  }
  for (const auto& [receiver, count] : lost) {
    batch->AddEvent("message.dropped", receiver,
                    absl::StrCat(count, " messages waited for a workload that was removed"));
  }
}

}  // namespace ember::controller
