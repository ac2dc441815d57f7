// The reference set of a backup: the ids it needs, ascending, each once (docs/formats.md). It may
// be larger than memory.
#ifndef EMBER_COMMON_VAULT_REF_SET_H_
#define EMBER_COMMON_VAULT_REF_SET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/pieces.h"
#include "common/base/scratch_file.h"
#include "common/vault/object_store.h"

namespace ember::vault {

// Hands over the set at `tail` (backup_objects.h), in pieces of whole ids. DATA_LOSS naming the
// object, also when the sink has seen ids by then: it is missing or damaged, its ids are not in
// order, or it is not the object that has this SHA-256 ("": nobody knows). FAILED_PRECONDITION: a
// newer Ember wrote it.
absl::Status ReadRefSet(ObjectStore& store, absl::string_view tail, absl::string_view sha256,
                        const PieceSink& sink);

// One that is being made. Use from one thread.
class NewRefSet {
 public:
  // What does not fit into memory goes to a scratch file in `directory`.
  NewRefSet(std::string directory, std::string manifest_root);

  // Takes joined ids. INVALID_ARGUMENT: they are not whole, not in ascending order, each once, or
  // more than kCommitIdsMax.
  absl::Status Append(absl::string_view joined);
  // INVALID_ARGUMENT: there are not `ids_total`, or the manifest's root is not among them.
  absl::Status CheckComplete(uint64_t ids_total) const;

  uint64_t size() const;
  absl::Status Visit(const PieceSink& sink) const;
  // Makes it durable at `tail`. Returns the SHA-256 of the object.
  absl::StatusOr<std::string> Publish(ObjectStore& store, absl::string_view tail) const;

 private:
  const std::string manifest_root_;
  ScratchFile ids_;
  std::string last_;
  bool has_root_ = false;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_REF_SET_H_
