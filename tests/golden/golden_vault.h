// A golden vault: what a release wrote, in three files of one name.
//   NAME.tar   the vault's directory, without the index
//   NAME.kit   the recovery kit of its estate: a throw-away key
//   NAME.tree  every backup and every entry in it, as it must come back
#ifndef EMBER_TESTS_GOLDEN_GOLDEN_VAULT_H_
#define EMBER_TESTS_GOLDEN_GOLDEN_VAULT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ember::testing {

enum class GoldenState { kCommitted, kTrashed, kPurged };

struct GoldenBackup {
  GoldenState state = GoldenState::kCommitted;
  std::vector<std::string> lines;  // listing.h; none of a purged one
};

// By id. The text of a NAME.tree: "backup ID STATE", then its lines.
using GoldenTree = std::map<std::string, GoldenBackup>;
std::string ToText(const GoldenTree& tree);
// INVALID_ARGUMENT when the text is another one.
absl::StatusOr<GoldenTree> ParseTree(const std::string& text);

// `directory` becomes what `tar` holds.
absl::Status Unpack(const std::string& tar, const std::string& directory);
// The reverse, without what is derived (index/, LOCK, tmp/); the same files give the same bytes.
absl::Status Pack(const std::string& directory, const std::string& tar);

}  // namespace ember::testing

#endif  // EMBER_TESTS_GOLDEN_GOLDEN_VAULT_H_
