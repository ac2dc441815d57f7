#include "common/backup/manifest_record.h"

#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/backup/manifest.h"
#include "common/backup/record.h"
#include "common/base/limits.h"

namespace ember::backup {

absl::Status BadManifest(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("its manifest is invalid: ", what));
}

absl::StatusOr<format::v1::ManifestNode> ParseManifestNode(const std::string& bytes,
                                                           uint32_t level) {
  format::v1::ManifestNode node;
  if (!node.ParseFromString(bytes) || node.version() != kManifestVersion)
    return BadManifest("a node has an unknown form");
  if (node.level() < 1 || node.level() > kManifestDepthMax ||
      (level != 0 && node.level() != level)) {
    return BadManifest("a node is at another level");
  }
  if (node.children_size() < 1 || static_cast<size_t>(node.children_size()) > kNodeChildrenMax)
    return BadManifest("a node has too few or too many children");
  for (int i = 0; i < node.children_size(); ++i) {
    const format::v1::Child& child = node.children(i);
    if (child.id().size() != std::tuple_size_v<RecordId>)
      return BadManifest("an id has not 32 bytes");
    // Equal first paths: parts of one large entry.
    if (i > 0 && PathLess(child.first_path(), node.children(i - 1).first_path()))
      return BadManifest("children out of order");
  }
  return node;
}

absl::StatusOr<format::v1::ManifestLeaf> ParseManifestLeaf(const std::string& bytes) {
  format::v1::ManifestLeaf leaf;
  if (!leaf.ParseFromString(bytes) || leaf.version() != kManifestVersion)
    return BadManifest("a leaf has an unknown form");
  return leaf;
}

}  // namespace ember::backup
