// The backup schedule file: schedules and retention by workload name.
#include <algorithm>
#include <memory>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "controller/estate/check.h"
#include "controller/estate/document.h"
#include "controller/estate/map_reader.h"
#include "controller/estate/parser.h"
#include "controller/estate/sections.h"
#include "controller/protect/schedule.h"

namespace ember::controller {
namespace {

constexpr char kHint[] = "a backup schedule has 'timezone', 'daily', 'weekly' and 'on_change'";

v1::PolicySpec* PolicyNamed(absl::string_view name, v1::Estate* estate) {
  for (v1::PolicySpec& policy : *estate->mutable_policies()) {
    if (policy.name() == name) return &policy;
  }
  return nullptr;
}

// Reads one part after the other into `estate`.
class Merger {
 public:
  Merger(Reading* reading, v1::Estate* estate) : reading_(reading), estate_(estate) {
    for (const v1::WorkloadSpec& workload : estate->workloads()) names_.push_back(workload.name());
  }

  void Merge(const DocumentNode& root) {
    MapReader map(root, "the backup schedule", &reading_->problems);
    if (map.String("timezone", &zone_)) {
      const absl::StatusOr<absl::TimeZone> zone = ZoneOf(zone_);
      if (!zone.ok()) reading_->problems.Error(map.Of("timezone"), zone.status().message());
    }
    if (const DocumentNode* daily = map.Take("daily")) MergeDaily(*daily);
    if (const DocumentNode* weekly = map.Take("weekly")) MergeWeekly(*weekly);
    if (const DocumentNode* on_change = map.Take("on_change")) MergeOnChange(*on_change);
    map.RejectUnknownKeys();
  }

 private:
  void MergeDaily(const DocumentNode& node) {
    MapReader map(node, "daily", &reading_->problems);
    const std::string at = ReadAt(&map);
    v1::PolicySpec* policy = Policy("daily-schedule", node);
    SetSchedule(absl::StrCat("*-*-* ", at), node, policy);
    int keep = 0;
    if (ReadKeep(&map, &keep)) policy->mutable_keep()->set_daily(keep);
    Attach(&map, policy->name());
    map.RejectUnknownKeys();
  }

  void MergeWeekly(const DocumentNode& node) {
    MapReader map(node, "weekly", &reading_->problems);
    std::string day = "Mon";
    map.Require("on");
    map.String("on", &day);
    const std::string at = ReadAt(&map);
    v1::PolicySpec* policy = Policy("weekly-schedule", node);
    SetSchedule(absl::StrCat(day, " *-*-* ", at), node, policy);
    int keep = 0;
    if (ReadKeep(&map, &keep)) policy->mutable_keep()->set_weekly(keep);
    Attach(&map, policy->name());
    map.RejectUnknownKeys();
  }

  void MergeOnChange(const DocumentNode& node) {
    MapReader map(node, "on_change", &reading_->problems);
    v1::PolicySpec* policy = Policy("on-change-schedule", node);
    if (!policy->has_on_change()) policy->mutable_on_change()->set_debounce_millis(kDebounceMillis);
    bool requires_approval = false;
    if (map.Bool("requires_approval", &requires_approval)) {
      policy->mutable_on_change()->set_requires_approval(requires_approval);
    }
    int keep = 0;
    if (ReadKeep(&map, &keep)) policy->mutable_keep()->set_last(keep);
    Attach(&map, policy->name());
    map.RejectUnknownKeys();
    reading_->problems.Warn(node.position,
                            "on_change is recorded; this version does not watch for changes");
  }

  std::string ReadAt(MapReader* map) {
    std::string at = "00:00";
    map->Require("at");
    map->String("at", &at);
    return at;
  }

  bool ReadKeep(MapReader* map, int* keep) { return map->Int("keep", 1, kKeepCountMax, keep); }

  void SetSchedule(const std::string& schedule, const DocumentNode& node, v1::PolicySpec* policy) {
    const absl::StatusOr<Calendar> calendar = ParseCalendar(schedule);
    if (!calendar.ok()) reading_->problems.Error(node.position, calendar.status().message());
    policy->set_schedule(schedule);
    policy->clear_cron();
    if (!zone_.empty()) policy->set_timezone(zone_);
  }

  // The policy of that name, made when there is none.
  v1::PolicySpec* Policy(absl::string_view name, const DocumentNode& node) {
    if (v1::PolicySpec* policy = PolicyNamed(name, estate_)) return policy;
    if (estate_->vaults().empty()) {
      reading_->problems.Error(node.position,
                               "the estate has no vault yet; apply an estate with one first");
    }
    v1::PolicySpec* policy = estate_->add_policies();
    policy->set_name(std::string(name));
    for (const v1::VaultSpec& vault : estate_->vaults()) policy->add_vaults(vault.name());
    return policy;
  }

  void Attach(MapReader* map, const std::string& policy) {
    const DocumentNode* list = map->Require("workloads");
    if (list == nullptr || !ReadList(*list, "workloads", &reading_->problems)) return;
    bool all = false;
    absl::flat_hash_set<std::string> chosen;
    for (const auto& item : list->items) {
      std::string name;
      if (!ReadString(*item, "workloads", &reading_->problems, &name)) continue;
      if (name == "*") {
        all = true;
      } else if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
        reading_->problems.Error(item->position, absl::StrCat("workload '", name, "' is not known",
                                                              reading_->problems.Suggestion(
                                                                  name, names_, "it is one of")));
      } else if (!chosen.insert(name).second) {
        reading_->problems.Error(
            item->position, absl::StrCat("workload '", name, "' is repeated in ", map->what()));
      }
    }
    for (v1::WorkloadSpec& workload : *estate_->mutable_workloads()) {
      const bool wanted = chosen.contains(workload.name()) || (all && !workload.sources().empty());
      auto* policies = workload.mutable_policies();
      const auto attached = std::find(policies->begin(), policies->end(), policy);
      if (wanted && attached == policies->end()) workload.add_policies(policy);
      if (!wanted && attached != policies->end()) policies->erase(attached);
    }
  }

  Reading* const reading_;
  v1::Estate* const estate_;
  std::vector<std::string> names_;
  std::string zone_;
};

}  // namespace

bool IsBackupSchedule(absl::string_view text) {
  const auto document = ReadDocument(text, "");
  if (!document.ok()) return false;
  bool schedule = false;
  for (const auto& [key, value] : (*document)->entries) {
    if (key->text == "vaults" || key->text == "policies" || key->text == "workloads" ||
        key->text == "settings") {
      return false;
    }
    schedule =
        schedule || key->text == "daily" || key->text == "weekly" || key->text == "on_change";
  }
  return schedule;
}

absl::StatusOr<v1::Estate> MergeSchedule(const v1::Estate& current, absl::string_view text,
                                         absl::string_view file_name,
                                         std::vector<std::string>* warnings) {
  const auto document = ReadDocument(text, file_name);
  if (!document.ok()) return WithHint(document.status(), kHint);
  Reading reading(file_name);
  v1::Estate estate = current;
  Merger(&reading, &estate).Merge(**document);
  if ((*document)->kind == DocumentNode::kMap)
    CheckEstate(estate, reading.positions, &reading.problems);
  EMBER_RETURN_IF_ERROR(reading.problems.ToStatus());
  if (warnings != nullptr) {
    for (std::string& warning : reading.problems.Warnings())
      warnings->push_back(std::move(warning));
  }
  return estate;
}

}  // namespace ember::controller
