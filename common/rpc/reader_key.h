// Bytes that only whoever asked for them can read: they pass through the controller, its catalog
// and an agent's ledger, and stay sealed there.
#ifndef EMBER_COMMON_RPC_READER_KEY_H_
#define EMBER_COMMON_RPC_READER_KEY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember::rpc {

// Of the one who asks; lives as long as the question. Thread-safe once it is made.
class ReaderKey {
 public:
  ReaderKey();
  const std::string& public_key() const { return public_key_; }
  // What SealForReader sealed to public_key() for the same backup, path and offset. DATA_LOSS: it
  // is not that.
  absl::StatusOr<std::string> Open(absl::string_view backup_id, absl::string_view path,
                                   int64_t offset, absl::string_view sealed) const;

 private:
  std::string public_key_;
  std::string private_key_;
};

// INVALID_ARGUMENT: `public_key` is none.
absl::StatusOr<std::string> SealForReader(absl::string_view public_key, absl::string_view backup_id,
                                          absl::string_view path, int64_t offset,
                                          absl::string_view bytes);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_READER_KEY_H_
