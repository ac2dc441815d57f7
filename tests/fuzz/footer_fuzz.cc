// Any bytes as a pack's footer and as the table of its parity.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/vault/little_endian.h"
#include "common/vault/pack.h"
#include "common/vault/parity.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pack_reseal.h"

namespace ember::fuzz {
namespace {

using format::v1::PackFooter;
using format::v1::PackParity;

constexpr uint64_t kRepairedBytesMax = 1 << 20;  // more of the same only takes longer
constexpr uint64_t kBeforeFooterBytesMax = 1 << 20;

void CheckBounds(const PackFooter& footer, uint64_t footer_at) {
  uint64_t end = 0;
  for (const format::v1::PackRecord& row : footer.records()) {
    Require(row.offset() >= end && row.id().size() == kRecordIdBytes);
    end = row.offset() + vault::kRecordHeaderBytes + row.length();
    Require(end <= footer_at && row.length() <= kRecordBytesMax);
    Require(row.session() < static_cast<uint32_t>(footer.sessions_size()));
  }
  for (const format::v1::PackSession& session : footer.sessions())
    Require(session.session_id().size() == vault::kSessionIdBytes);
}

// With arbitrary slices: they are repaired or not, and keep their sizes.
void TryRepair(const PackParity& table, uint64_t parity_bytes) {
  if (table.offset() + parity_bytes > kRepairedBytesMax) return;
  std::string data(table.offset(), 'd');
  std::string parity(parity_bytes, 'p');
  const auto repaired = vault::RepairSlices(table, data, parity);
  Require(!repaired.ok() || *repaired <= table.slice_crc32c_size());
  Require(data.size() == table.offset() && parity.size() == parity_bytes);
}

void CheckParity(const PackParity& table) {
  const auto parity_bytes = vault::ParityBytes(table);
  if (!parity_bytes.ok()) return;
  // Else whoever repairs would ask for memory that no pack fills.
  Require(*parity_bytes <= kPackBytesMax);
  TryRepair(table, *parity_bytes);
}

// True when accepted.
bool LookAtEnd(absl::string_view pack) {
  const auto footer = vault::ParsePackEnd(pack);
  if (!footer.ok()) return false;
  const uint64_t end_bytes = vault::GetFixed<uint32_t>(pack, pack.size() - 12) + 12;
  CheckBounds(*footer, pack.size() - end_bytes);
  if (footer->has_parity()) CheckParity(footer->parity());
  const std::string end = vault::EncodePackEnd(*footer);
  // With room before it as in `pack`, or more.
  const auto again = vault::ParsePackEnd(absl::StrCat(pack, end));
  Require(again.ok() && vault::EncodePackEnd(*again) == end);
  return true;
}

// As a footer behind just as many bytes as its records need, and behind one byte less.
void LookAtFooter(absl::string_view bytes) {
  PackFooter footer;
  footer.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
  uint64_t needed = 16;
  for (const format::v1::PackRecord& row : footer.records())
    needed = std::max(needed, row.offset() + vault::kRecordHeaderBytes + row.length());
  const std::string before(std::min(needed, kBeforeFooterBytesMax), '\0');
  LookAtEnd(absl::StrCat(before, FrameFooter(bytes)));
  Require(!LookAtEnd(absl::StrCat(before.substr(1), FrameFooter(bytes))));
}

void LookAtTable(absl::string_view pack) {
  const auto table = vault::FindParityTable(pack);
  if (!table.ok()) return;
  CheckParity(*table);
  const auto again = vault::FindParityTable(vault::EncodeParity({.table = *table}));
  Require(again.ok() && again->SerializeAsString() == table->SerializeAsString());
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  LookAtEnd(bytes);
  LookAtTable(bytes);
  LookAtFooter(bytes);
  LookAtTable(absl::StrCat("slices EMPA", FrameParityTable(bytes), bytes));
}

}  // namespace ember::fuzz
