// Reading records out of a pack: in its order, neighbours together, each one checked.
#ifndef EMBER_COMMON_VAULT_PACK_READER_H_
#define EMBER_COMMON_VAULT_PACK_READER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/vault/object_store.h"
#include "common/vault/pack.h"

namespace ember::vault {

// The record `id` at `offset` of a pack, `length` bytes of payload.
struct WantedRecord {
  std::string id;
  uint64_t offset = 0;
  uint32_t length = 0;
};

// What became of one: the record, valid during the call; DATA_LOSS or OUT_OF_RANGE when it was read
// and is not what was written; NOT_FOUND when it is an intact record of an id that begins alike, as
// the index knows ids; UNAVAILABLE when it could not be read, the cause of which may pass.
using RecordVisitor =
    std::function<absl::Status(const WantedRecord&, const absl::StatusOr<RecordView>&)>;

// Visits each of `wanted`. Errors are the visitor's.
absl::Status ReadRecords(ObjectStore& store, absl::string_view pack,
                         std::vector<WantedRecord> wanted, const RecordVisitor& visit);

// `wanted` in the bytes of a whole pack.
absl::StatusOr<RecordView> FindRecord(absl::string_view pack_bytes, const WantedRecord& wanted);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_PACK_READER_H_
