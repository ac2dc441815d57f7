// The catalog's own backup: sealed to the recovery kit, and brought into every vault by the agent
// that serves it, so that the loss of the controller's disk costs nobody a visit to each host.
#ifndef EMBER_CONTROLLER_PROTECT_CATALOG_EXPORTS_H_
#define EMBER_CONTROLLER_PROTECT_CATALOG_EXPORTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// Numbers a new export when the estate, its nodes, keys or placements changed and kept still for
// kExportQuietSeconds, and every kExportEverySeconds: agents learn of it with their next beat.
void UpdateWantedExport(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What a controller made anew begins with, as of now.
record::v1::CatalogContents ContentsOf(const Catalog& catalog);

// For `node`, sealed. PERMISSION_DENIED: it serves no vault. FAILED_PRECONDITION: none is wanted
// now.
absl::StatusOr<std::string> MakeExportFor(const EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_CATALOG_EXPORTS_H_
