#include "node-agent/link/uplink.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace ember::agent {
namespace {

v1::BandwidthRule Rule(const std::string& node, int from, int to, int64_t rate) {
  v1::BandwidthRule rule;
  rule.set_node(node);
  rule.set_from_minute(from);
  rule.set_to_minute(to);
  rule.set_bytes_per_second(rate);
  return rule;
}

TEST(RateAt, TheLowestRuleThatAppliesHolds) {
  const std::vector<v1::BandwidthRule> rules = {
      Rule("", 0, 0, 900),               // all day, all nodes
      Rule("n1", 8 * 60, 18 * 60, 300),  // by day
      Rule("n2", 22 * 60, 6 * 60, 100),  // over midnight
  };
  struct Row {
    const char* node;
    int minute;
    int64_t rate;
  };
  const Row rows[] = {
      {"n1", 8 * 60 - 1, 900}, {"n1", 8 * 60, 300}, {"n1", 18 * 60 - 1, 300}, {"n1", 18 * 60, 900},
      {"n2", 22 * 60, 100},    {"n2", 0, 100},      {"n2", 6 * 60 - 1, 100},  {"n2", 6 * 60, 900},
      {"n3", 12 * 60, 900},
  };
  for (const Row& row : rows) EXPECT_EQ(RateAt(rules, row.node, row.minute), row.rate) << row.node;
  EXPECT_EQ(RateAt({}, "n1", 0), 0) << "unlimited";
  EXPECT_EQ(RateAt({Rule("n2", 0, 0, 5)}, "n1", 0), 0);
}

TEST(Uplink, WhatIsSentTogetherStaysBelowTheRate) {
  testing::FakeClock clock;
  Uplink uplink(&clock, absl::UTCTimeZone());
  v1::Settings settings;
  *settings.add_bandwidth() = Rule("n1", 0, 0, 1000);
  uplink.Set(settings);
  EXPECT_EQ(uplink.Pace("n1", 500), absl::Milliseconds(500));
  EXPECT_EQ(uplink.Pace("n1", 500), absl::Seconds(1)) << "another sender of the same node";
  EXPECT_EQ(uplink.Pace("n2", 500), absl::ZeroDuration());
  clock.Advance(absl::Seconds(10));
  EXPECT_EQ(uplink.Pace("n1", 100), absl::Milliseconds(100)) << "nothing is saved up";
  uplink.Set({});
  EXPECT_EQ(uplink.Pace("n1", 1 << 20), absl::ZeroDuration()) << "in force at once";
}

TEST(Uplink, TheHourIsThatOfTheNode) {
  testing::FakeClock clock;
  const int minute = absl::ToCivilMinute(clock.Now(), absl::UTCTimeZone()).minute() +
                     60 * absl::ToCivilMinute(clock.Now(), absl::UTCTimeZone()).hour();
  v1::Settings settings;
  *settings.add_bandwidth() = Rule("", minute, (minute + 1) % 1440, 1000);
  Uplink here(&clock, absl::UTCTimeZone());
  Uplink east(&clock, absl::FixedTimeZone(3600));
  here.Set(settings);
  east.Set(settings);
  EXPECT_GT(here.Pace("n1", 1000), absl::ZeroDuration());
  EXPECT_EQ(east.Pace("n1", 1000), absl::ZeroDuration());
}

}  // namespace
}  // namespace ember::agent
