// The recovery kit: what opens every backup of an estate when nothing else is left of it.
#ifndef EMBER_COMMON_BACKUP_RECOVERY_KIT_H_
#define EMBER_COMMON_BACKUP_RECOVERY_KIT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/backup/restore_reader.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

struct RecoveryKit {
  std::string estate_id;    // "" when the kit does not say
  std::string private_key;  // X25519, 32 bytes
};

// The text of a kit, perhaps typed from paper: case, blanks, dashes and line breaks within the key
// do not matter. INVALID_ARGUMENT saying what is wrong.
absl::StatusOr<RecoveryKit> ParseRecoveryKit(absl::string_view text);

// The secrets of a domain from the box that the kit opens. INVALID_ARGUMENT naming both estates
// when it opens none. FAILED_PRECONDITION: a newer Ember sealed it.
absl::StatusOr<format::v1::DomainSecrets> OpenDomain(const RecoveryKit& kit,
                                                     const format::v1::DomainBoxes& boxes);

// Opens sessions with the domain's own key. A keybox that does not open is left out: what its
// session sealed is then lost, and nothing else.
KeySource KeysOfDomain(format::v1::DomainSecrets secrets);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_RECOVERY_KIT_H_
