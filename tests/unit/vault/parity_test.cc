#include "common/vault/parity.h"

#include <random>

#include "common/base/limits.h"
#include "common/vault/pack.h"
#include "common/vault/repair.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"

namespace ember::vault {
namespace {

using ember::testing::HasCode;

// Pseudo-random, so that no slice is like another.
std::string Noise(size_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::string noise(bytes, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  return noise;
}

struct Written {
  std::string name;
  std::string bytes;
};

class Parity : public ::testing::Test {
 protected:
  // A pack of `payload_bytes` in records of `record_bytes`.
  Written Write(size_t payload_bytes, size_t record_bytes = 50000,
                PackParityMode mode = PackParityMode::kOn) {
    format::v1::PackSession session;
    session.set_session_id("0123456789abcdef");
    session.set_keybox("keybox");
    session.set_domain_id("host1");
    auto writer = *PackWriter::Create(store_, {session}, mode);
    for (size_t at = 0; at < payload_bytes; at += record_bytes) {
      const std::string payload =
          Noise(std::min(record_bytes, payload_bytes - at), static_cast<uint32_t>(at));
      EXPECT_OK(writer->Append({.type = 1,
                                .id = Sha256(payload),
                                .session_id = session.session_id(),
                                .nonce = at,
                                .payload = payload}));
    }
    const auto published = *writer->Publish();
    return {published.name, *store_.Read(PackObject(published.name), 0, published.size)};
  }

  void ExpectRepaired(const Written& pack, const std::string& damaged, absl::string_view what) {
    ASSERT_NE(damaged, pack.bytes) << what;
    const auto repaired = RepairPack(pack.name, damaged);
    ASSERT_TRUE(repaired.ok()) << what << ": " << repaired.status();
    EXPECT_TRUE(*repaired == pack.bytes) << what;
  }

  ember::testing::MemoryStore store_;
};

std::string Garble(std::string bytes, size_t at, size_t count) {
  for (size_t i = at; i < std::min(bytes.size(), at + count); ++i) bytes[i] ^= 0x5a;
  return bytes;
}

TEST_F(Parity, CostsSixPercentOfALargePackAndLittleOfASmallOne) {
  const auto overhead = [this](size_t payload, size_t record) {
    const size_t with = Write(payload, record).bytes.size();
    const size_t without = Write(payload, record, PackParityMode::kOff).bytes.size();
    return with - without;
  };
  EXPECT_LE(overhead(64 << 20, 256 << 10), (size_t{64} << 20) * 6 / 100);
  EXPECT_LE(overhead(10 << 10, 2000), size_t{2} * kParitySliceBytesMin + 300);
  EXPECT_LE(overhead(100, 100), size_t{2} * 300 + 100);
}

TEST_F(Parity, TurnedOffThePackIsWithout) {
  const Written pack = Write(100000, 50000, PackParityMode::kOff);
  EXPECT_FALSE(ReadPackFooter(store_, pack.name)->has_parity());
  EXPECT_THAT(FindParityTable(pack.bytes), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(RepairPack(pack.name, Garble(pack.bytes, 5000, 1)),
              HasCode(absl::StatusCode::kDataLoss));
  // The footer says nothing that the records do not.
  ExpectRepaired(pack, Garble(pack.bytes, pack.bytes.size() - 5, 1), "footer");
}

TEST_F(Parity, AnIntactPackIsLeftAsItIs) {
  const Written pack = Write(100000);
  ASSERT_OK_AND_ASSIGN(const std::string same, RepairPack(pack.name, pack.bytes));
  EXPECT_TRUE(same == pack.bytes);
}

TEST_F(Parity, EveryFlippedByteOfASmallPackIsRepaired) {
  for (const size_t payload : {size_t{1}, size_t{300}, size_t{9000}}) {
    const Written pack = Write(payload, 4000);
    const size_t step = pack.bytes.size() > 4000 ? 7 : 1;
    for (size_t at = 0; at < pack.bytes.size(); at += step)
      ExpectRepaired(pack, Garble(pack.bytes, at, 1), absl::StrCat(payload, " at ", at));
  }
}

TEST_F(Parity, ALostSectorAnywhereIsRepaired) {
  const Written pack = Write(200000);
  const size_t data = ReadPackFooter(store_, pack.name)->parity().offset();
  for (size_t at = 0; at + kParitySliceBytesMin <= data; at += 1023) {
    std::string damaged = pack.bytes;
    damaged.replace(at, kParitySliceBytesMin, kParitySliceBytesMin, '\0');
    ExpectRepaired(pack, damaged, absl::StrCat("sector at ", at));
  }
}

TEST_F(Parity, AnyTwoSlicesOfEachStripeAreRepaired) {
  const Written pack = Write(6 << 20, 200000);
  ASSERT_OK_AND_ASSIGN(const auto footer, ReadPackFooter(store_, pack.name));
  const size_t stripe = kParityDataSlices * kParitySliceBytes;
  ASSERT_GT(footer.parity().offset(), 2 * stripe);
  std::mt19937 random(4711);
  for (int round = 0; round < 40; ++round) {
    std::string damaged = pack.bytes;
    for (size_t s = 0; s < 2; ++s) {
      for (int n = 0; n < 2; ++n) {
        const size_t slice = random() % (kParityDataSlices + kParitySlices);
        const size_t at =
            slice < kParityDataSlices
                ? s * stripe + slice * kParitySliceBytes
                : footer.parity().offset() +
                      (s * kParitySlices + slice - kParityDataSlices) * kParitySliceBytes;
        damaged[at + random() % kParitySliceBytes] ^= 1;
      }
    }
    if (round % 2 == 0) damaged = Garble(damaged, damaged.size() - 100, 100);  // no footer
    if (damaged != pack.bytes) ExpectRepaired(pack, damaged, absl::StrCat("round ", round));
  }
}

TEST_F(Parity, FooterTablesAndParityFollowFromIntactRecords) {
  const Written pack = Write(3 << 20);
  const size_t data = ReadPackFooter(store_, pack.name)->parity().offset();
  ExpectRepaired(pack, Garble(pack.bytes, data, pack.bytes.size()), "everything behind");
  ExpectRepaired(pack, pack.bytes.substr(0, data), "cut off behind the records");
}

TEST_F(Parity, MoreDamageThanParityIsSaidAndNothingIsOverwritten) {
  const Written pack = Write(3 << 20);
  std::string damaged = pack.bytes;
  for (size_t slice = 0; slice < kParitySlices + 1; ++slice)
    damaged[slice * kParitySliceBytes + 9] ^= 1;
  const auto repaired = RepairPack(pack.name, damaged);
  EXPECT_THAT(repaired, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(repaired.status().message()),
              ::testing::HasSubstr("3 slices of the stripe at 0"));
  ASSERT_OK(store_.Delete(PackObject(pack.name)));
  ASSERT_OK(PutObject(store_, PackObject(pack.name), damaged));
  EXPECT_THAT(RepairStoredPack(store_, pack.name, damaged), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_TRUE(*store_.Read(PackObject(pack.name), 0, damaged.size()) == damaged);
}

TEST_F(Parity, AStoredPackIsReplacedByItsRepair) {
  const Written pack = Write(3 << 20);
  const std::string damaged = Garble(pack.bytes, 100000, 5000);
  ASSERT_OK(store_.Delete(PackObject(pack.name)));
  ASSERT_OK(PutObject(store_, PackObject(pack.name), damaged));
  ASSERT_OK(RepairStoredPack(store_, pack.name, damaged));
  EXPECT_TRUE(*store_.Read(PackObject(pack.name), 0, pack.bytes.size()) == pack.bytes);
}

TEST_F(Parity, BothTablesAndARecordLostStillLeaveTheOtherRecords) {
  const Written pack = Write(1 << 20);
  const size_t data = ReadPackFooter(store_, pack.name)->parity().offset();
  const std::string damaged = Garble(pack.bytes.substr(0, data), 200000, 1);
  EXPECT_THAT(RepairPack(pack.name, damaged), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_EQ(ScanPackBytes(damaged).records_size(), ScanPackBytes(pack.bytes).records_size() - 1);
}

TEST_F(Parity, ATableThatContradictsItselfIsDamage) {
  ParityBuilder builder;
  builder.Add(Noise(100000, 1));
  const auto good = builder.Finish();
  ASSERT_OK_AND_ASSIGN(const uint64_t bytes, ParityBytes(good.table));
  EXPECT_EQ(bytes, good.slices.size());
  const auto expect_bad = [&](const std::function<void(format::v1::PackParity&)>& change) {
    format::v1::PackParity table = good.table;
    change(table);
    EXPECT_THAT(ParityBytes(table), HasCode(absl::StatusCode::kDataLoss))
        << table.ShortDebugString();
  };
  expect_bad([](auto& t) { t.set_data_slices(0); });
  expect_bad([](auto& t) { t.set_data_slices(254); });
  expect_bad([](auto& t) { t.set_data_slices(~0u); });
  expect_bad([](auto& t) { t.set_parity_slices(0); });
  expect_bad([](auto& t) { t.set_slice_bytes(1); });
  expect_bad([](auto& t) { t.set_slice_bytes(~0u); });
  expect_bad([](auto& t) { t.set_offset(0); });
  expect_bad([](auto& t) { t.set_offset(~uint64_t{0}); });
  expect_bad([](auto& t) { t.add_slice_crc32c(1); });
}

}  // namespace
}  // namespace ember::vault
