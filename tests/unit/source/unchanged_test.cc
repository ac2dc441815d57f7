// What a second backup takes as it was, and that it misses no change.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "tests/unit/source/vault_rig.h"

namespace ember::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kFirst[] = "web/20260101-000000";
constexpr char kSecond[] = "web/20260101-000001";

class Unchanged : public VaultRig {
 protected:
  void SetUp() override {
    struct statfs system;
    ASSERT_EQ(statfs(directory_.path().c_str(), &system), 0);
    if (system.f_fsid.__val[0] == 0 && system.f_fsid.__val[1] == 0)
      GTEST_SKIP() << "this file system has no id";
    // Nothing that is made here is younger than the first backup.
    clock_.Advance(absl::Now() + absl::Hours(1) - clock_.Now());
    // The first file of a file system is opened in any case, to know which one it is.
    Make("tree/!first");
  }

  // Backs up, changes the tree, backs up again, restores that, and compares.
  void Round(const std::function<void()>& change) {
    const auto source = Open({Files({At("tree")})});
    ASSERT_OK(BackUpToVault(source.get(), kFirst));
    EXPECT_THAT(unchanged_, IsEmpty());
    change();
    clock_.Advance(absl::Hours(1));
    ASSERT_OK_AND_ASSIGN(const auto result, BackUpToVault(source.get(), kSecond));
    EXPECT_EQ(result.outcome(), v1::Outcome::OK);
    ASSERT_OK(RestoreFromVault(source.get(), kSecond, {.target_directory = At("copy")}));
    EXPECT_THAT(CompareTrees(At("tree"), At("copy")), IsEmpty());
  }
  // A change of one file of which the second backup must know.
  void Notices(const std::function<void(const std::string& path)>& change) {
    Make("tree/changed", "content");
    Make("tree/same", "content");
    Round([&] { change(At("tree/changed")); });
    EXPECT_THAT(unchanged_, Contains(Entry("tree/same")));
    EXPECT_THAT(unchanged_, Not(Contains(Entry("tree/changed"))));
  }
};

TEST_F(Unchanged, FilesAndLinksAreNotOpened) {
  Make("tree/d/a", "content");
  Make("tree/d/b", std::string(100000, 'b'));
  std::filesystem::create_symlink("a", At("tree/d/link"));
  // Reading a link, as the first backup does, moves its access time unless that is new (mount(8),
  // relatime).
  const timespec times[2] = {{absl::ToTimeT(absl::Now()) + 1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, At("tree/d/link").c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  ASSERT_EQ(mkfifo(At("tree/d/fifo").c_str(), 0600), 0);
  ASSERT_EQ(setxattr(At("tree/d/a").c_str(), "user.x", "value", 5, 0), 0);
  Round([] {});
  EXPECT_THAT(unchanged_, ElementsAre(Entry("tree/d/a"), Entry("tree/d/b"), Entry("tree/d/fifo"),
                                      Entry("tree/d/link")));
  EXPECT_THAT(opened_, IsEmpty());
}

TEST_F(Unchanged, ANastyTreeComesBackBitForBit) {
  ASSERT_OK(MakeNastyTree(At("tree/nasty")));
  Round([] {});
  EXPECT_THAT(unchanged_, Not(IsEmpty()));
  EXPECT_THAT(opened_, Each(HasSubstr("nasty/times/2"))) << "modified in the future";
}

TEST_F(Unchanged, AnotherModeIsNoticed) {
  Notices([](const std::string& path) { ASSERT_EQ(chmod(path.c_str(), 0600), 0); });
  EXPECT_THAT(opened_, Contains(Entry("tree/changed"))) << "another ctime";
}

TEST_F(Unchanged, AnotherOwnerIsNoticed) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  Notices([](const std::string& path) { ASSERT_EQ(chown(path.c_str(), 1234, 4321), 0); });
}

TEST_F(Unchanged, AnotherAttributeIsNoticed) {
  Notices([](const std::string& path) {
    ASSERT_EQ(setxattr(path.c_str(), "user.x", "value", 5, 0), 0);
  });
}

TEST_F(Unchanged, AnotherInodeFlagIsNoticed) {
  Notices([](const std::string& path) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    int flags = 0;
    if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) {
      ASSERT_EQ(chmod(path.c_str(), 0600), 0);  // this file system has none
      return;
    }
    flags |= FS_NODUMP_FL;
    ASSERT_EQ(ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), 0);
  });
}

TEST_F(Unchanged, AFileOfTheSameSizeAndTimeInItsPlaceIsNoticed) {
  Notices([this](const std::string& path) {
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    Make("other", "CONTENT");
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, At("other").c_str(), times, 0), 0);
    std::filesystem::rename(At("other"), path);
  });
}

TEST_F(Unchanged, ContentChangedUnderTheSameTimeIsNoticed) {
  Notices([this](const std::string& path) {
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    Make("tree/changed", "CONTENT");
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  });
}

TEST_F(Unchanged, ADirectoryOrALinkInItsPlaceIsNoticed) {
  Make("tree/a");
  Make("tree/b");
  std::filesystem::create_symlink("b", At("tree/c"));
  Make("tree/d/inside");
  Round([this] {
    std::filesystem::remove(At("tree/a"));
    Make("tree/a/inside");
    std::filesystem::remove(At("tree/b"));
    std::filesystem::create_symlink("a", At("tree/b"));
    std::filesystem::remove(At("tree/c"));
    std::filesystem::create_symlink("d", At("tree/c"));
    std::filesystem::remove_all(At("tree/d"));
    Make("tree/d");
  });
  EXPECT_THAT(unchanged_, IsEmpty());
}

TEST_F(Unchanged, HardLinksMadeAndRemovedAreNoticed) {
  Make("tree/a", "one");
  Make("tree/c", "two");
  std::filesystem::create_hard_link(At("tree/c"), At("tree/d"));
  std::filesystem::create_hard_link(At("tree/c"), At("tree/e"));
  Round([this] {
    std::filesystem::create_hard_link(At("tree/a"), At("tree/b"));
    std::filesystem::remove(At("tree/c"));
  });
  EXPECT_THAT(unchanged_, IsEmpty());
  // All names but one are gone: it is as any other file from the backup after that.
  std::filesystem::remove(At("tree/b"));
  std::filesystem::remove(At("tree/d"));
  const auto source = Open({Files({At("tree")})});
  for (const std::string id : {"web/20260101-000002", "web/20260101-000003"}) {
    clock_.Advance(absl::Hours(1));
    ASSERT_OK(BackUpToVault(source.get(), id));
  }
  EXPECT_THAT(unchanged_, ElementsAre(Entry("tree/a"), Entry("tree/e")));
  ASSERT_OK(RestoreFromVault(source.get(), "web/20260101-000003",
                             {.target_directory = At("another-copy")}));
  EXPECT_THAT(CompareTrees(At("tree"), At("another-copy")), IsEmpty());
}

TEST_F(Unchanged, WhatChangedAroundTheLastBackupIsLookedAt) {
  clock_.Advance(absl::Now() - clock_.Now());
  Make("tree/young");
  Round([] {});
  EXPECT_THAT(unchanged_, IsEmpty());
  EXPECT_THAT(opened_, ElementsAre(Entry("tree/!first"), Entry("tree/young")));
}

}  // namespace
}  // namespace ember::testing
