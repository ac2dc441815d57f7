// Records of a manifest, sane by themselves: what one says of others is judged by whoever reads
// both.
#ifndef EMBER_COMMON_BACKUP_MANIFEST_RECORD_H_
#define EMBER_COMMON_BACKUP_MANIFEST_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

// DATA_LOSS, saying what is wrong with a manifest.
absl::Status BadManifest(absl::string_view what);

// A node of this level (0: of any) with at least one child; their ids have 32 bytes and their first
// paths are in order. DATA_LOSS.
absl::StatusOr<format::v1::ManifestNode> ParseManifestNode(const std::string& bytes,
                                                           uint32_t level);
// DATA_LOSS: it is none of this version.
absl::StatusOr<format::v1::ManifestLeaf> ParseManifestLeaf(const std::string& bytes);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_MANIFEST_RECORD_H_
