#include "controller/estate/parser.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "controller/estate/exporter.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using ::ember::testing::HasCode;
using ::ember::testing::HasCodeAndText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

std::string Example(absl::string_view name) {
  std::ifstream file(absl::StrCat(EMBER_REPOSITORY, "/deploy/examples/", name));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A valid estate in which single parts are replaced.
constexpr char kValid[] = R"(vaults:
  - {name: nas, node: nas1, path: /srv/vault}
policies:
  - {name: daily, schedule: "07:00", vaults: [nas]}
workloads:
  - name: db
    node: host1
    policies: [daily]
    sources: [{files: {paths: [/srv/db]}}]
  - name: app
    node: host1
    depends_on: [db]
)";

std::string ValidBut(absl::string_view old_text, absl::string_view new_text) {
  EXPECT_THAT(kValid, HasSubstr(std::string(old_text)));
  return absl::StrReplaceAll(kValid, {{old_text, new_text}});
}

std::string ErrorOf(absl::string_view text) {
  const absl::StatusOr<v1::Estate> estate = ParseEstate(text, "e.yaml");
  EXPECT_THAT(estate, HasCode(kInvalid)) << text;
  EXPECT_FALSE(HintOf(estate.status()).empty());
  return std::string(estate.status().message());
}

TEST(EstateParser, ReadsTheExample) {
  std::vector<std::string> warnings;
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate,
                       ParseEstate(Example("estate.yaml"), "estate.yaml", &warnings));
  EXPECT_EQ(estate.vaults_size(), 2);
  EXPECT_TRUE(estate.vaults(1).offsite());
  const v1::PolicySpec& daily = estate.policies(0);
  EXPECT_EQ(daily.schedule(), "*-*-* 07:00");
  EXPECT_EQ(daily.timezone(), "Europe/Paris");
  EXPECT_EQ(daily.keep().within_seconds(), 7 * 86400);
  EXPECT_EQ(daily.keep().min_verified(), 3);
  EXPECT_EQ(daily.verify_every_seconds(), 7 * 86400);
  const v1::WorkloadSpec& db = estate.workloads(0);
  EXPECT_EQ(db.criticality(), v1::Criticality::CRITICAL);
  EXPECT_EQ(db.rpo_seconds(), 86400);
  EXPECT_EQ(db.service().systemd(), "db.service");
  EXPECT_EQ(db.health().tcp(), "127.0.0.1:5432");
  EXPECT_EQ(db.recovery().max_auto_rpo_seconds(), 26 * 3600);
  EXPECT_THAT(db.recovery().standby(), ElementsAre("host2"));
  EXPECT_THAT(db.sources(0).files().exclude(), ElementsAre("*.tmp", "lost+found"));
  const v1::WorkloadSpec& app = estate.workloads(1);
  EXPECT_THAT(app.service().exec().command(), ElementsAre("/usr/local/bin/app", "--port", "8080"));
  EXPECT_EQ(app.service().exec().stop_timeout_seconds(), 20);
  EXPECT_THAT(app.depends_on(), ElementsAre("db"));
  EXPECT_TRUE(estate.workloads(2).service().has_none());
  EXPECT_EQ(estate.settings().dead_after_seconds(), 45);
  EXPECT_THAT(warnings, ElementsAre());
}

TEST(EstateParser, FillsInDefaults) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(kValid, "e.yaml"));
  const v1::WorkloadSpec& db = estate.workloads(0);
  EXPECT_EQ(db.criticality(), v1::Criticality::IMPORTANT);
  EXPECT_TRUE(db.health().process());
  EXPECT_EQ(db.health().every_millis(), kProbeEveryMillis);
  EXPECT_EQ(db.health().timeout_millis(), kProbeTimeoutMillis);
  EXPECT_EQ(db.health().failures(), kProbeFailures);
  EXPECT_EQ(db.service().restart_limit(), kRestartLimit);
  EXPECT_EQ(db.service().restart_window_seconds(), kRestartWindowSeconds);
  EXPECT_TRUE(db.service().has_none());
  EXPECT_EQ(db.recovery().mode(), v1::RecoverySpec::AUTOMATIC);
  EXPECT_EQ(db.recovery().class_(), v1::RecoverySpec::EXCLUSIVE);
  EXPECT_EQ(estate.settings().lease_seconds(), kLeaseSeconds);
  EXPECT_EQ(estate.settings().suspect_after_seconds(), kSuspectSeconds);
  EXPECT_EQ(estate.settings().unreachable_after_seconds(), kUnreachableSeconds);
  EXPECT_EQ(estate.settings().dead_after_seconds(), kDeadSeconds);
  EXPECT_EQ(estate.settings().freeze_over_percent(), kFreezeOverPercent);
}

