#include "controller/bootstrap.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/recovery_kit.h"
#include "controller/catalog/catalog.h"
#include "controller/identity/catalog_export.h"
#include "controller/identity/key_vault.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

constexpr char kExports[] = "catalog";

absl::StatusOr<std::string> DirectoryOf(absl::string_view vault) {
  absl::ConsumePrefix(&vault, "file://");
  if (vault.find("://") != absl::string_view::npos) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("--from-vault ", vault, ": not a directory")),
        "mount the vault's disk here, and give its path");
  }
  return std::string(vault);
}

absl::Status RequireUnused(const std::string& directory) {
  const auto there = ListDirectory(directory);
  if (absl::IsNotFound(there.status())) return absl::OkStatus();
  EMBER_RETURN_IF_ERROR(there.status());
  if (there->empty()) return absl::OkStatus();
  return WithHint(
      absl::AlreadyExistsError(absl::StrCat("there is something in ", directory, " already")),
      "give an empty directory, or one that does not exist, as --state-dir");
}

absl::StatusOr<OpenedExport> OpenNewest(const std::string& vault, const RecoveryKit& kit,
                                        std::vector<std::string>* passed_over) {
  auto names = ListDirectory(JoinPath(vault, kExports));
  if (absl::IsNotFound(names.status()) || (names.ok() && names->empty())) {
    return WithHint(
        absl::NotFoundError(absl::StrCat("there is no catalog export in ", vault)),
        "give the directory of a vault, as in the estate file; its backups can be restored "
        "without a controller: `ember vault restore`");
  }
  EMBER_RETURN_IF_ERROR(names.status());
  std::sort(names->begin(), names->end(), std::greater<>());
  for (const std::string& name : *names) {
    const std::string path = JoinPath(JoinPath(vault, kExports), name);
    absl::StatusOr<std::string> bytes = ReadFile(path, kExportBytesMax);
    absl::StatusOr<OpenedExport> opened =
        bytes.ok() ? OpenCatalogExport(kit, *bytes) : absl::StatusOr<OpenedExport>(bytes.status());
    if (opened.ok()) return opened;
    // Another kit, or another Ember, is needed for the older ones, too.
    if (absl::IsInvalidArgument(opened.status()) || absl::IsFailedPrecondition(opened.status()))
      return Annotate(opened.status(), path);
    passed_over->push_back(absl::StrCat(path, ": ", opened.status().message()));
  }
  return WithHint(absl::DataLossError(absl::StrCat("no catalog export in ", vault, " can be used; ",
                                                   absl::StrJoin(*passed_over, "; "))),
                  "try another vault, and compare the recovery-key with the original");
}

// What ended with the lost controller is not taken over; nothing is decided before it is armed.
void AddAll(const OpenedExport& opened, Batch* batch) {
  const rec::CatalogContents& contents = opened.contents;
  rec::MetaRecord meta = contents.meta();
  meta.set_em_epoch((opened.number >> 32) + kExportEpochGap);
  meta.set_observing(true);
  meta.clear_last_event_seq();
  meta.clear_last_event_hash();
  meta.clear_notified_seq();
  batch->Put(meta);
  batch->Put(contents.estate());
  for (rec::NodeRecord node : contents.nodes()) {
    node.clear_fence();  // it may have been back since
    batch->Put(node);
  }
  for (rec::WorkloadRecord workload : contents.workloads()) {
    workload.set_hold_recovery(false);
    workload.clear_last_recovery();
    batch->Put(workload);
  }
  for (const rec::BackupRecord& backup : contents.backups()) batch->Put(backup);
  for (const rec::DomainRecord& domain : contents.domains()) batch->Put(domain);
  for (const rec::VaultRecord& vault : contents.vaults()) batch->Put(vault);
  for (const rec::MessageRecord& message : contents.messages()) batch->Put(message);
  batch->AddEvent(
      "em.made_anew", "em",
      absl::StrCat("from an export of ", absl::FormatTime(opened.made, absl::UTCTimeZone()),
                   "; the log of the lost controller ended with event ",
                   contents.meta().last_event_seq()));
}

absl::Status WriteState(const std::string& directory, const OpenedExport& opened, Clock* clock) {
  EMBER_RETURN_IF_ERROR(KeyVault::CreateFrom(directory, opened.contents, clock->Now()));
  EMBER_ASSIGN_OR_RETURN(const auto catalog, Catalog::Open(JoinPath(directory, "catalog")));
  Batch batch;
  AddAll(opened, &batch);
  return catalog->Commit(batch, clock->Now());
}

}  // namespace

absl::StatusOr<Bootstrapped> BootstrapEstate(const BootstrapOptions& options) {
  EMBER_RETURN_IF_ERROR(RequireUnused(options.state_directory));
  EMBER_ASSIGN_OR_RETURN(const std::string vault, DirectoryOf(options.vault));
  EMBER_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.kit_file));
  EMBER_ASSIGN_OR_RETURN(const RecoveryKit kit, ParseRecoveryKit(text));
  Bootstrapped made;
  EMBER_ASSIGN_OR_RETURN(const OpenedExport opened, OpenNewest(vault, kit, &made.passed_over));
  // Beside its place, which it takes when it is whole. What an interrupted try left goes.
  std::string directory = options.state_directory;
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  const std::string temp = absl::StrCat(directory, ".bootstrap");
  std::error_code error;
  std::filesystem::remove_all(temp, error);
  absl::Status written = WriteState(temp, opened, options.clock);
  // An empty directory is replaced.
  if (written.ok() && rename(temp.c_str(), directory.c_str()) != 0)
    written = ErrnoToStatus(errno, absl::StrCat("rename to ", directory));
  if (!written.ok()) {
    std::filesystem::remove_all(temp, error);
    return written;
  }
  EMBER_RETURN_IF_ERROR(SyncDirectory(std::filesystem::absolute(directory).parent_path()));
  made.estate_id = opened.contents.meta().estate_id();
  made.made = opened.made;
  made.nodes = opened.contents.nodes_size();
  made.workloads = opened.contents.workloads_size();
  made.backups = opened.contents.backups_size();
  return made;
}

}  // namespace ember::controller
