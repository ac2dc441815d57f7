#include "common/vault/damaged_ids.h"

#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"

namespace ember::vault {

absl::StatusOr<std::unique_ptr<DamagedIds>> DamagedIds::Open(const std::string& path) {
  std::unique_ptr<DamagedIds> damaged(new DamagedIds(path));
  const auto bytes = ReadFile(path);
  if (absl::IsNotFound(bytes.status())) return damaged;
  EMBER_RETURN_IF_ERROR(bytes.status());
  const auto body = Unframe(kStateMagic, *bytes, path);
  if (!body.ok()) {
    LogError("vault", "the list of damaged records is damaged itself",
             {{"why", body.status().message()}});
    return damaged;
  }
  absl::MutexLock lock(&damaged->mu_);
  for (const absl::string_view id : SplitIds(*body)) damaged->ids_.insert(std::string(id));
  return damaged;
}

void DamagedIds::Add(absl::string_view id) {
  absl::MutexLock lock(&mu_);
  if (ids_.size() >= kDamagedIdsMax || !ids_.insert(std::string(id)).second) return;
  ++generation_;
  Save();
}

void DamagedIds::Remove(absl::string_view id) {
  absl::MutexLock lock(&mu_);
  if (ids_.erase(std::string(id)) != 0) Save();
}

bool DamagedIds::Contains(absl::string_view id) {
  absl::MutexLock lock(&mu_);
  return !ids_.empty() && ids_.contains(std::string(id));
}

std::set<std::string> DamagedIds::All() {
  absl::MutexLock lock(&mu_);
  return ids_;
}

int64_t DamagedIds::size() {
  absl::MutexLock lock(&mu_);
  return static_cast<int64_t>(ids_.size());
}

uint64_t DamagedIds::generation() {
  absl::MutexLock lock(&mu_);
  return generation_;
}

void DamagedIds::Save() {
  std::string body;
  for (const std::string& id : ids_) body += id;
  const absl::Status status = WriteFileAtomic(path_, Frame(kStateMagic, body));
  // Not fatal: the list lives on in memory, and the next read finds the damage again.
  if (!status.ok())
    LogWarning("vault", "could not save the list of damaged records", {{"why", status.message()}});
}

}  // namespace ember::vault