TEST(EstateParser, ReadsJsonAsWell) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(R"({
    "vaults": [{"name": "nas", "node": "nas1", "path": "/srv/v\u00e9", "offsite": true}]})",
                                                            "e.json"));
  EXPECT_EQ(estate.vaults(0).path(), "/srv/v\xc3\xa9");
  EXPECT_TRUE(estate.vaults(0).offsite());
}

TEST(EstateParser, AnEmptyEstateMustBeSaid) {
  EXPECT_OK(ParseEstate("{}", "e.yaml"));
  EXPECT_OK(ParseEstate("vaults: []\nworkloads: []\n", "e.yaml"));
  for (const char* text : {"", "\n", "# nothing\n", "---\n", "~", "[]", "vaults", "vaults:\n"}) {
    EXPECT_THAT(ParseEstate(text, "e.yaml"), HasCode(kInvalid)) << text;
  }
}

TEST(EstateParser, AcceptsWhatHasNoEffectYetWithAWarning) {
  std::vector<std::string> warnings;
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(R"(
vaults: [{name: nas, node: nas1, path: /srv/vault}]
policies:
  - {name: c, on_change: {debounce: 2s}, drill: {every: 30d}, keep: {last: 10, hourly: 3}, vaults: [nas]}
settings: {notify: [{ntfy: "https://ntfy.sh/x"}, {webhook: "https://x.y/z"}, {smtp: {host: mail, port: 25}}]}
)",
                                                            "e.yaml", &warnings));
  EXPECT_EQ(estate.policies(0).on_change().debounce_millis(), 2000);
  EXPECT_EQ(estate.policies(0).drill_every_seconds(), 30 * 86400);
  EXPECT_EQ(estate.policies(0).keep().hourly(), 3);
  EXPECT_EQ(estate.settings().notify_size(), 3);
  EXPECT_EQ(estate.settings().notify(2).options().at("port"), "25");
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("e.yaml:4:26: on_change is recorded"),
                                    HasSubstr("e.yaml:4:49: drill"),
                                    HasSubstr("e.yaml:5:78: smtp is recorded")));
}

TEST(EstateParser, ReadsTheRulesOfAVault) {
  std::vector<std::string> warnings;
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(R"(
vaults:
  - {name: nas, node: nas1, path: /srv/vault, trash: 7d, deletion_budget: 10%, parity: true}
  - name: usb
    node: nas2
    path: /mnt/usb
    trash: 14d
    min_retention: 3d
    deletion_budget: 5%
    parity: false
    gc: {every: 1d}
    check: {every: 30d}
    replicate_from: [nas]
)",
                                                            "e.yaml", &warnings));
  const v1::VaultSpec& plain = estate.vaults(0);
  EXPECT_EQ(plain.trash_seconds(), 0) << "the default, written out";
  EXPECT_EQ(plain.deletion_budget_percent(), 0);
  EXPECT_FALSE(plain.no_parity());
  const v1::VaultSpec& careful = estate.vaults(1);
  EXPECT_EQ(careful.trash_seconds(), 14 * 86400);
  EXPECT_EQ(careful.min_retention_seconds(), 3 * 86400);
  EXPECT_EQ(careful.deletion_budget_percent(), 5);
  EXPECT_TRUE(careful.no_parity());
  EXPECT_EQ(careful.gc_every_seconds(), 86400);
  EXPECT_EQ(careful.check_every_seconds(), 30 * 86400);
  EXPECT_THAT(careful.replicate_from(), ElementsAre("nas"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(EstateParser, ReadsHoldAndSample) {
  std::vector<std::string> warnings;
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(R"(
vaults: [{name: nas, node: nas1, path: /srv/vault}]
policies:
  - {name: daily, hold: 30d, vaults: [nas], verify: {every: 7d, sample: 10%}}
  - {name: all, vaults: [nas], verify: {every: 7d, sample: 100%}}
)",
                                                            "e.yaml", &warnings));
  EXPECT_EQ(estate.policies(0).hold_seconds(), 30 * 86400);
  EXPECT_EQ(estate.policies(0).verify_sample_percent(), 10);
  EXPECT_EQ(estate.policies(1).verify_sample_percent(), 0) << "all is no sample";
  EXPECT_THAT(warnings, IsEmpty());
  const std::string exported = ExportEstate(estate);
  EXPECT_THAT(exported, HasSubstr("sample: 10%"));
  ASSERT_OK_AND_ASSIGN(const v1::Estate again, ParseEstate(exported, "e.yaml"));
  EXPECT_EQ(again.SerializeAsString(), estate.SerializeAsString());
}

