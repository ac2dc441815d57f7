#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/estate/differ.h"
#include "controller/estate/parser.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using ::ember::testing::HasCodeAndText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

std::string Example(absl::string_view name) {
  std::ifstream file(absl::StrCat(EMBER_REPOSITORY, "/deploy/examples/", name));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

v1::Estate Current() {
  absl::StatusOr<v1::Estate> estate = ParseEstate(R"(
vaults: [{name: nas, node: nas1, path: /srv/vault}, {name: usb, node: nas2, path: /mnt/usb}]
policies: [{name: own, schedule: hourly, vaults: [nas]}]
workloads:
  - {name: weights, node: host1, policies: [own], sources: [{files: {paths: [/w]}}]}
  - {name: memory, node: host1, sources: [{files: {paths: [/m]}}]}
  - {name: rules, node: host1, sources: [{files: {paths: [/r]}}]}
  - {name: proxy, node: host1}
)",
                                                  "e.yaml");
  EXPECT_OK(estate);
  return estate.value_or(v1::Estate());
}

constexpr char kSchedule[] = R"({"timezone": "Europe/Paris",
 "daily":     {"at": "07:00", "workloads": ["weights", "memory"], "keep": 30},
 "weekly":    {"on": "Sunday", "at": "23:00", "workloads": ["*"], "keep": 12},
 "on_change": {"workloads": ["rules"], "requires_approval": true, "keep": 10}})";

TEST(BackupSchedule, BecomesPoliciesOfTheWorkloadsNamed) {
  std::vector<std::string> warnings;
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate,
                       MergeSchedule(Current(), kSchedule, "s.json", &warnings));
  ASSERT_EQ(estate.policies_size(), 4);
  EXPECT_EQ(estate.policies(1).name(), "daily-schedule");
  EXPECT_EQ(estate.policies(1).schedule(), "*-*-* 07:00");
  EXPECT_EQ(estate.policies(1).timezone(), "Europe/Paris");
  EXPECT_EQ(estate.policies(1).keep().daily(), 30);
  EXPECT_THAT(estate.policies(1).vaults(), ElementsAre("nas", "usb"));
  EXPECT_EQ(estate.policies(2).name(), "weekly-schedule");
  EXPECT_EQ(estate.policies(2).schedule(), "Sunday *-*-* 23:00");
  EXPECT_EQ(estate.policies(2).keep().weekly(), 12);
  EXPECT_EQ(estate.policies(3).name(), "on-change-schedule");
  EXPECT_TRUE(estate.policies(3).on_change().requires_approval());
  EXPECT_EQ(estate.policies(3).keep().last(), 10);
  EXPECT_THAT(estate.workloads(0).policies(),
              ElementsAre("own", "daily-schedule", "weekly-schedule"));
  EXPECT_THAT(estate.workloads(1).policies(), ElementsAre("daily-schedule", "weekly-schedule"));
  EXPECT_THAT(estate.workloads(2).policies(), ElementsAre("weekly-schedule", "on-change-schedule"));
  EXPECT_THAT(estate.workloads(3).policies(), IsEmpty());  // it has no data
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("s.json:4:15: on_change is recorded")));
}

TEST(BackupSchedule, AppliedTwiceChangesNothingMore) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate once, MergeSchedule(Current(), kSchedule, "s.json"));
  ASSERT_OK_AND_ASSIGN(const v1::Estate twice, MergeSchedule(once, kSchedule, "s.json"));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, twice));
}

TEST(BackupSchedule, UpdatesWhatItMadeAndLeavesTheRest) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate once, MergeSchedule(Current(), kSchedule, "s.json"));
  ASSERT_OK_AND_ASSIGN(
      const v1::Estate next,
      MergeSchedule(once, R"({"daily": {"at": "08:30", "workloads": ["memory"], "keep": 7}})",
                    "s.json"));
  bool needs_confirmation = false;
  std::vector<std::string> lines;
  for (const v1::PlanLine& line : DiffEstates(once, next, &needs_confirmation)) {
    lines.push_back(absl::StrCat(line.name(), ": ", line.detail()));
  }
  EXPECT_THAT(
      lines,
      ElementsAre(
          "daily-schedule: schedule: \"*-*-* 07:00\" → \"*-*-* 08:30\"; keep: {daily: 30} → "
          "{daily: 7}",
          "weights: policies: [own, daily-schedule, weekly-schedule] → [own, weekly-schedule]"));
  EXPECT_TRUE(needs_confirmation);
}

