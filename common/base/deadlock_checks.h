// Abseil's search for deadlocks.
#ifndef EMBER_COMMON_BASE_DEADLOCK_CHECKS_H_
#define EMBER_COMMON_BASE_DEADLOCK_CHECKS_H_

namespace ember {

// Debian builds Abseil without NDEBUG, so that every lock taken while another is held goes through
// one table of the whole process. Right for tests; for programs that serve it is most of what a
// lock costs. Before the first thread is started.
void SkipDeadlockChecks();

}  // namespace ember

#endif  // EMBER_COMMON_BASE_DEADLOCK_CHECKS_H_
