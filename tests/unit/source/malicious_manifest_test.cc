// Lists of files made to break out of the staging directory.
#include "tests/unit/source/source_rig.h"

namespace ember::testing {
namespace {

using format::v1::EntryType;

class MaliciousManifest : public SourceRig {
 protected:
  MaliciousManifest() {
    Make("root/precious", "untouched");
    Make("outside/precious", "untouched");
    backup_.roots = {Entry("root")};
    Add(Entry("root"), EntryType::DIRECTORY);
  }
  format::v1::Entry* Add(const std::string& path, EntryType::Value type,
                         const std::string& content = "") {
    MemoryEntry& added = backup_.entries.emplace_back();
    added.entry.set_path(path);
    added.entry.set_type(type);
    added.entry.set_mode(0755);
    added.entry.set_uid(geteuid());
    added.entry.set_gid(getegid());
    added.entry.set_size(content.size());
    if (!content.empty()) added.content.emplace_back(0, content);
    return &added.entry;
  }
  void ExpectRefused(bool in_place = true) {
    const auto result = Restore(backup_, {.target_directory = in_place ? "" : At("target")});
    EXPECT_THAT(result, HasCode(absl::StatusCode::kDataLoss));
    EXPECT_EQ(Content("root/precious"), "untouched");
    EXPECT_EQ(Content("outside/precious"), "untouched");
    EXPECT_EQ(List("outside").size(), 1u);
    EXPECT_THAT(Leftovers(), ::testing::IsEmpty());
    EXPECT_FALSE(FileExists(At("target")));
    EXPECT_FALSE(FileExists(At("evil")));
  }
  MemoryBackup backup_;
};

TEST_F(MaliciousManifest, DotDotIsRefused) {
  Add(Entry("root/../evil"), EntryType::FILE, "evil");
  ExpectRefused();
  ExpectRefused(false);
}

TEST_F(MaliciousManifest, EmptyAndDotComponentsAreRefused) {
  for (const char* name : {"root//evil", "root/./evil", "root/"}) {
    Add(directory_.path().substr(1) + "/" + name, EntryType::FILE, "evil");
    ExpectRefused();
    backup_.entries.pop_back();
  }
}

TEST_F(MaliciousManifest, NulIsRefused) {
  Add(Entry("root/a") + std::string(1, '\0') + "b", EntryType::FILE, "evil");
  ExpectRefused();
}

TEST_F(MaliciousManifest, AChildThroughALinkIsRefused) {
  Add(Entry("root/link"), EntryType::SYMLINK)->set_symlink(At("outside"));
  Add(Entry("root/link/precious"), EntryType::FILE, "evil");
  ExpectRefused();
  ExpectRefused(false);
}

TEST_F(MaliciousManifest, ALinkInsteadOfTheRootIsNotFollowed) {
  backup_.entries.clear();
  Add(Entry("root"), EntryType::SYMLINK)->set_symlink(At("outside"));
  Add(Entry("root/precious"), EntryType::FILE, "evil");
  ExpectRefused();
}

TEST_F(MaliciousManifest, TheSamePathTwiceIsRefused) {
  Add(Entry("root/a"), EntryType::SYMLINK)->set_symlink(At("outside/precious"));
  Add(Entry("root/a"), EntryType::FILE, "evil");
  ExpectRefused();
}

TEST_F(MaliciousManifest, AChildOfAFileIsRefused) {
  Add(Entry("root/a"), EntryType::FILE, "file");
  Add(Entry("root/a/b"), EntryType::FILE, "evil");
  ExpectRefused();
}

TEST_F(MaliciousManifest, AChildOfNothingIsRefused) {
  Add(Entry("root/a/b"), EntryType::FILE, "evil");
  ExpectRefused();
}

TEST_F(MaliciousManifest, AnotherRootIsRefused) {
  backup_.entries.clear();
  Add(Entry("evil"), EntryType::FILE, "evil");
  EXPECT_THAT(Restore(backup_), HasCode(absl::StatusCode::kNotFound));
  EXPECT_FALSE(FileExists(At("evil")));
  EXPECT_EQ(Content("root/precious"), "untouched");
}

TEST_F(MaliciousManifest, AHardLinkToTheOutsideIsRefused) {
  Add(Entry("root/a"), EntryType::FILE)->set_hardlink_to(Entry("outside/precious"));
  ExpectRefused();
  backup_.entries.pop_back();
  Add(Entry("root/l"), EntryType::SYMLINK)->set_symlink(At("outside"));
  Add(Entry("root/m"), EntryType::FILE)->set_hardlink_to(Entry("root/l/precious"));
  ExpectRefused();
  backup_.entries.pop_back();
  Add(Entry("root/n"), EntryType::FILE)->set_hardlink_to(Entry("root/../outside/precious"));
  ExpectRefused();
}

TEST_F(MaliciousManifest, AnUnknownTypeIsRefused) {
  Add(Entry("root/a"), EntryType::UNKNOWN);
  ExpectRefused();
}

TEST_F(MaliciousManifest, ARootOfDotsIsRefused) {
  backup_.roots = {directory_.path().substr(1) + "/root/../outside"};
  ExpectRefused();
}

}  // namespace
}  // namespace ember::testing
