// A copy, and a repair from another vault, with the disk failing at every one of their calls, for a
// moment or for good; then the process starts anew. Nothing that was acknowledged is lost, nothing
// half done is shown, and the next try ends it.
#include <filesystem>

#include "common/base/file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/vault_client.h"
#include "tests/support/vault_source.h"
#include "tests/unit/vault/failing_store.h"

namespace ember::testing {
namespace {

constexpr int kBackups = 3;
constexpr int kForGood = 1 << 20;

class ReplicationFault : public ::testing::TestWithParam<int> {
 protected:
  struct Disk {
    std::string name;
    std::shared_ptr<MemoryObjects> objects = std::make_shared<MemoryObjects>();
    FailurePlan plan;
    std::unique_ptr<vault::Vault> vault;
  };
  void Open(Disk& disk) {
    disk.vault.reset();
    disk.plan.fail_at = 0;
    vault::VaultOptions options;
    options.name = disk.name;
    options.directory = dir_.Join(disk.name);
    options.clock = &clock_;
    options.rules.parity = false;
    options.store =
        std::make_shared<FailingStore>(std::make_unique<MemoryStore>(disk.objects), disk.plan);
    auto vault = vault::Vault::Open(options);
    ASSERT_OK(vault);
    disk.vault = *std::move(vault);
  }
  void StartAnew(Disk& disk, const std::string& name) {
    disk.vault.reset();
    disk.name = name;
    disk.objects = std::make_shared<MemoryObjects>();
    std::filesystem::remove_all(dir_.Join(name));
    Open(disk);
  }
  static PlannedBackup Planned(int number) { return {.workload = "db1", .number = number}; }
  void BackUp(Disk& disk) {
    for (int number = 1; number <= kBackups; ++number) {
      ASSERT_OK_AND_ASSIGN(VaultClient client, VaultClient::Open(*disk.vault, Planned(number)));
      ASSERT_OK(testing::BackUp(client));
    }
  }
  static absl::StatusOr<v1::VaultResult> Run(vault::Vault& vault, vault::Vault& other,
                                             const v1::VaultOrder& order) {
    VaultSource source(other);
    vault::JobContext context;
    context.other = &source;
    return vault.Run(order, context);
  }
  static v1::VaultOrder Replicate() {
    v1::VaultOrder order;
    order.mutable_replicate();
    return order;
  }
  static v1::VaultOrder Heal() {
    v1::VaultOrder order;
    order.mutable_check()->set_read_data(true);
    order.mutable_check()->set_repair(true);
    return order;
  }
  static void ExpectAllRestore(Disk& disk, const std::string& where) {
    for (int number = 1; number <= kBackups; ++number)
      EXPECT_OK(CheckRestores(*disk.vault, Planned(number))) << where;
    v1::VaultOrder check;
    check.mutable_check()->set_read_data(true);
    ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, disk.vault->Run(check, {}));
    EXPECT_THAT(result.problems(), ::testing::IsEmpty()) << where;
  }
  // What is shown is whole, whatever happened.
  static void ExpectShownIsWhole(Disk& disk, const std::string& where) {
    ASSERT_OK_AND_ASSIGN(const auto list, disk.vault->ListBackups(""));
    for (const v1::StoredBackup& backup : list.items()) {
      ASSERT_OK_AND_ASSIGN(const PlannedBackup planned, PlannedBackupOf(backup.backup_id()));
      EXPECT_OK(CheckRestores(*disk.vault, planned)) << where;
    }
  }
  // The first pack of the disk gets a flipped byte, the second one is lost.
  static void Damage(Disk& disk) {
    absl::MutexLock lock(&disk.objects->mu);
    int packs = 0;
    for (auto it = disk.objects->objects.begin(); it != disk.objects->objects.end();) {
      const bool is_pack = it->first.rfind("packs/", 0) == 0;
      packs += is_pack ? 1 : 0;
      if (is_pack && packs == 1) it->second[it->second.size() / 2] ^= 1;
      it = is_pack && packs == 2 ? disk.objects->objects.erase(it) : std::next(it);
    }
    ASSERT_GE(packs, 2);
  }

  TempDir dir_{FastDirectory()};  // thousands of times everything is written anew
  FakeClock clock_;
  Disk home_;
  Disk away_;
};

TEST_P(ReplicationFault, ACopyIsWholeOrNotThere) {
  StartAnew(home_, "home");
  BackUp(home_);
  int failed = 0;
  for (int call = 1;; ++call) {
    const std::string where = absl::StrCat("call ", call);
    StartAnew(away_, "away");
    away_.plan.calls = 0;
    away_.plan.fail_for = GetParam();
    away_.plan.fail_at = call;
    const bool ok = Run(*away_.vault, *home_.vault, Replicate()).ok();
    const bool reached = away_.plan.calls >= call;
    failed += ok ? 0 : 1;
    Open(away_);
    ExpectShownIsWhole(away_, where);
    ASSERT_OK(Run(*away_.vault, *home_.vault, Replicate())) << where;
    ExpectAllRestore(away_, where);
    if (!reached || HasFailure()) break;
  }
  EXPECT_GT(failed, 10);
}

TEST_P(ReplicationFault, ARepairLosesNothing) {
  StartAnew(away_, "away");
  int failed = 0;
  for (int call = 1;; ++call) {
    const std::string where = absl::StrCat("call ", call);
    StartAnew(home_, "home");
    BackUp(home_);
    if (call == 1) {
      ASSERT_OK(Run(*away_.vault, *home_.vault, Replicate()));
    }
    Damage(home_);
    home_.plan.calls = 0;
    home_.plan.fail_for = GetParam();
    home_.plan.fail_at = call;
    const auto healed = Run(*home_.vault, *away_.vault, Heal());
    const bool reached = home_.plan.calls >= call;
    failed += healed.ok() ? 0 : 1;
    Open(home_);
    ASSERT_OK(Run(*home_.vault, *away_.vault, Heal())) << where;
    ExpectAllRestore(home_, where);
    if (!reached || HasFailure()) break;
  }
  EXPECT_GT(failed, 5);
}

INSTANTIATE_TEST_SUITE_P(Disk, ReplicationFault, ::testing::Values(1, kForGood),
                         [](const auto& info) {
                           return info.param == 1 ? "once" : "from_then_on";
                         });

}  // namespace
}  // namespace ember::testing
