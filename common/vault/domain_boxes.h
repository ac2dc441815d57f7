// keys/<domain>: the domain's secrets, sealed to the estate's recovery recipients. With a recovery
// kit a vault is readable without controller and agent (docs/formats.md, keys).
#ifndef EMBER_COMMON_VAULT_DOMAIN_BOXES_H_
#define EMBER_COMMON_VAULT_DOMAIN_BOXES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/vault/object_store.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Adds the boxes that are not there yet; durable when OK. What is there is never lost, only what
// was damaged is replaced. DATA_LOSS: the disk does not give back what is there. The first estate
// that is named stays. Calls must not overlap. RESOURCE_EXHAUSTED beyond kDomainBoxesMax, nothing
// is done. FAILED_PRECONDITION when a newer Ember wrote them.
absl::Status PutDomainBoxes(ObjectStore& store, const std::string& domain_id,
                            const std::string& estate_id, const std::vector<std::string>& boxes);

// NOT_FOUND when there are none. DATA_LOSS naming the file when it is damaged or of another domain.
absl::StatusOr<format::v1::DomainBoxes> ReadDomainBoxes(ObjectStore& store,
                                                        const std::string& domain_id);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_DOMAIN_BOXES_H_
