// Which backup a name means.
#include "common/base/ids.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;

class Backups : public EmFixture {
 protected:
  // `created` by the controller's clock, `received` by the vault's.
  std::string Add(absl::Time created, absl::Time received,
                  int n = 0) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::BackupRecord record;
    v1::Backup& backup = *record.mutable_backup();
    backup.set_workload("db");
    backup.set_id(BackupId("db", created, n));
    backup.set_outcome(v1::Outcome::OK);
    backup.set_verified(true);
    *backup.mutable_created() = rpc::ToTimestamp(created);
    *record.mutable_vault_received() = rpc::ToTimestamp(received);
    controller::Batch batch;
    batch.Put(record);
    EXPECT_OK(em_->Commit(batch));
    return backup.id();
  }
  std::string Resolve(const std::string& text) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = controller::ResolveBackup(*em_, text);
    return found.ok() ? (*found)->backup().id() : std::string(found.status().message());
  }
};

TEST_F(Backups, LatestIsWhatTheVaultReceivedLastEvenAfterTheControllersClockWasAhead) {
  const absl::Time now = clock_.Now();
  Add(now + absl::Hours(24), now - absl::Hours(2));
  const std::string newest = Add(now - absl::Hours(1), now - absl::Hours(1));
  EXPECT_EQ(Resolve("db@latest"), newest);
}

TEST_F(Backups, ABackupFromTheFutureIsAsOldAsTheVaultSays) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const absl::Time now = clock_.Now();
  const std::string id = Add(now + absl::Hours(24), now - absl::Hours(2));
  EXPECT_EQ(controller::AgeOf(em_->catalog->backups().at(id), now), absl::Hours(2));
}

TEST_F(Backups, AnInstantMeansTheLastBackupBefore) {
  const absl::Time now = clock_.Now();
  const std::string old = Add(now - absl::Hours(9), now - absl::Hours(9));
  Add(now - absl::Hours(1), now - absl::Hours(1));
  EXPECT_EQ(Resolve(absl::StrCat("db@", absl::FormatTime("%Y-%m-%dT%H:%M:%S", now - absl::Hours(5),
                                                         absl::UTCTimeZone()))),
            old);
}

TEST_F(Backups, AWholeIdNeverMeansAnotherBackupOfTheSameSecond) {
  const absl::Time now = clock_.Now();
  const std::string second = Add(now, now, 1);
  const std::string first = second.substr(0, second.size() - 2);
  EXPECT_THAT(Resolve(first), ::testing::HasSubstr("no backup"));
  EXPECT_EQ(Resolve(first.substr(0, first.size() - 1)), second);
}

}  // namespace
}  // namespace ember::testing
