#include "controller/estate/exporter.h"

#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "controller/estate/differ.h"
#include "controller/estate/parser.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using google::protobuf::util::MessageDifferencer;

// Estates as ParseEstate makes them: valid, defaults filled in.
class RandomEstate {
 public:
  explicit RandomEstate(uint32_t seed) : random_(seed) {}

  v1::Estate Make() {
    v1::Estate estate;
    for (int i = 0, n = Below(4); i < n; ++i) AddVault(i, &estate);
    for (int i = 0, n = estate.vaults().empty() ? 0 : Below(4); i < n; ++i) AddPolicy(i, &estate);
    for (int i = 0, n = Below(6); i < n; ++i) AddWorkload(i, &estate);
    SetSettings(estate.mutable_settings());
    AddFences(&estate);
    return estate;
  }

 private:
  int Below(int n) { return static_cast<int>(random_() % n); }
  bool Coin() { return Below(2) == 0; }

  // Anything that may stand in a file: quotes, commas, colons, line ends, text that looks like
  // other things.
  std::string Text() {
    static const char* const kPieces[] = {"a",        "0",
                                          " ",        "\"",
                                          "'",        "\\",
                                          ": ",       ", ",
                                          "#",        " #",
                                          "{",        "}",
                                          "[",        "]",
                                          "\n",       "\t",
                                          "\r\n",     "null",
                                          "true",     "~",
                                          "-",        "- ",
                                          "é",        "日",
                                          "&a",       "*a",
                                          "!x",       "%",
                                          "@",        "`",
                                          "\x01",     "\x04",
                                          "\x7f",     "|\n",
                                          ">",        "\xe2\x80\xa8",
                                          "\xc2\x85", "\xef\xbb\xbf",
                                          "? ",       "=",
                                          "1e5",      "0x1f"};
    std::string text;
    for (int i = 0, n = 1 + Below(6); i < n; ++i)
      text += kPieces[Below(sizeof(kPieces) / sizeof(kPieces[0]))];
    return text;
  }
  std::string Node() { return absl::StrCat(Coin() ? "node" : "true.", Below(5)); }
  int64_t Millis(int64_t min) {
    static const int64_t kUnits[] = {1, 1000, 60000, 3600000, 86400000};
    return min + Below(50) * kUnits[Below(5)];
  }
  int64_t Seconds() { return 1 + Millis(0) / 1000; }

  void AddVault(int i, v1::Estate* estate) {
    v1::VaultSpec* vault = estate->add_vaults();
    vault->set_name(absl::StrCat(Coin() ? "vault" : "", i));
    vault->set_node(absl::StrCat("nas", Below(3)));
    vault->set_path(absl::StrCat("/vault", i, "/", Component()));
    vault->set_offsite(Coin());
    if (Coin()) vault->set_trash_seconds(kTrashDays * 86400 + Seconds());
    if (Coin()) vault->set_min_retention_seconds(Seconds());
    if (Coin()) vault->set_deletion_budget_percent(kDeletionBudgetPercent + 1 + Below(90));
    vault->set_no_parity(Coin());
    if (Coin()) vault->set_gc_every_seconds(Seconds());
    if (Coin()) vault->set_check_every_seconds(Seconds());
    if (i > 0 && Coin()) vault->add_replicate_from(estate->vaults(0).name());
  }

  // Of a path.
  std::string Component() {
    std::string text = Text();
    for (char& c : text) c = c == '/' ? '_' : c;
    return "x" + text;
  }

  void AddPolicy(int i, v1::Estate* estate) {
    v1::PolicySpec* policy = estate->add_policies();
    policy->set_name(absl::StrCat("policy-", i));
    if (Coin()) policy->set_schedule(Coin() ? "*-*-* 07:00" : "Mon..Fri *:0/15");
    if (policy->schedule().empty() && Coin()) policy->set_cron("*/5 2 * * 1,3");
    if (Coin()) policy->set_timezone("Europe/Paris");
    if (Coin()) {
      v1::Keep* keep = policy->mutable_keep();
      keep->set_last(1 + Below(100));
      keep->set_within_seconds(Coin() ? Seconds() : 0);
      keep->set_hourly(Below(3));
      keep->set_daily(Below(3));
      keep->set_weekly(Below(3));
      keep->set_monthly(Below(3));
      keep->set_yearly(Below(3));
      keep->set_min_verified(Below(3));
    }
    if (Coin()) {
      policy->mutable_on_change()->set_debounce_millis(Coin() ? kDebounceMillis
                                                              : Millis(kDebounceMillisMin));
      policy->mutable_on_change()->set_requires_approval(Coin());
    }
    for (const v1::VaultSpec& vault : estate->vaults()) {
      if (policy->vaults().empty() || Coin()) policy->add_vaults(vault.name());
    }
    if (Coin()) policy->set_verify_every_seconds(Seconds());
    if (policy->verify_every_seconds() > 0 && Coin())
      policy->set_verify_sample_percent(1 + Below(99));
    if (Coin()) policy->set_hold_seconds(Seconds());
    if (Coin()) policy->set_drill_every_seconds(Seconds());
  }

