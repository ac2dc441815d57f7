#include "node-agent/orders/ledger.h"

#include <cstdio>

#include "absl/strings/match.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"

namespace ember::agent {
namespace {

bool IsOpen(const record::v1::AgentOrder& record) {
  return record.update().state() == v1::OrderUpdate::ACCEPTED ||
         record.update().state() == v1::OrderUpdate::RUNNING;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& directory) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(directory));
  std::unique_ptr<Ledger> ledger(new Ledger(directory));
  absl::MutexLock lock(&ledger->mu_);
  EMBER_RETURN_IF_ERROR(ledger->Load());
  return ledger;
}

// Ids hold slashes; a hash is a name of one length whatever the id.
std::string Ledger::PathOf(const std::string& id) const {
  return JoinPath(directory_, Sha256Hex(id).substr(0, 40));
}

absl::Status Ledger::Load() {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory_));
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory_, name);
    if (absl::StrContains(name, ".tmp.")) {
      EMBER_RETURN_IF_ERROR(RemoveFile(path));  // of a crash before the rename
      continue;
    }
    if (absl::StrContains(name, ".")) continue;  // set aside earlier
    EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    Entry entry;
    if (!entry.record.ParseFromString(bytes) || entry.record.id().empty()) {
      LogError("orders", "an order file is damaged and set aside", {{"path", path}});
      if (std::rename(path.c_str(), (path + ".damaged").c_str()) != 0)
        return ErrnoToStatus(errno, "rename " + path);
      continue;
    }
    const uint64_t sequence = entry.record.sequence();
    if (IsOpen(entry.record)) ++open_;
    if (!entry.record.acknowledged()) unacknowledged_[sequence] = entry.record.id();
    sequence_of_[entry.record.id()] = sequence;
    next_sequence_ = std::max(next_sequence_, sequence + 1);
    by_sequence_[sequence] = std::move(entry);
  }
  return absl::OkStatus();
}

absl::Status Ledger::Save(const record::v1::AgentOrder& record) {
  return WriteFileAtomic(PathOf(record.id()), record.SerializeAsString());
}

Ledger::Entry* Ledger::Find(const std::string& id) {
  const auto found = sequence_of_.find(id);
  return found == sequence_of_.end() ? nullptr : &by_sequence_.at(found->second);
}

absl::StatusOr<bool> Ledger::Accept(const v1::Order& order) {
  if (order.id().empty()) return absl::InvalidArgumentError("an order without an id");
  absl::MutexLock lock(&mu_);
  if (Entry* known = Find(order.id()); known != nullptr) {
    known->repeated = true;
    unacknowledged_[known->record.sequence()] = order.id();
    return false;
  }
  if (open_ >= kOrdersOpenMax)
    return absl::UnavailableError(absl::StrCat(open_, " orders are open"));
  Entry entry;
  entry.record.set_id(order.id());
  entry.record.set_sequence(next_sequence_);
  *entry.record.mutable_order() = order;
  entry.record.mutable_update()->set_order_id(order.id());
  entry.record.mutable_update()->set_state(v1::OrderUpdate::ACCEPTED);
  if (const absl::Status saved = Save(entry.record); !saved.ok()) {
    // Whoever hears the error counts on the order not being found by the next agent.
    const absl::Status removed = RemoveFile(PathOf(order.id()));
    return removed.ok() ? saved : absl::UnavailableError(removed.message());
  }
  sequence_of_[order.id()] = next_sequence_;
  unacknowledged_[next_sequence_] = order.id();
  by_sequence_[next_sequence_] = std::move(entry);
  ++next_sequence_;
  ++open_;
  return true;
}

void Ledger::Report(const std::string& id, const v1::Progress& progress) {
  absl::MutexLock lock(&mu_);
  Entry* entry = Find(id);
  if (entry == nullptr || !IsOpen(entry->record)) return;
  entry->record.mutable_update()->set_state(v1::OrderUpdate::RUNNING);
  *entry->record.mutable_update()->mutable_progress() = progress;
}

absl::Status Ledger::Finish(const v1::OrderUpdate& update) {
  absl::MutexLock lock(&mu_);
  Entry* entry = Find(update.order_id());
  if (entry == nullptr || !IsOpen(entry->record)) {
    return absl::NotFoundError(absl::StrCat("order ", update.order_id(), " is not open"));
  }
  record::v1::AgentOrder finished = entry->record;
  *finished.mutable_update() = update;
  EMBER_RETURN_IF_ERROR(Save(finished));
  entry->record = std::move(finished);
  --open_;
  return absl::OkStatus();
}

absl::Status Ledger::Acknowledge(const std::string& id) {
  absl::MutexLock lock(&mu_);
  Entry* entry = Find(id);
  if (entry == nullptr || IsOpen(entry->record)) return absl::OkStatus();
  if (!entry->record.acknowledged()) {
    record::v1::AgentOrder remembered = entry->record;
    remembered.clear_order();
    remembered.set_acknowledged(true);
    v1::OrderUpdate* update = remembered.mutable_update();
    update->clear_progress();
    update->clear_result();
    EMBER_RETURN_IF_ERROR(Save(remembered));
    entry->record = std::move(remembered);
  }
  entry->repeated = false;
  unacknowledged_.erase(entry->record.sequence());
  ForgetOldest();
  return absl::OkStatus();
}

void Ledger::ForgetOldest() {
  for (auto it = by_sequence_.begin();
       by_sequence_.size() > kOrdersRemembered && it != by_sequence_.end();) {
    const record::v1::AgentOrder& record = it->second.record;
    if (!record.acknowledged() || it->second.repeated) {
      ++it;
      continue;
    }
    if (const absl::Status removed = RemoveFile(PathOf(record.id())); !removed.ok()) {
      LogWarning("orders", "an old order stays",
                 {{"id", record.id()}, {"error", removed.ToString()}});
      return;
    }
    sequence_of_.erase(record.id());
    it = by_sequence_.erase(it);
  }
}

std::vector<v1::Order> Ledger::OpenOrders() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::Order> open;
  for (const auto& [sequence, id] : unacknowledged_) {
    const record::v1::AgentOrder& record = by_sequence_.at(sequence).record;
    if (IsOpen(record)) open.push_back(record.order());
  }
  return open;
}

std::vector<v1::OrderUpdate> Ledger::Updates() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::OrderUpdate> updates;
  for (const bool open : {false, true}) {
    for (const auto& [sequence, id] : unacknowledged_) {
      if (updates.size() >= kOrderUpdatesPerBeat) return updates;
      const record::v1::AgentOrder& record = by_sequence_.at(sequence).record;
      if (IsOpen(record) == open) updates.push_back(record.update());
    }
  }
  return updates;
}

}  // namespace ember::agent
