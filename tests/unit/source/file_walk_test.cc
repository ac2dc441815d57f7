#include <sys/mount.h>
#include <sys/xattr.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "tests/unit/source/source_rig.h"

namespace ember::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class FileWalk : public SourceRig {
 protected:
  // Paths of a backup below the rig's directory.
  std::vector<std::string> Names(const MemoryBackup& backup) const {
    std::vector<std::string> names;
    for (const std::string& path : backup.Paths())
      names.push_back(path.substr(directory_.path().size()));
    return names;
  }
};

TEST_F(FileWalk, OrdersByComponentNotByString) {
  Make("d/a/x");
  Make("d/a.b");
  Make("d/a!");
  EXPECT_THAT(Names(BackUp("d")), ElementsAre("d", "d/a", "d/a/x", "d/a!", "d/a.b"));
}

TEST_F(FileWalk, ExcludesByPathAndByNameAndDoesNotDescend) {
  Make("d/keep");
  Make("d/a.tmp");
  Make("d/deep/b.tmp");
  Make("d/cache/file");
  Make("d/deep/cache/file");
  Make("d/deep/logs/one");
  Make("d/logs/two");
  const MemoryBackup backup = BackUp("d", {"*.tmp", "cache/", "deep/logs"});
  EXPECT_THAT(Names(backup), ElementsAre("d", "d/deep", "d/keep", "d/logs", "d/logs/two"));
  EXPECT_THAT(backup.problems, IsEmpty());
}

TEST_F(FileWalk, AStarOfAPathStaysInItsComponent) {
  Make("d/a/b/c.log");
  Make("d/a/c.log");
  EXPECT_THAT(Names(BackUp("d", {"a/*.log"})), ElementsAre("d", "d/a", "d/a/b", "d/a/b/c.log"));
}

TEST_F(FileWalk, LeavesOutWhatARestoreLeftBehind) {
  Make("d/file");
  Make("d/sub.ember-safety-20260101-000000/file");
  Make("d/.ember-restore-0011223344556677-0/data/file");
  EXPECT_THAT(Names(BackUp("d")), ElementsAre("d", "d/file"));
}

TEST_F(FileWalk, NestedAndRepeatedRootsAreReadOnce) {
  Make("d/a/file");
  Make("e");
  const auto source = Open({Files({At("e"), At("d"), At("d/a")}), Files({At("d") + "//"})});
  EXPECT_THAT(source->Roots(), ElementsAre(Entry("d"), Entry("e")));
  EXPECT_THAT(Names(BackUp(source.get())), ElementsAre("d", "d/a", "d/a/file", "e"));
}

TEST_F(FileWalk, ARootIsReadEvenBelowAnExcludedDirectory) {
  Make("d/x/other");
  Make("d/x/y/file");
  Make("d/z");
  const auto source = Open({Files({At("d"), At("d/x/y")}, {"x"})});
  EXPECT_THAT(Names(BackUp(source.get())), ElementsAre("d", "d/x", "d/x/y", "d/x/y/file", "d/z"));
}

TEST_F(FileWalk, ARootListedTwiceLeavesOutOnlyWhatBothExclude) {
  Make("d/a");
  Make("d/b");
  Make("d/c");
  const auto source = Open({Files({At("d")}, {"a", "b"}), Files({At("d")}, {"b", "c"})});
  EXPECT_THAT(Names(BackUp(source.get())), ElementsAre("d", "d/a", "d/c"));
}

TEST_F(FileWalk, ARootMayBeALinkButLinksBelowAreKept) {
  Make("real/file");
  std::filesystem::create_symlink(At("real"), At("root"));
  std::filesystem::create_symlink("/etc", At("real/link"));
  const MemoryBackup backup = BackUp("root");
  EXPECT_THAT(Names(backup), ElementsAre("root", "root/file", "root/link"));
  EXPECT_EQ(backup.Find(Entry("root"))->entry.type(), format::v1::EntryType::DIRECTORY);
  EXPECT_EQ(backup.Find(Entry("root/link"))->entry.symlink(), "/etc");
}

TEST_F(FileWalk, HardLinksNameTheFirstAcrossRoots) {
  Make("a/first", "content");
  std::filesystem::create_directory(At("b"));
  std::filesystem::create_hard_link(At("a/first"), At("b/second"));
  const MemoryBackup backup = BackUp(Open({Files({At("b"), At("a")})}).get());
  EXPECT_EQ(backup.Find(Entry("a/first"))->entry.hardlink_to(), "");
  EXPECT_EQ(backup.Find(Entry("b/second"))->entry.hardlink_to(), Entry("a/first"));
}

TEST_F(FileWalk, HolesAreNotRead) {
  Make("d/sparse");
  ASSERT_EQ(truncate(At("d/sparse").c_str(), int64_t{1} << 40), 0);
  const MemoryBackup backup = BackUp("d");
  const MemoryEntry& sparse = *backup.Find(Entry("d/sparse"));
  EXPECT_EQ(sparse.entry.size(), int64_t{1} << 40);
  ASSERT_EQ(sparse.content.size(), 1u);
  EXPECT_LE(sparse.content[0].second.size(), 65536u);
  EXPECT_GT(sparse.entry.hole_bytes(), (int64_t{1} << 40) - (1 << 20));
}

