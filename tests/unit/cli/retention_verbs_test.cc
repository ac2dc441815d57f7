// ember clean, ember schedule next, ember backup cat.
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RetentionVerbs : public Session {
 protected:
  void Add(const std::string& id, bool keep, const std::string& reason) {
    v1::CleanItem* item = script_.clean_plan.add_items();
    item->set_id(id);
    item->set_workload(id.substr(0, id.find('/')));
    item->set_keep(keep);
    item->set_reason(reason);
    item->set_size_bytes(2048);
    *item->mutable_received() = rpc::ToTimestamp(absl::FromUnixSeconds(1767225600));
  }
};

TEST_F(RetentionVerbs, ADryRunShowsEachBackupAndWhy) {
  Add("db/2", true, "one of the last 1");
  Add("db/1", false, "no rule keeps it");
  script_.clean_plan.set_freed_bytes(1024);
  EXPECT_EQ(Ember({"clean", "db", "--dry-run"}), 0);
  EXPECT_THAT(out_, HasSubstr("db/2"));
  EXPECT_THAT(out_, HasSubstr("one of the last 1"));
  EXPECT_THAT(out_, HasSubstr("remove"));
  EXPECT_THAT(out_, HasSubstr("db: 1 of 2 go, stored 2026-01-01"));
  EXPECT_THAT(out_, HasSubstr("the newest that stays is db/2"));
  EXPECT_THAT(out_, HasSubstr("frees up to 1.0 KiB"));
  EXPECT_THAT(script_.cleans, IsEmpty());
}

TEST_F(RetentionVerbs, WithoutAConfirmationNothingGoes) {
  Add("db/1", false, "no rule keeps it");
  script_.cost = "cleaning puts 1 backups into the trash";
  EXPECT_EQ(Ember({"clean"}), 4);
  ASSERT_EQ(script_.cleans.size(), 1u);
  EXPECT_FALSE(script_.cleans[0].confirmed());
}

TEST_F(RetentionVerbs, WhatWasShownIsWhatGoes) {
  Add("db/3", true, "one of the last 1");
  Add("db/2", false, "no rule keeps it");
  Add("db/1", false, "no rule keeps it");
  EXPECT_EQ(Ember({"clean", "--yes"}), 0);
  ASSERT_EQ(script_.cleans.size(), 1u);
  EXPECT_TRUE(script_.cleans[0].confirmed());
  EXPECT_THAT(script_.cleans[0].ids(), ElementsAre("db/2", "db/1"));
  EXPECT_THAT(out_, HasSubstr("removed 2 backups"));
  script_.cleans.clear();
  EXPECT_EQ(Ember({"clean", "--yes", "--json"}), 0);
  EXPECT_THAT(out_, HasSubstr("\"freed_bytes\""));
  EXPECT_THAT(out_, HasSubstr("\"runs\""));
}

TEST_F(RetentionVerbs, WhenNothingGoesNothingIsAsked) {
  Add("db/1", true, "it is pinned");
  EXPECT_EQ(Ember({"clean"}), 0);
  EXPECT_THAT(out_, HasSubstr("nothing goes"));
  EXPECT_THAT(script_.cleans, IsEmpty());
}

TEST_F(RetentionVerbs, ScheduleNextListsWhatComes) {
  v1::NextRun* run = script_.next_runs.add_items();
  run->set_workload("db");
  run->set_policy("daily");
  *run->mutable_time() = rpc::ToTimestamp(absl::FromUnixSeconds(4070908800));
  EXPECT_EQ(Ember({"schedule", "next", "db", "--count", "3"}), 0);
  EXPECT_EQ(script_.next_runs_request.workload(), "db");
  EXPECT_EQ(script_.next_runs_request.count(), 3);
  EXPECT_THAT(out_, HasSubstr("2099-01-01 00:00:00"));
  EXPECT_THAT(out_, HasSubstr("daily"));
  EXPECT_EQ(Ember({"schedule", "next", "--count", "0"}), 2);
  script_.next_runs.clear_items();
  EXPECT_EQ(Ember({"schedule", "next"}), 0);
  EXPECT_THAT(err_, HasSubstr("no backup is scheduled"));
}

TEST_F(RetentionVerbs, CatPrintsTheBytesPartByPart) {
  script_.backup.set_id("db/20260101-000000");
  script_.file = std::string("line\n\0\x1b[31m end", 16);
  EXPECT_EQ(Ember({"backup", "cat", "db@latest", "/srv/db/file"}), 0);
  EXPECT_EQ(out_, script_.file);
  script_.file = "";
  EXPECT_EQ(Ember({"backup", "cat", "db@latest", "/srv/db/empty"}), 0);
  EXPECT_EQ(out_, "");
  script_.file = "text";
  EXPECT_EQ(Ember({"backup", "cat", "db@latest", "/srv/db/file", "--json"}), 0);
  EXPECT_THAT(out_, HasSubstr("\"content\": \"text\""));
  script_.file = "\xff\xfe";
  EXPECT_EQ(Ember({"backup", "cat", "db@latest", "/srv/db/file", "--json"}), 0);
  EXPECT_THAT(out_, HasSubstr("\"encoding\": \"base64\""));
  EXPECT_THAT(out_, Not(HasSubstr("\xff")));
}

}  // namespace
}  // namespace ember::cli
