#include "node-agent/service/guard_record.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using ::ember::testing::HasCode;

TEST(GuardRecord, ComesBackAsWritten) {
  testing::TempDir directory;
  EXPECT_THAT(ReadGuardRecord(directory.path()), HasCode(absl::StatusCode::kNotFound));
  GuardRecord record;
  record.state = GuardState::kFenced;
  record.boot_id = "boot";
  record.run = "0123";
  record.guard = {12, 3456789012345};
  record.command = {13, 3456789012346};
  record.exit_status = 143;
  record.started = absl::FromUnixMillis(1767225600123);
  record.ended = absl::FromUnixMillis(1767225601123);
  record.reason = "two\nlines \"quoted\" état";
  ASSERT_OK(WriteGuardRecord(directory.path(), record));
  ASSERT_OK_AND_ASSIGN(const GuardRecord read, ReadGuardRecord(directory.path()));
  EXPECT_EQ(read.state, record.state);
  EXPECT_EQ(read.boot_id, record.boot_id);
  EXPECT_EQ(read.run, record.run);
  EXPECT_EQ(read.guard, record.guard);
  EXPECT_EQ(read.command, record.command);
  EXPECT_EQ(read.exit_status, record.exit_status);
  EXPECT_EQ(read.started, record.started);
  EXPECT_EQ(read.ended, record.ended);
  EXPECT_EQ(read.reason, record.reason);
}

TEST(GuardRecord, WhatIsNoRecordIsDamage) {
  testing::TempDir directory;
  for (const char* text :
       {"", "state running\n", "state dancing\nboot b\nrun r\nguard 1/1\ncommand 1/1\n"}) {
    ASSERT_OK(WriteFileAtomic(directory.Join(kStatusFile), text));
    EXPECT_THAT(ReadGuardRecord(directory.path()), HasCode(absl::StatusCode::kDataLoss)) << text;
  }
}

TEST(Deadline, ComesBackAndGoes) {
  testing::TempDir directory;
  EXPECT_EQ(*ReadDeadline(directory.path()), absl::InfiniteDuration());
  ASSERT_OK(WriteDeadline(directory.path(), absl::Nanoseconds(1234567890123)));
  EXPECT_EQ(*ReadDeadline(directory.path()), absl::Nanoseconds(1234567890123));
  ASSERT_OK(WriteDeadline(directory.path(), absl::InfiniteDuration()));
  EXPECT_EQ(*ReadDeadline(directory.path()), absl::InfiniteDuration());
  ASSERT_OK(WriteDeadline(directory.path(), absl::InfiniteDuration()));
}

TEST(Deadline, WhatIsNoneIsDamage) {
  testing::TempDir directory;
  for (const char* text : {"", "soon", "boot 12 13", "boot twelve"}) {
    ASSERT_OK(WriteFileAtomic(directory.Join(kDeadlineFile), text));
    EXPECT_THAT(ReadDeadline(directory.path()), HasCode(absl::StatusCode::kDataLoss)) << text;
  }
}

}  // namespace
}  // namespace ember::agent
