#include "common/vault/pack.h"

#include "absl/strings/escaping.h"
#include "common/base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"

namespace ember::vault {
namespace {

using ember::testing::HasCode;

std::string Id(int n) { return Sha256(absl::StrCat("record ", n)); }

class Pack : public ::testing::Test {
 protected:
  void SetUp() override {
    session_.set_session_id("0123456789abcdef");
    session_.set_keybox("keybox");
    session_.set_domain_id("host1");
  }

  PackWriter::Published Write(int records) {
    auto writer = PackWriter::Create(*store_, {session_}, PackParityMode::kOff);
    EXPECT_OK(writer);
    for (int i = 0; i < records; ++i) {
      payloads_.push_back(
          absl::StrCat("payload of ", i, std::string(static_cast<size_t>(i) * 7, '.')));
      ids_.push_back(Id(i));
      EXPECT_OK((*writer)->Append({.type = 1,
                                   .id = ids_.back(),
                                   .session_id = session_.session_id(),
                                   .nonce = static_cast<uint64_t>(i),
                                   .payload = payloads_.back()}));
    }
    auto published = (*writer)->Publish();
    EXPECT_OK(published);
    return *std::move(published);
  }

  std::string Bytes(const std::string& name) {
    const std::string object = PackObject(name);
    return *store_->Read(object, 0, *store_->Size(object));
  }

  // Stores `bytes` as if they were a pack.
  std::string Plant(const std::string& bytes) {
    const std::string name = Sha256Hex(bytes);
    const absl::Status put = PutObject(*store_, PackObject(name), bytes);
    EXPECT_TRUE(put.ok() || absl::IsAlreadyExists(put)) << put;
    return name;
  }

  // Whether anything in the pack gives its damage away: start, footer, a record, or the gaps
  // between records.
  bool IsDamageFound(const std::string& bytes) {
    const std::string name = Plant(bytes);
    if (!ParsePackStart(bytes).ok()) return true;
    const auto footer = ReadPackFooter(*store_, name);
    if (!footer.ok()) {
      EXPECT_THAT(footer, HasCode(absl::StatusCode::kDataLoss));
      return true;
    }
    for (const auto& row : footer->records()) {
      const auto record = ParseRecord(absl::string_view(bytes).substr(row.offset()));
      if (!record.ok()) {
        EXPECT_THAT(record, HasCode(absl::StatusCode::kDataLoss));
        return true;
      }
      if (record->id != row.id()) return true;
    }
    return false;
  }

  std::unique_ptr<ObjectStore> store_ = std::make_unique<ember::testing::MemoryStore>();
  format::v1::PackSession session_;
  std::vector<std::string> ids_;
  std::vector<std::string> payloads_;
};

TEST_F(Pack, IsNamedByItsBytes) {
  const auto published = Write(3);
  const std::string bytes = Bytes(published.name);
  EXPECT_EQ(published.name, Sha256Hex(bytes));
  EXPECT_EQ(published.size, bytes.size());
  EXPECT_EQ(PackNameOf(PackObject(published.name)), published.name);
  EXPECT_EQ(PackNameOf("packs/aa/bb"), "");
  EXPECT_EQ(PackNameOf(absl::StrCat("packs/zz/", published.name)), "");
}

// The format is what is on people's disks: this test changes only together with the version.
TEST_F(Pack, HasTheseBytes) {
  auto writer = PackWriter::Create(*store_, {session_}, PackParityMode::kOff);
  ASSERT_OK(writer);
  const std::string id(32, 'i');
  ASSERT_OK((*writer)->Append({.type = 2,
                               .id = id,
                               .session_id = session_.session_id(),
                               .nonce = 0x0102030405060708,
                               .payload = "sealed"}));
  ASSERT_OK_AND_ASSIGN(const auto published, (*writer)->Publish());
  const std::string bytes = Bytes(published.name);
  EXPECT_EQ(absl::BytesToHexString(bytes),
            "454d504b0100000025000000344dd6f4080112210a10303132333435363738396162636465661206"
            "6b6579626f781a05686f737431454d52430100020069696969696969696969696969696969696969"
            "69696969696969696969696969303132333435363738396162636465660807060504030201060000"
            "00d6ef1d927365616c6564080112210a103031323334353637383961626364656612066b6579626f"
            "781a05686f7374311a280a2069696969696969696969696969696969696969696969696969696969"
            "696969691002183520064f0000003c2b1b56454d5045");
}

TEST_F(Pack, FooterFindsEveryRecord) {
  const auto published = Write(20);
  ASSERT_OK_AND_ASSIGN(const auto footer, ReadPackFooter(*store_, published.name));
  ASSERT_EQ(footer.records_size(), 20);
  EXPECT_EQ(footer.sessions(0).keybox(), "keybox");
  EXPECT_EQ(footer.sessions(0).domain_id(), "host1");
  const std::string bytes = Bytes(published.name);
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK_AND_ASSIGN(const RecordView record,
                         ParseRecord(absl::string_view(bytes).substr(footer.records(i).offset())));
    EXPECT_EQ(record.id, ids_[i]);
    EXPECT_EQ(record.payload, payloads_[i]);
    EXPECT_EQ(record.session_id, session_.session_id());
    EXPECT_EQ(record.nonce, static_cast<uint64_t>(i));
    EXPECT_EQ(footer.records(i).length(), payloads_[i].size());
  }
}

TEST_F(Pack, TheSamePackMayBeWrittenTwiceAndReplacesADamagedFirst) {
  const auto first = Write(3);
  EXPECT_EQ(Write(3).name, first.name);
  std::string bytes = Bytes(first.name);
  bytes[30] ^= 1;
  ASSERT_OK(store_->Delete(PackObject(first.name)));
  ASSERT_OK(PutObject(*store_, PackObject(first.name), bytes));
  auto writer = PackWriter::Create(*store_, {session_}, PackParityMode::kOff);
  ASSERT_OK(writer);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK((*writer)->Append({.type = 1,
                                 .id = ids_[i],
                                 .session_id = session_.session_id(),
                                 .nonce = static_cast<uint64_t>(i),
                                 .payload = payloads_[i]}));
  }
  ASSERT_OK((*writer)->Publish());
  EXPECT_EQ(Sha256Hex(Bytes(first.name)), first.name);
}

