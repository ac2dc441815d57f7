#include "controller/catalog/catalog.h"

#include "common/base/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "tests/support/memory_catalog.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::controller {
namespace {

namespace rec = record::v1;
using ember::testing::HasCode;
using ember::testing::MemoryCatalog;
using ember::testing::MemoryDisk;
using ember::testing::TempDir;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

rec::NodeRecord Node(const std::string& name) {
  rec::NodeRecord node;
  node.set_name(name);
  return node;
}

TEST(Catalog, KeepsRecordsOverAReopen) {
  TempDir dir;
  {
    ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
    Batch batch;
    batch.Put(Node("a"));
    batch.Put(Node("b"));
    batch.AddEvent("node.joined", "a", "hello");
    ASSERT_OK(catalog->Commit(batch, kNow));
    Batch erase;
    erase.Erase(Node("b"));
    erase.AddEvent("node.left", "b", "bye");
    ASSERT_OK(catalog->Commit(erase, kNow));
  }
  ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
  EXPECT_EQ(catalog->nodes().size(), 1u);
  EXPECT_EQ(catalog->nodes().count("a"), 1u);
  EXPECT_EQ(catalog->last_event_seq(), 2u);
}

TEST(Catalog, AnIoErrorIsNotAnEmThatDoesNotAnswer) {
  const absl::Status status = Catalog::Open("/dev/null/catalog").status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kInternal));
  EXPECT_NE(HintOf(status), "");
}

TEST(Catalog, EveryKindOfRecordSurvives) {
  TempDir dir;
  rec::WorkloadRecord workload;
  workload.set_name("db");
  rec::BackupRecord backup;
  backup.mutable_backup()->set_id("db/20260101-000000");
  rec::RunRecord run;
  run.mutable_run()->set_id("run-1");
  rec::OrderRecord order;
  order.mutable_order()->set_id("r-1/db/restore/1");
  rec::RecoveryRecord recovery;
  recovery.mutable_recovery()->set_id("r-1");
  rec::DomainRecord domain;
  domain.set_id("node-a");
  rec::TokenRecord token;
  token.set_secret_sha256("00ff");
  rec::MetaRecord meta;
  meta.set_em_epoch(7);
  rec::EstateRecord estate;
  estate.set_version(3);
  rec::FreezeRecord freeze;
  freeze.set_frozen(true);
  {
    ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
    Batch batch;
    for (const Record& record :
         {Record(workload), Record(backup), Record(run), Record(order), Record(recovery),
          Record(domain), Record(token), Record(meta), Record(estate), Record(freeze)}) {
      batch.Put(record);
    }
    ASSERT_OK(catalog->Commit(batch, kNow));
  }
  ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
  EXPECT_EQ(catalog->workloads().count("db"), 1u);
  EXPECT_EQ(catalog->backups().count("db/20260101-000000"), 1u);
  EXPECT_EQ(catalog->runs().count("run-1"), 1u);
  EXPECT_EQ(catalog->orders().count("r-1/db/restore/1"), 1u);
  EXPECT_EQ(catalog->recoveries().count("r-1"), 1u);
  EXPECT_EQ(catalog->domains().count("node-a"), 1u);
  EXPECT_EQ(catalog->tokens().count("00ff"), 1u);
  EXPECT_EQ(catalog->meta().em_epoch(), 7u);
  EXPECT_EQ(catalog->estate().version(), 3u);
  EXPECT_TRUE(catalog->freeze().frozen());
}

TEST(Catalog, EventsFormAChain) {
  ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(""));
  for (int i = 0; i < 300; ++i) {
    Batch batch;
    batch.AddEvent("test", "s", std::to_string(i));
    ASSERT_OK(catalog->Commit(batch, kNow));
  }
  std::string previous(32, '\0');
  uint64_t seq = 0;
  ASSERT_OK(catalog->ScanEvents(0, [&](const rec::EventRecord& event) {
    EXPECT_EQ(event.event().seq(), ++seq);
    EXPECT_EQ(event.previous_hash(), previous);
    EXPECT_EQ(EventHash(event), event.hash());
    previous = event.hash();
    return true;
  }));
  EXPECT_EQ(seq, 300u);
  EXPECT_EQ(previous, catalog->head_hash());
}

TEST(Catalog, AChangedEventBreaksItsHash) {
  rec::EventRecord event;
  event.mutable_event()->set_message("as written");
  const std::string hash = EventHash(event);
  event.mutable_event()->set_message("as forged");
  EXPECT_NE(EventHash(event), hash);
}

TEST(Catalog, AFailedWriteChangesNothing) {
  MemoryDisk disk;
  MemoryCatalog catalog(&disk);
  disk.fail_at = 0;
  Batch batch;
  batch.Put(Node("a"));
  batch.AddEvent("node.joined", "a", "hello");
  EXPECT_FALSE(catalog.Commit(batch, kNow).ok());
  EXPECT_TRUE(catalog.nodes().empty());
  EXPECT_EQ(catalog.last_event_seq(), 0u);
  disk.fail_at = -1;
  ASSERT_OK(catalog.Commit(batch, kNow));
  EXPECT_EQ(catalog.nodes().size(), 1u);
}

TEST(Catalog, ANewerSchemaIsRefused) {
  TempDir dir;
  {
    ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
    rec::MetaRecord meta;
    meta.set_schema_version(kCatalogSchema + 1);
    Batch batch;
    batch.Put(meta);
    ASSERT_OK(catalog->Commit(batch, kNow));
  }
  EXPECT_THAT(Catalog::Open(dir.path()), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST(Catalog, ANewerSchemaIsRefusedWhateverElseItHolds) {
  TempDir dir;
  {
    ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
    rec::MetaRecord meta;
    meta.set_schema_version(kCatalogSchema + 1);
    Batch batch;
    batch.Put(meta);
    ASSERT_OK(catalog->Commit(batch, kNow));
  }
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open({}, dir.path(), &db).ok());
  ASSERT_TRUE(db->Put({}, "a/kind/of/tomorrow", "x").ok());
  delete db;
  EXPECT_THAT(Catalog::Open(dir.path()), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST(Catalog, TwoProcessesCannotHaveItOpen) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(auto catalog, Catalog::Open(dir.path()));
  EXPECT_FALSE(Catalog::Open(dir.path()).ok());
}

}  // namespace
}  // namespace ember::controller
