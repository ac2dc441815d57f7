#include "node-agent/orders/offline.h"

#include "common/rpc/convert.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::agent {
namespace {

using ::testing::ElementsAre;

const absl::Time kMidnight = absl::FromUnixSeconds(1767225600);

v1::Assignment* AddWorkload(const std::string& name, v1::NodeConfig* config) {
  v1::Assignment* assignment = config->add_workloads();
  assignment->mutable_spec()->set_name(name);
  assignment->set_epoch(3);
  assignment->mutable_offline()->mutable_domain()->set_id("node-n1");
  return assignment;
}

void AddItem(const std::string& policy, int hour, v1::Assignment* assignment) {
  v1::OfflineBackup* item = assignment->mutable_offline()->add_items();
  item->set_policy(policy);
  *item->mutable_due() = rpc::ToTimestamp(kMidnight + absl::Hours(hour));
  item->set_backup_id(absl::StrCat(assignment->spec().name(), "/", policy, "-", hour));
  item->mutable_vault()->set_name("nas");
  item->mutable_grant()->set_signature("signed");
}

std::vector<std::string> DueAt(const v1::NodeConfig& config, int hour) {
  std::vector<std::string> ids;
  for (const v1::Order& order : DueOffline(config, kMidnight + absl::Hours(hour)))
    ids.push_back(order.id());
  return ids;
}

TEST(Offline, TheNewestThatIsDueOfEachPolicyIsBegun) {
  v1::NodeConfig config;
  v1::Assignment* db = AddWorkload("db", &config);
  for (const int hour : {7, 31, 55}) AddItem("daily", hour, db);
  AddItem("weekly", 40, db);
  AddItem("daily", 9, AddWorkload("web", &config));
  EXPECT_THAT(DueAt(config, 6), ElementsAre());
  EXPECT_THAT(DueAt(config, 7), ElementsAre("offline/db/daily-7"));
  EXPECT_THAT(DueAt(config, 8), ElementsAre("offline/db/daily-7")) << "the same order as before";
  EXPECT_THAT(DueAt(config, 50),
              ElementsAre("offline/db/daily-31", "offline/db/weekly-40", "offline/web/daily-9"));
  EXPECT_THAT(DueAt(config, 1000),
              ElementsAre("offline/db/daily-55", "offline/db/weekly-40", "offline/web/daily-9"))
      << "what was missed is made up once";
}

TEST(Offline, AnOrderHasAllThatABackupNeeds) {
  v1::NodeConfig config;
  AddItem("daily", 7, AddWorkload("db", &config));
  const std::vector<v1::Order> orders = DueOffline(config, kMidnight + absl::Hours(8));
  ASSERT_EQ(orders.size(), 1u);
  const v1::Order& order = orders[0];
  EXPECT_TRUE(order.offline());
  EXPECT_EQ(order.workload(), "db");
  EXPECT_EQ(order.epoch(), 3u);
  EXPECT_EQ(order.backup().backup_id(), "db/daily-7");
  EXPECT_EQ(order.backup().spec().name(), "db");
  EXPECT_EQ(order.backup().vault().name(), "nas");
  EXPECT_EQ(order.backup().domain().id(), "node-n1");
  EXPECT_EQ(order.backup().grant().signature(), "signed");
}

TEST(Offline, TheControllerIsAwayOnceItWouldTakeThisNodeForDead) {
  v1::Settings settings;
  EXPECT_EQ(OfflineAfter(settings), absl::Seconds(45));
  settings.set_dead_after_seconds(60);
  EXPECT_EQ(OfflineAfter(settings), absl::Seconds(60));
}

}  // namespace
}  // namespace ember::agent
