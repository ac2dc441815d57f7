#include "controller/protect/retention.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::Time At(absl::string_view text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M", text, &time, &error)) << error;
  return time;
}

const absl::Time kNow = At("2026-11-28 12:00");

class RetentionTest : public ::testing::Test {
 protected:
  // Newest first, as they are added.
  KeepCandidate& Add(absl::string_view when, bool good = true, const std::string& policy = "") {
    backups_.push_back({std::string(when), At(when), policy, good, ""});
    return backups_.back();
  }
  v1::Keep& Rule(const std::string& policy = "p", absl::TimeZone zone = absl::UTCTimeZone()) {
    rules_.push_back({policy, v1::Keep(), zone});
    return *rules_.back().keep;
  }
  std::vector<std::string> Gone() {
    verdicts_ = JudgeRetention(backups_, rules_, kNow);
    std::vector<std::string> gone;
    for (size_t i = 0; i < backups_.size(); ++i) {
      EXPECT_NE(verdicts_[i].reason, "") << backups_[i].id;
      if (!verdicts_[i].keep) gone.push_back(backups_[i].id);
    }
    return gone;
  }
  const std::string& Why(size_t i) { return verdicts_[i].reason; }

  std::vector<KeepCandidate> backups_;
  std::vector<KeepRule> rules_;
  std::vector<KeepVerdict> verdicts_;
};

TEST_F(RetentionTest, TheNewestOfEachPeriodStandsForIt) {
  Add("2026-11-28 10:30");
  Add("2026-11-28 10:00");
  Add("2026-11-28 09:00");
  Add("2026-11-27 23:00");
  Add("2026-11-26 01:00");
  Add("2026-10-31 01:00");
  Add("2025-12-31 23:00");
  const std::pair<std::function<void(v1::Keep&)>, std::vector<std::string>> rows[] = {
      {[](v1::Keep& k) { k.set_last(4); },
       {"2026-11-26 01:00", "2026-10-31 01:00", "2025-12-31 23:00"}},
      {[](v1::Keep& k) { k.set_hourly(3); },
       {"2026-11-28 10:00", "2026-11-26 01:00", "2026-10-31 01:00", "2025-12-31 23:00"}},
      {[](v1::Keep& k) { k.set_daily(2); },
       {"2026-11-28 10:00", "2026-11-28 09:00", "2026-11-26 01:00", "2026-10-31 01:00",
        "2025-12-31 23:00"}},
      {[](v1::Keep& k) { k.set_weekly(2); },
       {"2026-11-28 10:00", "2026-11-28 09:00", "2026-11-27 23:00", "2026-11-26 01:00",
        "2025-12-31 23:00"}},
      {[](v1::Keep& k) { k.set_monthly(9); },
       {"2026-11-28 10:00", "2026-11-28 09:00", "2026-11-27 23:00", "2026-11-26 01:00"}},
      {[](v1::Keep& k) { k.set_yearly(2); },
       {"2026-11-28 10:00", "2026-11-28 09:00", "2026-11-27 23:00", "2026-11-26 01:00",
        "2026-10-31 01:00"}},
      {[](v1::Keep& k) { k.set_within_seconds(2 * 86400); },
       {"2026-11-26 01:00", "2026-10-31 01:00", "2025-12-31 23:00"}},
  };
  for (const auto& [fill, gone] : rows) {
    rules_.clear();
    fill(Rule());
    EXPECT_EQ(Gone(), gone) << rules_[0].keep->ShortDebugString();
  }
}

TEST_F(RetentionTest, WhatOneRuleKeepsStaysAndSaysWhy) {
  Add("2026-11-28 10:00");
  Add("2026-11-27 10:00");
  Add("2026-10-01 10:00");
  v1::Keep& keep = Rule();
  keep.set_last(1);
  keep.set_monthly(2);
  EXPECT_THAT(Gone(), ElementsAre("2026-11-27 10:00"));
  EXPECT_EQ(Why(0), "one of the last 1, month 2026-11");
  EXPECT_EQ(Why(1), "no rule keeps it");
  EXPECT_EQ(Why(2), "month 2026-10");
}

TEST_F(RetentionTest, WeeksAreThoseOfIso8601AndDaysThoseOfTheZone) {
  Add("2027-01-03 23:30");  // Sunday of 2026-W53; in Paris Monday of 2027-W01
  Add("2026-12-28 10:00");  // Monday of 2026-W53
  Rule().set_weekly(5);
  EXPECT_THAT(Gone(), ElementsAre("2026-12-28 10:00"));
  EXPECT_EQ(Why(0), "week 2026-W53");
  absl::TimeZone paris;
  ASSERT_TRUE(absl::LoadTimeZone("Europe/Paris", &paris));
  rules_[0].zone = paris;
  EXPECT_THAT(Gone(), IsEmpty());
  EXPECT_EQ(Why(0), "week 2027-W01");
  EXPECT_EQ(Why(1), "week 2026-W53");
}