  void AddWorkload(int i, v1::Estate* estate) {
    v1::WorkloadSpec* workload = estate->add_workloads();
    workload->set_name(absl::StrCat("w", i));
    workload->set_node(Node());
    workload->set_criticality(static_cast<v1::Criticality::Value>(Below(3)));
    if (Coin()) workload->set_rpo_seconds(Seconds());
    if (Coin()) workload->set_rto_seconds(Seconds());
    for (int s = 0, n = Below(3); s < n; ++s) {
      v1::FilesSource* files = workload->add_sources()->mutable_files();
      for (int p = 0, paths = 1 + Below(3); p < paths; ++p)
        files->add_paths(absl::StrCat("/data", s, "/", p, Component()));
      for (int e = Below(3); e > 0; --e) files->add_exclude(Text());
      files->set_one_file_system(Coin());
    }
    for (const v1::PolicySpec& policy : estate->policies()) {
      if (!workload->sources().empty() && Coin()) workload->add_policies(policy.name());
    }
    for (int other = 0; other < i; ++other) {
      if (Coin()) continue;
      workload->add_depends_on(absl::StrCat("w", other));
      if (Coin()) workload->add_starts_after(absl::StrCat("w", other));
    }
    SetService(workload->mutable_service());
    SetHealth(workload->mutable_health());
    v1::RecoverySpec* recovery = workload->mutable_recovery();
    recovery->set_mode(static_cast<v1::RecoverySpec::Mode>(Below(3)));
    recovery->set_class_(static_cast<v1::RecoverySpec::Class>(Below(2)));
    if (recovery->class_() == v1::RecoverySpec::STATELESS && Coin())
      recovery->add_standby("standby");
    if (Coin()) recovery->set_max_auto_rpo_seconds(Seconds());
    if (Coin()) recovery->set_memory_bytes((1 + Below(4000)) * int64_t{1024});
    if (Coin() && !recovery->standby().empty()) recovery->set_fail_back_seconds(Seconds());
    for (int other = 0; other < i; ++other) {
      if (Below(3) > 0) continue;
      (Coin() ? recovery->mutable_with() : recovery->mutable_apart())
          ->Add(absl::StrCat("w", other));
    }
  }

  // Of nodes that the estate has, run on another one.
  void AddFences(v1::Estate* estate) {
    std::set<std::string> nodes;
    for (const v1::VaultSpec& vault : estate->vaults()) nodes.insert(vault.node());
    for (const v1::WorkloadSpec& workload : estate->workloads()) nodes.insert(workload.node());
    if (nodes.size() < 2) return;
    for (const std::string& name : nodes) {
      if (Coin()) continue;
      v1::NodeSpec* node = estate->add_nodes();
      node->set_name(name);
      node->mutable_fence()->add_command(Text());
      if (Coin()) node->mutable_fence()->add_command(Coin() ? "" : Text());
      node->mutable_fence()->add_from(name == *nodes.begin() ? *nodes.rbegin() : *nodes.begin());
      node->mutable_fence()->set_timeout_seconds(Coin() ? kFenceSeconds : 1 + Below(600));
    }
  }

  void SetService(v1::ServiceSpec* service) {
    service->set_restart_limit(Coin() ? kRestartLimit : 1 + Below(9));
    service->set_restart_window_seconds(Coin() ? kRestartWindowSeconds : Seconds());
    switch (Below(3)) {
      case 0: service->mutable_none(); break;
      case 1: service->set_systemd("a-b@c.service"); break;
      default: {
        v1::ExecService* exec = service->mutable_exec();
        exec->add_command(Text());
        for (int i = Below(3); i > 0; --i) exec->add_command(Coin() ? "" : Text());
        if (Coin()) exec->set_user("user");
        for (int i = Below(3); i > 0; --i)
          (*exec->mutable_environment())[absl::StrCat("no", i)] = Coin() ? "" : Text();
        if (Coin()) exec->set_directory("/" + Component());
        exec->set_stop_timeout_seconds(Coin() ? kStopTimeoutSeconds : Seconds());
      }
    }
  }

