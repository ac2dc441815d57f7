// Random storms over the simulated cluster, from seeds: a failing one prints its story and belongs
// into seeds.txt. EMBER_SEED=n plays one, EMBER_LONG=1 ten times as many.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/scenario/sim_cluster.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

constexpr int kBlocks = 20;
constexpr int kSeedsPerBlock = 500;
constexpr absl::Duration kQuiet = absl::Seconds(20);
// A deadline is an instant of the controller's clock, which was set back by up to 1000 s, perhaps
// twice.
constexpr absl::Duration kEndsWithin = absl::Seconds(3000);

std::string Estate() {
  static const auto* text =
      new std::string(ReadFile(EMBER_SOURCE_DIR "/tests/scenario/estate.yaml").value_or(""));
  return *text;
}

// Four kinds of owners: as in the stories; whose workloads go home by themselves; who wants to be
// asked about some; who can switch machines off.
std::string EstateOf(uint64_t seed) {
  switch (seed % 4) {
    case 1: return absl::StrReplaceAll(Estate(), {{"]}\n", "], fail_back: 30s}\n"}});
    case 2: {
      std::string text = Estate();
      const size_t app = text.find("mode: automatic", text.find("name: app"));
      return text.replace(app, 15, "mode: approve");
    }
    case 3: {
      std::string text = absl::StrCat(Estate(), "nodes:\n");
      for (const char* node : {"host1", "host2", "host3"}) {
        absl::StrAppend(&text, "  - {name: ", node,
                        ", fence: {command: [/usr/bin/off], from: [nas], timeout: 20s}}\n");
      }
      return text;
    }
    default: return Estate();
  }
}

// One storm: what breaks, in which order, and what came of it.
class Storm {
 public:
  explicit Storm(uint64_t seed) : random_(seed), cluster_(EstateOf(seed), seed, Network()) {}

  void Play() {
    Drift();
    cluster_.RunFor(absl::Seconds(20));
    for (int i = 0; i < 8; ++i) {
      Do(Break());
      for (uint64_t sends = random_() % 3; sends > 0; --sends) Do("send " + Node());
      cluster_.RunFor(absl::Seconds(random_() % 40));
    }
    Mend();
    if (random_() % 8 == 0) LeaveTheEmAway();
  }

  SimCluster& cluster() { return cluster_; }
  std::string Told() {
    return absl::StrCat(absl::StrJoin(story_, "\n"), "\n\n", absl::StrJoin(cluster_.Log(), "\n"));
  }

 private:
  SimNetwork Network() {
    SimNetwork network;
    network.drop = std::uniform_real_distribution<>(0, 0.15)(random_);
    network.duplicate = std::uniform_real_distribution<>(0, 0.1)(random_);
    network.delay_max = absl::Milliseconds(random_() % 1500);
    return network;
  }
  std::string Node() { return cluster_.nodes()[random_() % cluster_.nodes().size()]; }

  void Do(const std::string& line) {
    story_.push_back(absl::StrCat(absl::FormatDuration(cluster_.now()), " ", line));
    EXPECT_TRUE(cluster_.Do(line)) << line;
  }

  // Clocks of real machines are wrong by less than a thousandth.
  void Drift() {
    for (const std::string& node : cluster_.nodes())
      Do(absl::StrCat("drift ", node, " ", static_cast<int64_t>(random_() % 3) - 1));
  }

  std::string Break() {
    const std::string node = Node();
    const std::string workload = std::vector<std::string>{"db", "app", "web"}[random_() % 3];
    const std::vector<std::string> choices = {
        "power_off " + node,
        "power_on " + node,
        "pause " + node,
        "resume " + node,
        "kill_agent " + node,
        "start_agent " + node,
        "crash_agent " + node,
        "kill_service " + workload,
        "delete_data " + workload,
        "cut " + node,
        "cut_out " + node,
        "cut_in " + node,
        "heal " + node,
        "cut_em " + node,
        absl::StrCat("move_to_", node, " ", workload),
        "move_home " + workload,
        "drain " + node,
        "break_restores " + node,
        "mend_restores " + node,
        "break_fence " + node,
        "mend_fence " + node,
        "look_and_approve app",
        "undrain " + node,
        "kill_em",
        "start_em",
        "pause_em",
        "resume_em",
        "fill_em",
        "free_em",
        absl::StrCat("crash_em_at_write ", 1 + random_() % 10),
        absl::StrCat("clock ", node, " ", static_cast<int64_t>(random_() % 200000) - 100000),
        absl::StrCat("clock em ", static_cast<int64_t>(random_() % 2000) - 1000)};
    return choices[random_() % choices.size()];
  }