TEST(EstateParser, ReadsBandwidthLimits) {
  const std::string rules = R"(
settings:
  bandwidth:
    - {limit: 10MiB}
    - {node: host1, from: "22:00", to: "6:30", limit: 512KiB}
)";
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(absl::StrCat(kValid, rules), "e.yaml"));
  const auto& bandwidth = estate.settings().bandwidth();
  ASSERT_EQ(bandwidth.size(), 2);
  EXPECT_EQ(bandwidth[0].bytes_per_second(), 10 << 20);
  EXPECT_EQ(bandwidth[0].from_minute(), bandwidth[0].to_minute()) << "all day";
  EXPECT_EQ(bandwidth[1].node(), "host1");
  EXPECT_EQ(bandwidth[1].from_minute(), 22 * 60);
  EXPECT_EQ(bandwidth[1].to_minute(), 6 * 60 + 30);
  const std::string exported = ExportEstate(estate);
  EXPECT_THAT(exported, HasSubstr("{node: host1, from: \"22:00\", to: \"06:30\", limit: 512KiB}"));
  ASSERT_OK_AND_ASSIGN(const v1::Estate again, ParseEstate(exported, "e.yaml"));
  EXPECT_EQ(ExportEstate(again), exported);
  for (const auto& [wrong, why] : std::vector<std::pair<std::string, std::string>>{
           {"limit: 10", "expected bytes per second such as 2MiB"},
           {"limit: 1KiB", "not between 64KiB and 1024GiB"},
           {"node: host1", "has no 'limit'"},
           {"from: \"8:00\", limit: 1MiB", "from and to belong together"},
           {"from: \"24:00\", to: \"8:00\", limit: 1MiB", "expected a time of the day"},
           {"node: hots1, limit: 1MiB", "did you mean 'host1'?"}}) {
    const auto estate_or =
        ParseEstate(absl::StrCat(kValid, "\nsettings: {bandwidth: [{", wrong, "}]}\n"), "e.yaml");
    EXPECT_THAT(estate_or, HasCodeAndText(absl::StatusCode::kInvalidArgument, why)) << wrong;
  }
}

TEST(EstateParser, WarnsWhenBackupsShareTheFateOfTheirData) {
  std::vector<std::string> warnings;
  ASSERT_OK(ParseEstate(ValidBut("nas1", "host1"), "e.yaml", &warnings));
  EXPECT_THAT(warnings,
              ElementsAre(HasSubstr("all vaults of workload 'db' are on its own node 'host1'")));
}

TEST(EstateParser, WarnsOfDataThatNothingBacksUp) {
  std::vector<std::string> warnings;
  ASSERT_OK(ParseEstate(ValidBut("    policies: [daily]\n", ""), "e.yaml", &warnings));
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("e.yaml:6:5: workload 'db' has no policy")));
}

TEST(EstateParser, SaysWhereAndWhatIsNear) {
  EXPECT_EQ(ErrorOf(ValidBut("policies: [daily]", "polices: [daily]")),
            "e.yaml:8:5: unknown key 'polices' in workload 'db'; did you mean 'policies'?");
  EXPECT_EQ(ErrorOf(ValidBut("policies: [daily]", "policies: [dayly]")),
            "e.yaml:8:16: policy 'dayly' of workload 'db' is not known; did you mean 'daily'?");
  EXPECT_EQ(ErrorOf(ValidBut("vaults: [nas]", "vaults: [naz]")),
            "e.yaml:4:47: vault 'naz' of policy 'daily' is not known; did you mean 'nas'?");
  EXPECT_EQ(ErrorOf(ValidBut("depends_on: [db]", "depends_on: [dbb]")),
            "e.yaml:12:18: workload 'dbb' of workload 'app' is not known; did you mean 'db'?");
  EXPECT_EQ(ErrorOf("workload: []"),
            "e.yaml:1:1: unknown key 'workload' in the estate; did you mean 'workloads'?");
}

