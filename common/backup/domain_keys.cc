#include "common/backup/domain_keys.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/crypto/keybox.h"

namespace ember::backup {
namespace {

constexpr uint32_t kVersion = 1;

}  // namespace

absl::StatusOr<format::v1::DomainSecrets> OpenDomain(const RecoveryKit& kit,
                                                     const format::v1::DomainBoxes& boxes) {
  for (const std::string& box : boxes.boxes()) {
    const auto opened = OpenWithPrivateKey(kit.private_key, boxes.domain_id(), box);
    if (!opened.ok()) continue;
    format::v1::DomainSecrets secrets;
    if (!secrets.ParseFromString(*opened)) continue;
    if (secrets.version() > kVersion) {
      return WithHint(absl::FailedPreconditionError(
                          absl::StrCat("the keys of domain '", boxes.domain_id(),
                                       "' cannot be used: a newer Ember sealed them")),
                      "use that version or a later one");
    }
    return secrets;
  }
  const std::string what =
      absl::StrCat("the recovery kit does not open domain '", boxes.domain_id(), "'");
  const auto named = [](const std::string& id) { return id.empty() ? "(not named)" : id; };
  if (!kit.estate_id.empty() && kit.estate_id == boxes.estate_id()) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(
                        what, ": kit and backups are both of estate ", kit.estate_id,
                        ", so its key was copied with an error, or is an earlier one")),
                    "compare the 64 digits of the recovery-key with the original");
  }
  return WithHint(absl::InvalidArgumentError(
                      absl::StrCat(what, ": the kit is of estate ", named(kit.estate_id),
                                   ", the backups are of estate ", named(boxes.estate_id()))),
                  "give the recovery kit of the estate that made the backups");
}

KeySource KeysOfDomain(format::v1::DomainSecrets secrets) {
  return
      [secrets = std::move(secrets)](
          const std::string&, const std::vector<v1::Keybox>& boxes) -> absl::StatusOr<RestoreKeys> {
        RestoreKeys keys{.id_key = secrets.id_key()};
        for (const v1::Keybox& box : boxes) {
          auto key = OpenWithPrivateKey(secrets.private_key(), box.session_id(), box.sealed());
          if (key.ok()) keys.session_keys[box.session_id()] = *std::move(key);
        }
        return keys;
      };
}

}  // namespace ember::backup
