#include "common/vault/domain_boxes.h"

#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/vault/framed.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_store.h"
#include "tests/support/temp_dir.h"
#include "tests/support/vault_source.h"
#include "tests/unit/vault/failing_store.h"
#include "tests/unit/vault/vault_fixture.h"

namespace ember::vault {
namespace {

using absl::StatusCode;
using ember::testing::FailingStore;
using ember::testing::FailurePlan;
using ember::testing::HasCode;
using ember::testing::HasCodeAndText;
using ember::testing::IsOk;
using ember::testing::MemoryObjects;
using ember::testing::MemoryStore;
using ::testing::ElementsAre;

class DomainBoxesTest : public ::testing::Test {
 protected:
  std::vector<std::string> Boxes(const std::string& domain = "host1") {
    const auto boxes = ReadDomainBoxes(store_, domain);
    EXPECT_THAT(boxes, IsOk());
    if (!boxes.ok()) return {};
    return {boxes->boxes().begin(), boxes->boxes().end()};
  }
  void Overwrite(const std::string& bytes) {
    ASSERT_OK(store_.Delete("keys/host1"));
    ASSERT_OK(PutObject(store_, "keys/host1", bytes));
  }

  std::shared_ptr<MemoryObjects> objects_ = std::make_shared<MemoryObjects>();
  MemoryStore store_{objects_};
};

TEST_F(DomainBoxesTest, KeepsEveryBoxThatEverCame) {
  EXPECT_THAT(ReadDomainBoxes(store_, "host1"), HasCode(StatusCode::kNotFound));
  ASSERT_OK(PutDomainBoxes(store_, "host1", "home", {"a", "b"}));
  ASSERT_OK(PutDomainBoxes(store_, "host1", "home", {"b", "c"}));
  ASSERT_OK(PutDomainBoxes(store_, "host1", "other", {}));
  ASSERT_OK(PutDomainBoxes(store_, "host2", "", {"z"}));
  EXPECT_THAT(Boxes(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Boxes("host2"), ElementsAre("z"));
  EXPECT_EQ(ReadDomainBoxes(store_, "host1")->estate_id(), "home");
}

TEST_F(DomainBoxesTest, TheFirstEstateThatIsNamedStays) {
  ASSERT_OK(PutDomainBoxes(store_, "host1", "", {"a"}));
  ASSERT_OK(PutDomainBoxes(store_, "host1", "home", {"a"}));
  ASSERT_OK(PutDomainBoxes(store_, "host1", "other", {"b"}));
  EXPECT_EQ(ReadDomainBoxes(store_, "host1")->estate_id(), "home");
}

TEST_F(DomainBoxesTest, DamageShowsAndIsReplacedByTheNextBoxes) {
  ASSERT_OK(PutDomainBoxes(store_, "host1", "home", {"a"}));
  ASSERT_OK_AND_ASSIGN(std::string bytes, store_.Read("keys/host1", 0, *store_.Size("keys/host1")));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] ^= 1;
    Overwrite(flipped);
    EXPECT_THAT(ReadDomainBoxes(store_, "host1"),
                HasCodeAndText(StatusCode::kDataLoss, "keys/host1"))
        << at;
  }
  ASSERT_OK(PutDomainBoxes(store_, "host1", "home", {"b"}));
  EXPECT_THAT(Boxes(), ElementsAre("b"));
  Overwrite(bytes.substr(0, 30));
  EXPECT_THAT(ReadDomainBoxes(store_, "host1"), HasCode(StatusCode::kDataLoss));
  ASSERT_OK(PutDomainBoxes(store_, "host2", "home", {"z"}));
  Overwrite(*store_.Read("keys/host2", 0, *store_.Size("keys/host2")));
  EXPECT_THAT(ReadDomainBoxes(store_, "host1"), HasCode(StatusCode::kDataLoss));
}

TEST_F(DomainBoxesTest, ANewerVersionIsRefusedAndNotOverwritten) {
  format::v1::DomainBoxes newer;
  newer.set_version(2);
  newer.set_domain_id("host1");
  newer.add_boxes("x");
  const std::string bytes = Frame(kKeysMagic, newer.SerializeAsString());
  ASSERT_OK(PutObject(store_, "keys/host1", bytes));
  EXPECT_THAT(ReadDomainBoxes(store_, "host1"), HasCode(StatusCode::kFailedPrecondition));
  EXPECT_THAT(PutDomainBoxes(store_, "host1", "home", {"a"}),
              HasCode(StatusCode::kFailedPrecondition));
  EXPECT_EQ(*store_.Read("keys/host1", 0, bytes.size()), bytes);
}

TEST_F(DomainBoxesTest, TooManyAreRefusedAndNoneIsLost) {
  std::vector<std::string> boxes;
  for (size_t i = 0; i < kDomainBoxesMax; ++i) boxes.push_back(absl::StrCat("box ", i));
  ASSERT_OK(PutDomainBoxes(store_, "host1", "home", boxes));
  EXPECT_THAT(PutDomainBoxes(store_, "host1", "home", {"one more"}),
              HasCode(StatusCode::kResourceExhausted));
  EXPECT_EQ(Boxes(), boxes);
  EXPECT_OK(PutDomainBoxes(store_, "host1", "home", {"box 3"}));
}

class VaultBoxes : public ember::testing::VaultFixture {};

TEST_F(VaultBoxes, AreDurableBeforeASessionIsOpen) {
  v1::OpenSessionRequest request = ember::testing::SessionRequest("db", 1);
  request.clear_recovery_boxes();
  request.add_recovery_boxes("for the safe");
  request.set_estate_id("home");
  ASSERT_OK(Open(request));
  EXPECT_EQ(Files("keys").size(), 1u);
  Reopen();
  ASSERT_OK(Backup("db", 2, 0, 5));
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup backup, vault_->GetBackup(IdOf("db", 2)));
  EXPECT_THAT(backup.recovery_boxes(), ElementsAre("for the safe", "recovery box"));
}

