// Reads back what a session sent, while its key is still known.
#ifndef EMBER_COMMON_BACKUP_READ_BACK_H_
#define EMBER_COMMON_BACKUP_READ_BACK_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/backup/id_set.h"
#include "common/backup/vault_port.h"

namespace ember::backup {

struct ReadBackOptions {
  std::string domain_id;
  std::string id_key;
  std::string session_id;
  absl::string_view session_key;
  int threads = 2;
  std::string scratch_directory;                 // as of IdSet
  const std::atomic<bool>* cancelled = nullptr;  // may be null
};

// OK when the vault returns every one of `uploaded`, and each opens. A record that the vault kept
// from another session that stored the same id meanwhile is only looked for: its key is not here.
// `uploaded` is sorted here.
absl::Status ReadBack(VaultPort* vault, const ReadBackOptions& options,
                      std::unique_ptr<IdSet> uploaded);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_READ_BACK_H_
