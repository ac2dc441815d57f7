// Reading records out of packs: in pack order, neighbours together, each one checked.
#ifndef EMBER_COMMON_VAULT_RECORD_READER_H_
#define EMBER_COMMON_VAULT_RECORD_READER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/vault/chunk_index.h"
#include "common/vault/damaged_ids.h"
#include "common/vault/object_store.h"
#include "common/vault/pack_reader.h"
#include "common/vault/read_replies.h"

namespace ember::vault {

// Not thread-safe; one per request. Records that proved damaged (read, but not what was written) go
// to `damaged`; those that could not be read are only reported, since the cause may pass.
class RecordReader {
 public:
  // Of `domain_id`, and of which nobody can tell whose they are; empty: of every domain. Others'
  // records are not there.
  RecordReader(ObjectStore& store, ChunkIndex& index, DamagedIds& damaged, std::string domain_id,
               ReadSink sink)
      : store_(store),
        index_(index),
        damaged_(damaged),
        domain_id_(std::move(domain_id)),
        replies_(std::move(sink)) {}

  // Each id once, in any order; 32 bytes each.
  absl::Status ReadIds(std::vector<std::string> ids);
  // Everything that the session stored.
  absl::Status ReadSession(absl::string_view session_id);

 private:
  absl::Status ReadFromPack(const std::string& name, std::vector<WantedRecord> wanted);
  absl::Status Report(const std::string& id, bool absent, absl::string_view problem);

  ObjectStore& store_;
  ChunkIndex& index_;
  DamagedIds& damaged_;
  const std::string domain_id_;
  ReadReplies replies_;
};

// The copy of `id` at `location` can be read and is what was written.
bool IsRecordIntact(ObjectStore& store, ChunkIndex& index, const Location& location,
                    absl::string_view id);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_RECORD_READER_H_
