#include <sys/mount.h>

#include "tests/unit/source/source_rig.h"

namespace ember::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FilesRestore : public SourceRig {};

TEST_F(FilesRestore, ANastyTreeComesBackBitForBit) {
  ASSERT_OK(MakeNastyTree(At("tree")));
  const MemoryBackup backup = BackUp("tree");
  EXPECT_THAT(backup.problems, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup, {.target_directory = At("copy")}));
  EXPECT_THAT(CompareTrees(At("tree"), At("copy")), IsEmpty());
  EXPECT_THAT(result.holes(), IsEmpty());
  EXPECT_THAT(result.warnings(), IsEmpty());
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(FilesRestore, ANastyTreeIsReplacedInPlaceAndKept) {
  ASSERT_OK(MakeNastyTree(At("tree")));
  ASSERT_OK(MakeNastyTree(At("twin"), {.flags = false}));
  const MemoryBackup backup = BackUp("tree");
  ASSERT_OK(Restore(backup, {.target_directory = At("before")}));
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup));
  EXPECT_THAT(result.safety_copies(), ElementsAre(At("tree.ember-safety-20260101-000000")));
  EXPECT_THAT(CompareTrees(At("before"), At("tree")), IsEmpty());
  EXPECT_THAT(CompareTrees(At("before"), result.safety_copies(0)), IsEmpty());
  EXPECT_EQ(result.added() + result.changed() + result.removed(), 0);
}

TEST_F(FilesRestore, AnOrdinaryUserGetsAllThatAUserCanHave) {
  if (geteuid() != 0) GTEST_SKIP() << "the other tests run as a user already";
  ASSERT_EQ(chmod(directory_.path().c_str(), 0777), 0);
  ASSERT_EQ(seteuid(65534), 0);
  EXPECT_OK(MakeNastyTree(At("tree")));
  const MemoryBackup backup = BackUp("tree");
  const auto result = Restore(backup, {.target_directory = At("copy")});
  const auto again = Restore(backup, {.target_directory = At("copy")});
  ASSERT_EQ(seteuid(0), 0);
  ASSERT_OK(result);
  EXPECT_THAT(CompareTrees(At("tree"), At("copy")), IsEmpty());
  EXPECT_OK(again);
  EXPECT_THAT(Leftovers(), SizeIs(1));
}

TEST_F(FilesRestore, CountsWhatDiffers) {
  Make("d/same");
  Make("d/changed");
  Make("d/deleted/file");
  const MemoryBackup backup = BackUp("d");
  Make("d/changed", "now longer");
  std::filesystem::remove_all(At("d/deleted"));
  Make("d/new/one");
  ASSERT_OK_AND_ASSIGN(const auto dry, Restore(backup, {.dry_run = true}));
  EXPECT_EQ(dry.added(), 2);
  EXPECT_EQ(dry.changed(), 1);
  EXPECT_EQ(dry.removed(), 2);
  EXPECT_THAT(dry.safety_copies(), IsEmpty());
  EXPECT_EQ(Content("d/changed"), "now longer");
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup));
  EXPECT_EQ(result.added(), 2);
  EXPECT_EQ(result.files(), 3);
  EXPECT_EQ(result.verified_files(), 3);
  EXPECT_EQ(result.bytes(), 3);
  EXPECT_EQ(Content("d.ember-safety-20260101-000000/changed"), "now longer");
}

TEST_F(FilesRestore, SafetyCopiesOfOneInstantGetNumbers) {
  Make("d/file");
  const MemoryBackup backup = BackUp("d");
  ASSERT_OK(Restore(backup));
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup));
  EXPECT_THAT(result.safety_copies(), ElementsAre(At("d.ember-safety-20260101-000000-1")));
}

