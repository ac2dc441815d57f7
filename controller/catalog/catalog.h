// The controller's durable memory: typed records in RocksDB, mirrored in RAM.
// Layout, versions and invariants: docs/formats.md, "Catalog".
//
// key                  record           key                     record
// m                    MetaRecord       r/RUN                   RunRecord
// e                    EstateRecord     o/ORDER                 OrderRecord
// f                    FreezeRecord     y/RECOVERY              RecoveryRecord
// n/NODE               NodeRecord       d/DOMAIN                DomainRecord
// w/WORKLOAD           WorkloadRecord   t/SHA256 OF SECRET      TokenRecord
// b/WORKLOAD/STAMP     BackupRecord     v/SEQ (8 bytes, BE)     EventRecord
// u/VAULT              VaultRecord      g/WORKLOAD/SEQ (16 hex) MessageRecord
#ifndef EMBER_CONTROLLER_CATALOG_CATALOG_H_
#define EMBER_CONTROLLER_CATALOG_CATALOG_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "ember/record/v1/records.pb.h"

namespace ember::controller {

inline constexpr uint32_t kCatalogSchema = 3;

using Record =
    std::variant<record::v1::MetaRecord, record::v1::EstateRecord, record::v1::FreezeRecord,
                 record::v1::NodeRecord, record::v1::WorkloadRecord, record::v1::BackupRecord,
                 record::v1::RunRecord, record::v1::OrderRecord, record::v1::RecoveryRecord,
                 record::v1::DomainRecord, record::v1::TokenRecord, record::v1::VaultRecord,
                 record::v1::MessageRecord>;

// Changes that become durable together or not at all.
class Batch {
 public:
  void Put(Record record) { changes_.push_back({std::move(record), false}); }
  void Erase(Record record) { changes_.push_back({std::move(record), true}); }
  // `type` is dotted ("node.state"), `subject` what it is about, `workload` empty unless it
  // concerns one.
  void AddEvent(absl::string_view type, absl::string_view subject, absl::string_view message,
                absl::string_view workload = "");
  bool empty() const { return changes_.empty() && events_.empty(); }

 private:
  friend class Catalog;
  struct Change {
    Record record;
    bool erase;
  };
  std::vector<Change> changes_;
  std::vector<record::v1::EventRecord> events_;
};

// Not thread-safe: EmState guards it. The maps are what is on disk.
class Catalog {
 public:
  // Opens or creates; `directory` empty keeps everything in RAM (tests, simulation).
  // FAILED_PRECONDITION: written by a newer schema. DATA_LOSS: a record or the event chain's head
  // does not parse.
  static absl::StatusOr<std::unique_ptr<Catalog>> Open(const std::string& directory);
  virtual ~Catalog() = default;

  // One synced write. On error nothing has changed, on disk or in the maps; RESOURCE_EXHAUSTED when
  // the disk is full, and a later Commit works again once there is room. Events get `now`, their
  // numbers and their chain here.
  absl::Status Commit(const Batch& batch, absl::Time now);

  const record::v1::MetaRecord& meta() const { return meta_; }
  const record::v1::EstateRecord& estate() const { return estate_; }
  const record::v1::FreezeRecord& freeze() const { return freeze_; }
  const std::map<std::string, record::v1::NodeRecord>& nodes() const { return nodes_; }
  const std::map<std::string, record::v1::WorkloadRecord>& workloads() const { return workloads_; }
  const std::map<std::string, record::v1::BackupRecord>& backups() const { return backups_; }
  const std::map<std::string, record::v1::RunRecord>& runs() const { return runs_; }
  const std::map<std::string, record::v1::OrderRecord>& orders() const { return orders_; }
  const std::map<std::string, record::v1::RecoveryRecord>& recoveries() const {
    return recoveries_;
  }
  // Their ids.
  const std::set<std::string>& RecoveriesOf(const std::string& workload) const;
  const std::map<std::string, record::v1::DomainRecord>& domains() const { return domains_; }
  const std::map<std::string, record::v1::TokenRecord>& tokens() const { return tokens_; }
  const std::map<std::string, record::v1::VaultRecord>& vaults() const { return vaults_; }
  // By MessageKey: those of one receiver follow each other, oldest first.
  const std::map<std::string, record::v1::MessageRecord>& messages() const { return messages_; }

  // As declared; null when the estate has none of that name.
  const v1::WorkloadSpec* FindWorkload(const std::string& name) const;

  // Raised by every Commit that changed a record: caches of derived values compare it.
  uint64_t generation() const { return generation_; }

  // The same, without the changes that no agent is told of in its configuration (ConfigFor in
  // fleet/beats.h): nodes that only beat.
  uint64_t config_generation() const { return config_generation_; }

  uint64_t last_event_seq() const { return last_event_seq_; }
  const std::string& head_hash() const { return head_hash_; }
  // Events with seq > `after`, ascending, until `visit` returns false.
  virtual absl::Status ScanEvents(
      uint64_t after, const std::function<bool(const record::v1::EventRecord&)>& visit) = 0;

 protected:
  struct Write {
    std::string key;
    std::string value;
    bool erase = false;
  };
  virtual absl::Status WriteSynced(const std::vector<Write>& writes) = 0;
  absl::Status Load(absl::string_view key, absl::string_view value);

 private:
  void Apply(const Record& record, bool erase);
  bool ChangesConfigs(const Record& record) const;

  record::v1::MetaRecord meta_;
  record::v1::EstateRecord estate_;
  record::v1::FreezeRecord freeze_;
  std::map<std::string, record::v1::NodeRecord> nodes_;
  std::map<std::string, record::v1::WorkloadRecord> workloads_;
  std::map<std::string, record::v1::BackupRecord> backups_;
  std::map<std::string, record::v1::RunRecord> runs_;
  std::map<std::string, record::v1::OrderRecord> orders_;
  std::map<std::string, record::v1::RecoveryRecord> recoveries_;
  std::map<std::string, std::set<std::string>> recoveries_of_;  // by workload
  std::map<std::string, int> declared_;  // workloads, by name: where in the estate
  std::set<std::string> vault_hosts_;    // nodes
  std::map<std::string, record::v1::DomainRecord> domains_;
  std::map<std::string, record::v1::TokenRecord> tokens_;
  std::map<std::string, record::v1::VaultRecord> vaults_;
  std::map<std::string, record::v1::MessageRecord> messages_;
  uint64_t generation_ = 1;
  uint64_t config_generation_ = 1;
  uint64_t last_event_seq_ = 0;
  std::string head_hash_ = std::string(32, '\0');
};

// "WORKLOAD/" for seq 0: where a receiver's messages begin.
std::string MessageKey(absl::string_view receiver, uint64_t seq);

// The hash of an event: SHA-256(previous_hash ‖ the serialised Event without its hash field ‖
// workload).
std::string EventHash(const record::v1::EventRecord& event);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_CATALOG_CATALOG_H_
