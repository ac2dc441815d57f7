// Plays every folder of tests/scenario: README (why), steps (what breaks, when), expect (the
// controller's log). An `estate.yaml` in the folder replaces the common one. EMBER_REGENERATE=1
// writes `expect` anew: commit it only if you understand what changed.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/scenario/sim_cluster.h"

namespace ember::testing {
namespace {

namespace fs = std::filesystem;

const char kRoot[] = EMBER_SOURCE_DIR "/tests/scenario";

std::string ReadOrEmpty(const std::string& path) {
  auto text = ReadFile(path);
  return text.ok() ? *text : "";
}

std::vector<std::string> Folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    if (fs::exists(entry.path() / "steps")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// "12s power_off host1": at that instant. The last line is "120s end".
void Play(const std::string& steps, SimCluster* cluster) {
  for (absl::string_view line : absl::StrSplit(steps, '\n', absl::SkipWhitespace())) {
    if (line[0] == '#') continue;
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    absl::Duration at;
    ASSERT_TRUE(absl::ParseDuration(parts.first, &at)) << line;
    cluster->RunFor(at - cluster->now());
    if (parts.second == "end") break;
    ASSERT_TRUE(cluster->Do(parts.second)) << line;
  }
}

class Scenario : public ::testing::TestWithParam<std::string> {};

TEST_P(Scenario, GoesAsWritten) {
  const std::string folder = absl::StrCat(kRoot, "/", GetParam(), "/");
  ASSERT_FALSE(ReadOrEmpty(folder + "README").empty()) << "a story says why it is told";
  std::string estate = ReadOrEmpty(folder + "estate.yaml");
  if (estate.empty()) estate = ReadOrEmpty(absl::StrCat(kRoot, "/estate.yaml"));
  SimCluster cluster(estate, 1, SimNetwork{});
  Play(ReadOrEmpty(folder + "steps"), &cluster);
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty());
  const std::string log = absl::StrCat(absl::StrJoin(cluster.Log(), "\n"), "\n");
  if (getenv("EMBER_REGENERATE") != nullptr) std::ofstream(folder + "expect") << log;
  EXPECT_EQ(log, ReadOrEmpty(folder + "expect"));
}

INSTANTIATE_TEST_SUITE_P(Folder, Scenario, ::testing::ValuesIn(Folders()),
                         [](const auto& info) { return info.param; });

TEST(Scenario, SameSeedGivesTheSameLog) {
  const std::string estate = ReadOrEmpty(absl::StrCat(kRoot, "/estate.yaml"));
  std::string logs[2];
  for (std::string& log : logs) {
    SimCluster cluster(estate, 7, SimNetwork{.drop = 0.1, .delay_max = absl::Milliseconds(800)});
    cluster.RunFor(absl::Seconds(30));
    ASSERT_TRUE(cluster.Do("power_off host1"));
    cluster.RunFor(absl::Seconds(200));
    log = absl::StrJoin(cluster.Log(), "\n");
  }
  EXPECT_FALSE(logs[0].empty());
  EXPECT_EQ(logs[0], logs[1]);
}

// The controller dies at every one of its durable writes during a recovery, comes back, and
// finishes it.
TEST(Scenario, ControllerCrashAtEveryWriteOfARecovery) {
  const std::string estate = ReadOrEmpty(absl::StrCat(kRoot, "/estate.yaml"));
  int64_t writes = 1;
  for (int64_t k = 0; k < writes; ++k) {
    SimCluster cluster(estate, 3, SimNetwork{});
    cluster.RunFor(absl::Seconds(30));
    const int64_t before = cluster.writes();
    ASSERT_TRUE(cluster.Do("delete_data db"));
    ASSERT_TRUE(cluster.Do("kill_service db"));
    if (k > 0) {
      ASSERT_TRUE(cluster.Do(absl::StrCat("crash_em_at_write ", k)));
    }
    cluster.RunFor(absl::Seconds(40));
    ASSERT_TRUE(cluster.Do("start_em"));
    cluster.RunFor(absl::Seconds(60));
    if (k == 0) writes = cluster.writes() - before;
    EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << "crash at write " << k;
    EXPECT_EQ(cluster.StateOf("db"), v1::WorkloadState::RUNNING)
        << "crash at write " << k << "\n"
        << absl::StrJoin(cluster.Log(), "\n");
    EXPECT_TRUE(cluster.AllRecoveriesEnded()) << "crash at write " << k;
  }
  EXPECT_GT(writes, 5);
}

// The same with a move, to which nothing is ever lost.
TEST(Scenario, ControllerCrashAtEveryWriteOfAMove) {
  const std::string estate = ReadOrEmpty(absl::StrCat(kRoot, "/estate.yaml"));
  int64_t writes = 1;
  for (int64_t k = 0; k < writes; ++k) {
    SimCluster cluster(estate, 3, SimNetwork{});
    cluster.RunFor(absl::Seconds(30));
    const int64_t before = cluster.writes();
    ASSERT_TRUE(cluster.Do("move_to_host2 db"));
    if (k > 0) {
      ASSERT_TRUE(cluster.Do(absl::StrCat("crash_em_at_write ", k)));
    }
    cluster.RunFor(absl::Seconds(40));
    ASSERT_TRUE(cluster.Do("start_em"));
    cluster.RunFor(absl::Seconds(60));
    if (k == 0) writes = cluster.writes() - before;
    EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << "crash at write " << k;
    EXPECT_EQ(cluster.StateOf("db"), v1::WorkloadState::RUNNING)
        << "crash at write " << k << "\n"
        << absl::StrJoin(cluster.Log(), "\n");
    EXPECT_EQ(cluster.RunningServices(), (std::vector<std::string>{"app", "db", "web"}))
        << "crash at write " << k;
    EXPECT_TRUE(cluster.AllRecoveriesEnded()) << "crash at write " << k;
  }
  EXPECT_GT(writes, 10);
}

}  // namespace
}  // namespace ember::testing
