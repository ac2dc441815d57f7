// The section `workloads`, without the parts `sources`, `service` and `health`
// (section_runtime.cc).
#include "absl/strings/str_cat.h"
#include "controller/estate/sections.h"

namespace ember::controller {
namespace {

void ReadRecovery(const DocumentNode& node, absl::string_view path, Reading* reading,
                  v1::RecoverySpec* recovery) {
  MapReader map(node, "recovery", &reading->problems);
  // In the order of the enums.
  if (const DocumentNode* mode = map.Take("mode")) {
    const int index =
        ReadWord(*mode, "mode", {"automatic", "approve", "manual"}, &reading->problems);
    if (index >= 0) recovery->set_mode(static_cast<v1::RecoverySpec::Mode>(index));
  }
  if (const DocumentNode* recovery_class = map.Take("class")) {
    const int index =
        ReadWord(*recovery_class, "class", {"exclusive", "stateless"}, &reading->problems);
    if (index >= 0) recovery->set_class_(static_cast<v1::RecoverySpec::Class>(index));
  }
  const std::string recovery_path = absl::StrCat(path, "/recovery");
  reading->positions.Set(recovery_path, node.position);
  ReadNames("node", "standby", recovery_path, &map, reading, recovery->mutable_standby());
  ReadNames("workload", "with", recovery_path, &map, reading, recovery->mutable_with());
  ReadNames("workload", "apart", recovery_path, &map, reading, recovery->mutable_apart());
  int64_t seconds = 0;
  if (map.Seconds("max_auto_rpo", &seconds)) recovery->set_max_auto_rpo_seconds(seconds);
  if (map.Seconds("fail_back", &seconds)) recovery->set_fail_back_seconds(seconds);
  if (const DocumentNode* memory = map.Take("memory")) {
    int64_t bytes = 0;
    if (ReadSize(*memory, "memory", &reading->problems, &bytes)) recovery->set_memory_bytes(bytes);
  }
  map.RejectUnknownKeys();
}

// `db`, which must be healthy first, or `{workload: db, needs: started}`.
void ReadDependencies(absl::string_view path, MapReader* map, Reading* reading,
                      v1::WorkloadSpec* workload) {
  const DocumentNode* list = map->Take("depends_on");
  if (list == nullptr || !ReadList(*list, "depends_on", &reading->problems)) return;
  for (const auto& item : list->items) {
    bool started = false;
    const DocumentNode* name = item.get();
    if (item->kind == DocumentNode::kMap) {
      MapReader dependency(*item, absl::StrCat("depends_on of ", map->what()), &reading->problems);
      name = dependency.Require("workload");
      if (const DocumentNode* needs = dependency.Take("needs"))
        started = ReadWord(*needs, "needs", {"healthy", "started"}, &reading->problems) == 1;
      dependency.RejectUnknownKeys();
    }
    if (name == nullptr) continue;
    const int before = workload->depends_on_size();
    AddName("workload", "depends_on", *name, path, map->what(), reading,
            workload->mutable_depends_on());
    if (started && workload->depends_on_size() > before)
      workload->add_starts_after(workload->depends_on(before));
  }
}

void ReadObjectives(MapReader* map, Reading* reading, v1::WorkloadSpec* workload) {
  if (const DocumentNode* criticality = map->Take("criticality")) {
    const int index = ReadWord(*criticality, "criticality",
                               {"important", "critical", "nice-to-have"}, &reading->problems);
    if (index >= 0) workload->set_criticality(static_cast<v1::Criticality::Value>(index));
  }
  int64_t seconds = 0;
  if (map->Seconds("rpo", &seconds)) workload->set_rpo_seconds(seconds);
  if (map->Seconds("rto", &seconds)) workload->set_rto_seconds(seconds);
}

}  // namespace

void ReadWorkload(const DocumentNode& node, absl::string_view path, Reading* reading,
                  v1::WorkloadSpec* workload) {
  reading->positions.Set(path, node.position);
  MapReader map(node, LabelOf("workload", node), &reading->problems);
  workload->set_name(ReadName("workload", "name", path, &map, reading));
  workload->set_node(ReadName("node", "node", path, &map, reading));
  ReadObjectives(&map, reading, workload);
  ReadNames("policy", "policies", path, &map, reading, workload->mutable_policies());
  ReadDependencies(path, &map, reading, workload);
  const DocumentNode* sources = map.Take("sources");
  if (sources != nullptr && ReadList(*sources, "sources", &reading->problems)) {
    for (const auto& source : sources->items) {
      const std::string source_path = absl::StrCat(path, "/sources/", workload->sources_size());
      ReadSource(*source, source_path, reading, workload->add_sources());
    }
  }
  ReadService(map.Take("service"), reading, workload->mutable_service());
  ReadHealth(map.Take("health"), reading, workload->mutable_health());
  workload->mutable_recovery();
  if (const DocumentNode* recovery = map.Take("recovery")) {
    ReadRecovery(*recovery, path, reading, workload->mutable_recovery());
  }
  map.RejectUnknownKeys();
}

}  // namespace ember::controller
