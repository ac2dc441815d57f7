#include "controller/protect/catalog_exports.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/crypto/digest.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

// Of what a person or a recovery changed; beats and backups change much else all the time.
std::string DigestOf(const Catalog& catalog) {
  std::string text = absl::StrCat(catalog.estate().version());
  for (const auto& [name, node] : catalog.nodes()) {
    absl::StrAppend(&text, "\nn ", name, " ", node.revoked(), " ", node.maintenance());
    for (const std::string& serial : node.valid_serials()) absl::StrAppend(&text, " ", serial);
  }
  for (const auto& [name, workload] : catalog.workloads())
    absl::StrAppend(&text, "\nw ", name, " ", workload.node(), " ", workload.epoch(), " ",
                    workload.held());
  for (const auto& [id, domain] : catalog.domains()) absl::StrAppend(&text, "\nd ", id);
  return Sha256(text);
}

}  // namespace

void UpdateWantedExport(EmState& em) {
  WantedExport& wanted = em.board.wanted_export;
  const absl::Duration now = em.clock->Monotonic();
  std::string digest = DigestOf(*em.catalog);
  if (digest != wanted.seen) {
    wanted.seen = std::move(digest);
    wanted.seen_since = now;
  }
  const bool changed = wanted.seen != wanted.contents &&
                       now - wanted.seen_since >= absl::Seconds(kExportQuietSeconds);
  const bool old = wanted.number > 0 && now - wanted.since >= absl::Seconds(kExportEverySeconds);
  if (!changed && !old) return;
  wanted.number = std::max(wanted.number, em.catalog->meta().em_epoch() << 32) + 1;
  wanted.contents = wanted.seen;
  wanted.since = now;
}

rec::CatalogContents ContentsOf(const Catalog& catalog) {
  rec::CatalogContents contents;
  *contents.mutable_meta() = catalog.meta();
  *contents.mutable_estate() = catalog.estate();
  for (const auto& [name, node] : catalog.nodes()) *contents.add_nodes() = node;
  for (const auto& [name, workload] : catalog.workloads()) *contents.add_workloads() = workload;
  for (const auto& [id, backup] : catalog.backups()) *contents.add_backups() = backup;
  for (const auto& [id, domain] : catalog.domains()) *contents.add_domains() = domain;
  for (const auto& [name, vault] : catalog.vaults()) *contents.add_vaults() = vault;
  for (const auto& [key, message] : catalog.messages()) *contents.add_messages() = message;
  return contents;
}

absl::StatusOr<std::string> MakeExportFor(const EmState& em, const std::string& node) {
  const auto& vaults = em.catalog->estate().estate().vaults();
  if (std::none_of(vaults.begin(), vaults.end(),
                   [&](const v1::VaultSpec& vault) { return vault.node() == node; })) {
    return PeerRefused(absl::StrCat("agent ", node), "it serves no vault");
  }
  if (em.board.wanted_export.number == 0)
    return absl::FailedPreconditionError("no catalog export is wanted now");
  return em.keys->SealExport(ContentsOf(*em.catalog), em.board.wanted_export.number,
                             em.clock->Now());
}

}  // namespace ember::controller
