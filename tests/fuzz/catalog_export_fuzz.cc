// Any bytes as a catalog export: for the vault that keeps it, and for the controller that is made
// of it.
#include "common/vault/catalog_exports.h"
#include "controller/identity/catalog_export.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_store.h"

namespace ember::fuzz {
namespace {

// The key of make_corpus.cc.
const RecoveryKit kKit{.private_key = std::string(32, 'r')};

void Keep(absl::string_view bytes) {
  testing::MemoryStore store;
  const auto exports = vault::CatalogExports::Load(store);
  Require(exports.ok());
  const absl::Status taken = (*exports)->Take(bytes);
  Require(taken.ok() || absl::IsInvalidArgument(taken) || absl::IsFailedPrecondition(taken));
  const auto again = vault::CatalogExports::Load(store);
  Require(again.ok() && (*again)->newest().number == (*exports)->newest().number);
  Require(taken.ok() == ((*again)->newest().number > 0));
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  Keep(bytes);
  const auto opened = controller::OpenCatalogExport(kKit, bytes);
  if (!opened.ok()) return;
  // Whoever opened it can make the same again.
  const auto sealed = controller::SealCatalogExport(opened->contents, opened->number, opened->made);
  if (!sealed.ok()) return;  // its secrets are none
  const auto again = controller::OpenCatalogExport(kKit, *sealed);
  Require(!again.ok() ||
          again->contents.SerializeAsString() == opened->contents.SerializeAsString());
}

}  // namespace ember::fuzz
