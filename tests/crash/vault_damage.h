// Damage to the packs and the index of a vault's directory, as a bad disk does it.
#ifndef EMBER_TESTS_CRASH_VAULT_DAMAGE_H_
#define EMBER_TESTS_CRASH_VAULT_DAMAGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ember::testing {

enum class Damage {
  kFlip,  // a byte of the record: parity can repair it
  kTear,  // that, and one of the pack's end: nor does a new index know the record until then
  kRuin,  // that, and all of the parity
  kLose,  // the pack is gone
};

enum class IndexDamage {
  kSpoil,  // what RocksDB reads first is not what it wrote
  kLose,   // the index is gone
};

// Does it to the pack that has this record, and says which records cannot be read any more.
absl::StatusOr<std::vector<int>> DamagePackOf(const std::string& directory, int record,
                                              Damage damage);

// Of a vault that is not open.
absl::Status DamageIndex(const std::string& directory, IndexDamage damage);

}  // namespace ember::testing

#endif  // EMBER_TESTS_CRASH_VAULT_DAMAGE_H_