  // Whatever was begun must end, once nothing is broken any more.
  void Mend() {
    cluster_.MendNetwork();
    for (const char* line : {"free_em", "resume_em", "start_em"}) Do(line);
    for (const std::string& node : cluster_.nodes()) {
      for (const char* verb :
           {"heal ", "resume ", "power_on ", "undrain ", "mend_restores ", "mend_fence "})
        Do(verb + node);
    }
    const absl::Duration until = cluster_.now() + kEndsWithin;
    absl::Duration quiet = absl::ZeroDuration();
    while (cluster_.now() < until && quiet < kQuiet) {
      cluster_.RunFor(absl::Seconds(2));
      Do("start_em");  // it may have had a write left at which to crash
      Do("look_and_approve app");
      story_.resize(story_.size() - 2);
      const bool ended = cluster_.AllRecoveriesEnded() && cluster_.AllMessagesTaken();
      quiet = ended ? quiet + absl::Seconds(2) : absl::ZeroDuration();
    }
    EXPECT_TRUE(cluster_.AllRecoveriesEnded()) << "a recovery did not end";
    EXPECT_TRUE(cluster_.AllMessagesTaken()) << "a message waits for ever";
  }

  // However long, that stops no workload.
  void LeaveTheEmAway() {
    cluster_.RunFor(absl::Seconds(60));
    const std::vector<std::string> before = cluster_.RunningServices();
    Do("kill_em");
    cluster_.RunFor(absl::Seconds(120));
    EXPECT_EQ(cluster_.RunningServices(), before) << "the controller was away";
    Do("start_em");
    cluster_.RunFor(absl::Seconds(10));
  }

  std::mt19937_64 random_;
  std::vector<std::string> story_;
  SimCluster cluster_;
};

void PlaySeed(uint64_t seed) {
  Storm storm(seed);
  storm.Play();
  EXPECT_THAT(storm.cluster().violations(), ::testing::IsEmpty());
  if (::testing::Test::HasFailure()) ADD_FAILURE() << "seed " << seed << "\n" << storm.Told();
}

// What went wrong is meant to, thousands of times: the log is not for anybody here.
class Quiet : public ::testing::Environment {
 public:
  void SetUp() override {
    const Fd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
    ASSERT_NE(dup2(nowhere.get(), STDERR_FILENO), -1);
  }
};
const ::testing::Environment* const kQuietLog = ::testing::AddGlobalTestEnvironment(new Quiet);

class Storms : public ::testing::TestWithParam<int> {};

TEST_P(Storms, BreakNoInvariant) {
  if (getenv("EMBER_SEED") != nullptr) GTEST_SKIP() << "one seed is played alone";
  const int seeds = kSeedsPerBlock * (getenv("EMBER_LONG") != nullptr ? 10 : 1);
  for (int i = 1; i <= seeds && !HasFailure(); ++i)
    PlaySeed(static_cast<uint64_t>(GetParam()) * 1000000 + i);
}

INSTANTIATE_TEST_SUITE_P(Block, Storms, ::testing::Range(0, kBlocks));

TEST(StormSeeds, ThatFailedOncePass) {
  if (const char* seed = getenv("EMBER_SEED")) return PlaySeed(strtoull(seed, nullptr, 10));
  const auto text = ReadFile(EMBER_SOURCE_DIR "/tests/scenario/seeds.txt");
  ASSERT_OK(text);
  for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipWhitespace())) {
    uint64_t seed = 0;
    if (line[0] != '#') {
      ASSERT_TRUE(absl::SimpleAtoi(line, &seed)) << line;
      PlaySeed(seed);
    }
  }
}

TEST(StormSeeds, TheSameOneGivesTheSameLog) {
  for (const uint64_t seed : {11, 12}) {
    Storm one(seed), other(seed);
    one.Play();
    other.Play();
    EXPECT_EQ(one.Told(), other.Told());
  }
}

}  // namespace
}  // namespace ember::testing