TEST_F(RetentionTest, APolicyJudgesItsOwnAndWhatIsOfNone) {
  Add("2026-11-28 10:00", true, "changes");
  Add("2026-11-28 09:00", true, "changes");
  Add("2026-11-28 08:00", true, "daily");
  Add("2026-11-28 07:00", true, "");
  Add("2026-11-27 08:00", true, "daily");
  Add("2026-11-26 08:00", true, "former");
  Rule("daily").set_daily(2);
  Rule("changes").set_last(1);
  EXPECT_THAT(Gone(), ElementsAre("2026-11-28 09:00", "2026-11-28 07:00", "2026-11-26 08:00"))
      << "the days of the dailies are not filled by what the other policy made";
  EXPECT_EQ(Why(0), "one of the last 1 (changes)");
  EXPECT_EQ(Why(4), "day 2026-11-27 (daily)");
  rules_[0].keep.reset();
  EXPECT_THAT(Gone(), ElementsAre("2026-11-28 09:00", "2026-11-28 07:00", "2026-11-26 08:00"));
  EXPECT_EQ(Why(4), "policy daily has no `keep`");
  rules_[1].keep.reset();
  EXPECT_THAT(Gone(), IsEmpty());
  rules_.clear();
  EXPECT_THAT(Gone(), IsEmpty());
}

TEST_F(RetentionTest, WhatIsNotGoodFillsNoPlace) {
  Add("2026-11-28 11:00", false);
  Add("2026-11-28 10:00");
  Add("2026-11-28 09:00", false);
  Add("2026-11-27 10:00", false);
  Add("2026-11-27 09:00", false);
  Add("2026-11-26 10:00");
  Add("2026-11-25 10:00", false);
  Rule().set_daily(2);
  EXPECT_THAT(Gone(), ElementsAre("2026-11-28 09:00", "2026-11-27 09:00", "2026-11-25 10:00"));
  EXPECT_EQ(Why(0), "nothing good is newer");
  EXPECT_EQ(Why(3), "not good, but all there is of day 2026-11-27");
  EXPECT_EQ(Why(2), "not good, and no rule keeps it");
}

TEST_F(RetentionTest, TheNewestGoodOnesStayWhateverTheRulesSay) {
  Add("2024-03-03 10:00");
  Add("2024-02-02 10:00");
  Add("2024-01-01 10:00");
  v1::Keep& keep = Rule();
  keep.set_within_seconds(86400);
  EXPECT_THAT(Gone(), ElementsAre("2024-02-02 10:00", "2024-01-01 10:00"));
  EXPECT_EQ(Why(0), "the newest good one");
  keep.set_min_verified(2);
  EXPECT_THAT(Gone(), ElementsAre("2024-01-01 10:00"));
  EXPECT_EQ(Why(1), "one of the last 2 good ones (min_verified)");
  for (KeepCandidate& backup : backups_) backup.good = false;
  EXPECT_THAT(Gone(), IsEmpty()) << "part of them may be had back";
}

TEST_F(RetentionTest, WhatCannotGoStays) {
  Add("2026-11-28 10:00");
  Add("2026-11-27 10:00").stays = "it is pinned";
  Rule().set_last(1);
  EXPECT_THAT(Gone(), IsEmpty());
  EXPECT_EQ(Why(1), "it is pinned");
}

// Any rules, any backups: never all of what is good, and once is enough.
TEST_F(RetentionTest, CarriedOutTwiceItRemovesNothingMore) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 dice(seed);
    const auto below = [&](int n) { return static_cast<int>(dice() % n); };
    backups_.clear();
    rules_.clear();
    absl::Time when = kNow;
    for (int i = below(60); i > 0; --i) {
      when -= absl::Minutes(below(4) == 0 ? below(40000) : below(600));
      backups_.push_back({absl::StrCat(i), when,
                          below(3) == 0   ? "a"
                          : below(2) == 0 ? "b"
                                          : "",
                          below(4) != 0, below(15) == 0 ? "held" : ""});
    }
    for (const char* name : {"a", "b"}) {
      if (below(5) == 0) continue;
      v1::Keep& keep = Rule(name);
      if (below(2) == 0) keep.set_last(below(5));
      if (below(2) == 0) keep.set_daily(below(8));
      if (below(2) == 0) keep.set_weekly(below(5));
      if (below(2) == 0) keep.set_monthly(below(4));
      if (below(3) == 0) keep.set_within_seconds(below(86400 * 4));
      keep.set_min_verified(below(3));
    }
    Gone();
    std::vector<KeepCandidate> left;
    int good = 0, good_left = 0;
    for (size_t i = 0; i < backups_.size(); ++i) {
      good += backups_[i].good;
      if (!verdicts_[i].keep) continue;
      good_left += backups_[i].good;
      left.push_back(backups_[i]);
    }
    ASSERT_TRUE(good == 0 || good_left > 0) << "seed " << seed;
    ASSERT_GE(good_left, rules_.empty() ? good : std::min(good, rules_[0].keep->min_verified()));
    backups_ = left;
    ASSERT_THAT(Gone(), IsEmpty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ember::controller
