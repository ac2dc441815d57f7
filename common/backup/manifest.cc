#include "common/backup/manifest.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Child;
using format::v1::Entry;
using format::v1::EntryType;
using format::v1::ManifestLeaf;

bool EndsNode(const HmacSha256Key& cut_key, size_t level, absl::string_view first_path) {
  const std::string label = absl::StrCat("node", std::string(1, static_cast<char>(level)));
  return KeyedNumber(cut_key, label, first_path) % kLeafBoundary == 0;
}

// The bytes of a leaf without entries.
std::string LeafStart() {
  ManifestLeaf leaf;
  leaf.set_version(kManifestVersion);
  return leaf.SerializeAsString();
}

}  // namespace

uint64_t KeyedNumber(const HmacSha256Key& key, absl::string_view label, absl::string_view name) {
  const std::string message = absl::StrCat(label, name);
  const HmacMessage parted{.prefix = static_cast<unsigned char>(message.at(0)),
                           .data = absl::string_view(message).substr(1)};
  HmacCode code;
  HmacSha256Batch(key, absl::MakeConstSpan(&parted, 1), absl::MakeSpan(&code, 1));
  uint64_t number = 0;
  for (int i = 7; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(code[i]);
  return number;
}

std::string EncodeInLeaf(const Entry& entry) {
  std::string bytes;
  entry.ByteSizeLong();  // remembered in the entry: WriteMessage takes it from there
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream output(&stream);
  google::protobuf::internal::WireFormatLite::WriteMessage(ManifestLeaf::kEntriesFieldNumber, entry,
                                                           &output);
  output.Trim();
  return bytes;
}

void ManifestTotals::Add(const Entry& entry) {
  if (entry.part() > 0) return;
  ++entries;
  if (entry.type() != EntryType::FILE) return;
  ++files;
  if (entry.hardlink_to().empty()) bytes += static_cast<uint64_t>(entry.size());
}

void ManifestTotals::Add(const Child& child) {
  entries += static_cast<uint64_t>(child.entries());
  files += static_cast<uint64_t>(child.files());
  bytes += static_cast<uint64_t>(child.bytes());
}

ManifestBuilder::ManifestBuilder(absl::string_view cut_key, Store store)
    : cut_key_(cut_key), store_(std::move(store)) {}

absl::Status ManifestBuilder::Add(const Entry& entry, absl::string_view encoded) {
  totals_.Add(entry);
  const size_t size = entry.ByteSizeLong() + 8;  // with its tag and length
  if (!leaf_.bytes.empty() && leaf_.size + size > kLeafBytesMax) EMBER_RETURN_IF_ERROR(CloseLeaf());
  const bool ends =
      entry.more_parts() ||
      (entry.part() == 0 && KeyedNumber(cut_key_, "leaf", entry.path()) % kLeafBoundary == 0);
  if (leaf_.bytes.empty()) {
    leaf_.bytes = LeafStart();
    leaf_.first_path = entry.path();
  }
  leaf_.bytes.append(encoded.data(), encoded.size());
  leaf_.totals.Add(entry);
  leaf_.size += size;
  return ends ? CloseLeaf() : absl::OkStatus();
}

absl::Status ManifestBuilder::CloseLeaf() {
  Leaf leaf = std::exchange(leaf_, Leaf());
  if (leaf.bytes.empty()) leaf.bytes = LeafStart();
  Child child;
  child.set_first_path(leaf.first_path);
  child.set_entries(leaf.totals.entries);
  child.set_files(leaf.totals.files);
  child.set_bytes(leaf.totals.bytes);
  EMBER_ASSIGN_OR_RETURN(const RecordId id, store_(RecordType::LEAF, std::move(leaf.bytes)));
  child.set_id(id.data(), id.size());
  return AddChild(0, std::move(child));
}

absl::Status ManifestBuilder::AddChild(size_t level, Child child) {
  if (level >= kManifestDepthMax) return absl::InternalError("the manifest is too deep");
  if (level == levels_.size()) levels_.emplace_back();
  const size_t size = child.ByteSizeLong() + 8;
  if (levels_[level].full ||
      (levels_[level].bytes > 0 && levels_[level].bytes + size > kLeafBytesMax)) {
    EMBER_RETURN_IF_ERROR(CloseNode(level));
  }
  Level& open = levels_[level];
  open.bytes += size;
  open.full = EndsNode(cut_key_, level, child.first_path()) ||
              static_cast<size_t>(open.node.children_size()) + 1 >= kNodeChildrenMax;
  *open.node.add_children() = std::move(child);
  return absl::OkStatus();
}

absl::Status ManifestBuilder::CloseNode(size_t level) {
  format::v1::ManifestNode node = std::move(levels_[level].node);
  levels_[level] = Level();
  node.set_version(kManifestVersion);
  node.set_level(level + 1);
  ManifestTotals totals;
  for (const Child& child : node.children()) totals.Add(child);
  Child parent;
  parent.set_first_path(node.children(0).first_path());
  parent.set_entries(totals.entries);
  parent.set_files(totals.files);
  parent.set_bytes(totals.bytes);
  EMBER_ASSIGN_OR_RETURN(const RecordId id, store_(RecordType::NODE, node.SerializeAsString()));
  parent.set_id(id.data(), id.size());
  return AddChild(level + 1, std::move(parent));
}

absl::StatusOr<RecordId> ManifestBuilder::Finish() {
  if (!leaf_.bytes.empty() || levels_.empty()) EMBER_RETURN_IF_ERROR(CloseLeaf());
  for (size_t level = 0;; ++level) {
    const bool top = level + 1 == levels_.size();
    if (top && levels_[level].node.children_size() == 1) {
      RecordId root;
      ParseRecordId(levels_[level].node.children(0).id(), &root);
      return root;
    }
    EMBER_RETURN_IF_ERROR(CloseNode(level));
  }
}

}  // namespace ember::backup