TEST_F(FileWalk, AFileThatChangesIsReadAgain) {
  Make("d/file", "before");
  const auto source = Open({Files({At("d")})});
  MemoryBackup backup;
  int reads = 0;
  const auto change = [&](const std::string& path) {
    if (path == Entry("d/file") && ++reads == 1) Make("d/file", "after, and longer");
  };
  ASSERT_OK(source->Read(WriteTo(&backup, change).get()));
  const MemoryEntry& file = *backup.Find(Entry("d/file"));
  ASSERT_EQ(file.content.size(), 1u);
  EXPECT_EQ(file.content[0].second, "after, and longer");
  EXPECT_EQ(file.entry.size(), 17);
  EXPECT_THAT(backup.problems, IsEmpty());
}

TEST_F(FileWalk, AFileThatVanishesIsAProblem) {
  Make("d/a");
  Make("d/b");
  const auto source = Open({Files({At("d")})});
  MemoryBackup backup;
  ASSERT_OK(source->Read(WriteTo(&backup, [&](const std::string& path) {
                           if (path == Entry("d/a")) std::filesystem::remove(At("d/b"));
                         }).get()));
  EXPECT_THAT(backup.problems, ElementsAre(Pair(Entry("d/b"), "vanished while it was read")));
}

TEST_F(FileWalk, ReadingDoesNotChangeAccessTimes) {
  Make("d/file");
  for (const char* name : {"d/file", "d"}) {
    const timespec times[2] = {{1000, 5}, {2000, 6}};
    ASSERT_EQ(utimensat(AT_FDCWD, At(name).c_str(), times, 0), 0);
  }
  const MemoryBackup backup = BackUp("d");
  struct stat info;
  for (const char* name : {"d/file", "d"}) {
    ASSERT_EQ(stat(At(name).c_str(), &info), 0);
    EXPECT_EQ(info.st_atim.tv_sec, 1000) << name;
  }
  EXPECT_EQ(backup.Find(Entry("d/file"))->entry.atime_nanos(), 5u);
}

TEST_F(FileWalk, AMissingRootCannotBeBackedUp) {
  Make("d/file");
  const auto source = Open({Files({At("d"), At("gone")})});
  MemoryBackup backup;
  EXPECT_THAT(source->Read(WriteTo(&backup).get()), HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(backup.entries, IsEmpty());
  EXPECT_TRUE(source->DataMissing());
}

TEST_F(FileWalk, EmptyRootsCountAsMissingWhateverARestoreLeft) {
  std::filesystem::create_directory(At("d"));
  EXPECT_TRUE(Open({Files({At("d")})})->DataMissing());
  Make("d/.ember-restore-00-0/data/x");
  EXPECT_TRUE(Open({Files({At("d")})})->DataMissing());
  Make("d/x");
  EXPECT_FALSE(Open({Files({At("d")})})->DataMissing());
}

TEST_F(FileWalk, RefusesSourcesItDoesNotKnow) {
  v1::WorkloadSpec spec;
  spec.add_sources();
  EXPECT_THAT(agent::OpenSource(spec), HasCode(absl::StatusCode::kInvalidArgument));
  for (const char* path : {"", "relative", "/a/../b"}) {
    v1::WorkloadSpec bad;
    *bad.add_sources()->mutable_files() = Files({path});
    EXPECT_THAT(agent::OpenSource(bad), HasCode(absl::StatusCode::kInvalidArgument)) << path;
  }
}

TEST_F(FileWalk, FileSystemsBelowAreCrossedUnlessToldOtherwise) {
  Make("d/file");
  std::filesystem::create_directory(At("d/mount"));
  if (mount("none", At("d/mount").c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "cannot mount here";
  Make("d/mount/inside");
  std::filesystem::create_directory(At("d/proc"));
  ASSERT_EQ(mount("none", At("d/proc").c_str(), "proc", 0, nullptr), 0);
  const auto crossed = Names(BackUp("d"));
  v1::FilesSource files = Files({At("d")});
  files.set_one_file_system(true);
  const auto stayed = Names(BackUp(Open({files}).get()));
  files.add_paths(At("d/mount"));
  const auto both = Names(BackUp(Open({files}).get()));
  umount2(At("d/mount").c_str(), MNT_DETACH);
  umount2(At("d/proc").c_str(), MNT_DETACH);
  EXPECT_THAT(crossed, ElementsAre("d", "d/file", "d/mount", "d/mount/inside", "d/proc"));
  EXPECT_THAT(stayed, ElementsAre("d", "d/file", "d/mount", "d/proc"));
  EXPECT_THAT(both, ElementsAre("d", "d/file", "d/mount", "d/mount/inside", "d/proc"));
}

TEST_F(FileWalk, AnUnreadableDirectoryIsAProblemToAUserAndNoneToRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Make("d/shut/file");
  Make("d/open");
  ASSERT_EQ(chmod(At("d/shut").c_str(), 0), 0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  EXPECT_THAT(BackUp("d").problems, IsEmpty());
  ASSERT_EQ(seteuid(65534), 0);
  const MemoryBackup backup = BackUp("d");
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(Names(backup), ElementsAre("d", "d/open", "d/shut"));
  EXPECT_THAT(backup.problems, ElementsAre(Pair(Entry("d/shut"), HasSubstr("denied"))));
}

}  // namespace
}  // namespace ember::testing