  void SetHealth(v1::HealthSpec* health) {
    switch (Below(5)) {
      case 0: health->set_process(true); break;
      case 1: health->set_tcp("[::1]:80"); break;
      case 2: health->set_http("http://127.0.0.1:8080/?a=b#c"); break;
      case 3: health->mutable_command()->add_command(Text()); break;
      default: health->set_heartbeat_millis(Millis(kProbeEveryMillisMin));
    }
    health->set_every_millis(Coin() ? kProbeEveryMillis : Millis(kProbeEveryMillisMin));
    health->set_failures(Coin() ? kProbeFailures : 1 + Below(9));
    health->set_timeout_millis(Coin() ? kProbeTimeoutMillis : Millis(1));
  }

  void SetSettings(v1::Settings* settings) {
    settings->set_lease_seconds(Coin() ? kLeaseSeconds : 11 + Below(100));
    settings->set_suspect_after_seconds(Coin() ? kSuspectSeconds : 7 + Below(10));
    settings->set_unreachable_after_seconds(Coin() ? kUnreachableSeconds : 17 + Below(10));
    settings->set_dead_after_seconds(settings->lease_seconds() + 25 + Below(100));
    settings->set_freeze_over_percent(Coin() ? kFreezeOverPercent : 1 + Below(100));
    if (Coin()) {
      v1::NotifyChannel* channel = settings->add_notify();
      channel->set_kind("smtp");
      (*channel->mutable_options())["from"] = Text();
      settings->add_notify()->set_kind("ntfy");
      settings->mutable_notify(1)->set_url("https://ntfy.sh/x");
    }
    if (Coin()) {
      v1::BandwidthRule* rule = settings->add_bandwidth();
      rule->set_from_minute(Coin() ? 0 : Below(1440));
      rule->set_to_minute(Coin() ? 0 : Below(1440));
      // Whenever they are equal the rule is of the whole day.
      if (rule->from_minute() == rule->to_minute()) {
        rule->clear_from_minute();
        rule->clear_to_minute();
      }
      rule->set_bytes_per_second((64 + Below(100000)) << 10);
    }
  }

  std::mt19937 random_;
};

TEST(EstateExporter, WhatItPrintsParsesBackToTheSameEstate) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    const v1::Estate estate = RandomEstate(seed).Make();
    const std::string yaml = ExportEstate(estate);
    const absl::StatusOr<v1::Estate> parsed = ParseEstate(yaml, "export");
    ASSERT_OK(parsed) << "seed " << seed << "\n" << yaml;
    ASSERT_TRUE(MessageDifferencer::Equals(*parsed, estate)) << "seed " << seed << "\n"
                                                             << yaml << parsed->DebugString();
    bool needs_confirmation = false;
    ASSERT_TRUE(DiffEstates(estate, *parsed, &needs_confirmation).empty());
  }
}

TEST(EstateExporter, PrintsACleanFile) {
  const std::string yaml =
      "vaults:\n"
      "  - name: nas\n"
      "    node: nas1\n"
      "    path: /srv/vault\n"
      "    trash: 14d\n"
      "    min_retention: 3d\n"
      "    deletion_budget: 5%\n"
      "    parity: false\n"
      "policies:\n"
      "  - name: daily\n"
      "    schedule: \"07:00\"\n"
      "    keep: {last: 3, within: 7d}\n"
      "    vaults: [nas]\n"
      "workloads:\n"
      "  - name: db\n"
      "    node: host1\n"
      "    policies: [daily]\n"
      "    sources: [{files: {paths: [/srv/db], exclude: [\"*.tmp\"]}}]\n"
      "    service: {systemd: db.service}\n"
      "    health: {tcp: \"127.0.0.1:5432\"}\n"
      "settings:\n"
      "  dead_after: 1m\n";
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(yaml, "e.yaml"));
  EXPECT_EQ(ExportEstate(estate), yaml);
}

TEST(EstateExporter, AnEmptyEstateIsAnEmptyMap) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate("{}", "e.yaml"));
  EXPECT_EQ(ExportEstate(estate), "{}\n");
  EXPECT_EQ(ExportEstate(v1::Estate()), "{}\n");
}

}  // namespace
}  // namespace ember::controller
