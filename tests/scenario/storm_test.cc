// Random storms over the simulated cluster, from seeds. EMBER_LONG=1 plays many more; a failing
// seed prints its story.
#include <cstdlib>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/scenario/sim_cluster.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

TEST(Storm, BreaksNoInvariant) {
  ASSERT_OK_AND_ASSIGN(const std::string estate,
                       ReadFile(EMBER_SOURCE_DIR "/tests/scenario/estate.yaml"));
  const int seeds = getenv("EMBER_LONG") != nullptr ? 2000 : 40;
  for (int seed = 1; seed <= seeds; ++seed) {
    std::mt19937_64 random(seed);
    const SimNetwork network{std::uniform_real_distribution<>(0, 0.15)(random),
                             absl::Milliseconds(random() % 1500)};
    SimCluster cluster(estate, seed, network);
    std::vector<std::string> story;
    cluster.RunFor(absl::Seconds(30));
    for (int i = 0; i < 8; ++i) {
      const std::string node = cluster.nodes()[random() % cluster.nodes().size()];
      const std::string workload = std::vector<std::string>{"db", "app", "web"}[random() % 3];
      const std::vector<std::string> choices = {
          "power_off " + node,
          "power_on " + node,
          "kill_agent " + node,
          "start_agent " + node,
          "kill_service " + workload,
          "delete_data " + workload,
          "cut " + node,
          "heal " + node,
          "kill_em",
          "start_em",
          absl::StrCat("clock ", node, " ", static_cast<int64_t>(random() % 200000) - 100000),
          absl::StrCat("clock em ", static_cast<int64_t>(random() % 2000) - 1000)};
      story.push_back(absl::StrCat(absl::FormatDuration(cluster.now()), " ",
                                   choices[random() % choices.size()]));
      const std::pair<std::string, std::string> line =
          absl::StrSplit(story.back(), absl::MaxSplits(' ', 1));
      ASSERT_TRUE(cluster.Do(line.second)) << line.second;
      cluster.RunFor(absl::Seconds(random() % 60));
    }
    // Everything mended: whatever was begun must end.
    cluster.MendNetwork();
    ASSERT_TRUE(cluster.Do("start_em"));
    for (const std::string& node : cluster.nodes()) {
      ASSERT_TRUE(cluster.Do("heal " + node));
      ASSERT_TRUE(cluster.Do("power_on " + node));
    }
    cluster.RunFor(absl::Seconds(900));
    EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << "seed " << seed << "\n"
                                                            << absl::StrJoin(story, "\n") << "\n\n"
                                                            << absl::StrJoin(cluster.Log(), "\n");
    EXPECT_TRUE(cluster.AllRecoveriesEnded()) << "seed " << seed << "\n"
                                              << absl::StrJoin(story, "\n") << "\n\n"
                                              << absl::StrJoin(cluster.Log(), "\n");
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace ember::testing
