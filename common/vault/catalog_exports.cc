#include "common/vault/catalog_exports.h"

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {
namespace {

constexpr char kPrefix[] = "catalog";
constexpr uint32_t kVersion = 1;

std::string NameOf(uint64_t number) {
  return absl::StrCat(kPrefix, "/", absl::Hex(number, absl::kZeroPad16));
}

// INVALID_ARGUMENT saying what is wrong with it; FAILED_PRECONDITION: of a newer Ember.
absl::StatusOr<format::v1::ExportHeader> HeaderOf(absl::string_view bytes) {
  format::v1::CatalogExport whole;
  format::v1::ExportHeader header;
  const bool parses = bytes.size() <= kExportBytesMax &&
                      whole.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
                      header.ParseFromString(whole.header()) && header.number() > 0;
  if (!parses) return absl::InvalidArgumentError("this is not a catalog export");
  if (header.version() > kVersion)
    return absl::FailedPreconditionError("a newer Ember made this catalog export");
  if (Sha256(whole.sealed()) != header.sealed_sha256())
    return absl::InvalidArgumentError("the catalog export is damaged");
  return header;
}

absl::StatusOr<format::v1::ExportHeader> ReadHeader(ObjectStore& store, const std::string& name) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(name));
  if (size > kExportBytesMax) return absl::InvalidArgumentError("it is too large");
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, store.Read(name, 0, size));
  EMBER_ASSIGN_OR_RETURN(format::v1::ExportHeader header, HeaderOf(bytes));
  if (NameOf(header.number()) != name)
    return absl::InvalidArgumentError("it has another one's name");
  return header;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CatalogExports>> CatalogExports::Load(ObjectStore& store) {
  std::unique_ptr<CatalogExports> exports(new CatalogExports(store));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(kPrefix));
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const absl::StatusOr<format::v1::ExportHeader> header = ReadHeader(store, *name);
    if (header.ok()) {
      absl::MutexLock lock(&exports->mu_);
      exports->newest_ = {header->number(), rpc::FromTimestamp(header->made())};
      break;
    }
    LogWarning("vault", "a catalog export cannot be used",
               {{"name", *name}, {"why", header.status().message()}});
  }
  return exports;
}

absl::Status CatalogExports::Take(absl::string_view bytes) {
  EMBER_ASSIGN_OR_RETURN(const format::v1::ExportHeader header, HeaderOf(bytes));
  absl::MutexLock lock(&mu_);
  if (header.number() <= newest_.number)
    return absl::FailedPreconditionError("the vault has a newer catalog export");
  const std::string name = NameOf(header.number());
  const absl::Status stored = PutObject(store_, name, bytes);
  // A damaged one has the name.
  if (absl::IsAlreadyExists(stored)) {
    EMBER_RETURN_IF_ERROR(store_.Delete(name));
    EMBER_RETURN_IF_ERROR(PutObject(store_, name, bytes));
  } else {
    EMBER_RETURN_IF_ERROR(stored);
  }
  newest_ = {header.number(), rpc::FromTimestamp(header.made())};
  EMBER_ASSIGN_OR_RETURN(std::vector<std::string> names, store_.List(kPrefix));
  for (size_t i = 0; i + kExportsKept < names.size(); ++i)
    EMBER_RETURN_IF_ERROR(store_.Delete(names[i]));
  return absl::OkStatus();
}

CatalogExports::Newest CatalogExports::newest() const {
  absl::MutexLock lock(&mu_);
  return newest_;
}

absl::StatusOr<std::vector<std::string>> CatalogExports::FindDamaged() const {
  absl::MutexLock lock(&mu_);  // none is deleted meanwhile
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, store_.List(kPrefix));
  std::vector<std::string> damaged;
  for (const std::string& name : names) {
    if (absl::IsInvalidArgument(ReadHeader(store_, name).status())) damaged.push_back(name);
  }
  return damaged;
}

}  // namespace ember::vault
