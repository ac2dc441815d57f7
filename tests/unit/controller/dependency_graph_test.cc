#include "controller/recover/dependency_graph.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// "web:app,cache" lines.
v1::Estate EstateOf(
    const std::vector<std::pair<std::string, std::vector<std::string>>>& workloads) {
  v1::Estate estate;
  for (const auto& [name, needs] : workloads) {
    v1::WorkloadSpec* spec = estate.add_workloads();
    spec->set_name(name);
    for (const std::string& need : needs) spec->add_depends_on(need);
  }
  return estate;
}

TEST(DependencyGraph, WavesFollowTheArrows) {
  const DependencyGraph graph(
      EstateOf({{"web", {"app", "cache"}}, {"app", {"db"}}, {"db", {}}, {"cache", {}}}));
  EXPECT_THAT(graph.Waves({"web", "app", "db", "cache"}),
              ElementsAre(ElementsAre("db", "cache"), ElementsAre("app"), ElementsAre("web")));
}

TEST(DependencyGraph, OnlyTheNamedOnesCount) {
  const DependencyGraph graph(EstateOf({{"web", {"app"}}, {"app", {"db"}}, {"db", {}}}));
  EXPECT_THAT(graph.Waves({"web", "db"}), ElementsAre(ElementsAre("web", "db")));
}

TEST(DependencyGraph, CriticalOnesComeFirstWithinAWave) {
  v1::Estate estate = EstateOf({{"a", {}}, {"b", {}}, {"c", {}}});
  estate.mutable_workloads(0)->set_criticality(v1::Criticality::NICE_TO_HAVE);
  estate.mutable_workloads(2)->set_criticality(v1::Criticality::CRITICAL);
  EXPECT_THAT(DependencyGraph(estate).Waves({"a", "b", "c"}),
              ElementsAre(ElementsAre("c", "b", "a")));
}

TEST(DependencyGraph, TheCriticalPathComesFirst) {
  v1::Estate estate = EstateOf({{"alone", {}},
                                {"short", {}},
                                {"long", {}},
                                {"vital", {}},
                                {"a", {"short"}},
                                {"b", {"long"}},
                                {"c", {"b"}},
                                {"d", {"vital"}}});
  estate.mutable_workloads(7)->set_criticality(v1::Criticality::CRITICAL);
  EXPECT_THAT(
      DependencyGraph(estate).Waves({"alone", "short", "long", "vital", "a", "b", "c", "d"}),
      ElementsAre(ElementsAre("vital", "long", "short", "alone"), ElementsAre("d", "b", "a"),
                  ElementsAre("c")));
}

TEST(DependencyGraph, ALongChainIsPutInOrderAtOnce) {
  std::vector<std::pair<std::string, std::vector<std::string>>> chain = {{"w0", {}}};
  std::vector<std::string> names = {"w0"};
  for (int i = 1; i < 10000; ++i) {
    names.push_back(absl::StrCat("w", i));
    chain.push_back({names.back(), {names[i - 1]}});
  }
  const DependencyGraph graph(EstateOf(chain));
  const absl::Time before = absl::Now();
  EXPECT_EQ(graph.Waves(names).size(), 10000u);
  EXPECT_LT(absl::Now() - before, absl::Seconds(1));
}

TEST(DependencyGraph, DependantsAreTransitiveNearestFirst) {
  const DependencyGraph graph(
      EstateOf({{"web", {"app"}}, {"app", {"db"}}, {"db", {}}, {"other", {}}}));
  EXPECT_THAT(graph.DependantsOf("db"), ElementsAre("app", "web"));
  EXPECT_THAT(graph.DependantsOf("other"), IsEmpty());
}

TEST(DependencyGraph, NamesOutsideTheEstateAreLeftOut) {
  const DependencyGraph graph(EstateOf({{"a", {}}}));
  EXPECT_THAT(graph.Waves({"gone"}), IsEmpty());
  EXPECT_THAT(graph.DependenciesOf("gone"), IsEmpty());
}

}  // namespace
}  // namespace ember::controller
