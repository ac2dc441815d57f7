#include "common/backup/record.h"

#include <string>

#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::backup {
namespace {

using ember::testing::HasCode;
using ember::testing::Noise;

const HmacSha256Key kIdKey(std::string(32, 'i'));
const std::string kSessionKey(32, 's');

v1::Record Sealed(absl::string_view plaintext, RecordType::Value type = RecordType::DATA) {
  const RecordId id = MakeRecordId(kIdKey, type, plaintext);
  v1::Record record;
  record.set_id(id.data(), id.size());
  record.set_type(type);
  record.set_nonce(7);
  record.set_payload(SealRecord("domain", kSessionKey, 7, id, type, plaintext));
  return record;
}

TEST(Record, OpensToWhatWasSealed) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{5}, size_t{1000}, kChunkMax, kRecordBytesMax}) {
    for (const std::string& plaintext : {Noise(size, size), std::string(size, 'x')}) {
      ASSERT_OK_AND_ASSIGN(const std::string opened,
                           OpenRecord("domain", kIdKey, kSessionKey, Sealed(plaintext)));
      EXPECT_EQ(opened, plaintext);
    }
  }
}

TEST(Record, CompressesWhatGainsAndOnlyThat) {
  EXPECT_LT(Sealed(std::string(100000, 'x')).payload().size(), 1000u);
  EXPECT_LT(Sealed(Noise(1, 100000)).payload().size(), 104000u);
}

TEST(Record, AnyFlippedBitIsDataLoss) {
  const v1::Record record = Sealed("some text that is short, so that every byte can be tried");
  for (size_t i = 0; i < record.payload().size(); ++i) {
    v1::Record damaged = record;
    (*damaged.mutable_payload())[i] ^= static_cast<char>(1 << (i % 8));
    EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, damaged),
                HasCode(absl::StatusCode::kDataLoss))
        << i;
  }
  for (size_t i = 0; i < record.id().size(); ++i) {
    v1::Record damaged = record;
    (*damaged.mutable_id())[i] ^= 1;
    EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, damaged),
                HasCode(absl::StatusCode::kDataLoss))
        << i;
  }
  for (size_t size = 0; size < record.payload().size(); ++size) {
    v1::Record damaged = record;
    damaged.mutable_payload()->resize(size);
    EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, damaged),
                HasCode(absl::StatusCode::kDataLoss))
        << size;
  }
}

TEST(Record, EverythingAroundThePayloadIsBound) {
  const v1::Record record = Sealed("text");
  EXPECT_THAT(OpenRecord("other", kIdKey, kSessionKey, record),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(OpenRecord("domain", HmacSha256Key(std::string(32, 'j')), kSessionKey, record),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(OpenRecord("domain", kIdKey, std::string(32, 't'), record),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(OpenRecord("domain", kIdKey, "", record), HasCode(absl::StatusCode::kDataLoss));
  v1::Record changed = record;
  changed.set_nonce(8);
  EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, changed),
              HasCode(absl::StatusCode::kDataLoss));
  for (const uint32_t type : {0u, 2u, 257u}) {
    changed = record;
    changed.set_type(type);
    EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, changed),
                HasCode(absl::StatusCode::kDataLoss))
        << type;
  }
  changed = record;
  changed.set_id("short");
  EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, changed),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST(Record, ASealedLieAboutTheIdIsFound) {
  const RecordId id = MakeRecordId(kIdKey, RecordType::DATA, "what it should be");
  v1::Record record;
  record.set_id(id.data(), id.size());
  record.set_type(RecordType::DATA);
  record.set_nonce(1);
  record.set_payload(SealRecord("domain", kSessionKey, 1, id, RecordType::DATA, "what it is"));
  EXPECT_THAT(OpenRecord("domain", kIdKey, kSessionKey, record),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST(Record, IdsDependOnTypeContentAndKey) {
  const RecordId id = MakeRecordId(kIdKey, RecordType::DATA, "x");
  EXPECT_EQ(id, MakeRecordId(kIdKey, RecordType::DATA, "x"));
  EXPECT_NE(id, MakeRecordId(kIdKey, RecordType::GROUP, "x"));
  EXPECT_NE(id, MakeRecordId(kIdKey, RecordType::DATA, "y"));
  EXPECT_NE(id, MakeRecordId(HmacSha256Key(kSessionKey), RecordType::DATA, "x"));
}

TEST(Record, PaddingHidesLengthsAtLittleCost) {
  size_t last = 0;
  int lengths = 0;
  for (size_t size = 1; size < 300000; ++size) {
    const size_t padded = PadmeLength(size);
    ASSERT_GE(padded, size);
    ASSERT_LE((padded - size) * 100, size * 12) << size;
    ASSERT_EQ(PadmeLength(padded), padded);
    ASSERT_GE(padded, last);
    lengths += padded != last;
    last = padded;
  }
  EXPECT_LT(lengths, 500);
  EXPECT_EQ(PadmeLength(9), 10u);  // the paper's example
}

TEST(Record, ASummaryIsBoundToItsBackup) {
  RecordId root{};
  root[0] = 'r';
  format::v1::BackupSummary summary;
  summary.set_version(1);
  summary.set_backup_id("web/1");
  summary.set_manifest_root(root.data(), root.size());
  v1::StoredBackup stored;
  stored.set_backup_id("web/1");
  stored.set_domain_id("domain");
  stored.set_manifest_root(root.data(), root.size());
  stored.set_summary_nonce(3);
  stored.set_sealed_summary(SealSummary("domain", kSessionKey, 3, root, summary));
  EXPECT_OK(OpenSummary(kSessionKey, stored));
  v1::StoredBackup other = stored;
  other.set_backup_id("web/2");
  EXPECT_THAT(OpenSummary(kSessionKey, other), HasCode(absl::StatusCode::kDataLoss));
  other = stored;
  (*other.mutable_manifest_root())[1] = 'x';
  EXPECT_THAT(OpenSummary(kSessionKey, other), HasCode(absl::StatusCode::kDataLoss));
  other = stored;
  (*other.mutable_sealed_summary())[10] ^= 1;
  EXPECT_THAT(OpenSummary(kSessionKey, other), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace ember::backup
