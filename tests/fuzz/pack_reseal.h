// Checksums put right again, so that a mutated pack reaches what lies behind them.
#ifndef EMBER_TESTS_FUZZ_PACK_RESEAL_H_
#define EMBER_TESTS_FUZZ_PACK_RESEAL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace ember::fuzz {

// `bytes` with the checksum of whatever looks like a start, a record, a parity's table or a trailer
// (docs/formats.md, pack). Slices and their checksums stay as they are.
std::string ResealPack(absl::string_view bytes);

// The same for a record that `bytes` begins with.
std::string ResealRecord(absl::string_view bytes);

// A parity's table, and a footer, as they stand in a pack around these serialised messages.
std::string FrameParityTable(absl::string_view table);
std::string FrameFooter(absl::string_view footer);

}  // namespace ember::fuzz

#endif  // EMBER_TESTS_FUZZ_PACK_RESEAL_H_