// Without them the recovery kit opens nothing: a check says so, and has them from another vault.
TEST_F(VaultBoxes, AreCheckedAndHealed) {
  ASSERT_OK(Backup("db", 1, 0, 5));
  ASSERT_EQ(Files("keys").size(), 1u);
  const std::string file = Files("keys")[0];
  v1::VaultOrder check, heal;
  check.mutable_check();
  heal.mutable_check()->set_read_data(true);
  heal.mutable_check()->set_repair(true);
  const auto problems = [&](const v1::VaultOrder& order, vault::ReplicaSource* other) {
    vault::JobContext context;
    context.other = other;
    const auto result = vault_->Run(order, context);
    EXPECT_OK(result);
    return result.ok() ? result->problems_size() : -1;
  };
  EXPECT_EQ(problems(check, nullptr), 0);
  ember::testing::FakeClock clock;
  ember::testing::TempDir second;
  ASSERT_OK_AND_ASSIGN(
      const auto other,
      vault::Vault::Open({.name = "usb", .directory = second.Join("usb"), .clock = &clock}));
  ember::testing::VaultSource here(*vault_), there(*other);
  v1::VaultOrder replicate;
  replicate.mutable_replicate();
  vault::JobContext from_here;
  from_here.other = &here;
  ASSERT_OK(other->Run(replicate, from_here));
  for (const bool lost : {false, true}) {
    if (lost) {
      ASSERT_OK(RemoveFile(file));
    } else {
      ASSERT_OK(WriteFileAtomic(file, "garbage"));
    }
    EXPECT_EQ(problems(check, nullptr), 1) << lost;
    EXPECT_EQ(problems(heal, nullptr), 1) << "nowhere to have them from";
    EXPECT_EQ(problems(heal, &there), 0) << lost;
    EXPECT_EQ(problems(check, nullptr), 0) << lost;
    ASSERT_OK_AND_ASSIGN(const v1::StoredBackup backup, vault_->GetBackup(IdOf("db", 1)));
    EXPECT_THAT(backup.recovery_boxes(), ElementsAre("recovery box"));
  }
}

TEST_F(VaultBoxes, ThatAreNotOnesAreRefusedAndNothingIsStored) {
  const std::function<void(v1::OpenSessionRequest&)> wrongs[] = {
      [](auto& r) { r.add_recovery_boxes(""); },
      [](auto& r) { r.add_recovery_boxes(std::string(kKeyboxBytesMax + 1, 'b')); },
      [](auto& r) {
        for (size_t i = 0; i <= kRecoveryBoxesMax; ++i) r.add_recovery_boxes(absl::StrCat(i));
      },
      [](auto& r) { r.set_estate_id("../up"); }};
  for (const auto& spoil : wrongs) {
    v1::OpenSessionRequest request = ember::testing::SessionRequest("db", 1);
    spoil(request);
    EXPECT_THAT(Open(request), HasCode(StatusCode::kInvalidArgument));
  }
  EXPECT_FALSE(std::filesystem::exists(directory_.Join("keys")));
}

}  // namespace
}  // namespace ember::vault
