// Preloaded into a program, lets its wall clock be wrong by CLOCK_OFFSET_SECONDS, as on a host whose clock is. The
// monotonic clock and the kernel's time stamps stay right. Waits until an instant of the wall clock are translated;
// those of Abseil are futex calls of its own, which libfaketime leaves alone.
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

namespace {

long Offset() {
  static const long offset = [] {
    const char* text = getenv("CLOCK_OFFSET_SECONDS");
    return text == nullptr ? 0L : atol(text);
  }();
  return offset;
}

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool IsWallClock(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

timespec Translated(const timespec& instant) {
  timespec right = instant;
  right.tv_sec -= Offset();
  if (right.tv_sec < 0) right.tv_sec = 0;
  return right;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  static const auto real = Real<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, out);
  if (result == 0 && IsWallClock(clock)) out->tv_sec += Offset();
  return result;
}

int gettimeofday(timeval* out, void*) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

long syscall(long number, ...) noexcept {
  static const auto real = Real<long (*)(long, ...)>("syscall");
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  timespec instant;
  const long operation = a[1] & FUTEX_CMD_MASK;
  if (number == SYS_futex && operation == FUTEX_WAIT_BITSET && (a[1] & FUTEX_CLOCK_REALTIME) && a[3] != 0) {
    instant = Translated(*reinterpret_cast<const timespec*>(a[3]));
    a[3] = reinterpret_cast<long>(&instant);
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Conditions of the wall clock only: nothing here makes others, but through pthread_cond_clockwait.
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
  static const auto real =
      Real<int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>("pthread_cond_clockwait");
  const timespec instant = Translated(*until);
  return real(condition, mutex, CLOCK_REALTIME, &instant);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  static const auto real =
      Real<int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>("pthread_cond_clockwait");
  const timespec instant = IsWallClock(clock) ? Translated(*until) : *until;
  return real(condition, mutex, clock, &instant);
}

}  // extern "C"
