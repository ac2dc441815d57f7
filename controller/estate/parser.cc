#include "controller/estate/parser.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "controller/estate/check.h"
#include "controller/estate/document.h"
#include "controller/estate/map_reader.h"
#include "controller/estate/sections.h"
#include "controller/estate/tiers.h"

namespace ember::controller {
namespace {

constexpr char kHint[] =
    "see the examples in deploy/examples, or print the present estate with 'ember export'";

template <typename Spec>
void ReadSection(absl::string_view section, MapReader* map, Reading* reading,
                 google::protobuf::RepeatedPtrField<Spec>* specs,
                 void (*read)(const DocumentNode&, absl::string_view, Reading*, Spec*)) {
  const DocumentNode* list = map->Take(section);
  if (list == nullptr) return;
  reading->positions.Set(section, list->position);
  if (!ReadList(*list, section, &reading->problems)) return;
  for (const auto& item : list->items) {
    const std::string path = absl::StrCat(section, "/", specs->size());
    read(*item, path, reading, specs->Add());
  }
}

}  // namespace

absl::StatusOr<v1::Estate> ParseEstate(absl::string_view text, absl::string_view file_name,
                                       std::vector<std::string>* warnings) {
  const auto document = ReadDocument(text, file_name);
  if (!document.ok()) return WithHint(document.status(), kHint);
  Reading reading(file_name);
  v1::Estate estate;
  MapReader map(**document, "the estate", &reading.problems);
  ReadSection("vaults", &map, &reading, estate.mutable_vaults(), ReadVault);
  ReadSection("policies", &map, &reading, estate.mutable_policies(), ReadPolicy);
  ReadSection("workloads", &map, &reading, estate.mutable_workloads(), ReadWorkload);
  ReadSection("nodes", &map, &reading, estate.mutable_nodes(), ReadNode);
  ReadSettings(map.Take("settings"), &reading, estate.mutable_settings());
  map.RejectUnknownKeys();
  AddTiers(&estate);
  if (map.is_map()) CheckEstate(estate, reading.positions, &reading.problems);
  EMBER_RETURN_IF_ERROR(reading.problems.ToStatus());
  if (warnings != nullptr) {
    for (std::string& warning : reading.problems.Warnings())
      warnings->push_back(std::move(warning));
  }
  return estate;
}

absl::StatusOr<v1::Estate> EstateAfter(const v1::Estate& current, absl::string_view text,
                                       absl::string_view file_name,
                                       std::vector<std::string>* warnings) {
  return IsBackupSchedule(text) ? MergeSchedule(current, text, file_name, warnings)
                                : ParseEstate(text, file_name, warnings);
}

}  // namespace ember::controller
