// How much may be deleted without a person's word (docs/vault.md, deleting).
#ifndef EMBER_COMMON_BASE_DELETION_BUDGET_H_
#define EMBER_COMMON_BASE_DELETION_BUDGET_H_

#include <cstdint>

namespace ember {

// How many more backups of a vault may go by rule, `percent` of them within 24 hours. `committed`:
// those that are there now; `deleted`: what went by rule in the last 24 hours.
int64_t DeletionBudget(int percent, int64_t committed, int64_t deleted);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_DELETION_BUDGET_H_