struct BadCase {
  const char* old_text;
  const char* new_text;
  const char* error;
};

TEST(EstateParser, RejectsWhatIsWrong) {
  const BadCase cases[] = {
      // Types.
      {"node: nas1", "node: [nas1]", "e.yaml:2:23: node: expected a text, not a list"},
      {"policies: [daily]", "policies: daily", "policies: expected a list"},
      {"/srv/vault}", "/srv/vault, offsite: maybe}",
       "offsite: expected true or false, not 'maybe'"},
      {"node: nas1", "node: ", "node: expected a text, not nothing"},
      {"- name: app", "- 5\n  - name: app",
       "e.yaml:10:5: workload: expected a map (key: value), not '5'"},
      {"\"07:00\"", "\"07:00\", keep: {last: ten}",
       "last: expected a number from 0 to 100000, not 'ten'"},
      {"\"07:00\"", "\"07:00\", keep: {last: -1}", "last: expected a number"},
      {"\"07:00\"", "\"07:00\", keep: {within: 7}", "within: '7' is not a duration"},
      {"\"07:00\"", "\"07:00\", keep: {within: 1500ms}", "not a whole number of seconds"},
      {"\"07:00\"", "\"07:00\", keep: {}", "keep names no backups to keep"},
      {"\"07:00\"", "\"07:00\", verify: {}", "verify has no 'every'"},
      {"\"07:00\"", "\"07:00\", verify: {every: 7d, sample: 0%}", "sample: expected 1% to 100%"},
      {"\"07:00\"", "\"07:00\", verify: {every: 7d, sample: ten}", "sample: expected"},
      {"\"07:00\"", "\"07:00\", hold: long", "hold: 'long' is not a duration"},
      {"[/srv/db]", "[{a: b}]", "path: expected a text, not a map"},
      // Names.
      {"name: nas", "name: na/s", "vault name 'na/s' is not valid"},
      {"name: nas", "name: \"\"", "name is empty"},
      {"name: db", "name: ../db", "workload name '../db' is not valid"},
      {"node: host1\n    pol", "node: -x\n    pol", "node name '-x' is not valid"},
      {"name: app", "name: db", "e.yaml:10:11: workload name 'db' is repeated"},
      {"    node: host1\n    policies", "    policies", "workload 'db' has no 'node'"},
      {"  - {name: nas, ", "  - {", "vault has no 'name'"},
      {"depends_on: [db]", "depends_on: [db, db]",
       "workload 'db' is repeated in depends_on of workload 'app'"},
      // Keys.
      {"node: host1\n    pol", "node: host1\n    node: host2\n    pol",
       "e.yaml:8:5: key 'node' is repeated in workload 'db'"},
      {"node: host1\n    pol", "[a]: b\n    pol", "a key of workload 'db' is a list, not a word"},
      {"vaults:\n", "settings: {leese: 20s}\nvaults:\n",
       "unknown key 'leese' in settings; did you mean 'lease'?"},
      // Contradictions.
      {"depends_on: [db]", "depends_on: [app]", "circle: app -> app"},
      {"path: /srv/vault", "path: srv/vault", "path 'srv/vault' is not absolute"},
      {"path: /srv/vault", "path: /srv/../vault", "goes through '..'"},
      {"path: /srv/vault", "offsite: true", "vault 'nas' has no 'path'"},
      {"nas1, path: /srv/vault", "host1, path: /srv/db/vault",
       "path '/srv/db' of workload 'db' holds vault 'nas'"},
      {"nas1, path: /srv/vault", "host1, path: /srv/db/", "it would back up itself"},
      {"nas1, path: /srv/vault", "host1, path: /srv", "lies in vault 'nas' (/srv) on node 'host1'"},
      {"[/srv/db]",
       "[/]}}]\n    recovery: {class: stateless, standby: [nas1]}\n    depends_on: []  #",
       "a restore there would replace the backups"},
      {"path: /srv/vault", "path: /srv/vault, deletion_budget: 101%", "deletion_budget: expected"},
      {"path: /srv/vault", "path: /srv/vault, trash: 0s", "trash is 0s, the least is 1s"},
      {"path: /srv/vault", "path: /srv/vault, parity: perhaps", "parity: expected"},
      {"path: /srv/vault", "path: /srv/vault, check: {}", "'every'"},
      {"path: /srv/vault", "path: /srv/vault, replicate_from: [nass]",
       "vault 'nass' of replicate_from of vault 'nas' is not known; did you mean 'nas'?"},
      {"path: /srv/vault", "path: /srv/vault, replicate_from: [nas]", "would be a copy of itself"},
      {"policies:\n", "  - {name: two, node: nas1, path: /srv/vault/two}\npolicies:\n",
       "share a directory of node 'nas1'"},
      {"    sources: [{files: {paths: [/srv/db]}}]\n", "",
       "workload 'db' has policies but no sources"},
      {"[/srv/db]", "[]", "paths names nothing to back up"},
      {"[/srv/db]", "[/srv/db, /srv//db/]", "path '/srv/db' is repeated"},
      {"vaults: [nas]", "vaults: []", "policy 'daily' names no vault"},
      {", vaults: [nas]", "", "policy 'daily' has no 'vaults'"},
      {"schedule: \"07:00\"", "schedule: \"07:00\", cron: \"0 7 * * *\"",
       "both 'schedule' and 'cron'"},
      {"schedule: \"07:00\"", "schedule: \"27:00\"",
       "e.yaml:4:29: schedule: hour '27' is not valid"},
      {"schedule: \"07:00\"", "cron: \"0 7 * *\"", "cron '0 7 * *' has 4 fields"},
      {"schedule: \"07:00\"", "schedule: \"07:00\", timezone: Mars/Base",
       "time zone 'Mars/Base' is unknown"},
      {"depends_on: [db]", "criticality: vital",
       "criticality: 'vital' is not known; it is one of: important, critical"},
      {"depends_on: [db]", "criticality: criticel", "did you mean 'critical'?"},
      {"depends_on: [db]", "rpo: 0s", "rpo is 0s, the least is 1s"},
      // Services.
      {"depends_on: [db]", "service: {exec: {command: []}}", "command is empty"},
      {"depends_on: [db]", "service: {exec: {command: [\"\"]}}", "command is empty"},
      {"depends_on: [db]", "service: {exec: {command: sleep 5}}",
       "command: expected a list such as"},
      {"depends_on: [db]", "service: {exec: {}}", "exec has no 'command'"},
      {"depends_on: [db]", "service: {exec: {command: [a], directory: x}}",
       "directory 'x' is not absolute"},
      {"depends_on: [db]", "service: {exec: {command: [a], environment: {\"A=B\": c}}}",
       "environment: a variable's name"},
      {"depends_on: [db]", "service: {exec: {command: [\"a\\0b\"]}}", "holds a zero byte"},
      {"depends_on: [db]", "service: {exec: {command: [a]}, systemd: b.service}",
       "more than one kind: systemd, exec"},
      {"depends_on: [db]", "service: {systemd: --now}", "'--now' is not the name of a unit"},
      {"depends_on: [db]", "service: {}", "service has no kind"},
      {"depends_on: [db]", "service: nothing", "service: expected a map"},
      {"depends_on: [db]", "service: {systemd: a.service, restart: often}",
       "restart: expected a text such as '3 in 5m'"},
      {"depends_on: [db]", "service: {systemd: a.service, restart: 0 in 5m}", "restart: expected"},
      // Health.
      {"depends_on: [db]", "health: {every: 50ms}", "every is 50ms, the least is 100ms"},
      {"depends_on: [db]", "health: {tcp: \"a:1\", http: \"http://a/\"}",
       "health has more than one kind: tcp, http"},
      {"depends_on: [db]", "health: {process: false}", "leaves nothing to look at"},
      {"depends_on: [db]", "health: {tcp: localhost}", "'localhost' is not HOST:PORT"},
      {"depends_on: [db]", "health: {tcp: \"localhost:70000\"}", "is not HOST:PORT"},
      {"depends_on: [db]", "health: {http: \"ftp://a\"}", "is not a URL"},
      {"depends_on: [db]", "health: {command: []}", "command is empty"},
      {"depends_on: [db]", "health: {heartbeat: 1ms}", "heartbeat is 1ms, the least is 100ms"},
      {"depends_on: [db]", "health: {failures: 0}", "failures: expected a number from 1 to"},
      // Recovery.
      {"depends_on: [db]", "recovery: {mode: auto}", "mode: 'auto' is not known"},
      {"depends_on: [db]", "recovery: {standby: [host1]}",
       "standby 'host1' of workload 'app' is its own node"},
      {"depends_on: [db]", "recovery: {standby: [nas1]}",
       "needs at least 3 nodes and the estate has 2"},
      {"depends_on: [db]", "recovery: {with: [nobody]}",
       "workload 'nobody' of with of workload 'app' is not known"},
      {"depends_on: [db]", "recovery: {apart: [app]}",
       "cannot be apart from 'app': that is itself"},
      {"depends_on: [db]", "recovery: {with: [db], apart: [db]}", "apart from 'db' and with it"},
      {"depends_on: [db]", "recovery: {with: [app]}", "in a circle: app -> app"},
      // Fences.
      {"depends_on: [db]",
       "recovery: {standby: [nas1]}\nnodes: [{name: host1, fence: {command: [x], from: [host1]}}]",
       "node 'host1' cannot run its own fence command"},
      {"depends_on: [db]",
       "recovery: {standby: [nas1]}\nnodes: [{name: host1, fence: {command: [x], from: [nas2]}}]",
       "node 'nas2' of from of node 'host1' is not known"},
      {"depends_on: [db]",
       "depends_on: [db]\nnodes: [{name: nas3, fence: {command: [x], from: [nas1]}}]",
       "node 'nas3' of nodes is not known"},
      {"depends_on: [db]",
       "depends_on: [db]\nnodes: [{name: host1, fence: {command: [x], from: []}}]",
       "from is empty"},
      {"depends_on: [db]", "depends_on: [db]\nnodes: [{name: host1, fence: {from: [nas1]}}]",
       "command"},
      {"depends_on: [db]",
       "depends_on: [db]\nnodes: [{name: host1, fence: {command: [x], from: [nas1], timeout: 1h}}]",
       "timeout is longer than 10m"},
      // Of later versions.
      {"path: /srv/vault", "s3: {endpoint: a, bucket: b, prefix: p, access_key_file: f}",
       "a vault in s3 is not supported by this version"},
      {"- name: app", "- name: vm\n    node: host1\n    sources: [{vm: {name: v}}]\n  - name: app",
       "e.yaml:12:16: a 'vm' source is not supported by this version"},
      {"{files: {paths: [/srv/db]}}", "{postgresql: {}}",
       "a 'postgresql' source is not supported by this version"},
      {"{files: {paths: [/srv/db]}}", "{file: {}}",
       "unknown key 'file' in source; did you mean 'files'?"},
      {"{files: {paths: [/srv/db]}}", "{}", "source: expected one {kind: …}"},
      {"depends_on: [db]", "service: {libvirt: v}",
       "a 'libvirt' service is not supported by this version"},
      {"depends_on: [db]", "service: {container: v}",
       "a 'container' service is not supported by this version"},
      // Settings.
      {"vaults:\n", "settings: {dead_after: 40s}\nvaults:\n",
       "e.yaml:1:24: dead_after 40s is too short: a cut-off node has stopped its exclusive "
       "workloads only after lease 20s + "
       "self-fence 15s + margin 10s = 45s"},
      {"vaults:\n", "settings: {lease: 30s}\nvaults:\n",
       "lease 30s + self-fence 15s + margin 10s = 55s"},
      {"vaults:\n", "settings: {lease: 5s}\nvaults:\n", "lease 5s is too short"},
      {"vaults:\n", "settings: {suspect_after: 25s}\nvaults:\n",
       "suspect_after 25s < unreachable_after 20s"},
      {"vaults:\n", "settings: {unreachable_after: 45s}\nvaults:\n", "does not hold"},
      {"vaults:\n", "settings: {suspect_after: 6s}\nvaults:\n", "one lost beat"},
      {"vaults:\n", "settings: {dead_after: 2d}\nvaults:\n", "is longer than 1d"},
      {"vaults:\n", "settings: {freeze_over: 30}\nvaults:\n",
       "freeze_over: expected 1% to 100%, not '30'"},
      {"vaults:\n", "settings: {freeze_over: 0%}\nvaults:\n", "freeze_over: expected"},
      {"vaults:\n", "settings: {notify: [{nfty: x}]}\nvaults:\n",
       "unknown key 'nfty' in notify; did you mean 'ntfy'?"},
      {"vaults:\n", "settings: {notify: [{ntfy: x}]}\nvaults:\n", "ntfy 'x' is not a URL"},
      // The document.
      {"vaults:\n", "vaults: *nowhere\n", "e.yaml:1:9: "},
      {"vaults:\n", "vaults: [\n", "e.yaml:"},
      {"depends_on: [db]", "depends_on: [db]\n---\na: b", "a second document"},
      {"vaults:\n", "x: !!python/object:os.system a\nvaults:\n", "has no meaning here"},
      {"vaults:\n", "x: &a [*a]\nvaults:\n", "an alias inside the part"},
      {"daily, sch", "\xff, sch", "e.yaml:4:12: not UTF-8 text"},
      {"daily, sch", "\x04, sch", "e.yaml:4:12: a control character (0x04)"},
      {"daily, sch", "\xed\xa0\x80, sch", "not UTF-8 text"},
  };
  for (const BadCase& c : cases) {
    EXPECT_THAT(ErrorOf(ValidBut(c.old_text, c.new_text)), HasSubstr(c.error)) << c.new_text;
  }
}

