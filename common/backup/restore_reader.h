// Reads a backup: entries and bytes, every id recomputed.
#ifndef EMBER_COMMON_BACKUP_RESTORE_READER_H_
#define EMBER_COMMON_BACKUP_RESTORE_READER_H_

#include <atomic>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/vault_port.h"
#include "ember/format/v1/format.pb.h"
#include "ember/v1/agent.pb.h"

namespace ember::backup {

// What opens a backup.
struct RestoreKeys {
  std::string id_key;                               // K_id of the domain
  std::map<std::string, std::string> session_keys;  // session id → key
};
// Gets the keys of the given boxes: from the controller, or from a recovery kit.
using KeySource = std::function<absl::StatusOr<RestoreKeys>(const std::string& domain_id,
                                                            const std::vector<v1::Keybox>& boxes)>;

// Where restored objects go. Called by one thread, in path order.
class RestoreTarget {
 public:
  virtual ~RestoreTarget() = default;
  // An object comes. True: send its content (FILE without hardlink_to only).
  virtual absl::StatusOr<bool> Begin(const format::v1::Entry& entry) = 0;
  // Bytes of the object last begun, ascending; gaps are holes.
  virtual absl::Status Write(int64_t offset, absl::string_view bytes) = 0;
  // The object is complete. `content` tells of missing or damaged bytes (only with `anyway`).
  virtual absl::Status End(const format::v1::Entry& entry, const absl::Status& content) = 0;
};

struct RestoreOptions {
  std::vector<std::string>
      paths;  // as Entry.path; an entry is wanted when it is one of them or below; empty: all
  // Restore: of each file's content only the records that reach into [from, until).
  int64_t from = 0;
  int64_t until = std::numeric_limits<int64_t>::max();
  int sample_percent = 0;  // Verify: of the files, drawn anew each time; 0: all
  bool anyway = false;  // a damaged or absent record becomes a hole instead of ending the restore
  int threads = 2;
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const v1::Progress&)> progress;
};

// Use from one thread.
class RestoreReader {
 public:
  virtual ~RestoreReader() = default;
  // NOT_FOUND: no such backup. DATA_LOSS: its summary or manifest root does not open.
  static absl::StatusOr<std::unique_ptr<RestoreReader>> Open(VaultPort* vault,
                                                             const std::string& backup_id,
                                                             const KeySource& keys);
  virtual const format::v1::BackupSummary& summary() const = 0;
  virtual RecordId manifest_root() const = 0;
  // Records of this backup, in the order of `ids`: opened, or why not.
  virtual std::vector<absl::StatusOr<PlainRecord>> Fetch(const std::vector<RecordId>& ids) = 0;
  // The wanted entries in path order, without their content.
  virtual absl::Status ForEachEntry(
      const RestoreOptions& options,
      const std::function<absl::Status(const format::v1::Entry&)>& visit) = 0;
  // Sends the wanted entries and their bytes to `target`. DATA_LOSS names workload and path. Every
  // byte handed over belongs to a record whose id was recomputed. `holes` gets what `anyway`
  // skipped.
  virtual absl::Status Restore(const RestoreOptions& options, RestoreTarget* target,
                               std::vector<v1::PathProblem>* holes) = 0;
  // Reads and checks everything, to the end whatever it meets, and writes nothing. DATA_LOSS names
  // the first damaged path; `result` all of them, up to kProblemsReportedMax.
  virtual absl::Status Verify(const RestoreOptions& options, v1::VerifyResult* result) = 0;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_RESTORE_READER_H_
