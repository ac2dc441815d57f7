// A backup order against a vault that loses what it had.
#include <fcntl.h>
#include <sys/stat.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/crypto/keybox.h"
#include "node-agent/orders/data_plane.h"
#include "tests/support/forwarding_port.h"
#include "tests/support/memory_vault.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using testing::ForwardingPort;
using testing::MemoryVault;
using testing::TempDir;

constexpr size_t kFileBytes = 1 << 20;

class BackupOrder : public ::testing::Test {
 protected:
  BackupOrder() {
    plane_.clock = SystemClock();
    plane_.node = "host1";
    plane_.cache_directory = dir_.Join("cache");
    plane_.open_vault = [this](const v1::VaultAddress&) {  // each order opens one; the vault stays
      return std::make_unique<ForwardingPort>(vault_);
    };
  }
  // Incompressible, and old enough for its time stamp to be trusted.
  void Write(const std::string& name, uint32_t seed) {
    std::mt19937 random(seed);
    std::string noise(kFileBytes, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    ASSERT_OK(WriteFileAtomic(dir_.Join("data/" + name), noise));
    const timespec long_ago[2] = {{.tv_sec = 1'700'000'000 + seed, .tv_nsec = 0},
                                  {.tv_sec = 1'700'000'000 + seed, .tv_nsec = 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, dir_.Join("data/" + name).c_str(), long_ago, 0), 0);
  }
  absl::StatusOr<v1::BackupResult> Run(int number) {
    v1::Order order;
    order.set_id(absl::StrCat("run/", number));
    order.set_workload("notes");
    order.set_epoch(1);
    v1::BackupOrder& backup = *order.mutable_backup();
    backup.set_backup_id(absl::StrCat("notes/20260101-00000", number));
    backup.mutable_vault()->set_name("nas");
    backup.mutable_spec()->set_name("notes");
    backup.mutable_spec()->add_sources()->mutable_files()->add_paths(dir_.Join("data"));
    backup.mutable_domain()->set_id("node-host1");
    backup.mutable_domain()->set_id_key(std::string(32, 'i'));
    backup.mutable_domain()->set_cut_key(std::string(32, 'c'));
    backup.mutable_domain()->set_public_key(keys_.public_key);
    return RunBackup(order, plane_, {.progress = [](const v1::Progress&) {}});
  }

  TempDir dir_;
  const X25519KeyPair keys_ = NewX25519KeyPair();
  MemoryVault vault_;
  DataPlane plane_;
};

// The second session finds what the first one sent: what it adds is not all that the backup added.
TEST_F(BackupOrder, CountsBothSessionsWhenTheVaultLostRecords) {
  ASSERT_OK(MakeDirectories(dir_.Join("data")));
  Write("kept", 1);
  Write("changed", 2);
  ASSERT_OK(Run(1));
  Write("changed", 3);
  vault_.ChangeStored([](v1::Record&) { return false; });
  ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, Run(2));
  EXPECT_EQ(result.outcome(), v1::Outcome::OK);
  EXPECT_TRUE(result.read_back_ok()) << result.read_back_error();
  EXPECT_EQ(vault_.calls(MemoryVault::Call::kOpenSession), 3);
  EXPECT_GE(result.added_bytes(), static_cast<int64_t>(2 * kFileBytes));
  EXPECT_LT(result.added_bytes(), static_cast<int64_t>(3 * kFileBytes));
}

}  // namespace
}  // namespace ember::agent