TEST(EstateParser, NamesTheCycle) {
  const std::string error = ErrorOf(R"(workloads:
  - {name: a, node: n, depends_on: [b]}
  - {name: b, node: n, depends_on: [c, d]}
  - {name: c, node: n, depends_on: [a]}
  - {name: d, node: n}
)");
  EXPECT_EQ(error, "e.yaml:4:37: workloads depend on each other in a circle: a -> b -> c -> a");
}

TEST(EstateParser, ADiamondIsNoCycle) {
  EXPECT_OK(ParseEstate(R"(workloads:
  - {name: a, node: n, depends_on: [b, c]}
  - {name: b, node: n, depends_on: [d]}
  - {name: c, node: n, depends_on: [d]}
  - {name: d, node: n}
)",
                        "e.yaml"));
}

TEST(EstateParser, ReportsAllErrorsInTheOrderOfTheFile) {
  const std::string error = ErrorOf(R"(vaults: [{name: nas, node: nas1, path: srv}]
policies: [{name: p, vaults: [nass], color: red}]
settings: {lease: 20}
)");
  EXPECT_EQ(error,
            "e.yaml:1:40: path 'srv' is not absolute: it begins with '/'\n"
            "e.yaml:2:31: vault 'nass' of policy 'p' is not known; did you mean 'nas'?\n"
            "e.yaml:2:38: unknown key 'color' in policy 'p'; known keys: name, schedule, cron, "
            "timezone, on_change, keep, "
            "hold, vaults, verify, drill\n"
            "e.yaml:3:19: lease: '20' is not a duration such as 500ms, 20s, 5m, 2h or 7d");
}

