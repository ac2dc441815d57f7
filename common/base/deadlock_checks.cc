#include "common/base/deadlock_checks.h"

#include "absl/synchronization/mutex.h"

namespace ember {

void SkipDeadlockChecks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace ember
