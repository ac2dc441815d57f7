#include "node-agent/source/look_ahead.h"

#include <dirent.h>
#include <fcntl.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/limits.h"
#include "common/files/file_metadata.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using files::ListNames;
using files::Name;

class LookAheadTest : public ::testing::Test {
 protected:
  // A directory as wide as several pieces at the top, and narrower ones below it.
  void Make(const std::string& path, int depth) {
    std::filesystem::create_directories(path);
    const size_t files = depth == 0 ? kLookAheadNames * 3 + 7 : 5;
    for (size_t i = 0; i < files; ++i)
      std::ofstream(absl::StrFormat("%s/f%05d", path, i)) << std::string(i % 50, 'x');
    if (depth == 3) return;
    for (int i = 0; i < (depth == 0 ? 40 : 3); ++i)
      Make(absl::StrFormat("%s/%c%d", path, i % 2 == 0 ? 'a' : 'z', i), depth + 1);
  }

  // Walks all below `fd`; what was seen ahead must be what is seen now.
  void Walk(LookAhead* ahead, Found found, int stop_after) {
    std::vector<Name> names = found.names.has_value() ? *found.names : *ListNames(found.fd->get());
    if (found.names.has_value()) {
      const auto now = ListNames(found.fd->get());
      ASSERT_EQ(now->size(), names.size());
    }
    const auto listing = ahead->Enter(found, std::move(names), std::move(found.seen),
                                      [](const Name&) { return true; });
    for (size_t i = 0; i < listing->names().size(); ++i) {
      if (++visited_ == stop_after) return;
      const Name& name = listing->names()[i];
      const struct statx* const seen = listing->Seen(i);
      if (name.type == DT_DIR) {
        ASSERT_EQ(seen, nullptr);
        std::optional<Found> inside = listing->TakeDirectory(i);
        ahead_directories_ += inside.has_value();
        if (!inside.has_value()) inside = Find(found.fd->get(), name);
        ASSERT_NE(inside->fd, nullptr);
        Walk(ahead, *std::move(inside), stop_after);
        if (visited_ >= stop_after && stop_after > 0) return;
        continue;
      }
      struct statx now;
      ASSERT_TRUE(files::Stat({.directory = found.fd->get(), .name = name.name}, &now));
      ++files_;
      if (seen == nullptr) continue;
      ++ahead_files_;
      ASSERT_EQ(seen->stx_ino, now.stx_ino) << name.name;
      ASSERT_EQ(seen->stx_size, now.stx_size) << name.name;
    }
  }
  void WalkAll(int stop_after = 0) {
    visited_ = files_ = ahead_files_ = ahead_directories_ = 0;
    LookAhead ahead;
    Walk(&ahead, Find(AT_FDCWD, {directory_.Join("top"), DT_DIR}), stop_after);
  }

  testing::TempDir directory_;
  int visited_ = 0;
  int files_ = 0;
  int ahead_files_ = 0;
  int ahead_directories_ = 0;
};

TEST_F(LookAheadTest, WhatWasSeenAheadIsWhatIsThere) {
  Make(directory_.Join("top"), 0);
  // Which thread is first is anybody's guess; that the walk always is would be no look-ahead.
  for (int round = 0; round < 200; ++round) {
    WalkAll();
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_EQ(files_, static_cast<int>(kLookAheadNames * 3 + 7) + 40 * (1 + 3 + 9) * 5);
    if (ahead_files_ > 50 && ahead_directories_ > 5) return;
  }
  FAIL() << "nothing was ever looked at ahead";
}

TEST_F(LookAheadTest, AWalkMayEndAnywhere) {
  Make(directory_.Join("top"), 0);
  for (int stop = 1; stop < 3000; stop += 37) WalkAll(stop);
}

TEST_F(LookAheadTest, NamesThatAreSkippedHoldNothingUp) {
  const std::string top = directory_.Join("top");
  std::filesystem::create_directories(top);
  for (size_t i = 0; i < kLookAheadNames * 40; ++i)
    std::ofstream(absl::StrFormat("%s/%06d", top, i));
  LookAhead ahead;
  const Found found = Find(AT_FDCWD, {top, DT_DIR});
  const auto listing =
      ahead.Enter(found, *ListNames(found.fd->get()), {}, [](const Name&) { return true; });
  int seen = 0;
  for (size_t i = 0; i < listing->names().size(); i += kLookAheadNames * 3 / 2)
    seen += listing->Seen(i) != nullptr;
  // However many of those were seen: what was passed over is not waited for, and gives its room
  // back.
  EXPECT_LE(seen, 27);
}

TEST_F(LookAheadTest, AVanishedDirectoryIsLookedAtAgain) {
  const std::string top = directory_.Join("top");
  Make(top, 2);
  LookAhead ahead;
  const Found found = Find(AT_FDCWD, {top, DT_DIR});
  std::vector<Name> names = *ListNames(found.fd->get());
  std::filesystem::remove_all(top + "/a0");
  const auto listing = ahead.Enter(found, std::move(names), {}, [](const Name&) { return true; });
  ASSERT_EQ(listing->names()[0].name, "a0");
  EXPECT_FALSE(listing->TakeDirectory(0).has_value());
}

}  // namespace
}  // namespace ember::agent
