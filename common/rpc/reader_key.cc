#include "common/rpc/reader_key.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/crypto/keybox.h"

namespace ember::rpc {
namespace {

// A backup's id has no NUL, nor has a path.
std::string ContextOf(absl::string_view backup_id, absl::string_view path, int64_t offset) {
  return absl::StrCat("ember file part v1", std::string(1, '\0'), backup_id, std::string(1, '\0'),
                      path, std::string(1, '\0'), offset);
}

}  // namespace

ReaderKey::ReaderKey() {
  X25519KeyPair pair = NewX25519KeyPair();
  public_key_ = std::move(pair.public_key);
  private_key_ = std::move(pair.private_key);
}

absl::StatusOr<std::string> ReaderKey::Open(absl::string_view backup_id, absl::string_view path,
                                            int64_t offset, absl::string_view sealed) const {
  return OpenWithPrivateKey(private_key_, ContextOf(backup_id, path, offset), sealed);
}

absl::StatusOr<std::string> SealForReader(absl::string_view public_key, absl::string_view backup_id,
                                          absl::string_view path, int64_t offset,
                                          absl::string_view bytes) {
  return SealToPublicKey(public_key, ContextOf(backup_id, path, offset), bytes);
}

}  // namespace ember::rpc
