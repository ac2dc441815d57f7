// The sections `vaults` and `policies`.
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "controller/estate/sections.h"
#include "controller/protect/schedule.h"

namespace ember::controller {
namespace {

void ReadS3(const DocumentNode& node, Reading* reading, v1::S3Location* s3) {
  MapReader map(node, "s3", &reading->problems);
  for (const auto& [key, field] :
       {std::pair<absl::string_view, std::string*>{"endpoint", s3->mutable_endpoint()},
        {"bucket", s3->mutable_bucket()},
        {"access_key_file", s3->mutable_access_key_file()}}) {
    map.Require(key);
    map.String(key, field);
  }
  map.String("prefix", s3->mutable_prefix());
  map.RejectUnknownKeys();
  reading->problems.Error(node.position,
                          "a vault in s3 is not supported by this version; give it a 'path'");
}

bool KeepsNothing(const v1::Keep& keep) {
  return keep.last() == 0 && keep.within_seconds() == 0 && keep.hourly() == 0 &&
         keep.daily() == 0 && keep.weekly() == 0 && keep.monthly() == 0 && keep.yearly() == 0;
}

void ReadKeep(const DocumentNode& node, Reading* reading, v1::Keep* keep) {
  const size_t errors_before = reading->problems.errors();
  MapReader map(node, "keep", &reading->problems);
  int value = 0;
  if (map.Int("last", 0, kKeepCountMax, &value)) keep->set_last(value);
  int64_t seconds = 0;
  if (map.Seconds("within", &seconds)) keep->set_within_seconds(seconds);
  if (map.Int("hourly", 0, kKeepCountMax, &value)) keep->set_hourly(value);
  if (map.Int("daily", 0, kKeepCountMax, &value)) keep->set_daily(value);
  if (map.Int("weekly", 0, kKeepCountMax, &value)) keep->set_weekly(value);
  if (map.Int("monthly", 0, kKeepCountMax, &value)) keep->set_monthly(value);
  if (map.Int("yearly", 0, kKeepCountMax, &value)) keep->set_yearly(value);
  if (map.Int("min_verified", 0, kKeepCountMax, &value)) keep->set_min_verified(value);
  map.RejectUnknownKeys();
  if (map.is_map() && reading->problems.errors() == errors_before && KeepsNothing(*keep)) {
    reading->problems.Error(node.position,
                            "keep names no backups to keep; leave it out to keep all");
  }
}

// The `every` of `drill`, `gc` and `check`.
int64_t ReadEvery(absl::string_view what, const DocumentNode& node, Reading* reading) {
  MapReader map(node, what, &reading->problems);
  int64_t seconds = 0;
  map.Require("every");
  map.Seconds("every", &seconds);
  map.RejectUnknownKeys();
  return seconds;
}

void ReadVerify(const DocumentNode& node, Reading* reading, v1::PolicySpec* policy) {
  MapReader map(node, "verify", &reading->problems);
  int64_t seconds = 0;
  map.Require("every");
  if (map.Seconds("every", &seconds)) policy->set_verify_every_seconds(seconds);
  int percent = 0;
  const DocumentNode* sample = map.Take("sample");
  if (sample != nullptr && ReadPercent(*sample, "sample", &reading->problems, &percent)) {
    if (percent < 100) policy->set_verify_sample_percent(percent);
  }
  map.RejectUnknownKeys();
}

void ReadOnChange(const DocumentNode& node, Reading* reading, v1::OnChange* on_change) {
  MapReader map(node, "on_change", &reading->problems);
  int64_t millis = kDebounceMillis;
  bool requires_approval = false;
  map.Millis("debounce", kDebounceMillisMin, &millis);
  map.Bool("requires_approval", &requires_approval);
  map.RejectUnknownKeys();
  on_change->set_debounce_millis(millis);
  on_change->set_requires_approval(requires_approval);
  reading->problems.Warn(node.position,
                         "on_change is recorded; this version does not watch for changes");
}

void ReadSchedule(MapReader* map, Reading* reading, v1::PolicySpec* policy) {
  Problems* const problems = &reading->problems;
  if (map->String("schedule", policy->mutable_schedule())) {
    const absl::StatusOr<Calendar> calendar = ParseCalendar(policy->schedule());
    if (!calendar.ok()) {
      problems->Error(map->Of("schedule"), absl::StrCat("schedule: ", calendar.status().message()));
    }
  }
  if (map->String("cron", policy->mutable_cron())) {
    const absl::StatusOr<Calendar> calendar = ParseCron(policy->cron());
    if (!calendar.ok())
      problems->Error(map->Of("cron"), absl::StrCat("cron: ", calendar.status().message()));
  }
  if (map->String("timezone", policy->mutable_timezone())) {
    const absl::StatusOr<absl::TimeZone> zone = ZoneOf(policy->timezone());
    if (!zone.ok()) problems->Error(map->Of("timezone"), zone.status().message());
  }
  if (!policy->schedule().empty() && !policy->cron().empty()) {
    problems->Error(map->Of("cron"),
                    absl::StrCat(map->what(), " has both 'schedule' and 'cron'; keep one"));
  }
}

// Rules about deletion and replication, and what is done by itself. What is written out but is the
// default is not kept.
void ReadCare(MapReader* map, absl::string_view path, Reading* reading, v1::VaultSpec* vault) {
  int64_t seconds = 0;
  if (map->Seconds("trash", &seconds) && seconds != kTrashDays * 86400)
    vault->set_trash_seconds(seconds);
  if (map->Seconds("min_retention", &seconds)) vault->set_min_retention_seconds(seconds);
  int percent = 0;
  const DocumentNode* budget = map->Take("deletion_budget");
  if (budget != nullptr && ReadPercent(*budget, "deletion_budget", &reading->problems, &percent) &&
      percent != kDeletionBudgetPercent) {
    vault->set_deletion_budget_percent(percent);
  }
  bool parity = true;
  if (map->Bool("parity", &parity)) vault->set_no_parity(!parity);
  if (const DocumentNode* gc = map->Take("gc"))
    vault->set_gc_every_seconds(ReadEvery("gc", *gc, reading));
  if (const DocumentNode* check = map->Take("check"))
    vault->set_check_every_seconds(ReadEvery("check", *check, reading));
  ReadNames("vault", "replicate_from", path, map, reading, vault->mutable_replicate_from());
}

}  // namespace

void ReadVault(const DocumentNode& node, absl::string_view path, Reading* reading,
               v1::VaultSpec* vault) {
  reading->positions.Set(path, node.position);
  MapReader map(node, LabelOf("vault", node), &reading->problems);
  vault->set_name(ReadName("vault", "name", path, &map, reading));
  vault->set_node(ReadName("node", "node", path, &map, reading));
  bool offsite = false;
  if (map.Bool("offsite", &offsite)) vault->set_offsite(offsite);
  const DocumentNode* directory = map.Take("path");
  const DocumentNode* s3 = map.Take("s3");
  if (directory != nullptr && ReadPath(*directory, "path", reading, vault->mutable_path())) {
    reading->positions.Set(absl::StrCat(path, "/path"), directory->position);
  }
  if (s3 != nullptr) ReadS3(*s3, reading, vault->mutable_s3());
  ReadCare(&map, path, reading, vault);
  if (map.is_map() && (directory == nullptr) == (s3 == nullptr)) {
    reading->problems.Error(
        node.position,
        absl::StrCat(map.what(), directory == nullptr ? " has no 'path'"
                                                      : " has both 'path' and 's3'; keep one"));
  }
  map.RejectUnknownKeys();
}

void ReadPolicy(const DocumentNode& node, absl::string_view path, Reading* reading,
                v1::PolicySpec* policy) {
  reading->positions.Set(path, node.position);
  MapReader map(node, LabelOf("policy", node), &reading->problems);
  policy->set_name(ReadName("policy", "name", path, &map, reading));
  ReadSchedule(&map, reading, policy);
  if (const DocumentNode* on_change = map.Take("on_change")) {
    ReadOnChange(*on_change, reading, policy->mutable_on_change());
  }
  if (const DocumentNode* keep = map.Take("keep")) ReadKeep(*keep, reading, policy->mutable_keep());
  int64_t hold = 0;
  if (map.Seconds("hold", &hold)) policy->set_hold_seconds(hold);
  map.Require("vaults");
  ReadNames("vault", "vaults", path, &map, reading, policy->mutable_vaults());
  const DocumentNode* vaults = map.Take("vaults");
  if (vaults != nullptr && vaults->kind == DocumentNode::kList && vaults->items.empty()) {
    reading->problems.Error(vaults->position,
                            absl::StrCat(map.what(), " names no vault: its backups have no place"));
  }
  if (const DocumentNode* verify = map.Take("verify")) ReadVerify(*verify, reading, policy);
  if (const DocumentNode* drill = map.Take("drill")) {
    policy->set_drill_every_seconds(ReadEvery("drill", *drill, reading));
    reading->problems.Warn(drill->position, "drill is recorded; this version does not run drills");
  }
  map.RejectUnknownKeys();
}

}  // namespace ember::controller
