#include "controller/estate/differ.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controller/estate/parser.h"
#include "tests/support/status_matchers.h"

namespace ember::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kText[] = R"(vaults:
  - {name: nas, node: nas1, path: /srv/vault}
  - {name: usb, node: nas2, path: /mnt/usb}
policies:
  - {name: daily, schedule: "07:00", vaults: [nas, usb], keep: {last: 10, daily: 30}}
  - {name: weekly, schedule: weekly, vaults: [nas]}
workloads:
  - {name: db, node: host1, policies: [daily, weekly], sources: [{files: {paths: [/srv/db, /etc/db]}}], rpo: 24h}
  - {name: app, node: host1}
settings: {lease: 20s}
)";

v1::Estate Parsed(absl::string_view text) {
  absl::StatusOr<v1::Estate> estate = ParseEstate(text, "e.yaml");
  EXPECT_OK(estate) << text;
  return estate.value_or(v1::Estate());
}

struct Plan {
  std::vector<std::string> lines;
  bool needs_confirmation = false;
};

Plan PlanOf(const v1::Estate& from, const v1::Estate& to) {
  Plan plan;
  for (const v1::PlanLine& line : DiffEstates(from, to, &plan.needs_confirmation)) {
    plan.lines.push_back(
        absl::StrCat(line.action(), " ", line.kind(), " ", line.name(), ": ", line.detail()));
  }
  return plan;
}

Plan PlanOfEdit(absl::string_view old_text, absl::string_view new_text) {
  return PlanOf(Parsed(kText), Parsed(absl::StrReplaceAll(kText, {{old_text, new_text}})));
}

TEST(EstateDiffer, TheSameEstateChangesNothing) {
  const Plan plan = PlanOf(Parsed(kText), Parsed(kText));
  EXPECT_THAT(plan.lines, IsEmpty());
  EXPECT_FALSE(plan.needs_confirmation);
  // Neither do the order of the parts, defaults that are written out, and other words for the same.
  EXPECT_THAT(PlanOfEdit("rpo: 24h", "rpo: 1d, health: {every: 5s}, service: none").lines,
              IsEmpty());
  v1::Estate reordered = Parsed(kText);
  reordered.mutable_workloads()->SwapElements(0, 1);
  EXPECT_THAT(PlanOf(Parsed(kText), reordered).lines, IsEmpty());
}

TEST(EstateDiffer, TheFirstEstateIsCreatedWithoutAsking) {
  const Plan plan =
      PlanOf(v1::Estate(), Parsed("vaults: [{name: nas, node: nas1, path: /srv/vault}]\n"
                                  "workloads: [{name: app, node: host1, rpo: 24h}]"));
  EXPECT_THAT(plan.lines, ElementsAre("create vault nas: node: nas1; path: /srv/vault",
                                      "create workload app: node: host1; rpo: 1d"));
  EXPECT_FALSE(plan.needs_confirmation);
}

TEST(EstateDiffer, RemovalNeedsConfirmation) {
  const Plan plan = PlanOf(Parsed(kText), Parsed("{}"));
  EXPECT_THAT(plan.lines, ElementsAre("remove vault nas: its backups stay on disk, out of reach",
                                      "remove vault usb: its backups stay on disk, out of reach",
                                      "remove policy daily: its backups stay",
                                      "remove policy weekly: its backups stay",
                                      "remove workload db: its service is stopped; no more backups "
                                      "and recovery; its backups stay",
                                      "remove workload app: its service is stopped; no more "
                                      "backups and recovery; its backups stay"));
  EXPECT_TRUE(plan.needs_confirmation);
}

struct EditCase {
  const char* old_text;
  const char* new_text;
  const char* line;
  bool needs_confirmation;
};

TEST(EstateDiffer, AsksWhenAVaultGivesUpARule) {
  const v1::Estate careful = Parsed(absl::StrReplaceAll(
      kText, {{"path: /mnt/usb", "path: /mnt/usb, min_retention: 3d, replicate_from: [nas]"}}));
  const Plan plan = PlanOf(careful, Parsed(kText));
  EXPECT_THAT(plan.lines,
              ElementsAre("update vault usb: min_retention: 3d → not set; replicate_from: [nas] → "
                          "not set"));
  EXPECT_TRUE(plan.needs_confirmation);
}

