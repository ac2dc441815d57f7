#include "controller/estate/fields.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "controller/estate/units.h"

namespace ember::controller {
namespace {

// Words that some YAML reader takes for something else than a text.
bool IsReserved(absl::string_view text) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (absl::string_view word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}) {
    if (lower == word) return true;
  }
  return false;
}

// A flow map under construction.
class Map {
 public:
  Map& Add(absl::string_view key, absl::string_view value) {
    fields_.push_back({std::string(key), std::string(value)});
    return *this;
  }
  Map& AddText(absl::string_view key, absl::string_view text) {
    return text.empty() ? *this : Add(key, YamlText(text));
  }
  Map& AddCount(absl::string_view key, int64_t count) {
    return count == 0 ? *this : Add(key, absl::StrCat(count));
  }
  Map& AddSeconds(absl::string_view key, int64_t seconds, int64_t unless = 0) {
    return seconds == 0 || seconds == unless ? *this : Add(key, FormatSeconds(seconds));
  }
  Map& AddMillis(absl::string_view key, int64_t millis, int64_t unless) {
    return millis == unless ? *this : Add(key, FormatMillis(millis));
  }
  Map& AddSize(absl::string_view key, int64_t bytes) {
    return bytes == 0 ? *this : Add(key, FormatSize(bytes));
  }
  Map& AddTrue(absl::string_view key, bool value) { return value ? Add(key, "true") : *this; }
  template <typename Texts>
  Map& AddTexts(absl::string_view key, const Texts& texts) {
    return texts.empty() ? *this : Add(key, List(texts));
  }

  bool empty() const { return fields_.empty(); }
  std::vector<Field> fields() && { return std::move(fields_); }
  std::string Flow() const {
    const auto format = [](std::string* out, const Field& field) {
      absl::StrAppend(out, field.key, ": ", field.value);
    };
    return absl::StrCat("{", absl::StrJoin(fields_, ", ", format), "}");
  }

  template <typename Texts>
  static std::string List(const Texts& texts) {
    const auto format = [](std::string* out, const std::string& text) {
      absl::StrAppend(out, YamlText(text));
    };
    return absl::StrCat("[", absl::StrJoin(texts, ", ", format), "]");
  }

 private:
  std::vector<Field> fields_;
};

template <typename ProtoMap>
std::string TextsFlow(const ProtoMap& texts) {
  Map map;
  // Sorted, because the order of a proto map is not stable.
  for (const auto& [key, value] : std::map<std::string, std::string>(texts.begin(), texts.end())) {
    map.Add(YamlText(key), YamlText(value));
  }
  return map.Flow();
}

std::string SourcesFlow(const v1::WorkloadSpec& workload) {
  std::vector<std::string> sources;
  for (const v1::SourceSpec& source : workload.sources()) {
    const std::string files = Map()
                                  .AddTexts("paths", source.files().paths())
                                  .AddTexts("exclude", source.files().exclude())
                                  .AddTrue("one_file_system", source.files().one_file_system())
                                  .Flow();
    sources.push_back(Map().Add("files", files).Flow());
  }
  return absl::StrCat("[", absl::StrJoin(sources, ", "), "]");
}

std::string DependenciesFlow(const v1::WorkloadSpec& workload) {
  const auto& after = workload.starts_after();
  std::vector<std::string> dependencies;
  for (const std::string& name : workload.depends_on()) {
    const bool started = std::find(after.begin(), after.end(), name) != after.end();
    dependencies.push_back(started ? Map().AddText("workload", name).Add("needs", "started").Flow()
                                   : YamlText(name));
  }
  return absl::StrCat("[", absl::StrJoin(dependencies, ", "), "]");
}

Map ServiceMap(const v1::ServiceSpec& service) {
  const bool default_restart = service.restart_limit() == kRestartLimit &&
                               service.restart_window_seconds() == kRestartWindowSeconds;
  Map map;
  switch (service.kind_case()) {
    case v1::ServiceSpec::kExec: {
      const v1::ExecService& exec = service.exec();
      Map exec_map;
      exec_map.AddTexts("command", exec.command())
          .AddText("user", exec.user())
          .AddText("directory", exec.directory());
      if (!exec.environment().empty()) exec_map.Add("environment", TextsFlow(exec.environment()));
      exec_map.AddSeconds("stop_timeout", exec.stop_timeout_seconds(), kStopTimeoutSeconds);
      map.Add("exec", exec_map.Flow());
      break;
    }
    case v1::ServiceSpec::kSystemd: map.AddText("systemd", service.systemd()); break;
    case v1::ServiceSpec::kNone:
    case v1::ServiceSpec::KIND_NOT_SET:
      if (!default_restart) map.Add("none", "true");
      break;
  }
  if (!default_restart) {
    map.Add("restart", absl::StrCat(service.restart_limit(), " in ",
                                    FormatSeconds(service.restart_window_seconds())));
  }
  return map;
}

