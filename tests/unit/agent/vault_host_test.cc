#include "node-agent/vault_host/vault_host.h"

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using testing::HasCode;
using testing::HasCodeAndText;

// One real vault, "nas". The host's thread does not run: nothing but the test opens and closes.
class VaultHostTest : public ::testing::Test {
 protected:
  VaultHostTest()
      : host_(
            [this](const v1::VaultSpec& spec, bool rebuild_index) {
              ++opened_;
              return DirectoryVaults(&clock_)(spec, rebuild_index);
            },
            &clock_, [] {}) {
    v1::VaultSpec* spec = vaults_.Add();
    spec->set_name("nas");
    spec->set_path(dir_.Join("vault"));
    host_.Set(vaults_);
  }
  // A host that has just been told of a vault opens it with its next look; this is the other way.
  std::shared_ptr<vault::Vault> Open() {
    EXPECT_OK(host_.RebuildIndex("nas"));
    auto found = host_.Find("nas");
    EXPECT_OK(found);
    return found.ok() ? *found : nullptr;
  }
  testing::TempDir dir_;
  testing::FakeClock clock_;
  google::protobuf::RepeatedPtrField<v1::VaultSpec> vaults_;
  int opened_ = 0;
  VaultHost host_;
};

TEST_F(VaultHostTest, NewRulesAreToldToTheVaultThatAJobHolds) {
  const std::shared_ptr<vault::Vault> held = Open();
  ASSERT_NE(held, nullptr);
  vaults_.Mutable(0)->set_min_retention_seconds(3600);
  vaults_.Mutable(0)->set_trash_seconds(60);
  vaults_.Mutable(0)->set_no_parity(true);
  host_.Set(vaults_);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<vault::Vault> found, host_.Find("nas"));
  EXPECT_EQ(found, held);
  EXPECT_EQ(opened_, 1);
}

TEST_F(VaultHostTest, AVaultOfAnotherPathIsAnotherVault) {
  const std::shared_ptr<vault::Vault> held = Open();
  vaults_.Mutable(0)->set_path(dir_.Join("elsewhere"));
  host_.Set(vaults_);
  EXPECT_NE(Open(), held);
  EXPECT_EQ(opened_, 2);
}

TEST_F(VaultHostTest, AnIndexIsMadeAnewOnlyWhenNobodyUsesTheVault) {
  std::shared_ptr<vault::Vault> held = Open();
  absl::StatusOr<std::string> refused;
  absl::Notification given_up;
  std::thread rebuild([&] {
    refused = host_.RebuildIndex("nas");
    given_up.Notify();
  });
  while (!given_up.WaitForNotificationWithTimeout(absl::Milliseconds(1)))
    clock_.Advance(absl::Seconds(1));
  rebuild.join();
  EXPECT_THAT(refused, HasCodeAndText(absl::StatusCode::kUnavailable, "in use"));
  EXPECT_EQ(opened_, 1);
  EXPECT_OK(host_.Find("nas"));
  held.reset();
  EXPECT_OK(host_.RebuildIndex("nas"));
  EXPECT_EQ(opened_, 2);
}

TEST_F(VaultHostTest, AVaultThatIsNotServedHereHasNoIndex) {
  EXPECT_THAT(host_.RebuildIndex("usb"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(opened_, 0);
}

}  // namespace
}  // namespace ember::agent
