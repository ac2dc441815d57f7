#include "common/backup/restore_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backup/entry_path.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/record.h"
#include "common/backup/record_opener.h"
#include "common/backup/record_window.h"
#include "common/backup/restore_run.h"
#include "common/backup/verify_run.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::BackupSummary;
using format::v1::Entry;

absl::Status CheckCancelled(const RestoreOptions& options) {
  if (options.cancelled != nullptr && options.cancelled->load())
    return absl::CancelledError("it was cancelled");
  return absl::OkStatus();
}

class Reader : public RestoreReader {
 public:
  Reader(VaultPort* vault, std::unique_ptr<RecordOpener> opener, BackupSummary summary,
         const RecordId& root)
      : vault_(vault), opener_(std::move(opener)), summary_(std::move(summary)), root_(root) {}

  const BackupSummary& summary() const override { return summary_; }
  RecordId manifest_root() const override { return root_; }
  std::vector<absl::StatusOr<PlainRecord>> Fetch(const std::vector<RecordId>& ids) override {
    return FetchRecords(vault_, *opener_, ids);
  }

  absl::Status ForEachEntry(const RestoreOptions& options,
                            const std::function<absl::Status(const Entry&)>& visit) override {
    const std::unique_ptr<ManifestReader> manifest = ReadManifest(options, nullptr);
    Entry entry;
    while (true) {
      EMBER_RETURN_IF_ERROR(CheckCancelled(options));
      EMBER_ASSIGN_OR_RETURN(const bool more, manifest->Next(&entry));
      if (!more) return absl::OkStatus();
      if (entry.part() > 0) continue;
      entry.clear_extents();
      entry.clear_inline_content();
      entry.clear_more_parts();
      EMBER_RETURN_IF_ERROR(visit(entry));
    }
  }

  absl::Status Restore(const RestoreOptions& options, RestoreTarget* target,
                       std::vector<v1::PathProblem>* holes) override {
    const std::unique_ptr<ManifestReader> manifest = ReadManifest(options, holes);
    RecordWindow window(vault_, opener_.get(), options.threads, options.cancelled);
    RestoreRun run({.options = &options,
                    .manifest = manifest.get(),
                    .manifest_of =
                        [this](const std::string& path) {
                          RestoreOptions one;
                          one.paths = {path};
                          return ReadManifest(one, nullptr);
                        },
                    .window = &window,
                    .target = target,
                    .holes = holes,
                    .damaged = [this](absl::string_view path,
                                      const absl::Status& why) { return DamagedAt(path, why); },
                    .bytes_total = options.paths.empty() ? summary_.bytes() : 0,
                    .files_total = options.paths.empty() ? summary_.files() : 0});
    return run.Run();
  }

  absl::Status Verify(const RestoreOptions& options, v1::VerifyResult* result) override {
    manifest_records_ = 0;
    const auto damaged = [result](absl::string_view path, const absl::Status& why) {
      result->set_damaged_total(result->damaged_total() + 1);
      if (static_cast<size_t>(result->damaged_size()) >= kProblemsReportedMax) return;
      v1::PathProblem* const problem = result->add_damaged();
      problem->set_path(std::string(path));
      problem->set_problem(std::string(why.message()));
    };
    const std::unique_ptr<ManifestReader> manifest =
        ReadManifest(options.paths, [&](const std::string& path, const absl::Status& why) {
          damaged(path, absl::DataLossError(LostFrom(why)));
          return absl::OkStatus();
        });
    RecordWindow window(vault_, opener_.get(), options.threads, options.cancelled);
    VerifyRun run(
        {.options = &options, .manifest = manifest.get(), .window = &window, .damaged = damaged});
    EMBER_RETURN_IF_ERROR(run.Run());
    result->set_files(run.files_checked());
    result->set_bytes(run.bytes_checked());
    result->set_records(run.records() + manifest_records_);
    result->set_files_skipped(run.files_skipped());
    if (result->damaged_total() > 0) return DamageOf(*result);
    const ManifestTotals& totals = run.totals();
    if (options.paths.empty() && (totals.entries != static_cast<uint64_t>(summary_.entries()) ||
                                  totals.files != static_cast<uint64_t>(summary_.files()) ||
                                  totals.bytes != static_cast<uint64_t>(summary_.bytes()))) {
      return Damaged(Name(), "its summary counts other entries than it has");
    }
    return absl::OkStatus();
  }