Map HealthMap(const v1::HealthSpec& health) {
  Map map;
  switch (health.kind_case()) {
    case v1::HealthSpec::kTcp: map.AddText("tcp", health.tcp()); break;
    case v1::HealthSpec::kHttp: map.AddText("http", health.http()); break;
    case v1::HealthSpec::kCommand: map.AddTexts("command", health.command().command()); break;
    case v1::HealthSpec::kHeartbeatMillis:
      map.Add("heartbeat", FormatMillis(health.heartbeat_millis()));
      break;
    case v1::HealthSpec::kProcess:
    case v1::HealthSpec::KIND_NOT_SET: break;  // the default
  }
  map.AddMillis("every", health.every_millis(), kProbeEveryMillis);
  if (health.failures() != kProbeFailures) map.Add("failures", absl::StrCat(health.failures()));
  return map.AddMillis("timeout", health.timeout_millis(), kProbeTimeoutMillis);
}

Map RecoveryMap(const v1::RecoverySpec& recovery) {
  Map map;
  switch (recovery.mode()) {
    case v1::RecoverySpec::APPROVE: map.Add("mode", "approve"); break;
    case v1::RecoverySpec::MANUAL: map.Add("mode", "manual"); break;
    default: break;
  }
  if (recovery.class_() == v1::RecoverySpec::STATELESS) map.Add("class", "stateless");
  return map.AddTexts("standby", recovery.standby())
      .AddTexts("with", recovery.with())
      .AddTexts("apart", recovery.apart())
      .AddSeconds("max_auto_rpo", recovery.max_auto_rpo_seconds())
      .AddSeconds("fail_back", recovery.fail_back_seconds())
      .AddSize("memory", recovery.memory_bytes());
}

std::string TimeOfDay(int minutes) {
  return absl::StrFormat("\"%02d:%02d\"", minutes / 60, minutes % 60);
}

std::string BandwidthFlow(const v1::Settings& settings) {
  std::vector<std::string> rules;
  for (const v1::BandwidthRule& rule : settings.bandwidth()) {
    Map map;
    map.AddText("node", rule.node());
    if (rule.from_minute() != rule.to_minute())
      map.Add("from", TimeOfDay(rule.from_minute())).Add("to", TimeOfDay(rule.to_minute()));
    rules.push_back(map.Add("limit", FormatSize(rule.bytes_per_second())).Flow());
  }
  return absl::StrCat("[", absl::StrJoin(rules, ", "), "]");
}

std::string NotifyFlow(const v1::Settings& settings) {
  std::vector<std::string> channels;
  for (const v1::NotifyChannel& channel : settings.notify()) {
    const std::string value =
        channel.kind() == "smtp" ? TextsFlow(channel.options()) : YamlText(channel.url());
    channels.push_back(Map().Add(channel.kind(), value).Flow());
  }
  return absl::StrCat("[", absl::StrJoin(channels, ", "), "]");
}

}  // namespace

std::string KeepText(const v1::Keep& keep) {
  return Map()
      .AddCount("last", keep.last())
      .AddSeconds("within", keep.within_seconds())
      .AddCount("hourly", keep.hourly())
      .AddCount("daily", keep.daily())
      .AddCount("weekly", keep.weekly())
      .AddCount("monthly", keep.monthly())
      .AddCount("yearly", keep.yearly())
      .AddCount("min_verified", keep.min_verified())
      .Flow();
}

std::string YamlText(absl::string_view text) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::string_view("_./@+-").find(c) != absl::string_view::npos;
  };
  bool is_plain =
      !text.empty() && (absl::ascii_isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/');
  for (const char c : text) is_plain = is_plain && plain(c);
  if (is_plain && !IsReserved(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&quoted, "\\", absl::string_view(&c, 1));
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppend(&quoted, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      quoted.push_back(c);
    }
  }
  return quoted + "\"";
}

