// The keys of a dedup domain for whoever holds the recovery kit.
#ifndef EMBER_COMMON_BACKUP_DOMAIN_KEYS_H_
#define EMBER_COMMON_BACKUP_DOMAIN_KEYS_H_

#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "common/crypto/recovery_kit.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

// The secrets of a domain from the box that the kit opens. INVALID_ARGUMENT naming both estates
// when it opens none. FAILED_PRECONDITION: a newer Ember sealed it.
absl::StatusOr<format::v1::DomainSecrets> OpenDomain(const RecoveryKit& kit,
                                                     const format::v1::DomainBoxes& boxes);

// Opens sessions with the domain's own key. A keybox that does not open is left out: what its
// session sealed is then lost, and nothing else.
KeySource KeysOfDomain(format::v1::DomainSecrets secrets);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_DOMAIN_KEYS_H_
