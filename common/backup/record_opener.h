// Opens records of a backup, whichever session sealed them, and fetches them by id.
#ifndef EMBER_COMMON_BACKUP_RECORD_OPENER_H_
#define EMBER_COMMON_BACKUP_RECORD_OPENER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/record.h"
#include "common/backup/restore_reader.h"
#include "common/backup/vault_port.h"

namespace ember::backup {

// Immutable; safe for concurrent use.
class RecordOpener {
 public:
  RecordOpener(std::string domain_id, RestoreKeys keys);
  ~RecordOpener();  // overwrites the keys
  RecordOpener(const RecordOpener&) = delete;
  RecordOpener& operator=(const RecordOpener&) = delete;

  // DATA_LOSS when it does not open, or its session's key is not among the keys.
  absl::StatusOr<PlainRecord> Open(const v1::Record& record) const;
  // Null when there is none.
  const std::string* KeyOf(const std::string& session_id) const;

 private:
  const std::string domain_id_;
  RestoreKeys keys_;
  const HmacSha256Key id_key_;
};

// The records of `ids`, in their order: opened, or why not. An error of the transport is every
// record's.
std::vector<absl::StatusOr<PlainRecord>> FetchRecords(VaultPort* vault, const RecordOpener& opener,
                                                      const std::vector<RecordId>& ids);

// What a ReadProblem means for its record: DATA_LOSS.
absl::Status StatusOfProblem(const v1::ReadProblem& problem);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_RECORD_OPENER_H_
