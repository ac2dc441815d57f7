// One fuzz target: a function of any bytes. Each *_fuzz.cc defines one; libfuzzer_main.cc calls it
// with what libFuzzer makes up, replay_main.cc with the corpus and mutations of it.
#ifndef EMBER_TESTS_FUZZ_FUZZ_TARGET_H_
#define EMBER_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"

namespace ember::fuzz {

// Must return, whatever `bytes` are. Not called concurrently.
void FuzzOne(absl::string_view bytes);

// What must hold of everything that is accepted: ends the process when it does not.
inline void Require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: an invariant does not hold\n", file, line);
  std::abort();
}

}  // namespace ember::fuzz

#endif  // EMBER_TESTS_FUZZ_FUZZ_TARGET_H_