std::vector<Field> FieldsOf(const v1::VaultSpec& vault) {
  Map map;
  map.AddText("name", vault.name()).AddText("node", vault.node()).AddText("path", vault.path());
  if (vault.has_s3()) {
    map.Add("s3", Map()
                      .AddText("endpoint", vault.s3().endpoint())
                      .AddText("bucket", vault.s3().bucket())
                      .AddText("prefix", vault.s3().prefix())
                      .AddText("access_key_file", vault.s3().access_key_file())
                      .Flow());
  }
  map.AddTrue("offsite", vault.offsite())
      .AddSeconds("trash", vault.trash_seconds())
      .AddSeconds("min_retention", vault.min_retention_seconds());
  if (vault.deletion_budget_percent() != 0)
    map.Add("deletion_budget", absl::StrCat(vault.deletion_budget_percent(), "%"));
  if (vault.no_parity()) map.Add("parity", "false");
  const Map gc = Map().AddSeconds("every", vault.gc_every_seconds());
  if (!gc.empty()) map.Add("gc", gc.Flow());
  const Map check = Map().AddSeconds("every", vault.check_every_seconds());
  if (!check.empty()) map.Add("check", check.Flow());
  map.AddTexts("replicate_from", vault.replicate_from());
  return std::move(map).fields();
}

std::vector<Field> FieldsOf(const v1::PolicySpec& policy) {
  Map map;
  map.AddText("name", policy.name())
      .AddText("schedule", policy.schedule())
      .AddText("cron", policy.cron());
  map.AddText("timezone", policy.timezone());
  if (policy.has_on_change()) {
    map.Add("on_change",
            Map()
                .AddMillis("debounce", policy.on_change().debounce_millis(), kDebounceMillis)
                .AddTrue("requires_approval", policy.on_change().requires_approval())
                .Flow());
  }
  if (policy.has_keep()) map.Add("keep", KeepText(policy.keep()));
  map.Add("vaults", Map::List(policy.vaults()));
  map.AddSeconds("hold", policy.hold_seconds());
  Map verify;
  verify.AddSeconds("every", policy.verify_every_seconds());
  if (policy.verify_sample_percent() != 0)
    verify.Add("sample", absl::StrCat(policy.verify_sample_percent(), "%"));
  if (!verify.empty()) map.Add("verify", verify.Flow());
  const Map drill = Map().AddSeconds("every", policy.drill_every_seconds());
  if (!drill.empty()) map.Add("drill", drill.Flow());
  return std::move(map).fields();
}

std::vector<Field> FieldsOf(const v1::WorkloadSpec& workload) {
  Map map;
  map.AddText("name", workload.name()).AddText("node", workload.node());
  switch (workload.criticality()) {
    case v1::Criticality::CRITICAL: map.Add("criticality", "critical"); break;
    case v1::Criticality::NICE_TO_HAVE: map.Add("criticality", "nice-to-have"); break;
    default: break;
  }
  map.AddSeconds("rpo", workload.rpo_seconds()).AddSeconds("rto", workload.rto_seconds());
  map.AddTexts("policies", workload.policies());
  if (!workload.depends_on().empty()) map.Add("depends_on", DependenciesFlow(workload));
  if (!workload.sources().empty()) map.Add("sources", SourcesFlow(workload));
  const std::pair<absl::string_view, Map> parts[] = {
      {"service", ServiceMap(workload.service())},
      {"health", HealthMap(workload.health())},
      {"recovery", RecoveryMap(workload.recovery())}};
  for (const auto& [key, part] : parts) {
    if (!part.empty()) map.Add(key, part.Flow());
  }
  return std::move(map).fields();
}

std::vector<Field> FieldsOf(const v1::NodeSpec& node) {
  Map map;
  map.AddText("name", node.name());
  map.Add("fence", Map()
                       .AddTexts("command", node.fence().command())
                       .AddTexts("from", node.fence().from())
                       .AddSeconds("timeout", node.fence().timeout_seconds(), kFenceSeconds)
                       .Flow());
  return std::move(map).fields();
}

std::vector<Field> FieldsOf(const v1::Settings& settings) {
  Map map;
  map.AddSeconds("lease", settings.lease_seconds(), kLeaseSeconds)
      .AddSeconds("suspect_after", settings.suspect_after_seconds(), kSuspectSeconds)
      .AddSeconds("unreachable_after", settings.unreachable_after_seconds(), kUnreachableSeconds)
      .AddSeconds("dead_after", settings.dead_after_seconds(), kDeadSeconds);
  if (settings.freeze_over_percent() != 0 && settings.freeze_over_percent() != kFreezeOverPercent) {
    map.Add("freeze_over", absl::StrCat(settings.freeze_over_percent(), "%"));
  }
  if (!settings.notify().empty()) map.Add("notify", NotifyFlow(settings));
  if (!settings.bandwidth().empty()) map.Add("bandwidth", BandwidthFlow(settings));
  return std::move(map).fields();
}

}  // namespace ember::controller