TEST(EstateDiffer, AsksWhenAPolicyHoldsOrVerifiesLess) {
  const auto with = [](const std::string& more) {
    return Parsed(absl::StrReplaceAll(
        kText, {{"last: 10, daily: 30}", absl::StrCat("last: 10, daily: 30}", more)}}));
  };
  const v1::Estate careful = with(", hold: 30d, verify: {every: 7d, sample: 50%}");
  EXPECT_TRUE(
      PlanOf(careful, with(", hold: 29d, verify: {every: 7d, sample: 50%}")).needs_confirmation);
  EXPECT_TRUE(
      PlanOf(careful, with(", hold: 30d, verify: {every: 8d, sample: 50%}")).needs_confirmation);
  EXPECT_TRUE(
      PlanOf(careful, with(", hold: 30d, verify: {every: 7d, sample: 49%}")).needs_confirmation);
  EXPECT_TRUE(PlanOf(careful, with(", hold: 30d")).needs_confirmation);
  EXPECT_FALSE(PlanOf(careful, with(", hold: 31d, verify: {every: 6d}")).needs_confirmation);
}

TEST(EstateDiffer, SaysWhatChangesAndAsksWhenProtectionGetsLess) {
  const EditCase cases[] = {
      {"rpo: 24h", "rpo: 12h", "update workload db: rpo: 1d → 12h", false},
      {", rpo: 24h", "", "update workload db: rpo: 1d → not set", false},
      {"rpo: 24h", "rpo: 24h, rto: 1h", "update workload db: rto: not set → 1h", false},
      {"app, node: host1", "app, node: host2", "update workload app: node: host1 → host2", true},
      {"app, node: host1", "app, node: host1, health: {every: 1s}",
       "update workload app: health: not set → {every: 1s}", false},
      {"[daily, weekly]", "[daily]", "update workload db: policies: [daily, weekly] → [daily]",
       true},
      {"[/srv/db, /etc/db]", "[/srv/db]",
       "update workload db: sources: [{files: {paths: [/srv/db, /etc/db]}}] → [{files: {paths: "
       "[/srv/db]}}]",
       true},
      {"last: 10", "last: 20",
       "update policy daily: keep: {last: 10, daily: 30} → {last: 20, daily: 30}", false},
      {"last: 10", "last: 9",
       "update policy daily: keep: {last: 10, daily: 30} → {last: 9, daily: 30}", true},
      {", daily: 30", "", "update policy daily: keep: {last: 10, daily: 30} → {last: 10}", true},
      {", keep: {last: 10, daily: 30}", "",
       "update policy daily: keep: {last: 10, daily: 30} → not set", false},
      {"weekly, schedule: weekly", "weekly, keep: {last: 99}, schedule: weekly",
       "update policy weekly: keep: not set → {last: 99}", true},
      {"last: 10, daily: 30}", "last: 10, daily: 30}, hold: 30d",
       "update policy daily: hold: not set → 30d", false},
      {"[nas, usb]", "[nas]", "update policy daily: vaults: [nas, usb] → [nas]", true},
      {"/mnt/usb", "/mnt/usb2", "update vault usb: path: /mnt/usb → /mnt/usb2", true},
      {"node: nas2", "node: nas3", "update vault usb: node: nas2 → nas3", true},
      {"path: /mnt/usb", "path: /mnt/usb, offsite: true",
       "update vault usb: offsite: not set → true", false},
      {"path: /mnt/usb", "path: /mnt/usb, trash: 14d", "update vault usb: trash: not set → 14d",
       false},
      {"path: /mnt/usb", "path: /mnt/usb, trash: 1d", "update vault usb: trash: not set → 1d",
       true},
      {"path: /mnt/usb", "path: /mnt/usb, min_retention: 3d",
       "update vault usb: min_retention: not set → 3d", false},
      {"path: /mnt/usb", "path: /mnt/usb, deletion_budget: 11%",
       "update vault usb: deletion_budget: not set → 11%", true},
      {"path: /mnt/usb", "path: /mnt/usb, deletion_budget: 9%",
       "update vault usb: deletion_budget: not set → 9%", false},
      {"path: /mnt/usb", "path: /mnt/usb, parity: false",
       "update vault usb: parity: not set → false", true},
      {"path: /mnt/usb", "path: /mnt/usb, gc: {every: 1d}",
       "update vault usb: gc: not set → {every: 1d}", false},
      {"path: /mnt/usb", "path: /mnt/usb, check: {every: 30d}",
       "update vault usb: check: not set → {every: 30d}", false},
      {"path: /mnt/usb", "path: /mnt/usb, replicate_from: [nas]",
       "update vault usb: replicate_from: not set → [nas]", false},
      {"07:00", "08:00", "update policy daily: schedule: \"07:00\" → \"08:00\"", false},
      {"lease: 20s", "dead_after: 60s", "update settings settings: dead_after: not set → 1m",
       false},
  };
  for (const EditCase& c : cases) {
    const Plan plan = PlanOfEdit(c.old_text, c.new_text);
    EXPECT_THAT(plan.lines, ElementsAre(c.line));
    EXPECT_EQ(plan.needs_confirmation, c.needs_confirmation) << c.line;
  }
}

}  // namespace
}  // namespace ember::controller
