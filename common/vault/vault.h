// One vault: packs of sealed records, the index of where they are, and the backups that refer to
// them. Holds no key; everything secret passes through as it came.
#ifndef EMBER_COMMON_VAULT_VAULT_H_
#define EMBER_COMMON_VAULT_VAULT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/pieces.h"
#include "common/vault/object_store.h"
#include "ember/v1/agent.pb.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

// Another vault, as a source of copies (Replicate) and of healing (Check with repair). Used by one
// thread.
class ReplicaSource {
 public:
  virtual ~ReplicaSource() = default;
  virtual absl::StatusOr<v1::ListStoredBackupsReply> ListBackups() = 0;
  virtual absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) = 0;
  // The ids of a backup, ascending, joined, in pieces of whole ids; of no worth after an error.
  virtual absl::Status ReadRefs(const std::string& backup_id, const PieceSink& sink) = 0;
  virtual absl::Status Read(const v1::ReadRequest& request,
                            const std::function<absl::Status(v1::ReadReply&&)>& sink) = 0;
};

// What a long job is given.
struct JobContext {
  const std::atomic<bool>* cancelled = nullptr;       // may be null; CANCELLED soon after it is set
  std::function<void(const v1::Progress&)> progress;  // may be empty
  ReplicaSource* other = nullptr;                     // of jobs that name another vault
};

// What the estate says about a vault; may change while it is open (docs/vault.md, deleting).
struct VaultRules {
  absl::Duration trash = absl::Hours(24) * kTrashDays;
  absl::Duration min_retention = absl::ZeroDuration();
  int deletion_budget_percent = kDeletionBudgetPercent;
  bool parity = true;  // of packs begun from now on
};

struct VaultOptions {
  std::string name;
  std::string directory;  // packs, snaps, refs; and index/ unless index_directory is set
  std::string index_directory;
  Clock* clock = nullptr;
  std::shared_ptr<ObjectStore>
      store;  // where objects are; null: the directory store at `directory`
  VaultRules rules;
  bool rebuild_index = false;  // make it anew, whatever it holds
};

// Safe for concurrent use. Errors as in ember/v1/vault.proto.
class Vault {
 public:
  // Opens or creates. Rebuilds the index from pack footers when it is missing, damaged or behind
  // the packs. UNAVAILABLE: another process has it open. FAILED_PRECONDITION: made by a newer
  // Ember.
  static absl::StatusOr<std::unique_ptr<Vault>> Open(const VaultOptions& options);
  virtual ~Vault() = default;

  // `node`: the caller's certificate name; a session belongs to it.
  virtual absl::StatusOr<v1::OpenSessionReply> OpenSession(
      const std::string& node, const v1::OpenSessionRequest& request) = 0;
  virtual absl::StatusOr<v1::HaveReply> Have(const std::string& node,
                                             const v1::HaveRequest& request) = 0;
  // Appends; durable after Sync. Called by one stream per session.
  virtual absl::Status Append(const std::string& node, const v1::UploadRequest& request) = 0;
  // Everything appended to the session is on disk and in the index. Returns stored bytes so far.
  virtual absl::StatusOr<int64_t> Sync(const std::string& session_id) = 0;
  // `ids`: joined, ascending, each once; asked for once.
  virtual absl::StatusOr<v1::CommitReply> Commit(const std::string& node,
                                                 const std::string& session_id, uint64_t token,
                                                 const v1::CommitHeader& header,
                                                 const Pieces& ids) = 0;
  virtual absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) = 0;
  virtual absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) = 0;
  // Records of `domain_id`; empty: of every domain. Others' are not there for the reader.
  virtual absl::Status Read(const v1::ReadRequest& request, const std::string& domain_id,
                            const std::function<absl::Status(v1::ReadReply&&)>& sink) = 0;
  // As ReplicaSource::ReadRefs. DATA_LOSS when they are not what was committed.
  virtual absl::Status ReadRefs(const std::string& backup_id, const PieceSink& sink) = 0;
  // Keeps a format.v1.CatalogExport; errors as CatalogExports::Take. For the process that hosts the
  // vault; never an RPC.
  virtual absl::Status TakeCatalogExport(absl::string_view bytes) = 0;
  // Deletion, undeletion, garbage collection, check (docs/vault.md). For the process that hosts the
  // vault; never an RPC. Idempotent. UNAVAILABLE: another job is under way. FAILED_PRECONDITION:
  // deletion is refused, with the reason. UNIMPLEMENTED: any other job; the index is made anew by
  // opening with `rebuild_index`.
  virtual absl::StatusOr<v1::VaultResult> Run(const v1::VaultOrder& order,
                                              const JobContext& context) = 0;
  // In force from the next job and the next session on; what runs goes by the rules it began with.
  virtual void SetRules(const VaultRules& rules) = 0;
  virtual v1::VaultFact Facts() = 0;
  // VaultFact.sequence alone, without asking the disk.
  virtual uint64_t sequence() = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_VAULT_H_
