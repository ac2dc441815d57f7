#include "node-agent/service/run_command.h"

#include <atomic>
#include <thread>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using ::ember::testing::Eventually;
using ::ember::testing::HasCode;
using ::ember::testing::HasCodeAndText;

absl::StatusOr<std::string> Shell(const std::string& script, absl::Duration timeout,
                                  const std::atomic<bool>* cancelled = nullptr) {
  return RunCommand({"/bin/sh", "-c", script}, timeout, cancelled);
}

TEST(RunCommand, GivesTheLastLineOfWhatEndedWell) {
  ASSERT_OK_AND_ASSIGN(const std::string line,
                       Shell("echo switching; echo 'host1 is off'", absl::Seconds(20)));
  EXPECT_EQ(line, "host1 is off");
  ASSERT_OK_AND_ASSIGN(const std::string nothing, Shell("exit 0", absl::Seconds(20)));
  EXPECT_EQ(nothing, "");
}

TEST(RunCommand, SaysWhyItDidNotEndWell) {
  const auto code = absl::StatusCode::kUnavailable;
  EXPECT_THAT(Shell("echo no answer; exit 3", absl::Seconds(20)),
              HasCodeAndText(code, "exit status 3: no answer"));
  EXPECT_THAT(Shell("sleep 1000", absl::Milliseconds(200)),
              HasCodeAndText(code, "no end within 200ms"));
  EXPECT_THAT(RunCommand({"/nonexistent/off"}, absl::Seconds(20), nullptr),
              HasCodeAndText(code, "/nonexistent/off"));
}

TEST(RunCommand, EndsSoonAfterItIsCancelled) {
  testing::TempDir directory;
  std::atomic<bool> cancelled{false};
  const absl::Duration begun = SystemClock()->Monotonic();
  std::thread canceller([&] {
    EXPECT_TRUE(Eventually([&] { return FileExists(directory.Join("runs")); }));
    cancelled = true;
  });
  EXPECT_THAT(
      Shell("touch " + directory.Join("runs") + "; sleep 1000", absl::Seconds(100), &cancelled),
      HasCode(absl::StatusCode::kCancelled));
  EXPECT_LT(SystemClock()->Monotonic() - begun, absl::Seconds(50));
  canceller.join();
}

}  // namespace
}  // namespace ember::agent
