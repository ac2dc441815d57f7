#include "common/base/deletion_budget.h"

#include <algorithm>

namespace ember {

int64_t DeletionBudget(int percent, int64_t committed, int64_t deleted) {
  // Of the backups as they were a day ago, so that using the budget does not make it smaller.
  const int64_t total = committed + deleted;
  return std::max<int64_t>(0, std::max<int64_t>(1, total * percent / 100) - deleted);
}

}  // namespace ember
