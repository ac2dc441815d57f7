#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "common/base/errors.h"
#include "common/base/file.h"
#include "tests/contract/object_store_contract.h"
#include "tests/support/memory_store.h"
#include "tests/unit/vault/failing_store.h"

namespace ember::testing {
namespace {

// Two stores opened at one place share their objects.
absl::StatusOr<std::unique_ptr<vault::ObjectStore>> OpenMemoryStore(const std::string& place) {
  static auto* places = new std::map<std::string, std::shared_ptr<MemoryObjects>>();
  std::shared_ptr<MemoryObjects>& objects = (*places)[place];
  if (objects == nullptr) objects = std::make_shared<MemoryObjects>();
  return std::make_unique<MemoryStore>(objects);
}

FailurePlan* NeverFails() {
  static FailurePlan plan;
  return &plan;
}

INSTANTIATE_TEST_SUITE_P(Directory, ObjectStoreContract,
                         ::testing::Values(OpenStore(vault::OpenDirectoryStore)));
INSTANTIATE_TEST_SUITE_P(Memory, ObjectStoreContract,
                         ::testing::Values(OpenStore(OpenMemoryStore)));
INSTANTIATE_TEST_SUITE_P(
    Decorated, ObjectStoreContract,
    ::testing::Values(OpenStore(
        [](const std::string& place) -> absl::StatusOr<std::unique_ptr<vault::ObjectStore>> {
          EMBER_ASSIGN_OR_RETURN(auto inner, vault::OpenDirectoryStore(place));
          return std::make_unique<FailingStore>(std::move(inner), *NeverFails());
        })));

TEST(DirectoryStore, RemovesWhatACrashLeft) {
  TempDir directory;
  ASSERT_OK(MakeDirectories(directory.Join("tmp")));
  ASSERT_OK(WriteFileAtomic(directory.Join("tmp/123-1"), "half an object"));
  ASSERT_OK_AND_ASSIGN(auto store, vault::OpenDirectoryStore(directory.path()));
  EXPECT_FALSE(FileExists(directory.Join("tmp/123-1")));
  EXPECT_THAT(vault::PutObject(*store, "tmp/x", "x"), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST(DirectoryStore, LeavesNoTempFileBehind) {
  TempDir directory;
  ASSERT_OK_AND_ASSIGN(auto store, vault::OpenDirectoryStore(directory.path()));
  ASSERT_OK(vault::PutObject(*store, "a/b", "x"));
  EXPECT_FALSE(vault::PutObject(*store, "a/b", "y").ok());
  EXPECT_FALSE(vault::PutObject(*store, "a/../b", "y").ok());
  EXPECT_THAT(*ListDirectory(directory.Join("tmp")), ::testing::IsEmpty());
}

// Runs in a child with a mount namespace of its own; what it finds wrong is its exit code.
int FillASmallDisk(const std::string& place) {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", place.c_str(), "tmpfs", 0, "size=4m") != 0) {
    return 77;
  }
  auto store = vault::OpenDirectoryStore(place);
  if (!store.ok()) return 1;
  if (!vault::PutObject(**store, "kept", std::string(1 << 20, 'k')).ok()) return 2;
  const absl::Status full = vault::PutObject(**store, "large", std::string(8 << 20, 'x'));
  if (!absl::IsResourceExhausted(full) || HintOf(full).empty()) return 3;
  if ((*store)->Size("large").ok()) return 4;
  // The dropped object gave its space back.
  if (!vault::PutObject(**store, "other", std::string(2 << 20, 'o')).ok()) return 5;
  return *(*store)->Read("kept", 0, 1 << 20) == std::string(1 << 20, 'k') ? 0 : 6;
}

TEST(DirectoryStore, AFullDiskLosesNothingThatWasPublished) {
  TempDir place;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(FillASmallDisk(place.path()));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "may not mount here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace ember::testing
