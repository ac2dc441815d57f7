#include "node-agent/state.h"

#include "absl/strings/ascii.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember::agent {

absl::StatusOr<Fd> StateDirectory::Lock() const {
  EMBER_RETURN_IF_ERROR(MakeDirectories(root_));
  return LockFile(JoinPath(root_, "lock"));
}

absl::StatusOr<std::string> StateDirectory::LoadEm() const {
  absl::StatusOr<std::string> address = ReadFile(JoinPath(root_, "em"), 4096);
  if (absl::IsNotFound(address.status())) {
    return WithHint(
        absl::FailedPreconditionError(
            absl::StrCat("no controller to talk to: this machine never joined (", root_, ")")),
        absl::StrCat("ember node token NODE, then: ember-agent join TOKEN --state-dir ", root_));
  }
  if (!address.ok()) return address.status();
  return std::string(absl::StripAsciiWhitespace(*address));
}

absl::Status StateDirectory::SaveEm(absl::string_view address) const {
  return WriteFileAtomic(JoinPath(root_, "em"), absl::StrCat(address, "\n"));
}

absl::StatusOr<v1::NodeConfig> StateDirectory::LoadConfig() const {
  const std::string path = JoinPath(root_, "config.pb");
  v1::NodeConfig config;
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (absl::IsNotFound(bytes.status())) return config;
  if (!bytes.ok()) return bytes.status();
  if (!config.ParseFromString(*bytes)) return Damaged(path, "it does not parse");
  return config;
}

absl::Status StateDirectory::SaveConfig(const v1::NodeConfig& config) const {
  return WriteFileAtomic(JoinPath(root_, "config.pb"), config.SerializeAsString());
}

}  // namespace ember::agent
