#include "common/base/scratch_file.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember {
namespace {

using absl::StatusCode;
using ::ember::testing::HasCode;
using ::ember::testing::IsOk;
using ::ember::testing::TempDir;

// Pieces of many lengths; what they make together.
std::string Fill(ScratchFile& file) {
  std::string all;
  for (size_t n = 0; n < 300; ++n) {
    const std::string piece(n * 7 % 61, static_cast<char>('a' + n % 26));
    EXPECT_OK(file.Append(piece));
    all += piece;
  }
  return all;
}

TEST(ScratchFile, GivesBackWhatItWasGivenWhereverThatIs) {
  const TempDir directory;
  for (const size_t memory : {0u, 1u, 50u, 1000u, 1u << 20}) {
    ScratchFile file(directory.path(), memory);
    const std::string all = Fill(file);
    ASSERT_EQ(file.size(), all.size());
    for (const size_t offset : {size_t{0}, size_t{1}, all.size() / 2, all.size() - 1, all.size()}) {
      ASSERT_OK_AND_ASSIGN(const std::string rest, file.Read(offset, all.size() - offset));
      EXPECT_EQ(rest, all.substr(offset)) << memory << " at " << offset;
    }
    EXPECT_THAT(file.Read(all.size(), 1), HasCode(StatusCode::kOutOfRange));
    EXPECT_THAT(file.Read(all.size() + 1, 0), HasCode(StatusCode::kOutOfRange));
    std::string visited;
    ASSERT_OK(file.Visit(100, [&](absl::string_view piece) {
      EXPECT_LE(piece.size(), 100u);
      visited += std::string(piece);
      return absl::OkStatus();
    }));
    EXPECT_EQ(visited, all);
    // Nothing of it has a name.
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  }
}

TEST(ScratchFile, WhatFitsIntoMemoryNeedsNoDirectory) {
  ScratchFile file("/nowhere/at/all", 10);
  EXPECT_OK(file.Append("12345"));
  EXPECT_OK(file.Append("67890"));
  EXPECT_THAT(file.Append("x"), HasCode(StatusCode::kNotFound));
}

TEST(ScratchFile, StopsAtTheFirstErrorOfTheSink) {
  ScratchFile file(::testing::TempDir(), 0);
  ASSERT_OK(file.Append("0123456789"));
  int pieces = 0;
  EXPECT_THAT(file.Visit(2,
                         [&](absl::string_view) {
                           return ++pieces == 2 ? absl::CancelledError("enough") : absl::OkStatus();
                         }),
              HasCode(StatusCode::kCancelled));
  EXPECT_EQ(pieces, 2);
}

TEST(ScratchFile, ADiskThatTakesNoMoreIsAnError) {
  const TempDir directory;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto reset = absl::MakeCleanup([&] {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_DFL);
  });
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  ScratchFile file(directory.path(), 0);
  EXPECT_OK(file.Append(std::string(4096, 'x')));
  EXPECT_FALSE(file.Append("x").ok());
}

}  // namespace
}  // namespace ember
