// The objects of one backup. They share a tail, <domain>/<sequence>-<stamp>:
//   snaps/<tail>        StoredBackupRecord: the backup is committed
//   trash/snaps/<tail>  TrashedBackup: it is deleted and can be had back
//   tombstones/<tail>   Tombstone: it is gone, and was gone in order
//   refs/<tail>         the ids it needs; there as long as it is committed or in the trash
#ifndef EMBER_COMMON_VAULT_BACKUP_OBJECTS_H_
#define EMBER_COMMON_VAULT_BACKUP_OBJECTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/object_store.h"
#include "common/vault/vault_state.h"
#include "ember/format/v1/format.pb.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

inline constexpr char kSnaps[] = "snaps";
inline constexpr char kTrashedSnaps[] = "trash/snaps";
inline constexpr char kTombstones[] = "tombstones";
inline constexpr char kRefs[] = "refs";

std::string BackupTail(absl::string_view domain_id, uint64_t sequence, absl::string_view stamp);
std::string BackupObject(absl::string_view kind, absl::string_view tail);
// The parts of a tail: all that a damaged object still tells. Empty and 0 when it is none.
struct TailParts {
  std::string domain_id;
  uint64_t sequence = 0;
  std::string stamp;
};
TailParts PartsOfTail(absl::string_view tail);
// The tails of all objects of a kind, sorted: by domain, then by sequence.
absl::StatusOr<std::vector<std::string>> ListTails(ObjectStore& store, absl::string_view kind);

absl::StatusOr<std::string> ReadObject(ObjectStore& store, const std::string& object);
// `bytes` is the file snaps/<tail>. These three: DATA_LOSS naming the file when it is damaged or
// belongs to another name; FAILED_PRECONDITION when a newer Ember wrote it.
absl::StatusOr<format::v1::StoredBackupRecord> ParseBackup(absl::string_view tail,
                                                           absl::string_view bytes);
// The record within is not looked at.
absl::StatusOr<format::v1::TrashedBackup> ReadTrashed(ObjectStore& store, absl::string_view tail);
absl::StatusOr<format::v1::Tombstone> ReadTombstone(ObjectStore& store, absl::string_view tail);

// The record as clients see it; without keyboxes and recovery boxes.
v1::StoredBackup ToWire(const format::v1::StoredBackupRecord& record);

// One link of a domain's chain: a backup record, wherever it is, or its tombstone.
struct ChainLink {
  std::string sha256;           // of the record's file
  std::string previous_sha256;  // as the record says
  bool readable = true;         // else both are unknown, or not to be trusted
};
using DomainChain = std::map<uint64_t, ChainLink>;  // by sequence

// The link that the object shows.
ChainLink ReadLink(ObjectStore& store, absl::string_view kind, absl::string_view tail);
// Every chain as it is in the store. Moves between the kinds must not happen meanwhile; commits
// may.
absl::StatusOr<std::map<std::string, DomainChain>> ReadChains(ObjectStore& store);
// The sequences whose predecessor is missing or was exchanged. A commit that failed at its very end
// may have left a record that no other follows: that is not a break.
std::vector<uint64_t> BrokenLinks(const DomainChain& chain);
// One sentence for each, over all domains. `heads`: of the domains, at a time before they were
// read.
std::vector<std::string> DescribeBreaks(const std::map<std::string, DomainChain>& chains,
                                        const std::map<std::string, VaultState::ChainHead>& heads);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_BACKUP_OBJECTS_H_
