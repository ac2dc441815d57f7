#include "controller/catalog/catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// std::visit over the record kinds, each with its own lambda.
template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

std::string KeyOf(const Record& record) {
  return std::visit(
      Overloaded{
          [](const rec::MetaRecord&) { return std::string("m"); },
          [](const rec::EstateRecord&) { return std::string("e"); },
          [](const rec::FreezeRecord&) { return std::string("f"); },
          [](const rec::NodeRecord& r) { return absl::StrCat("n/", r.name()); },
          [](const rec::WorkloadRecord& r) { return absl::StrCat("w/", r.name()); },
          [](const rec::BackupRecord& r) { return absl::StrCat("b/", r.backup().id()); },
          [](const rec::RunRecord& r) { return absl::StrCat("r/", r.run().id()); },
          [](const rec::OrderRecord& r) { return absl::StrCat("o/", r.order().id()); },
          [](const rec::RecoveryRecord& r) { return absl::StrCat("y/", r.recovery().id()); },
          [](const rec::DomainRecord& r) { return absl::StrCat("d/", r.id()); },
          [](const rec::TokenRecord& r) { return absl::StrCat("t/", r.secret_sha256()); },
          [](const rec::VaultRecord& r) { return absl::StrCat("u/", r.name()); },
          [](const rec::MessageRecord& r) {
            return absl::StrCat("g/", MessageKey(r.message().to(), r.message().seq()));
          },
      },
      record);
}

std::string EventKey(uint64_t seq) {
  std::string key = "v/";
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(seq >> shift));
  return key;
}

template <typename T>
absl::Status ParseInto(absl::string_view key, absl::string_view value, T* record) {
  if (record->ParseFromArray(value.data(), static_cast<int>(value.size()))) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("catalog record ", absl::CHexEscape(key), " does not parse"));
}

template <typename T>
void PutOrErase(std::map<std::string, T>& map, const std::string& key, const T& record,
                bool erase) {
  if (erase) {
    map.erase(key);
  } else {
    map[key] = record;
  }
}

}  // namespace

std::string MessageKey(absl::string_view receiver, uint64_t seq) {
  return seq == 0 ? absl::StrCat(receiver, "/")
                  : absl::StrCat(receiver, "/", absl::Hex(seq, absl::kZeroPad16));
}

std::string EventHash(const rec::EventRecord& event) {
  ember::v1::Event unhashed = event.event();
  unhashed.clear_hash();
  return Sha256(
      absl::StrCat(event.previous_hash(), unhashed.SerializeAsString(), event.workload()));
}

void Batch::AddEvent(absl::string_view type, absl::string_view subject, absl::string_view message,
                     absl::string_view workload) {
  rec::EventRecord event;
  event.mutable_event()->set_type(std::string(type));
  event.mutable_event()->set_subject(std::string(subject));
  event.mutable_event()->set_message(std::string(message));
  event.set_workload(std::string(workload));
  events_.push_back(std::move(event));
}

absl::Status Catalog::Commit(const Batch& batch, absl::Time now) {
  if (batch.empty()) return absl::OkStatus();
  std::vector<Write> writes;
  for (const Batch::Change& change : batch.changes_) {
    Write write{KeyOf(change.record), "", change.erase};
    if (!change.erase) {
      std::visit([&](const auto& record) { record.SerializeToString(&write.value); },
                 change.record);
    }
    writes.push_back(std::move(write));
  }
  uint64_t seq = last_event_seq_;
  std::string head = head_hash_;
  for (rec::EventRecord event : batch.events_) {
    event.mutable_event()->set_seq(++seq);
    *event.mutable_event()->mutable_time() = rpc::ToTimestamp(now);
    event.set_previous_hash(head);
    head = EventHash(event);
    event.set_hash(head);
    event.mutable_event()->set_hash(absl::BytesToHexString(head));
    writes.push_back({EventKey(seq), event.SerializeAsString()});
  }
  // The log's end stands apart from it, so that a tail that was cut off is missed.
  rec::MetaRecord meta = meta_;
  bool meta_changes = seq != last_event_seq_;
  for (const Batch::Change& change : batch.changes_) {
    const auto* changed = std::get_if<rec::MetaRecord>(&change.record);
    if (changed == nullptr) continue;
    meta = *changed;
    meta_changes = true;
  }
  if (meta_changes) {
    meta.set_last_event_seq(seq);
    meta.set_last_event_hash(head);
    writes.push_back({KeyOf(meta), meta.SerializeAsString()});
  }
  EMBER_RETURN_IF_ERROR(WriteSynced(writes));
  for (const Batch::Change& change : batch.changes_) Apply(change.record, change.erase);
  meta_ = std::move(meta);
  last_event_seq_ = seq;
  head_hash_ = head;
  if (!batch.changes_.empty()) ++generation_;
  return absl::OkStatus();
}

const std::set<std::string>& Catalog::RecoveriesOf(const std::string& workload) const {
  static const auto* const none = new std::set<std::string>;
  const auto it = recoveries_of_.find(workload);
  return it == recoveries_of_.end() ? *none : it->second;
}

