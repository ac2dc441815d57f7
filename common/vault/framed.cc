#include "common/vault/framed.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/vault/little_endian.h"

namespace ember::vault {
namespace {

constexpr uint32_t kVersion = 1;

std::string HeadOf(absl::string_view magic) {
  std::string head(magic);
  PutFixed<uint32_t>(head, kVersion);
  return head;
}

}  // namespace

std::string Frame(absl::string_view magic, absl::string_view body) {
  FrameHeader header(magic);
  header.Update(body);
  return absl::StrCat(header.Finish(), body);
}

FrameHeader::FrameHeader(absl::string_view magic) : head_(HeadOf(magic)) { digest_.Update(head_); }

std::string FrameHeader::Finish() { return absl::StrCat(head_, digest_.Finish()); }

FrameCheck::FrameCheck(absl::string_view magic, absl::string_view header)
    : magic_(magic), header_(header) {
  digest_.Update(header.substr(0, kFrameDigestAt));
}

absl::Status FrameCheck::Finish(absl::string_view what) {
  if (header_.size() < kFrameHeaderBytes) return Damaged(what, "it is too short");
  if (!absl::StartsWith(header_, magic_)) return Damaged(what, "its magic is wrong");
  if (digest_.Finish() != header_.substr(kFrameDigestAt))
    return Damaged(what, "its checksum does not match");
  if (GetFixed<uint32_t>(header_, magic_.size()) > kVersion) {
    return WithHint(absl::FailedPreconditionError(absl::StrCat(what, " was made by a newer Ember")),
                    "use that version or a later one");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> Unframe(absl::string_view magic, absl::string_view bytes,
                                          absl::string_view what) {
  FrameCheck check(magic, bytes.substr(0, kFrameHeaderBytes));
  const absl::string_view body = bytes.substr(std::min(bytes.size(), kFrameHeaderBytes));
  check.Update(body);
  EMBER_RETURN_IF_ERROR(check.Finish(what));
  return body;
}

}  // namespace ember::vault