TEST(BackupSchedule, IsKnownByItsKeys) {
  EXPECT_TRUE(IsBackupSchedule(kSchedule));
  EXPECT_TRUE(IsBackupSchedule("daily: {at: \"07:00\"}"));
  EXPECT_FALSE(IsBackupSchedule("{}"));
  EXPECT_FALSE(IsBackupSchedule("vaults: []\ndaily: {}"));
  EXPECT_FALSE(IsBackupSchedule("[daily]"));
  EXPECT_FALSE(IsBackupSchedule("daily: ["));
  ASSERT_OK_AND_ASSIGN(const v1::Estate merged, EstateAfter(Current(), kSchedule, "s.json"));
  EXPECT_EQ(merged.policies_size(), 4);
  ASSERT_OK_AND_ASSIGN(const v1::Estate replaced, EstateAfter(Current(), "{}", "e.yaml"));
  EXPECT_EQ(replaced.policies_size(), 0);
}

TEST(BackupSchedule, RejectsWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"daily": {"at": "07:00", "workloads": ["wieghts"]}})",
       "s.json:1:41: workload 'wieghts' is not known; did you mean 'weights'?"},
      {R"({"daily": {"at": "25:00", "workloads": ["*"]}})", "hour '25' is not valid"},
      {R"({"daily": {"workloads": ["*"]}})", "daily has no 'at'"},
      {R"({"daily": {"at": "07:00"}})", "daily has no 'workloads'"},
      {R"({"daily": {"at": "07:00", "workloads": "*"}})", "workloads: expected a list"},
      {R"({"daily": {"at": "07:00", "workloads": ["rules", "rules"]}})",
       "workload 'rules' is repeated in daily"},
      {R"({"daily": {"at": "07:00", "workloads": ["*"], "keep": 0}})",
       "keep: expected a number from 1"},
      {R"({"daily": {"at": "07:00", "workloads": ["*"], "keeep": 1}})",
       "unknown key 'keeep' in daily; did you mean 'keep'?"},
      {R"({"daily": {"at": "07:00", "workloads": ["proxy"]}})",
       "workload 'proxy' has policies but no sources"},
      {R"({"weekly": {"on": "Someday", "at": "07:00", "workloads": ["*"]}})",
       "day of the week 'Someday' is not valid"},
      {R"({"weekly": {"at": "07:00", "workloads": ["*"]}})", "weekly has no 'on'"},
      {R"({"timezone": "Mars", "daily": {"at": "07:00", "workloads": ["*"]}})",
       "time zone 'Mars' is unknown"},
      {R"({"daily": []})", "daily: expected a map"},
      {R"({"monthly": {}, "daily": {"at": "07:00", "workloads": ["*"]}})", "unknown key 'monthly'"},
      {"[1", "s.json:"},
  };
  for (const auto& [text, error] : cases) {
    EXPECT_THAT(MergeSchedule(Current(), text, "s.json"), HasCodeAndText(kInvalid, error)) << text;
  }
}

TEST(BackupSchedule, NeedsAVault) {
  EXPECT_THAT(
      MergeSchedule(v1::Estate(), R"({"daily": {"at": "07:00", "workloads": ["*"]}})", "s.json"),
      HasCodeAndText(kInvalid, "the estate has no vault yet"));
}

TEST(BackupSchedule, TheExampleFitsTheExampleEstate) {
  ASSERT_OK_AND_ASSIGN(const v1::Estate estate, ParseEstate(Example("estate.yaml"), "estate.yaml"));
  ASSERT_TRUE(IsBackupSchedule(Example("backup_schedule.json")));
  ASSERT_OK_AND_ASSIGN(const v1::Estate merged, EstateAfter(estate, Example("backup_schedule.json"),
                                                            "backup_schedule.json"));
  EXPECT_EQ(merged.policies_size(), estate.policies_size() + 3);
}

}  // namespace
}  // namespace ember::controller