TEST(EstateParser, BoundsItsErrors) {
  std::string text = "vaults:\n";
  for (int i = 0; i < 500; ++i)
    absl::StrAppend(&text, "  - {name: \"", std::string(300, '/'), "\\n\"}\n");
  const std::string error = ErrorOf(text);
  EXPECT_LT(error.size(), 6500u);
  const std::vector<std::string> lines = absl::StrSplit(error, '\n');
  EXPECT_LE(lines.size(), kEstateErrorsMax + 1);
  EXPECT_THAT(lines.back(), HasSubstr("more errors"));
}

TEST(EstateParser, BoundsTheFile) {
  EXPECT_THAT(ErrorOf(std::string(kEstateFileBytesMax + 1, ' ')),
              HasSubstr("bytes, more than 1048576"));
  EXPECT_THAT(ErrorOf(std::string(kEstateFileBytesMax, '[')), Not(HasSubstr("bytes")));
  EXPECT_THAT(ErrorOf(absl::StrCat("a: ", std::string(40, '['), std::string(40, ']'))),
              HasSubstr("more than 32 levels"));
  std::string many = "vaults: [";
  for (int i = 0; i < 250000; ++i) many += "a,";
  EXPECT_THAT(ErrorOf(many + "a]"), HasSubstr("more than 200000 parts"));
}

