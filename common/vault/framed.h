// The frame of the vault's small files: magic:4 version:u32 sha256:32 (of magic, version, body),
// then the body. A flipped bit anywhere is found without any key.
#ifndef EMBER_COMMON_VAULT_FRAMED_H_
#define EMBER_COMMON_VAULT_FRAMED_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/digest.h"

namespace ember::vault {

inline constexpr char kVaultMagic[] = "EMBV";
inline constexpr char kBackupMagic[] = "EMBB";
inline constexpr char kRefsMagic[] = "EMBR";
inline constexpr char kStateMagic[] = "EMBS";
inline constexpr char kTrashMagic[] = "EMBT";
inline constexpr char kTombstoneMagic[] = "EMBD";
inline constexpr char kKeysMagic[] = "EMBK";

inline constexpr size_t kFrameHeaderBytes = 40;
inline constexpr size_t kFrameDigestAt = 8;  // to the end of the header

std::string Frame(absl::string_view magic, absl::string_view body);

// The header of a frame whose body comes piece by piece.
class FrameHeader {
 public:
  explicit FrameHeader(absl::string_view magic);
  void Update(absl::string_view piece) { digest_.Update(piece); }
  // Once.
  std::string Finish();

 private:
  std::string head_;
  Sha256Stream digest_;
};

// Whether a frame whose body comes piece by piece is whole.
class FrameCheck {
 public:
  // `header`: its first kFrameHeaderBytes, or all when it is shorter.
  FrameCheck(absl::string_view magic, absl::string_view header);
  void Update(absl::string_view piece) { digest_.Update(piece); }
  // Once, after the body. Errors as of Unframe.
  absl::Status Finish(absl::string_view what);

 private:
  const std::string magic_;
  const std::string header_;
  Sha256Stream digest_;
};

// The body within `bytes`. DATA_LOSS naming `what`; FAILED_PRECONDITION when made by a newer Ember.
absl::StatusOr<absl::string_view> Unframe(absl::string_view magic, absl::string_view bytes,
                                          absl::string_view what);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_FRAMED_H_
