#include "common/vault/repair.h"

#include <memory>
#include <utility>

#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/vault/pack.h"
#include "common/vault/parity.h"

namespace ember::vault {
namespace {

using format::v1::PackFooter;
using format::v1::PackParity;

// `data` (start and records), parity and the end, put together; DATA_LOSS unless that is the pack.
absl::StatusOr<std::string> Assemble(absl::string_view name, const std::string& data,
                                     const ParityBuilder::Result* parity,
                                     const absl::StatusOr<PackFooter>& known_footer) {
  PackFooter footer;
  if (known_footer.ok()) {
    footer = *known_footer;
  } else {
    // Serialised again; that it comes out as it was written is what the name decides below.
    footer = ScanPackBytes(data);
    if (parity != nullptr) *footer.mutable_parity() = parity->table;
  }
  std::string pack = data;
  if (parity != nullptr) pack += EncodeParity(*parity);
  pack += EncodePackEnd(footer);
  if (Sha256Hex(pack) != name)
    return absl::DataLossError("what its parity gives is not what was written");
  return pack;
}

// With a table that may itself be the damaged part.
absl::StatusOr<std::string> RepairWith(const PackParity& table, absl::string_view name,
                                       absl::string_view bytes,
                                       const absl::StatusOr<PackFooter>& footer) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t parity_bytes, ParityBytes(table));
  // A torn pack is a pack whose end is all wrong.
  std::string data(bytes.substr(0, table.offset()));
  data.resize(table.offset());
  ParityBuilder::Result parity{.table = table};
  if (bytes.size() > table.offset())
    parity.slices = std::string(bytes.substr(table.offset(), parity_bytes));
  parity.slices.resize(parity_bytes);
  EMBER_RETURN_IF_ERROR(RepairSlices(table, data, parity.slices).status());
  return Assemble(name, data, &parity, footer);
}

// Start and records are whole, the rest follows from them.
absl::StatusOr<std::string> RebuildEnd(absl::string_view name, absl::string_view bytes) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t end, EndOfRecords(bytes));
  const std::string data(bytes.substr(0, end));
  const auto unknown = absl::DataLossError("the footer is damaged");
  auto without_parity = Assemble(name, data, nullptr, unknown);
  if (without_parity.ok()) return without_parity;
  ParityBuilder builder;
  builder.Add(data);
  const ParityBuilder::Result parity = builder.Finish();
  return Assemble(name, data, &parity, unknown);
}

}  // namespace

absl::StatusOr<std::string> RepairPack(absl::string_view name, absl::string_view bytes) {
  if (Sha256Hex(bytes) == name) return std::string(bytes);
  const auto footer = ParsePackEnd(bytes);
  absl::Status why = absl::DataLossError("it has no parity");
  if (footer.ok() && footer->has_parity()) {
    auto repaired = RepairWith(footer->parity(), name, bytes, footer);
    if (repaired.ok()) return repaired;
    why = repaired.status();
  } else if (const auto table = FindParityTable(bytes); table.ok() && !footer.ok()) {
    auto repaired = RepairWith(*table, name, bytes, footer);
    if (repaired.ok()) return repaired;
    why = repaired.status();
  }
  auto rebuilt = RebuildEnd(name, bytes);
  if (rebuilt.ok()) return rebuilt;
  return Damaged(PackObject(name), why.message());
}

absl::Status RepairStoredPack(ObjectStore& store, absl::string_view name, absl::string_view bytes) {
  EMBER_ASSIGN_OR_RETURN(const std::string repaired, RepairPack(name, bytes));
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer, store.Create());
  EMBER_RETURN_IF_ERROR(writer->Append(repaired));
  return writer->Replace(PackObject(name));
}

}  // namespace ember::vault
