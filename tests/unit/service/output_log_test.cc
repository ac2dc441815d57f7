#include "node-agent/service/output_log.h"

#include <filesystem>

#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "node-agent/service/guard_record.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

TEST(OutputLog, ContinuesAnEarlierRun) {
  testing::TempDir directory;
  for (const char* text : {"first\n", "second\n"}) {
    ASSERT_OK_AND_ASSIGN(OutputLog log, OutputLog::Open(directory.path()));
    log.Append(text);
  }
  EXPECT_EQ(*ReadFile(directory.Join(kOutputFile)), "first\nsecond\n");
}

TEST(OutputLog, MakesRoomAtItsBound) {
  testing::TempDir directory;
  ASSERT_OK_AND_ASSIGN(OutputLog log, OutputLog::Open(directory.path()));
  const std::string block(kServiceLogBytesMax / 2, 'x');
  log.Append(block);
  log.Append(block);
  EXPECT_FALSE(FileExists(directory.Join(kOlderOutputFile)));
  log.Append("more");
  EXPECT_EQ(*ReadFile(directory.Join(kOutputFile)), "more");
  EXPECT_EQ(std::filesystem::file_size(directory.Join(kOlderOutputFile)), kServiceLogBytesMax);
}

TEST(OutputLog, GoesOnWhenSomebodyRemovedIt) {
  testing::TempDir directory;
  ASSERT_OK_AND_ASSIGN(OutputLog log, OutputLog::Open(directory.path()));
  log.Append(std::string(kServiceLogBytesMax, 'x'));
  ASSERT_OK(RemoveFile(directory.Join(kOutputFile)));
  log.Append("more");
  EXPECT_EQ(*ReadFile(directory.Join(kOutputFile)), "more");
}

TEST(OutputLog, NeedsItsDirectory) {
  EXPECT_THAT(OutputLog::Open("/nonexistent"), testing::HasCode(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace ember::agent
