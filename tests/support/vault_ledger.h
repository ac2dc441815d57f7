// What a vault was asked and what it promised: which states each backup may be in after a crash.
#ifndef EMBER_TESTS_SUPPORT_VAULT_LEDGER_H_
#define EMBER_TESTS_SUPPORT_VAULT_LEDGER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/vault.h"
#include "tests/support/vault_client.h"

namespace ember::testing {

struct VaultEvent {
  // kCopy: from another vault. kDamage: of a record. kRepair: of all that is damaged.
  enum Verb { kOpenSession, kCommit, kDelete, kUndelete, kPurge, kGc, kCopy, kDamage, kRepair };
  // kRefused: an answer that says that nothing was done. kFailed: any other error.
  enum Outcome { kBegins, kDone, kRefused, kFailed };
  Verb verb = kCommit;
  Outcome outcome = kBegins;
  PlannedBackup backup;     // not of kGc, kDamage, kRepair
  uint64_t number = 0;      // kOpenSession: token; kCommit: sequence; kDamage: the record
  int64_t received_us = 0;  // kCommit

  std::string ToLine() const;
  static absl::StatusOr<VaultEvent> FromLine(absl::string_view line);
};

class VaultLedger {
 public:
  void Apply(const VaultEvent& event);

  enum Fate : unsigned { kAbsent = 1, kStored = 2, kTrashed = 4, kPurged = 8 };
  struct Row {
    unsigned fates = kAbsent;   // those possible
    unsigned before = kAbsent;  // when the last request began
    uint64_t sequence = 0;      // 0: no commit was acknowledged
    int64_t received_us = 0;
  };
  const std::map<PlannedBackup, Row>& rows() const { return rows_; }
  uint64_t sequence_max() const { return sequence_max_; }
  int64_t received_us_max() const { return received_us_max_; }
  // Is a record damaged, and no repair acknowledged since?
  bool is_damaged() const { return !damaged_.empty(); }
  // The highest token acknowledged to a session of `workload`.
  uint64_t TokenOf(const std::string& workload) const;

  // Every promise that can be looked at without changing anything holds: what was acknowledged is
  // there bit by bit, with its sequence and time; what is shown is complete; what was deleted stays
  // away; nothing else is there. A damaged record may be reported until its repair is acknowledged.
  absl::Status CheckShown(vault::Vault& vault) const;
  // What is certainly in the trash can be had back. Changes the vault.
  absl::Status CheckUndelete(vault::Vault& vault) const;

 private:
  void ApplyGc(VaultEvent::Outcome outcome);
  // Verbs that are about one backup.
  void ApplyTo(Row& row, const VaultEvent& event);

  std::map<PlannedBackup, Row> rows_;
  std::set<int> damaged_;  // records
  std::map<std::string, uint64_t> tokens_;
  uint64_t sequence_max_ = 0;
  int64_t received_us_max_ = 0;
};

// The records in snaps/, trash/ and tombstones/ of `store` form one chain per domain.
absl::Status CheckChains(vault::ObjectStore& store);

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_VAULT_LEDGER_H_