TEST_F(FilesRestore, OnePathReplacesOnlyItself) {
  Make("d/a/file", "old");
  Make("d/b", "old");
  const MemoryBackup backup = BackUp("d");
  Make("d/a/file", "new");
  Make("d/b", "new");
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup, {.paths = {At("d/a/file")}}));
  EXPECT_EQ(Content("d/a/file"), "old");
  EXPECT_EQ(Content("d/b"), "new");
  EXPECT_THAT(result.safety_copies(), ElementsAre(At("d/a/file.ember-safety-20260101-000000")));
  EXPECT_EQ(Content("d/a/file.ember-safety-20260101-000000"), "new");
}

TEST_F(FilesRestore, MissingDirectoriesAboveAPathComeBackWithTheirAttributes) {
  Make("d/a/b/file", "content");
  ASSERT_EQ(chmod(At("d/a").c_str(), 0710), 0);
  const MemoryBackup backup = BackUp("d");
  std::filesystem::remove_all(At("d"));
  ASSERT_OK(Restore(backup, {.paths = {At("d/a/b/file")}}));
  EXPECT_EQ(Content("d/a/b/file"), "content");
  struct stat info;
  ASSERT_EQ(stat(At("d/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0710u);
}

TEST_F(FilesRestore, APathThatIsNotInTheBackupIsNotFound) {
  Make("d/file");
  const MemoryBackup backup = BackUp("d");
  EXPECT_THAT(Restore(backup, {.paths = {At("d/other")}}), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(Restore(backup, {.paths = {"/elsewhere"}}), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(Restore(backup, {.paths = {"relative"}}),
              HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Leftovers("d"), IsEmpty());
}

TEST_F(FilesRestore, DoesNotFollowALinkOnTheWayToAPath) {
  Make("d/a/file", "good");
  Make("outside/file", "precious");
  const MemoryBackup backup = BackUp("d");
  std::filesystem::remove_all(At("d/a"));
  std::filesystem::create_symlink(At("outside"), At("d/a"));
  EXPECT_THAT(Restore(backup, {.paths = {At("d/a/file")}}),
              HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(Content("outside/file"), "precious");
}

TEST_F(FilesRestore, SeveralRootsGoBelowADirectoryByTheirFullPaths) {
  Make("a/one", "1");
  Make("b/two", "2");
  const MemoryBackup backup = BackUp(Open({Files({At("a"), At("b")})}).get());
  ASSERT_OK(Restore(backup, {.target_directory = At("out")}));
  EXPECT_EQ(Content("out" + At("a/one")), "1");
  EXPECT_EQ(Content("out" + At("b/two")), "2");
}

TEST_F(FilesRestore, AFileAsRootGoesIntoTheDirectoryOrInPlace) {
  Make("file", "old");
  const MemoryBackup backup = BackUp("file");
  ASSERT_OK(Restore(backup, {.target_directory = At("out")}));
  EXPECT_EQ(Content("out/file"), "old");
  Make("file", "new");
  ASSERT_OK(Restore(backup));
  EXPECT_EQ(Content("file"), "old");
  EXPECT_EQ(Content("file.ember-safety-20260101-000000"), "new");
}

TEST_F(FilesRestore, ARootThatIsALinkStaysOne) {
  Make("real/file", "old");
  std::filesystem::create_symlink(At("real"), At("root"));
  const MemoryBackup backup = BackUp("root");
  Make("real/file", "new");
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup));
  EXPECT_TRUE(std::filesystem::is_symlink(At("root")));
  EXPECT_EQ(Content("root/file"), "old");
  EXPECT_THAT(result.safety_copies(), ElementsAre(At("real.ember-safety-20260101-000000")));
}

TEST_F(FilesRestore, RefusesATargetThatIsNotEmptyBeforeReading) {
  Make("d/file");
  Make("target/precious");
  const MemoryBackup backup = BackUp("d");
  bool read = false;
  const auto result = Restore(backup, {.target_directory = At("target"), .refuse_existing = true},
                              [&](const std::string&) {
                                read = true;
                                return absl::OkStatus();
                              });
  EXPECT_THAT(result, HasCodeAndText(absl::StatusCode::kFailedPrecondition, "not empty"));
  EXPECT_FALSE(read);
  EXPECT_EQ(Content("target/precious"), "x");
}

TEST_F(FilesRestore, AnEmptyTargetLeavesNoSafetyCopy) {
  Make("d/file");
  std::filesystem::create_directory(At("target"));
  const MemoryBackup backup = BackUp("d");
  ASSERT_OK_AND_ASSIGN(const auto result, Restore(backup, {.target_directory = At("target"),
                                                           .refuse_existing = true}));
  EXPECT_THAT(result.safety_copies(), IsEmpty());
  EXPECT_EQ(Content("target/file"), "x");
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(FilesRestore, AFailureMidwayTouchesNothing) {
  Make("d/a", "old");
  Make("d/b", "old");
  const MemoryBackup backup = BackUp("d");
  Make("d/a", "new");
  const auto result = Restore(backup, {}, [&](const std::string& path) {
    return path == Entry("d/b") ? absl::DataLossError("damaged") : absl::OkStatus();
  });
  EXPECT_THAT(result, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Content("d/a"), "new");
  EXPECT_THAT(Leftovers(), IsEmpty());
  // Neither does it leave the directories it made on the way.
  EXPECT_THAT(Restore(backup, {.target_directory = At("x/y/z")},
                      [](const std::string&) { return absl::DataLossError("damaged"); }),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_FALSE(FileExists(At("x")));
}

TEST_F(FilesRestore, ARepeatRemovesWhatAnInterruptedRunLeft) {
  Make("d/file", "old");
  const MemoryBackup backup = BackUp("d");
  std::string staging;
  ASSERT_OK(Restore(backup, {}, [&](const std::string&) {
    for (const std::string& each : List()) {
      if (each.find(".ember-restore-") == 0) staging = each;
    }
    return absl::OkStatus();
  }));
  ASSERT_NE(staging, "");
  Make(staging + "/data/half", "half");
  Make(".ember-restore-of-another-order/data/half", "other");
  ASSERT_OK(Restore(backup));
  EXPECT_FALSE(FileExists(At(staging)));
  EXPECT_EQ(Content(".ember-restore-of-another-order/data/half"), "other");
  EXPECT_FALSE(FileExists(At("d/half")));
}

TEST_F(FilesRestore, WhatTheParentHandsDownIsNotRestored) {
  Make("d/file");
  const MemoryBackup backup = BackUp("d");
  std::filesystem::create_directory(At("parent"));
  ASSERT_EQ(chmod(At("parent").c_str(), 02777), 0);
  EXPECT_EQ(chown(At("parent").c_str(), -1, geteuid() == 0 ? 1234 : getegid()), 0);
  ASSERT_EQ(system(("setfacl -d -m u:1234:rwx " + At("parent")).c_str()), 0);
  EXPECT_EQ(system(("chattr +d " + At("parent")).c_str()), 0);
  ASSERT_OK(Restore(backup, {.target_directory = At("parent/copy")}));
  EXPECT_THAT(CompareTrees(At("d"), At("parent/copy")), IsEmpty());
}

TEST_F(FilesRestore, DiskFullIsSaidBeforeAnythingIsWritten) {
  Make("d/file", std::string(3 << 20, 'x'));
  const MemoryBackup backup = BackUp("d");
  std::filesystem::create_directory(At("small"));
  if (mount("none", At("small").c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "cannot mount here";
  Make("small/data/precious");
  bool read = false;
  const auto early =
      Restore(backup, {.target_directory = At("small/data")}, [&](const std::string&) {
        read = true;
        return absl::OkStatus();
      });
  // The same when only the writing shows it.
  MemoryBackup lying = backup;
  for (auto& each : lying.entries) each.entry.set_hole_bytes(each.entry.size());
  const auto late = Restore(lying, {.target_directory = At("small/data")});
  const std::string kept = Content("small/data/precious");
  const auto left = List("small");
  umount2(At("small").c_str(), MNT_DETACH);
  EXPECT_THAT(early, HasCodeAndText(absl::StatusCode::kResourceExhausted, "no space left"));
  EXPECT_FALSE(read);
  EXPECT_THAT(late, HasCodeAndText(absl::StatusCode::kResourceExhausted, "no space left"));
  EXPECT_EQ(kept, "x");
  EXPECT_THAT(left, ElementsAre("data"));
}

TEST_F(FilesRestore, MountPointsStayMountedAndTheirContentIsSwapped) {
  std::filesystem::create_directory(At("root"));
  if (mount("none", At("root").c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "cannot mount here";
  std::filesystem::create_directories(At("root/sub/inner"));
  std::filesystem::create_directories(At("root/idle"));
  ASSERT_EQ(mount("none", At("root/sub/inner").c_str(), "tmpfs", 0, "size=4m"), 0);
  ASSERT_EQ(mount("none", At("root/idle").c_str(), "tmpfs", 0, "size=4m"), 0);
  Make("root/file", "old");
  Make("root/sub/file", "old");
  Make("root/sub/inner/file", "old");
  ASSERT_EQ(chmod(At("root/sub/inner").c_str(), 0711), 0);
  const MemoryBackup backup = BackUp("root");
  for (const char* name :
       {"root/file", "root/sub/file", "root/sub/inner/file", "root/extra", "root/idle/later"}) {
    Make(name, "new");
  }
  ASSERT_EQ(chmod(At("root/sub/inner").c_str(), 0755), 0);
  const auto result = Restore(backup);
  const std::string contents =
      Content("root/file") + Content("root/sub/file") + Content("root/sub/inner/file");
  const std::string kept = Content("root/.ember-safety-20260101-000000/extra") +
                           Content("root/sub/inner/.ember-safety-20260101-000000/file");
  const std::string idle = Content("root/idle/later");
  struct stat outer, inner;
  stat(At("root").c_str(), &outer);
  stat(At("root/sub/inner").c_str(), &inner);
  const auto left = Leftovers("root");
  for (const char* name : {"root/sub/inner", "root/idle", "root"})
    umount2(At(name).c_str(), MNT_DETACH);
  ASSERT_OK(result);
  EXPECT_EQ(contents, "oldoldold");
  EXPECT_EQ(kept, "newnew");
  EXPECT_EQ(idle, "new") << "a mount of which the backup has nothing stays as it is";
  EXPECT_NE(outer.st_dev, inner.st_dev);
  EXPECT_EQ(inner.st_mode & 07777, 0711u);
  EXPECT_THAT(left, ElementsAre(".ember-safety-20260101-000000"));
  EXPECT_THAT(result->safety_copies(), SizeIs(3));
}

TEST_F(FilesRestore, ALaterRootThatCannotBeSwappedBringsTheEarlierBack) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Make("a/file", "old");
  Make("b/file", "old");
  const MemoryBackup backup = BackUp(Open({Files({At("a"), At("b")})}).get());
  Make("a/file", "new");
  Make("b/file", "new");
  // Nothing can be renamed in a frozen directory; staging is there by then.
  std::filesystem::create_directory(At("frozen"));
  MemoryBackup two = backup;
  two.roots = {Entry("a"), Entry("frozen/b")};
  for (auto& each : two.entries) {
    const std::string path = each.entry.path();
    if (path.find(Entry("b")) == 0)
      each.entry.set_path(Entry("frozen/b") + path.substr(Entry("b").size()));
  }
  Make("frozen/b/file", "new");
  const auto result = Restore(two, {}, [&](const std::string& path) {
    if (path != Entry("frozen/b/file")) return absl::OkStatus();
    EXPECT_EQ(system(("chattr +i " + At("frozen")).c_str()), 0);
    return absl::OkStatus();
  });
  EXPECT_EQ(system(("chattr -i " + At("frozen")).c_str()), 0);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(Content("a/file"), "new");
  EXPECT_EQ(Content("frozen/b/file"), "new");
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(FilesRestore, TheSystemsRootIsNeverSwapped) {
  MemoryBackup backup;
  backup.roots = {""};
  EXPECT_THAT(Restore(backup),
              HasCodeAndText(absl::StatusCode::kFailedPrecondition, "cannot replace /"));
}

}  // namespace
}  // namespace ember::testing
