#include "common/base/errors.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace ember {
namespace {

constexpr char kHintUrl[] = "ember/hint";
constexpr char kDamagedUrl[] = "ember/damaged";

}  // namespace

absl::Status WithHint(absl::Status status, absl::string_view hint) {
  if (!status.ok()) status.SetPayload(kHintUrl, absl::Cord(hint));
  return status;
}

std::string HintOf(const absl::Status& status) {
  auto payload = status.GetPayload(kHintUrl);
  return payload ? std::string(*payload) : std::string();
}

absl::Status NodeNotFound(absl::string_view node) {
  return WithHint(absl::NotFoundError(absl::StrCat("no node '", node, "': it never joined this estate")),
                  "ember node list");
}
absl::Status WorkloadNotFound(absl::string_view workload) {
  return WithHint(absl::NotFoundError(absl::StrCat("no workload '", workload, "': it is not in the estate")),
                  "ember workload list");
}
absl::Status BackupNotFound(absl::string_view id) {
  return WithHint(absl::NotFoundError(absl::StrCat("no backup '", id, "': no id, name or prefix matches")),
                  "ember backup list");
}
absl::Status BackupAmbiguous(absl::string_view id, absl::string_view candidates) {
  return WithHint(absl::InvalidArgumentError(absl::StrCat("backup '", id, "' is not unique: it matches ", candidates)),
                  "give more of the id");
}
absl::Status RecoveryNotFound(absl::string_view id) {
  return WithHint(absl::NotFoundError(absl::StrCat("no recovery '", id, "'")), "ember recovery list");
}
absl::Status RunNotFound(absl::string_view id) {
  return WithHint(absl::NotFoundError(absl::StrCat("no run '", id, "'")), "ember backup list");
}
absl::Status VaultNotFound(absl::string_view vault) {
  return WithHint(absl::NotFoundError(absl::StrCat("no vault '", vault, "'")), "ember vault list");
}
absl::Status NeedsConfirmation(absl::string_view what) {
  return WithHint(absl::FailedPreconditionError(absl::StrCat("needs confirmation: ", what)),
                  "run it again with --yes if that is what you want");
}
absl::Status PeerRefused(absl::string_view who, absl::string_view why) {
  return WithHint(absl::PermissionDeniedError(absl::StrCat("refused ", who, ": ", why)),
                  "check the identity used (--identity), or enrol again with `ember node token NODE`");
}
absl::Status TokenRefused(absl::string_view why) {
  return WithHint(absl::UnauthenticatedError(absl::StrCat("the join token was refused: ", why)),
                  "make a new one with `ember node token NODE`");
}
absl::Status EmUnreachable(absl::string_view address, absl::string_view why) {
  return WithHint(absl::UnavailableError(absl::StrCat("the EM at ", address, " cannot be reached: ", why)),
                  "check that ember-controller runs there, and the address (--em or EMBER_EM)");
}
absl::Status StateDirEmpty(absl::string_view directory) {
  return WithHint(absl::FailedPreconditionError(absl::StrCat("no estate in ", directory, ": the directory is empty")),
                  absl::StrCat("ember-controller init --state-dir ", directory));
}
absl::Status StateDirInUse(absl::string_view directory) {
  return WithHint(absl::UnavailableError(absl::StrCat(directory, " is in use: another process holds its lock")),
                  "stop the other process first");
}
absl::Status DiskFull(absl::string_view what) {
  return WithHint(absl::ResourceExhaustedError(absl::StrCat(what, ": no space left on device")),
                  "free space there, then run it again; nothing acknowledged was lost");
}
absl::Status Damaged(absl::string_view what, absl::string_view why) {
  absl::Status status = absl::DataLossError(absl::StrCat(what, " is damaged: ", why));
  status.SetPayload(kDamagedUrl, absl::Cord());
  return WithHint(std::move(status),
                  "restore another backup (ember backup list), and check the vault's disk");
}
bool IsDamaged(const absl::Status& status) { return status.GetPayload(kDamagedUrl).has_value(); }
absl::Status NoGoodBackup(absl::string_view workload) {
  return WithHint(absl::FailedPreconditionError(absl::StrCat("no good backup of '", workload, "' exists")),
                  absl::StrCat("ember backup run ", workload));
}
absl::Status TargetNotEmpty(absl::string_view directory) {
  return WithHint(absl::FailedPreconditionError(absl::StrCat("needs confirmation: ", directory, " is not empty")),
                  "run it again with --yes: what is there is kept as a safety copy");
}

}  // namespace ember