TEST(EstateParser, AnAliasBombIsRefused) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i)
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1, "]\n");
  EXPECT_THAT(ErrorOf(bomb), HasSubstr("parts"));
  std::string deep = "a0: &a0 [x]\n";
  for (int i = 1; i < 60; ++i) absl::StrAppend(&deep, "a", i, ": &a", i, " [*a", i - 1, "]\n");
  EXPECT_THAT(ErrorOf(deep), HasSubstr("levels"));
}

TEST(EstateParser, AnAliasSavesTyping) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(R"(workloads:
  - {name: a, node: n, health: &often {every: 1s}}
  - {name: b, node: n, health: *often}
)",
                                                            "e.yaml"));
  EXPECT_EQ(estate.workloads(1).health().every_millis(), 1000);
}

TEST(EstateParser, TooManyWorkloadsAreRefused) {
  std::string text = "workloads:\n";
  for (size_t i = 0; i <= kWorkloadsMax; ++i)
    absl::StrAppend(&text, "- {name: w", i, ", node: n}\n");
  EXPECT_THAT(ErrorOf(text), HasSubstr("the estate has 10001 workloads, more than 10000"));
}

TEST(EstateParser, ALongChainOfDependenciesIsFine) {
  std::string text = "workloads:\n- {name: w0, node: n}\n";
  for (size_t i = 1; i < kWorkloadsMax; ++i)
    absl::StrAppend(&text, "- {name: w", i, ", node: n, depends_on: [w", i - 1, "]}\n");
  EXPECT_OK(ParseEstate(text, "e.yaml"));
}

