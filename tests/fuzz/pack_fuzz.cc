// Any bytes as a pack: its parts, the scan of one that is torn, reading, repair.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crypto/digest.h"
#include "common/vault/pack.h"
#include "common/vault/pack_reader.h"
#include "common/vault/repair.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pack_reseal.h"
#include "tests/support/memory_store.h"

namespace ember::fuzz {
namespace {

using format::v1::PackFooter;
using format::v1::PackRecord;

vault::WantedRecord WantedOf(const PackRecord& row) {
  return {.id = row.id(), .offset = row.offset(), .length = row.length()};
}

void CheckIntact(absl::string_view pack, const PackFooter& table, const PackRecord& row) {
  const auto record = vault::FindRecord(pack, WantedOf(row));
  Require(record.ok() && record->payload.size() == row.length() && record->type == row.type());
  Require(row.session() < static_cast<uint32_t>(table.sessions_size()));
  Require(record->session_id == table.sessions(static_cast<int>(row.session())).session_id());
}

// What a scan finds is intact; added at the end of the pack, it is its footer.
void CheckScan(absl::string_view pack) {
  const PackFooter table = vault::ScanPackBytes(pack);
  for (const PackRecord& row : table.records()) CheckIntact(pack, table, row);
  if (!vault::ParsePackStart(pack).ok()) return;
  const auto again = vault::ParsePackEnd(std::string(pack) + vault::EncodePackEnd(table));
  Require(again.ok() && again->SerializeAsString() == table.SerializeAsString());
  const auto end = vault::EndOfRecords(pack);
  Require(end.ok() && *end <= pack.size());
}

// Reading through a store finds no more than the bytes hold.
void CheckReading(absl::string_view pack, const std::string& name, const PackFooter* footer) {
  testing::MemoryStore store;
  Require(vault::PutObject(store, vault::PackObject(name), pack).ok());
  const auto stored = vault::ReadPackFooter(store, name);
  Require(stored.ok() == (footer != nullptr));
  if (footer == nullptr) return;
  Require(stored->SerializeAsString() == footer->SerializeAsString());
  std::vector<vault::WantedRecord> wanted;
  for (const PackRecord& row : footer->records()) wanted.push_back(WantedOf(row));
  size_t visited = 0;
  const auto visit = [&](const vault::WantedRecord& each,
                         const absl::StatusOr<vault::RecordView>& record) {
    ++visited;
    const auto found = vault::FindRecord(pack, each);
    Require(!record.ok() || (found.ok() && found->payload == record->payload));
    return absl::OkStatus();
  };
  Require(vault::ReadRecords(store, name, wanted, visit).ok() && visited == wanted.size());
}

// Start, records, the parity that Ember makes of them, and the end, to the last byte.
bool IsWholeWithParity(absl::string_view pack, const PackFooter& footer) {
  const absl::string_view data = pack.substr(0, footer.parity().offset());
  vault::ParityBuilder builder;
  builder.Add(data);
  const vault::ParityBuilder::Result parity = builder.Finish();
  return pack == absl::StrCat(data, vault::EncodeParity(parity), vault::EncodePackEnd(footer)) &&
         parity.table.SerializeAsString() == footer.parity().SerializeAsString();
}

void CheckRepair(absl::string_view pack, const std::string& name, const PackFooter* footer) {
  const auto same = vault::RepairPack(name, pack);
  Require(same.ok() && *same == pack);
  Require(absl::IsDataLoss(vault::RepairPack(Sha256Hex(name), pack).status()));
  if (footer == nullptr || footer->parity().offset() == 0 || !IsWholeWithParity(pack, *footer))
    return;
  // One byte that parity covers, anywhere.
  std::string damaged(pack);
  const size_t at = std::stoul(name.substr(0, 8), nullptr, 16) % footer->parity().offset();
  damaged[at] = static_cast<char>(damaged[at] ^ 0x5a);
  const auto repaired = vault::RepairPack(name, damaged);
  Require(repaired.ok() && *repaired == pack);
}

void Look(absl::string_view pack) {
  const auto footer = vault::ParsePackEnd(pack);
  const PackFooter* known = footer.ok() ? &*footer : nullptr;
  const std::string name = Sha256Hex(pack);
  CheckScan(pack);
  CheckReading(pack, name, known);
  CheckRepair(pack, name, known);
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  Look(bytes);
  Look(ResealPack(bytes));
}

}  // namespace ember::fuzz
