// The catalog on its way into the vaults, and back on the day when nothing else is left of the
// controller (docs/formats.md, catalog exports).
#ifndef EMBER_CONTROLLER_IDENTITY_CATALOG_EXPORT_H_
#define EMBER_CONTROLLER_IDENTITY_CATALOG_EXPORT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/crypto/recovery_kit.h"
#include "ember/record/v1/records.pb.h"

namespace ember::controller {

// A serialised format.v1.CatalogExport of `contents`, whose secrets are filled in: only the kit
// opens it. RESOURCE_EXHAUSTED: larger than kExportBytesMax.
absl::StatusOr<std::string> SealCatalogExport(const record::v1::CatalogContents& contents,
                                              uint64_t number, absl::Time made);

struct OpenedExport {
  record::v1::CatalogContents contents;
  uint64_t number = 0;
  absl::Time made;
};
// INVALID_ARGUMENT: the kit is of another estate. DATA_LOSS: damaged, or not made by the controller
// whose CA the kit names. FAILED_PRECONDITION: of a newer Ember.
absl::StatusOr<OpenedExport> OpenCatalogExport(const RecoveryKit& kit, absl::string_view bytes);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_IDENTITY_CATALOG_EXPORT_H_