const v1::WorkloadSpec* Catalog::FindWorkload(const std::string& name) const {
  const auto it = declared_.find(name);
  return it == declared_.end() ? nullptr : &estate_.estate().workloads(it->second);
}

bool Catalog::ChangesConfigs(const Record& record) const {
  return std::visit(
      Overloaded{
          [&](const rec::NodeRecord& r) {
            const auto known = nodes_.find(r.name());
            // Whether a vault can be reached says whether its backups are there.
            const bool reachable = known != nodes_.end() && known->second.state() == r.state();
            return known == nodes_.end() || (!reachable && vault_hosts_.count(r.name()) > 0) ||
                   known->second.address() != r.address() ||
                   known->second.revoked() != r.revoked() ||
                   !std::equal(r.superseded_serials().begin(), r.superseded_serials().end(),
                               known->second.superseded_serials().begin(),
                               known->second.superseded_serials().end());
          },
          [](const rec::EstateRecord&) { return true; },
          [](const rec::WorkloadRecord&) { return true; },
          [](const rec::BackupRecord&) { return true; },
          [](const rec::DomainRecord&) { return true; },
          [](const auto&) { return false; },
      },
      record);
}

void Catalog::Apply(const Record& record, bool erase) {
  if (ChangesConfigs(record)) ++config_generation_;
  std::visit(
      Overloaded{
          [&](const rec::MetaRecord& r) { meta_ = r; },
          [&](const rec::EstateRecord& r) {
            estate_ = r;
            declared_.clear();
            vault_hosts_.clear();
            for (const v1::VaultSpec& vault : r.estate().vaults())
              vault_hosts_.insert(vault.node());
            for (int i = 0; i < r.estate().workloads_size(); ++i)
              declared_.emplace(r.estate().workloads(i).name(), i);
          },
          [&](const rec::FreezeRecord& r) { freeze_ = r; },
          [&](const rec::NodeRecord& r) { PutOrErase(nodes_, r.name(), r, erase); },
          [&](const rec::WorkloadRecord& r) { PutOrErase(workloads_, r.name(), r, erase); },
          [&](const rec::BackupRecord& r) { PutOrErase(backups_, r.backup().id(), r, erase); },
          [&](const rec::RunRecord& r) { PutOrErase(runs_, r.run().id(), r, erase); },
          [&](const rec::OrderRecord& r) { PutOrErase(orders_, r.order().id(), r, erase); },
          [&](const rec::RecoveryRecord& r) {
            PutOrErase(recoveries_, r.recovery().id(), r, erase);
            std::set<std::string>& ids = recoveries_of_[r.recovery().workload()];
            erase ? (void)ids.erase(r.recovery().id()) : (void)ids.insert(r.recovery().id());
          },
          [&](const rec::DomainRecord& r) { PutOrErase(domains_, r.id(), r, erase); },
          [&](const rec::TokenRecord& r) { PutOrErase(tokens_, r.secret_sha256(), r, erase); },
          [&](const rec::VaultRecord& r) { PutOrErase(vaults_, r.name(), r, erase); },
          [&](const rec::MessageRecord& r) {
            PutOrErase(messages_, MessageKey(r.message().to(), r.message().seq()), r, erase);
          },
      },
      record);
}

absl::Status Catalog::Load(absl::string_view key, absl::string_view value) {
  const auto load = [&](auto record) {
    const absl::Status status = ParseInto(key, value, &record);
    if (status.ok()) Apply(record, false);
    return status;
  };
  switch (key[0]) {
    case 'm': {
      rec::MetaRecord meta;
      EMBER_RETURN_IF_ERROR(ParseInto(key, value, &meta));
      if (meta.schema_version() > kCatalogSchema) {
        return WithHint(absl::FailedPreconditionError(
                            absl::StrCat("the catalog has schema ", meta.schema_version(),
                                         ": this program knows up to ", kCatalogSchema)),
                        "install the Ember version that wrote it, or a newer one");
      }
      last_event_seq_ = meta.last_event_seq();
      if (last_event_seq_ > 0) head_hash_ = meta.last_event_hash();
      meta_ = std::move(meta);
      return absl::OkStatus();
    }
    case 'e': return load(rec::EstateRecord());
    case 'f': return load(rec::FreezeRecord());
    case 'n': return load(rec::NodeRecord());
    case 'w': return load(rec::WorkloadRecord());
    case 'b': return load(rec::BackupRecord());
    case 'r': return load(rec::RunRecord());
    case 'o': return load(rec::OrderRecord());
    case 'y': return load(rec::RecoveryRecord());
    case 'd': return load(rec::DomainRecord());
    case 't': return load(rec::TokenRecord());
    case 'u': return load(rec::VaultRecord());
    case 'g': return load(rec::MessageRecord());
    case 'v': {
      rec::EventRecord event;
      return ParseInto(key, value, &event);
    }
    default:
      return absl::DataLossError(absl::StrCat("unknown catalog key ", absl::CHexEscape(key)));
  }
}

}  // namespace ember::controller