TEST_F(Pack, EveryFlippedBitIsFound) {
  const std::string bytes = Bytes(Write(3).name);
  EXPECT_FALSE(IsDamageFound(bytes));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= static_cast<char>(1 << at % 8);
    EXPECT_TRUE(IsDamageFound(damaged)) << "at byte " << at;
  }
}

TEST_F(Pack, EveryCutIsFound) {
  const std::string bytes = Bytes(Write(3).name);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(IsDamageFound(bytes.substr(0, size))) << "at " << size;
    EXPECT_TRUE(IsDamageFound(bytes.substr(bytes.size() - size))) << "at " << size;
  }
}

TEST_F(Pack, ScanFindsTheSameRecordsAsTheFooter) {
  const auto published = Write(20);
  ASSERT_OK_AND_ASSIGN(const auto footer, ReadPackFooter(*store_, published.name));
  ASSERT_OK_AND_ASSIGN(const auto scanned, ScanPack(*store_, published.name));
  EXPECT_EQ(scanned.SerializeAsString(), footer.SerializeAsString());
}

TEST_F(Pack, ATornEndLosesOnlyWhatItHeld) {
  const auto published = Write(20);
  const std::string bytes = Bytes(published.name);
  const size_t cut = published.footer.records(15).offset() + kRecordHeaderBytes + 1;
  ASSERT_OK_AND_ASSIGN(const auto table, ReadPackTable(*store_, Plant(bytes.substr(0, cut))));
  EXPECT_EQ(table.records_size(), 15);
  EXPECT_EQ(table.sessions(0).keybox(), "keybox");
}

TEST_F(Pack, ADamagedRecordHidesNoOtherFromTheScan) {
  const auto published = Write(20);
  for (const size_t within :
       {size_t{0}, size_t{10}, size_t{65}, size_t{70}, kRecordHeaderBytes + 3}) {
    std::string bytes = Bytes(published.name);
    bytes[published.footer.records(7).offset() + within] ^= 0x40;
    bytes.resize(bytes.size() - 1);  // no footer either
    ASSERT_OK_AND_ASSIGN(const auto table, ReadPackTable(*store_, Plant(bytes)));
    EXPECT_EQ(table.records_size(), 19) << within;
  }
}

TEST_F(Pack, WithoutStartTheScanStillKnowsTheSession) {
  const auto published = Write(2);
  std::string bytes = Bytes(published.name);
  bytes[5] ^= 1;
  bytes.resize(bytes.size() - 1);
  ASSERT_OK_AND_ASSIGN(const auto table, ReadPackTable(*store_, Plant(bytes)));
  ASSERT_EQ(table.records_size(), 2);
  EXPECT_EQ(table.sessions(0).session_id(), session_.session_id());
  EXPECT_EQ(table.sessions(0).keybox(), "");
}

TEST_F(Pack, FindsNothingInAFileOfSomethingElse) {
  EXPECT_THAT(ReadPackFooter(*store_, Plant(std::string(5000, 'x'))),
              HasCode(absl::StatusCode::kDataLoss));
  ASSERT_OK_AND_ASSIGN(const auto table, ReadPackTable(*store_, Plant("EMRCEMRCEMRCEMPK")));
  EXPECT_EQ(table.records_size(), 0);
  EXPECT_THAT(ReadPackTable(*store_, std::string(64, 'a')), HasCode(absl::StatusCode::kNotFound));
}

TEST(PackRecord, ALengthBeyondTheBytesIsDamage) {
  std::string header = "EMRC";
  header += std::string("\x01\0\x01\0", 4) + std::string(56, 'x') +
            std::string("\xff\xff\xff\xff", 4) + "crc!";
  EXPECT_THAT(ParseRecord(header), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ParseRecord(""), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ParseRecord(header.substr(0, 71)), HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace ember::vault