 private:
  std::string Name() const {
    return absl::StrCat("backup '", summary_.backup_id(), "' of workload '", summary_.workload(),
                        "'");
  }
  absl::Status DamagedAt(absl::string_view path, const absl::Status& why) const {
    return Damaged(absl::StrCat(Name(), ", ", ShownPath(path), ","), why.message());
  }

  static std::string LostFrom(const absl::Status& why) {
    return absl::StrCat("a part of the file list that starts here is lost: ", why.message());
  }
  absl::Status DamageOf(const v1::VerifyResult& result) const {
    const v1::PathProblem& first = result.damaged(0);
    const int64_t more = result.damaged_total() - 1;
    return DamagedAt(first.path(),
                     absl::DataLossError(absl::StrCat(
                         first.problem(), more > 0 ? absl::StrCat(" (and ", more, " more)") : "")));
  }

  std::unique_ptr<ManifestReader> ReadManifest(const RestoreOptions& options,
                                               std::vector<v1::PathProblem>* holes) {
    const bool anyway = options.anyway;
    return ReadManifest(options.paths, [this, anyway, holes](const std::string& first_path,
                                                             const absl::Status& why) {
      if (!anyway) return DamagedAt(first_path, why);
      if (holes != nullptr) {
        v1::PathProblem hole;
        hole.set_path(first_path);
        hole.set_problem(LostFrom(why));
        holes->push_back(std::move(hole));
      }
      return absl::OkStatus();
    });
  }

  std::unique_ptr<ManifestReader> ReadManifest(const std::vector<std::string>& paths,
                                               ManifestReader::OnDamage on_damage) {
    return std::make_unique<ManifestReader>(
        root_, PathFilter(paths),
        [this](const std::vector<RecordId>& ids) {
          manifest_records_ += static_cast<int64_t>(ids.size());
          return FetchRecords(vault_, *opener_, ids);
        },
        std::move(on_damage));
  }

  VaultPort* const vault_;
  const std::unique_ptr<RecordOpener> opener_;
  const BackupSummary summary_;
  const RecordId root_;
  int64_t manifest_records_ = 0;
};

absl::Status Unreadable(const std::string& backup_id, const absl::Status& why) {
  if (!absl::IsDataLoss(why)) return why;
  const std::string workload = backup_id.substr(0, backup_id.find('/'));
  return Damaged(absl::StrCat("backup '", backup_id, "' of workload '", workload, "'"),
                 why.message());
}

}  // namespace

absl::StatusOr<std::unique_ptr<RestoreReader>> RestoreReader::Open(VaultPort* vault,
                                                                   const std::string& backup_id,
                                                                   const KeySource& keys) {
  const absl::StatusOr<v1::StoredBackup> stored = vault->GetBackup(backup_id);
  if (!stored.ok()) return Unreadable(backup_id, stored.status());
  if (stored->backup_id() != backup_id) {
    return Unreadable(backup_id, absl::DataLossError("the vault answered with another backup"));
  }
  EMBER_ASSIGN_OR_RETURN(
      RestoreKeys restore_keys,
      keys(stored->domain_id(),
           std::vector<v1::Keybox>(stored->keyboxes().begin(), stored->keyboxes().end())));
  auto opener = std::make_unique<RecordOpener>(stored->domain_id(), std::move(restore_keys));
  const std::string* key = opener->KeyOf(stored->session_id());
  if (key == nullptr)
    return Unreadable(backup_id, absl::DataLossError("there is no key for its session"));
  absl::StatusOr<BackupSummary> summary = OpenSummary(*key, *stored);
  if (!summary.ok()) return Unreadable(backup_id, summary.status());
  RecordId root;
  ParseRecordId(stored->manifest_root(), &root);  // OpenSummary has checked it
  const absl::Status root_status = FetchRecords(vault, *opener, {root}).at(0).status();
  if (!root_status.ok()) return Unreadable(backup_id, root_status);
  return std::make_unique<Reader>(vault, std::move(opener), *std::move(summary), root);
}

}  // namespace ember::backup
