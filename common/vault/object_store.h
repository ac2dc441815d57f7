// Immutable byte strings under validated names: what a vault stands on. Implementations: directory; S3 later.
// All pass tests/contract/object_store.
#ifndef EMBER_COMMON_VAULT_OBJECT_STORE_H_
#define EMBER_COMMON_VAULT_OBJECT_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember::vault {

// INVALID_ARGUMENT when `name` is not one of the names described below.
absl::Status ValidateObjectName(absl::string_view name);

// An object being written. Invisible until Publish.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;  // not published: removed
  virtual absl::Status Append(absl::string_view data) = 0;
  // Durable under `name` when OK; ALREADY_EXISTS when the name is taken (the object stays as it
  // was, and is durable; Replace may follow).
  virtual absl::Status Publish(absl::string_view name) = 0;
  // Like Publish, in place of the object `name`, at one instant: whoever reads finds the old bytes
  // or the new ones. On an error either of them is there. NOT_FOUND when there is no such object.
  virtual absl::Status Replace(absl::string_view name) = 0;
};

// Names: slash-separated components of [A-Za-z0-9._-], none starting with '.', at most 255 bytes each.
// Safe for concurrent use. RESOURCE_EXHAUSTED when full.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual absl::StatusOr<std::unique_ptr<ObjectWriter>> Create() = 0;
  // Bytes [offset, offset + size); OUT_OF_RANGE when the object is shorter; NOT_FOUND.
  virtual absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset, size_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size(absl::string_view name) = 0;
  // Full names below `prefix` (a directory, "" for all), sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) = 0;
  virtual absl::Status Delete(absl::string_view name) = 0;  // durable when OK; absent is OK
  // When OK, a Replace that failed right after its rename is durable, too.
  virtual absl::Status SyncNames() { return absl::OkStatus(); }
  struct Space {
    int64_t free_bytes = 0;
    int64_t used_bytes = 0;
  };
  virtual absl::StatusOr<Space> GetSpace() = 0;
};

// Objects as files below `root` (created). Temp files of an earlier crash are removed; they are in `tmp`, which is
// therefore no name of an object. What an earlier process published is made durable before this returns. Writers must
// not outlive the store.
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenDirectoryStore(const std::string& root);

// The objects below `root` as they are: nothing is created, removed or written, not even a directory. Create and Delete
// are FAILED_PRECONDITION. NOT_FOUND when `root` is no directory.
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenDirectoryForReading(const std::string& root);

// Create + Append + Publish.
absl::Status PutObject(ObjectStore& store, absl::string_view name, absl::string_view data);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_OBJECT_STORE_H_
