#include "cli/json.h"

#include <limits>

#include "ember/v1/control.pb.h"
#include "ember/v1/estate.pb.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

TEST(Json, EveryFieldIsPresentWithItsProtoName) {
  const auto json = ToJson(v1::Backup());
  const auto* type = v1::Backup::descriptor();
  ASSERT_EQ(json.size(), static_cast<size_t>(type->field_count()));
  for (int i = 0; i < type->field_count(); ++i) EXPECT_TRUE(json.contains(type->field(i)->name()));
}

TEST(Json, LargeIntegersAreExactNumbers) {
  v1::Backup backup;
  backup.set_size_bytes(std::numeric_limits<int64_t>::max());
  v1::Event event;
  event.set_seq(std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(ToJson(backup)["size_bytes"].dump(), "9223372036854775807");
  EXPECT_EQ(ToJson(event)["seq"].dump(), "18446744073709551615");
}

TEST(Json, TimesAreUtcTextAndNullWhenUnset) {
  v1::Backup backup;
  EXPECT_TRUE(ToJson(backup)["created"].is_null());
  backup.mutable_created();  // present, but zero
  EXPECT_TRUE(ToJson(backup)["created"].is_null());
  backup.mutable_created()->set_seconds(1767225600);
  EXPECT_EQ(ToJson(backup)["created"], "2026-01-01T00:00:00Z");
  backup.mutable_created()->set_nanos(250000000);
  EXPECT_EQ(ToJson(backup)["created"], "2026-01-01T00:00:00.25Z");
}

TEST(Json, EnumsAreNamesAndUnknownOnesNumbers) {
  v1::Node node;
  node.set_state(v1::NodeState::ALIVE);
  EXPECT_EQ(ToJson(node)["state"], "ALIVE");
  node.set_state(static_cast<v1::NodeState::Value>(99));
  EXPECT_EQ(ToJson(node)["state"], 99);
}

TEST(Json, BytesAreTextWhenTheyAreTextAndBase64Otherwise) {
  v1::PathProblem problem;
  problem.set_path("/srv/été");
  EXPECT_EQ(ToJson(problem)["path"], "/srv/été");
  problem.set_path("\xff\xfe");
  EXPECT_EQ(ToJson(problem)["path"], "//4=");
}

TEST(Json, UnsetMessagesAreNullAndListsAreLists) {
  v1::Run run;
  auto json = ToJson(run);
  EXPECT_TRUE(json["backup"].is_null());
  EXPECT_EQ(json["problems"].dump(), "[]");
  run.mutable_backup()->add_vaults("nas");
  EXPECT_EQ(ToJson(run)["backup"]["vaults"].dump(), "[\"nas\"]");
}

TEST(Json, MapsAreObjects) {
  v1::ExecService service;
  (*service.mutable_environment())["A"] = "1";
  EXPECT_EQ(ToJson(service)["environment"].dump(), "{\"A\":\"1\"}");
}

TEST(Json, ErrorsHaveCodeMessageAndHint) {
  const auto json = ErrorToJson(absl::NotFoundError("no backup"), "look");
  EXPECT_EQ(json.dump(), R"({"error":{"code":"NOT_FOUND","message":"no backup","hint":"look"}})");
}

TEST(Json, TextThatIsNotUtf8DoesNotThrow) {
  EXPECT_EQ(JsonText({{"a", "\xff"}}, false), "{\"a\":\"\uFFFD\"}\n");
}

}  // namespace
}  // namespace ember::cli
