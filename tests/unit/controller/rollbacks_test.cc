#include "controller/protect/rollbacks.h"

#include "common/base/limits.h"
#include "tests/unit/controller/vault_jobs_fixture.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Rollbacks : public VaultJobs {
 protected:
  Rollbacks() {
    for (int n = 1; n <= 3; ++n) {
      Change(absl::StrCat("db/", n), [&](rec::BackupRecord& record) {
        record.set_vault_id("disk");
        record.set_vault_sequence(static_cast<uint64_t>(10 + n));
      });
    }
  }
  void Hear(uint64_t sequence, const std::string& id = "disk") ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::VaultFact& fact = em_.board.nodes["nas1"].vaults["nas"];
    fact.set_vault("nas");
    fact.set_vault_id(id);
    fact.set_sequence(sequence);
    EXPECT_OK(NoticeRollbacks(em_));
  }
  void NoteReceipt(const std::string& id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Batch batch;
    NoteCommit(em_, RecordOf(id), &batch);
    EXPECT_OK(em_.Commit(batch));
  }
};

TEST_F(Rollbacks, ADiskThatGoesOnIsNoNews) {
  Hear(13);
  Hear(13);
  Hear(15);
  EXPECT_EQ(Vault().sequence(), 15u);
  EXPECT_THAT(Events("vault.rolled_back"), IsEmpty());
  Hear(0, "");  // closed, or its index is being made anew
  Hear(15);
  EXPECT_THAT(Events("vault.rolled_back"), IsEmpty());
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
}

TEST_F(Rollbacks, WhatAnOlderStateLacksIsNotGoodAnyMore) {
  Hear(13);
  Hear(11);
  EXPECT_THAT(Events("vault.rolled_back"), ElementsAre(HasSubstr("2 backups are not in it")));
  EXPECT_THAT(Good(), ElementsAre("db/1"));
  EXPECT_THAT(Of("db/3").error(), HasSubstr("put back"));
  EXPECT_TRUE(Vault().rolled_back());
  Hear(11);
  Hear(12);
  EXPECT_EQ(Events("vault.rolled_back").size(), 1u) << "said once";
  EXPECT_TRUE(Vault().rolled_back()) << "new commits do not bring the old ones back";
  Done(Begin(AskJob(Job("check"))));
  EXPECT_FALSE(Vault().rolled_back());
}

// The vault was stopped, and its disk exchanged, before it could tell of its last commit.
TEST_F(Rollbacks, WhatAReceiptSaidCountsOnceTheBeatsHaveHadTime) {
  Hear(12);
  clock_.Advance(absl::Minutes(5));
  NoteReceipt("db/3");
  Hear(12);
  EXPECT_THAT(Events("vault.rolled_back"), IsEmpty()) << "the beat is on its way";
  clock_.Advance(absl::Seconds(3 * kBeatDeadlineSeconds));
  Hear(12);
  EXPECT_THAT(Events("vault.rolled_back"), ElementsAre(HasSubstr("1 backups are not in it")));
  EXPECT_THAT(Good(), ElementsAre("db/2", "db/1"));
}

TEST_F(Rollbacks, ACopyElsewhereTakesItsPlaceAndCopiesHereAreDoubted) {
  Change("db/3", [](rec::BackupRecord& record) { record.add_copies("usb"); });
  Change("db/1", [](rec::BackupRecord& record) {
    record.set_vault("usb");
    record.set_vault_id("usb disk");
    record.add_copies("nas");
  });
  Hear(13);
  Hear(12);
  EXPECT_THAT(Good(), ElementsAre("db/3", "db/2", "db/1"));
  EXPECT_EQ(RecordOf("db/3").vault(), "usb");
  EXPECT_THAT(RecordOf("db/1").copies(), IsEmpty());
  EXPECT_THAT(Events("backup.moved"), ElementsAre(HasSubstr("its copy in vault 'usb' stays")));
}

TEST_F(Rollbacks, AnotherDiskIsNotAnOlderOne) {
  Hear(13);
  Hear(2, "another disk");
  EXPECT_THAT(Events("vault.rolled_back"), IsEmpty());
  Hear(1, "another disk");
  EXPECT_THAT(Events("vault.rolled_back"), ElementsAre(HasSubstr("0 backups")));
  EXPECT_THAT(RecordOf("db/3").restore_failed(), false);
}

}  // namespace
}  // namespace ember::controller