TEST(EstateParser, FailoverOfExclusiveWorkNeedsThreeNodes) {
  const std::string two = ValidBut("depends_on: [db]", "recovery: {standby: [nas1]}");
  const std::string error = ErrorOf(two);
  EXPECT_THAT(
      error,
      HasSubstr("e.yaml:12:15: workload 'app': automatic fail-over of an exclusive workload"));
  EXPECT_THAT(error, HasSubstr("a cut-off node could not be told from a dead one"));
  EXPECT_THAT(error, HasSubstr("mode: approve"));
  EXPECT_OK(ParseEstate(
      absl::StrReplaceAll(two, {{"standby: [nas1]", "standby: [nas1], mode: approve"}}), "e.yaml"));
  EXPECT_OK(ParseEstate(
      absl::StrReplaceAll(two, {{"standby: [nas1]", "standby: [nas1], class: stateless"}}),
      "e.yaml"));
  EXPECT_OK(ParseEstate(absl::StrReplaceAll(two, {{"standby: [nas1]", "standby: [nas1, host3]"}}),
                        "e.yaml"));
}

TEST(EstateParser, DependenciesMayAskForAStartAlone) {
  const auto estate = ParseEstate(
      ValidBut("depends_on: [db]", "depends_on: [{workload: db, needs: started}]"), "e.yaml");
  ASSERT_OK(estate);
  const v1::WorkloadSpec& app = estate->workloads(1);
  EXPECT_THAT(app.depends_on(), ElementsAre("db"));
  EXPECT_THAT(app.starts_after(), ElementsAre("db"));
  EXPECT_THAT(ErrorOf(ValidBut("depends_on: [db]", "depends_on: [{workload: db, needs: luck}]")),
              HasSubstr("luck"));
  EXPECT_THAT(ErrorOf(ValidBut("depends_on: [db]", "depends_on: [{needs: started}]")),
              HasSubstr("workload"));
  EXPECT_THAT(ErrorOf(ValidBut("depends_on: [db]", "depends_on: [db, {workload: db}]")),
              HasSubstr("workload 'db' is repeated in depends_on"));
  EXPECT_THAT(ErrorOf(ValidBut("depends_on: [db]", "depends_on: [{workload: dbs}]")),
              HasSubstr("'dbs' of workload 'app' is not known"));
}

TEST(EstateParser, FailBackAndMemory) {
  const auto estate =
      ParseEstate(ValidBut("depends_on: [db]",
                           "recovery: {standby: [nas1, host3], fail_back: 10m, memory: 2GiB}"),
                  "e.yaml");
  ASSERT_OK(estate);
  EXPECT_EQ(estate->workloads(1).recovery().fail_back_seconds(), 600);
  EXPECT_EQ(estate->workloads(1).recovery().memory_bytes(), int64_t{2} << 30);
  EXPECT_THAT(ErrorOf(ValidBut("depends_on: [db]", "recovery: {fail_back: 10m}")),
              HasSubstr("workload 'app' has fail_back and no standby"));
  EXPECT_THAT(ErrorOf(ValidBut("depends_on: [db]", "recovery: {memory: 2}")),
              HasSubstr("a size such as 512MiB or 2GiB"));
}

}  // namespace
}  // namespace ember::controller
