#include "cli/offline/directory_vault.h"

#include "common/base/status.h"
#include "common/vault/backup_objects.h"

namespace ember::cli {

absl::StatusOr<std::unique_ptr<backup::VaultSession>> DirectoryVault::OpenSession(
    v1::OpenSessionRequest) {
  return absl::FailedPreconditionError("the vault is open for reading only");
}

absl::StatusOr<v1::StoredBackup> DirectoryVault::GetBackup(const std::string& backup_id) {
  EMBER_ASSIGN_OR_RETURN(const vault::VaultArchive::Backup* backup, archive_.Find(backup_id));
  EMBER_ASSIGN_OR_RETURN(std::shared_ptr<const vault::LocatedBackup> located,
                         archive_.Locate(*backup, context_));
  v1::StoredBackup answer = vault::ToWire(backup->record);
  for (const auto& [session_id, sealed] : located->keyboxes()) {
    v1::Keybox* keybox = answer.add_keyboxes();
    keybox->set_session_id(session_id);
    keybox->set_sealed(sealed);
  }
  absl::MutexLock lock(&mu_);
  located_ = std::move(located);
  return answer;
}

absl::StatusOr<v1::ListStoredBackupsReply> DirectoryVault::ListBackups(
    const std::string& workload) {
  v1::ListStoredBackupsReply reply;
  for (const vault::VaultArchive::Backup& backup : archive_.backups()) {
    if (workload.empty() || backup.record.workload() == workload)
      *reply.add_items() = vault::ToWire(backup.record);
  }
  return reply;
}

absl::Status DirectoryVault::Read(v1::ReadRequest request,
                                  const std::function<absl::Status(v1::ReadReply&&)>& sink) {
  const auto located = this->located();
  if (located == nullptr || !request.only_session().empty())
    return absl::FailedPreconditionError("only records of the backup that was opened can be read");
  return located->Read({request.ids().begin(), request.ids().end()}, sink);
}

std::vector<std::string> DirectoryVault::problems() const {
  const auto located = this->located();
  return located == nullptr ? std::vector<std::string>() : located->problems();
}

std::shared_ptr<const vault::LocatedBackup> DirectoryVault::located() const {
  absl::MutexLock lock(&mu_);
  return located_;
}

}  // namespace ember::cli
