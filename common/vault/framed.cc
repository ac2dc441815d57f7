#include "common/vault/framed.h"

#include "absl/strings/match.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/vault/little_endian.h"

namespace ember::vault {
namespace {

constexpr uint32_t kVersion = 1;

std::string FrameDigest(absl::string_view head, absl::string_view body) {
  Sha256Stream digest;
  digest.Update(head);
  digest.Update(body);
  return digest.Finish();
}

}  // namespace

std::string Frame(absl::string_view magic, absl::string_view body) {
  std::string framed;
  framed.reserve(kFrameHeaderBytes + body.size());
  absl::StrAppend(&framed, magic);
  PutFixed<uint32_t>(framed, kVersion);
  absl::StrAppend(&framed, FrameDigest(framed, body), body);
  return framed;
}

absl::StatusOr<absl::string_view> Unframe(absl::string_view magic, absl::string_view bytes,
                                          absl::string_view what) {
  if (bytes.size() < kFrameHeaderBytes) return Damaged(what, "it is too short");
  if (!absl::StartsWith(bytes, magic)) return Damaged(what, "its magic is wrong");
  const absl::string_view body = bytes.substr(kFrameHeaderBytes);
  const absl::string_view digest = bytes.substr(kFrameDigestAt, kFrameHeaderBytes - kFrameDigestAt);
  if (digest != FrameDigest(bytes.substr(0, kFrameDigestAt), body))
    return Damaged(what, "its checksum does not match");
  const uint32_t version = GetFixed<uint32_t>(bytes, 4);
  if (version > kVersion) {
    return WithHint(absl::FailedPreconditionError(absl::StrCat(what, " was made by a newer Ember")),
                    "use that version or a later one");
  }
  return body;
}

}  // namespace ember::vault
