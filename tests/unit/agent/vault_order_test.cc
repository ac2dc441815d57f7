#include <atomic>

#include "node-agent/orders/data_plane.h"
#include "node-agent/vault_host/vault_host.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using testing::HasCode;

// One real vault, "nas", without backups.
class VaultOrderTest : public ::testing::Test {
 protected:
  VaultOrderTest() {
    v1::VaultSpec spec;
    spec.set_name("nas");
    spec.set_path(dir_.Join("vault"));
    auto opened = DirectoryVaults(SystemClock())(spec, false);
    EXPECT_OK(opened);
    vault_ = *std::move(opened);
    plane_.node = "nas1";
    plane_.find_vault =
        [this](const std::string& name) -> absl::StatusOr<std::shared_ptr<vault::Vault>> {
      return name == "nas" ? vault_ : nullptr;
    };
    plane_.rebuild_index = [](const std::string& name) -> absl::StatusOr<std::string> {
      return absl::StrCat("2 packs of ", name, " cannot be read");
    };
    context_.cancelled = &cancelled_;
    context_.progress = [](const v1::Progress&) {};
  }

  absl::StatusOr<v1::VaultResult> Run(const v1::VaultOrder& job) {
    v1::Order order;
    *order.mutable_vault() = job;
    return RunVaultJob(order, plane_, context_);
  }
  static v1::VaultOrder Gc(const std::string& vault) {
    v1::VaultOrder job;
    job.set_vault(vault);
    job.mutable_gc();
    return job;
  }

  testing::TempDir dir_;
  std::shared_ptr<vault::Vault> vault_;
  DataPlane plane_;
  std::atomic<bool> cancelled_{false};
  OrderContext context_;
};

TEST_F(VaultOrderTest, RunsTheJobInTheVaultItself) {
  EXPECT_OK(Run(Gc("nas")));
  v1::VaultOrder job;
  job.set_vault("nas");
  job.mutable_delete_()->add_backup_ids("db/20260101-000000");
  EXPECT_THAT(Run(job), HasCode(absl::StatusCode::kNotFound)) << "what the engine says";
}

TEST_F(VaultOrderTest, AVaultThatIsNotOpenHereIsSaidSo) {
  const auto result = Run(Gc("usb"));
  EXPECT_THAT(result, HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(result.status().message()),
              ::testing::HasSubstr("'usb' is not served on nas1"));
  EXPECT_THAT(Run(Gc("")), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(VaultOrderTest, AnIndexIsMadeAnewByTheHostAndWhatIsStillWrongIsSaid) {
  v1::VaultOrder job;
  job.set_vault("nas");
  job.mutable_rebuild_index();
  ASSERT_OK_AND_ASSIGN(const v1::VaultResult result, Run(job));
  EXPECT_THAT(result.problems(), ::testing::ElementsAre("2 packs of nas cannot be read"));
}

TEST_F(VaultOrderTest, IsCancelled) {
  cancelled_ = true;
  EXPECT_THAT(Run(Gc("nas")), HasCode(absl::StatusCode::kCancelled));
}

TEST_F(VaultOrderTest, AJobThatNeedsAnotherVaultOpensThatOne) {
  std::vector<std::string> opened;
  plane_.open_replica_source = [&](const v1::VaultAddress& address)
      -> absl::StatusOr<std::unique_ptr<vault::ReplicaSource>> {
    opened.push_back(address.name());
    return absl::UnavailableError("the link is cut");
  };
  v1::VaultOrder job;
  job.set_vault("nas");
  job.mutable_check();
  EXPECT_OK(Run(job));
  job.mutable_check()->mutable_other()->set_name("usb");
  EXPECT_THAT(Run(job), HasCode(absl::StatusCode::kUnavailable));
  job.mutable_replicate()->mutable_from()->set_name("tape");
  EXPECT_THAT(Run(job), HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(opened, ::testing::ElementsAre("usb", "tape"));
}

}  // namespace
}  // namespace ember::agent
