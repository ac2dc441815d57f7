// Tells ThreadSanitizer what absl::Mutex orders: Debian's library is compiled without it, and
// everything behind a mutex would be a race. Linked into every program of that build alone, by the
// linker's --wrap (CMakeLists.txt).
#include <sanitizer/tsan_interface.h>

#include <cstdint>

extern "C" {

void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

// Libraries that are compiled without it, too; and who reads what RocksDB wrote, and ordered.
const char* __tsan_default_suppressions() {
  return "race:rocksdb::\nrace:DecodeLocation\nrace:grpc\nrace:google::protobuf::\n"
         "race:libabsl_\n";
}

#define EMBER_PASTE(a, b) a##b
#define EMBER_WRAPPED(symbol) EMBER_PASTE(__wrap_, symbol)
#define EMBER_REAL(symbol) EMBER_PASTE(__real_, symbol)

// Conditions of others are evaluated in Unlock and in waiting, with the lock held, which only the
// library knows.
#define EMBER_ACQUIRES(symbol)              \
  void EMBER_REAL(symbol)(void* mutex);     \
  void EMBER_WRAPPED(symbol)(void* mutex) { \
    EMBER_REAL(symbol)(mutex);              \
    __tsan_acquire(mutex);                  \
  }
#define EMBER_TRIES(symbol)                        \
  bool EMBER_REAL(symbol)(void* mutex);            \
  bool EMBER_WRAPPED(symbol)(void* mutex) {        \
    const bool locked = EMBER_REAL(symbol)(mutex); \
    if (locked) __tsan_acquire(mutex);             \
    return locked;                                 \
  }
#define EMBER_RELEASES(symbol)                    \
  void EMBER_REAL(symbol)(void* mutex);           \
  void EMBER_WRAPPED(symbol)(void* mutex) {       \
    __tsan_release(mutex);                        \
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__); \
    EMBER_REAL(symbol)(mutex);                    \
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);   \
  }

EMBER_ACQUIRES(_ZN4absl7debian35Mutex4LockEv)
EMBER_ACQUIRES(_ZN4absl7debian35Mutex10ReaderLockEv)
EMBER_TRIES(_ZN4absl7debian35Mutex7TryLockEv)
EMBER_RELEASES(_ZN4absl7debian35Mutex6UnlockEv)
EMBER_RELEASES(_ZN4absl7debian35Mutex12ReaderUnlockEv)

// absl::Duration is passed as a 64-bit and a 32-bit word.
void __real__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(void* mutex, const void* condition);
void __wrap__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(void* mutex, const void* condition) {
  __tsan_release(mutex);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  __real__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(mutex, condition);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(mutex);
}
bool __real__ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
    void* mutex, const void* condition, int64_t high, uint32_t low);
bool __wrap__ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
    void* mutex, const void* condition, int64_t high, uint32_t low) {
  __tsan_release(mutex);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  const bool done = __real__ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
      mutex, condition, high, low);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  __tsan_acquire(mutex);
  return done;
}
void __real__ZN4absl7debian37CondVar4WaitEPNS0_5MutexE(void* variable, void* mutex);
void __wrap__ZN4absl7debian37CondVar4WaitEPNS0_5MutexE(void* variable, void* mutex) {
  __tsan_release(mutex);
  __real__ZN4absl7debian37CondVar4WaitEPNS0_5MutexE(variable, mutex);
  __tsan_acquire(mutex);
}
bool __real__ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE(void* variable,
                                                                                 void* mutex,
                                                                                 int64_t high,
                                                                                 uint32_t low);
bool __wrap__ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE(void* variable,
                                                                                 void* mutex,
                                                                                 int64_t high,
                                                                                 uint32_t low) {
  __tsan_release(mutex);
  const bool expired = __real__ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE(
      variable, mutex, high, low);
  __tsan_acquire(mutex);
  return expired;
}
}
