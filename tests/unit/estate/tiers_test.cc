#include "controller/estate/tiers.h"

#include "absl/strings/str_cat.h"
#include "controller/estate/exporter.h"
#include "controller/estate/parser.h"
#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::Estate Parse(const std::string& workload, std::vector<std::string>* warnings = nullptr) {
  const auto estate = ParseEstate(
      absl::StrCat(
          "vaults: [{name: nas, node: nas1, path: /v}, {name: usb, node: nas2, path: /v}]\n"
          "policies: [{name: daily, schedule: \"*-*-* 07:00\", vaults: [nas]}]\n"
          "workloads: [{name: db, node: n1, sources: [{files: {paths: [/d]}}], ",
          workload, "}]\n"),
      "e.yaml", warnings);
  EXPECT_OK(estate);
  return estate.value_or(v1::Estate());
}

TEST(Tiers, AreReadyPoliciesThatKeepTheirOwnRpo) {
  const std::pair<const char*, std::pair<absl::Duration, absl::Duration>> rows[] = {
      {"tier-1", {absl::Minutes(15), absl::Hours(1)}},
      {"tier-2", {absl::Hours(1), absl::Hours(4)}},
      {"tier-3", {absl::Hours(4), absl::Hours(24)}},
  };
  for (const auto& [name, goals] : rows) {
    std::vector<std::string> warnings;
    const v1::Estate estate = Parse(absl::StrCat("policies: [", name, "]"), &warnings);
    EXPECT_THAT(warnings, IsEmpty());
    ASSERT_EQ(estate.policies_size(), 2);
    EXPECT_EQ(estate.policies(1).name(), name);
    EXPECT_THAT(estate.policies(1).vaults(), ElementsAre("nas", "usb"));
    EXPECT_EQ(absl::Seconds(estate.workloads(0).rpo_seconds()), goals.first);
    EXPECT_EQ(absl::Seconds(estate.workloads(0).rto_seconds()), goals.second);
    EXPECT_LT(LongestGap({&estate.policies(1)}), goals.first);
    // What is printed and read again is the same.
    ASSERT_OK_AND_ASSIGN(const v1::Estate again, ParseEstate(ExportEstate(estate), "e.yaml"));
    EXPECT_EQ(again.SerializeAsString(), estate.SerializeAsString());
  }
}

TEST(Tiers, TheEstatesOwnWordCounts) {
  const v1::Estate own = Parse("policies: [tier-1], rpo: 20m, rto: 2h");
  EXPECT_EQ(own.workloads(0).rpo_seconds(), 20 * 60);
  EXPECT_EQ(own.workloads(0).rto_seconds(), 2 * 3600);
  ASSERT_OK_AND_ASSIGN(const v1::Estate declared, ParseEstate(R"(
vaults: [{name: nas, node: nas1, path: /v}]
policies: [{name: tier-1, schedule: hourly, vaults: [nas]}]
workloads: [{name: db, node: n1, policies: [tier-1], sources: [{files: {paths: [/d]}}]}]
)",
                                                              "e.yaml"));
  ASSERT_EQ(declared.policies_size(), 1);
  EXPECT_EQ(declared.policies(0).schedule(), "hourly");
  EXPECT_EQ(declared.workloads(0).rpo_seconds(), 0);
  EXPECT_EQ(Parse("policies: [daily]").policies_size(), 1);
}

TEST(Tiers, ASchedulesLongestGap) {
  const std::pair<const char*, absl::Duration> rows[] = {
      {"*:0/15", absl::Minutes(15)},
      {"*-*-* 07:00", absl::Hours(24)},
      {"Mon..Fri 02:00", absl::Hours(72)},
      {"weekly", absl::Hours(24 * 7)},
      {"monthly", absl::Hours(24 * 31)},
      {"*-*-* 06,18:00", absl::Hours(12)},
      {"Mon..Fri 8..17:00", absl::Hours(63)},
      {"", absl::InfiniteDuration()},
      {"2028-02-03 04:05", absl::InfiniteDuration()},
      {"no schedule", absl::InfiniteDuration()},
  };
  for (const auto& [schedule, gap] : rows) {
    v1::PolicySpec policy;
    policy.set_schedule(schedule);
    EXPECT_EQ(LongestGap({&policy}), gap) << schedule;
  }
  v1::PolicySpec weekdays, weekend;
  weekdays.set_schedule("Mon..Fri 02:00");
  weekend.set_cron("0 2 * * 6,0");
  EXPECT_EQ(LongestGap({&weekdays, &weekend}), absl::Hours(24)) << "together";
}

TEST(Tiers, AnRpoThatNoScheduleCanKeepIsToldOf) {
  std::vector<std::string> warnings;
  Parse("policies: [daily], rpo: 24h", &warnings);
  EXPECT_THAT(warnings, IsEmpty());
  Parse("policies: [daily], rpo: 1h", &warnings);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("workload 'db' has an rpo of 1h and backups that "
                                              "come up to 24h apart")));
  warnings.clear();
  ASSERT_OK(ParseEstate(R"(
vaults: [{name: nas, node: nas1, path: /v}]
policies: [{name: hand, vaults: [nas]}]
workloads: [{name: db, node: n1, policies: [hand], rpo: 1h, sources: [{files: {paths: [/d]}}]}]
)",
                        "e.yaml", &warnings));
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("no schedule: nothing backs it up by itself")));
}

}  // namespace
}  // namespace ember::controller
