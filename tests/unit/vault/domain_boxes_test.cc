#include "common/vault/domain_boxes.h"

#include "common/base/limits.h"
#include "common/vault/framed.h"
#include "tests/support/memory_store.h"
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
  request.add_recovery_boxes("for the safe");
  request.set_estate_id("home");
  ASSERT_OK(Open(request));
  EXPECT_EQ(Files("keys").size(), 1u);
  Reopen();
  ASSERT_OK(Backup("db", 2, 0, 5));  // without boxes, as of an older agent
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup backup, vault_->GetBackup(IdOf("db", 2)));
  EXPECT_THAT(backup.recovery_boxes(), ElementsAre("for the safe"));
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
