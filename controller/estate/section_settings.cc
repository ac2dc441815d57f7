// The section `settings`.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "controller/estate/sections.h"
#include "controller/estate/units.h"

namespace ember::controller {
namespace {

void ReadNotifyChannel(const DocumentNode& node, Reading* reading, v1::NotifyChannel* channel) {
  Problems* const problems = &reading->problems;
  const auto [kind, value] = ReadSingle(node, "notify", reading);
  if (value == nullptr) return;
  channel->set_kind(kind);
  if (kind == "ntfy" || kind == "webhook") {
    ReadUrl(*value, kind, reading, channel->mutable_url());
  } else if (kind == "smtp") {
    problems->Warn(node.position, "smtp is recorded; this version sends by webhook and ntfy only");
    const MapReader map(*value, "smtp", problems);
    for (const auto& [name, option] : value->entries) {
      std::string text;
      if (name->text.empty() || name->text.size() > kVariableNameBytesMax) {
        problems->Error(name->position, absl::StrCat("smtp: an option's name has 1 to ",
                                                     kVariableNameBytesMax, " bytes"));
      } else if (ReadString(*option, absl::StrCat("smtp ", name->text), problems, &text,
                            /*allow_empty=*/true)) {
        (*channel->mutable_options())[name->text] = text;
      }
    }
  } else {
    problems->Error(
        node.entries[0].first->position,
        absl::StrCat("unknown key '", kind, "' in notify",
                     problems->Suggestion(kind, {"ntfy", "webhook", "smtp"}, "known keys")));
  }
}

// "08:00" in minutes.
bool ReadTimeOfDay(const DocumentNode& node, absl::string_view what, Problems* problems,
                   int* minutes) {
  const std::vector<absl::string_view> parts = absl::StrSplit(node.text, ':');
  int hour = -1;
  int minute = -1;
  if (node.kind != DocumentNode::kScalar || parts.size() != 2 || parts[1].size() != 2 ||
      !absl::SimpleAtoi(parts[0], &hour) || !absl::SimpleAtoi(parts[1], &minute) || hour < 0 ||
      hour > 23 || minute < 0 || minute > 59) {
    problems->Error(node.position,
                    absl::StrCat(what, ": expected a time of the day such as \"08:00\", found ",
                                 Describe(node)));
    return false;
  }
  *minutes = hour * 60 + minute;
  return true;
}

void ReadLimit(const DocumentNode& node, Problems* problems, v1::BandwidthRule* rule) {
  const absl::StatusOr<int64_t> limit = ParseSize(node.text);
  if (node.kind != DocumentNode::kScalar || !limit.ok()) {
    problems->Error(
        node.position,
        absl::StrCat("limit: expected bytes per second such as 2MiB, found ", Describe(node)));
  } else if (*limit < kBandwidthMin || *limit > kBandwidthMax) {
    problems->Error(node.position,
                    absl::StrCat("limit is ", FormatSize(*limit), " per second, not between ",
                                 FormatSize(kBandwidthMin), " and ", FormatSize(kBandwidthMax)));
  } else {
    rule->set_bytes_per_second(*limit);
  }
}

void ReadBandwidth(const DocumentNode& node, absl::string_view path, Reading* reading,
                   v1::BandwidthRule* rule) {
  Problems* const problems = &reading->problems;
  reading->positions.Set(path, node.position);
  MapReader map(node, "bandwidth", problems);
  std::string name;
  if (map.String("node", &name)) rule->set_node(name);
  reading->positions.Set(absl::StrCat(path, "/node"), map.Of("node"));
  const DocumentNode* from = map.Take("from");
  const DocumentNode* to = map.Take("to");
  int minutes = 0;
  if ((from == nullptr) != (to == nullptr)) {
    problems->Error(node.position, "bandwidth: from and to belong together");
  } else if (from != nullptr) {
    if (ReadTimeOfDay(*from, "from", problems, &minutes)) rule->set_from_minute(minutes);
    if (ReadTimeOfDay(*to, "to", problems, &minutes)) rule->set_to_minute(minutes);
  }
  if (const DocumentNode* limit = map.Require("limit")) ReadLimit(*limit, problems, rule);
  map.RejectUnknownKeys();
}

// The relations that make a silent node safe to replace (common/base/limits.h has them for the
// defaults).
void CheckTimes(const v1::Settings& settings, const MapReader& map, Problems* problems) {
  const int64_t lease = settings.lease_seconds();
  const int64_t suspect = settings.suspect_after_seconds();
  const int64_t unreachable = settings.unreachable_after_seconds();
  const int64_t dead = settings.dead_after_seconds();
  const int64_t stopped = lease + kSelfFenceSeconds + kFenceMarginSeconds;
  if (stopped > dead) {
    problems->Error(
        map.Of("dead_after"),
        absl::StrCat("dead_after ", FormatSeconds(dead),
                     " is too short: a cut-off node has stopped its exclusive ",
                     "workloads only after lease ", FormatSeconds(lease), " + self-fence ",
                     FormatSeconds(kSelfFenceSeconds), " + margin ",
                     FormatSeconds(kFenceMarginSeconds), " = ", FormatSeconds(stopped)));
  }
  if (suspect >= unreachable || unreachable >= dead) {
    problems->Error(
        map.position(),
        absl::StrCat("a silent node becomes suspect, then unreachable, then dead: suspect_after ",
                     FormatSeconds(suspect), " < unreachable_after ", FormatSeconds(unreachable),
                     " < dead_after ", FormatSeconds(dead), " does not hold"));
  }
  if (suspect <= 2 * kBeatSeconds) {
    problems->Error(map.Of("suspect_after"),
                    absl::StrCat("suspect_after ", FormatSeconds(suspect),
                                 " is too short: one lost beat (", FormatSeconds(kBeatSeconds),
                                 ") must not matter; more than ", FormatSeconds(2 * kBeatSeconds)));
  }
  if (lease <= kBeatDeadlineSeconds) {
    problems->Error(
        map.Of("lease"),
        absl::StrCat("lease ", FormatSeconds(lease), " is too short: a lost reply (",
                     FormatSeconds(kBeatDeadlineSeconds), ") must leave time for another beat"));
  }
  if (dead > kDeadSecondsMax) {
    problems->Error(map.Of("dead_after"),
                    absl::StrCat("dead_after ", FormatSeconds(dead), " is longer than ",
                                 FormatSeconds(kDeadSecondsMax)));
  }
}

}  // namespace

void ReadSettings(const DocumentNode* node, Reading* reading, v1::Settings* settings) {
  settings->set_lease_seconds(kLeaseSeconds);
  settings->set_suspect_after_seconds(kSuspectSeconds);
  settings->set_unreachable_after_seconds(kUnreachableSeconds);
  settings->set_dead_after_seconds(kDeadSeconds);
  settings->set_freeze_over_percent(kFreezeOverPercent);
  if (node == nullptr) return;
  Problems* const problems = &reading->problems;
  const size_t errors_before = problems->errors();
  MapReader map(*node, "settings", problems);
  int64_t seconds = 0;
  if (map.Seconds("lease", &seconds)) settings->set_lease_seconds(seconds);
  if (map.Seconds("suspect_after", &seconds)) settings->set_suspect_after_seconds(seconds);
  if (map.Seconds("unreachable_after", &seconds)) settings->set_unreachable_after_seconds(seconds);
  if (map.Seconds("dead_after", &seconds)) settings->set_dead_after_seconds(seconds);
  // A value that could not be read would only bring errors about its default.
  if (problems->errors() == errors_before) CheckTimes(*settings, map, problems);
  int percent = 0;
  if (const DocumentNode* freeze = map.Take("freeze_over")) {
    if (ReadPercent(*freeze, "freeze_over", problems, &percent))
      settings->set_freeze_over_percent(percent);
  }
  const DocumentNode* notify = map.Take("notify");
  if (notify != nullptr && ReadList(*notify, "notify", problems)) {
    for (const auto& channel : notify->items)
      ReadNotifyChannel(*channel, reading, settings->add_notify());
  }
  const DocumentNode* bandwidth = map.Take("bandwidth");
  if (bandwidth != nullptr && ReadList(*bandwidth, "bandwidth", problems)) {
    if (bandwidth->items.size() > kBandwidthRulesMax)
      problems->Error(bandwidth->position,
                      absl::StrCat("bandwidth: more than ", kBandwidthRulesMax, " rules"));
    for (size_t i = 0; i < std::min(bandwidth->items.size(), kBandwidthRulesMax); ++i)
      ReadBandwidth(*bandwidth->items[i], absl::StrCat("settings/bandwidth/", i), reading,
                    settings->add_bandwidth());
  }
  map.RejectUnknownKeys();
}

}  // namespace ember::controller
