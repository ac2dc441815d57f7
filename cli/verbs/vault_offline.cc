// ember vault ls, ember vault restore: a vault's directory and the recovery kit are all that is
// left.
#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/offline/directory_vault.h"
#include "cli/offline/offline_vault.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/files_restore.h"

namespace ember::cli {
namespace {

struct OfflineArguments {
  std::string directory;
  std::string kit;
  std::string backup;
  std::string to;
  std::vector<std::string> paths;
  bool anyway = false;
};

// What to do next, where the error itself does not say: the verbs of an EM are no way out.
absl::Status WithOfflineHint(const absl::Status& status) {
  if (!HintOf(status).empty()) return status;
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
      return WithHint(status, "run it as a user who may read the vault and write the target: root");
    case absl::StatusCode::kCancelled:
      return WithHint(status, "nothing was left behind; run it again when you want it");
    default: return WithHint(status, "nothing was left behind; mend that and run it again");
  }
}

void PrintLines(Context& context, const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  *context.err << title << ":\n";
  for (const std::string& line : lines) *context.err << "  " << Escape(line) << "\n";
  context.err->flush();
}

absl::StatusOr<ExitCode> List(Context& context, const OfflineArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(OfflineVault vault,
                         OfflineVault::Open(arguments.directory, arguments.kit));
  EMBER_RETURN_IF_ERROR(vault.CheckKit());
  v1::ListBackupsReply reply;
  std::vector<std::string> problems = vault.archive().problems();
  for (const vault::VaultArchive::Backup& backup : vault.archive().backups()) {
    v1::Backup* row = reply.add_items();
    *row = vault.Describe(backup);
    row->set_age_seconds(absl::ToDoubleSeconds(context.clock->Now() -
                                               absl::FromUnixSeconds(row->created().seconds())));
    if (!row->error().empty()) problems.push_back(absl::StrCat(row->id(), ": ", row->error()));
  }
  if (context.options.json) {
    PrintJson(context, reply);
  } else {
    Table table({{"BACKUP", false, true},
                 {"AGE", true},
                 {"SIZE", true},
                 {"FILES", true},
                 {"OUTCOME"},
                 {"NODE"},
                 {"REASON"}});
    for (const v1::Backup& row : reply.items()) {
      table.Add({row.id(), FormatRough(absl::Seconds(row.age_seconds())),
                 FormatBytes(row.size_bytes()), absl::StrCat(row.files()),
                 row.trashed() ? Cell("in trash", Style::kWarning) : OutcomeCell(row.outcome()),
                 row.node(), row.reason()});
    }
    *context.out << table.Format(ColorsWelcome(context)) << Counted(reply.items_size(), "backup")
                 << "\n"
                 << std::flush;
  }
  PrintLines(context, "damaged or missing", problems);
  return problems.empty() ? kExitDone : kExitDamaged;
}

// A restore on a thread of its own, so that this one can show how far it is and hear Ctrl-C.
class OfflineRestore {
 public:
  OfflineRestore(Context& context, OfflineVault& vault, std::string backup_id)
      : context_(context),
        backup_id_(std::move(backup_id)),
        port_(vault.archive(),
              {.cancelled = &cancelled_, .progress = [this](const v1::Progress& p) { Note(p); }}) {}

  absl::StatusOr<v1::RestoreResult> Run(const backup::KeySource& keys, files::RestorePlan plan) {
    plan.cancelled = &cancelled_;
    plan.progress = [this](const v1::Progress& progress) { Note(progress); };
    context_.interrupt->armed = true;
    absl::StatusOr<v1::RestoreResult> result = absl::UnknownError("");
    absl::Notification done;
    std::thread worker([&] {
      result = Restore(keys, plan);
      done.Notify();
    });
    Watch(done);
    worker.join();
    if (cancelled_ && absl::IsCancelled(result.status()))
      return absl::CancelledError("cancelled the restore: Ctrl-C was pressed");
    return result;
  }
  std::vector<std::string> problems() const { return port_.problems(); }

 private:
  absl::StatusOr<v1::RestoreResult> Restore(const backup::KeySource& keys,
                                            const files::RestorePlan& plan) {
    EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::RestoreReader> reader,
                           backup::RestoreReader::Open(&port_, backup_id_, keys));
    return files::RestoreFiles(reader.get(), plan);
  }
  void Watch(const absl::Notification& done) {
    ProgressLine line(context_);
    while (true) {
      if (context_.interrupt->pressed.HasBeenNotified() && !cancelled_.exchange(true))
        line.Say("cancelling the restore");
      if (done.WaitForNotificationWithTimeout(absl::Milliseconds(kRunPollMillis))) break;
      v1::Run run;
      run.set_outcome(v1::Outcome::RUNNING);
      {
        absl::MutexLock lock(&mu_);
        *run.mutable_progress() = progress_;
      }
      line.Update(run);
    }
    line.Clear();
  }
  void Note(const v1::Progress& progress) {
    absl::MutexLock lock(&mu_);
    progress_ = progress;
  }

  Context& context_;
  const std::string backup_id_;
  std::atomic<bool> cancelled_{false};
  DirectoryVault port_;
  absl::Mutex mu_;
  v1::Progress progress_ ABSL_GUARDED_BY(mu_);
};

ExitCode PrintRestored(Context& context, const std::string& id, const std::string& to,
                       const v1::RestoreResult& result) {
  if (context.options.json) {
    PrintJson(context, result);
  } else {
    *context.out << "restored " << Escape(id) << " to " << Escape(to) << ": "
                 << Counted(result.files(), "file") << ", " << FormatBytes(result.bytes());
    if (result.holes_size() == 0) *context.out << "; every checksum matched";
    *context.out << "\n";
    for (const std::string& copy : result.safety_copies())
      *context.out << "safety copy of what was there: " << Escape(copy) << "\n";
    context.out->flush();
  }
  if (result.warnings_size() > 0)
    PrintProblems(context, result.warnings(), result.warnings_size(), "attributes not restored");
  if (result.holes_size() == 0) return kExitDone;
  PrintProblems(context, result.holes(), result.holes_size(), "holes, not restored in full");
  return kExitPartial;
}

absl::StatusOr<ExitCode> Restore(Context& context, const OfflineArguments& arguments) {
  std::error_code error;
  const std::string to = std::filesystem::absolute(arguments.to, error).lexically_normal().string();
  if (arguments.to.empty() || error) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", arguments.to, "' is not a target: a directory is needed"));
  }
  EMBER_ASSIGN_OR_RETURN(OfflineVault vault,
                         OfflineVault::Open(arguments.directory, arguments.kit));
  const auto found = vault.Resolve(arguments.backup);
  if (absl::IsNotFound(found.status()) || absl::IsDataLoss(found.status())) {
    return WithHint(found.status(),
                    absl::StrCat("ember vault ls ", arguments.directory, " --kit ", arguments.kit));
  }
  EMBER_ASSIGN_OR_RETURN(const vault::VaultArchive::Backup* backup, found);
  EMBER_ASSIGN_OR_RETURN(format::v1::DomainSecrets secrets,
                         vault.SecretsOf(backup->record.domain_id()));
  const std::string& id = backup->record.backup_id();
  files::RestorePlan plan;
  // The same restore again finds and removes what a killed one left.
  plan.order_id = absl::StrCat("offline/", id, "/", to);
  plan.target_directory = to;
  plan.paths = arguments.paths;
  plan.anyway = arguments.anyway;
  plan.refuse_existing = !context.options.yes;
  plan.now = context.clock->Now();
  OfflineRestore restore(context, vault, id);
  const auto result = restore.Run(backup::KeysOfDomain(std::move(secrets)), std::move(plan));
  PrintLines(context, "damaged parts of the vault, passed over", restore.problems());
  if (absl::IsNotFound(result.status())) {
    return WithHint(
        result.status(),
        "give --path as it was on the machine, from the root; without it all is restored");
  }
  if (absl::IsDataLoss(result.status())) {
    return WithHint(result.status(),
                    arguments.anyway
                        ? "choose another backup"
                        : "--anyway restores what can be read; or choose another backup");
  }
  EMBER_RETURN_IF_ERROR(result.status());
  return PrintRestored(context, id, to, *result);
}

std::shared_ptr<OfflineArguments> DeclareVault(CLI::App& app) {
  auto arguments = std::make_shared<OfflineArguments>();
  app.add_option("DIR", arguments->directory, "The vault's directory, or a read-only copy of it")
      ->type_name("")
      ->required();
  app.add_option("--kit", arguments->kit, "The estate's recovery kit (recovery-kit.txt)")
      ->type_name("FILE")
      ->required();
  return arguments;
}

template <typename Verb>
Action Run(std::shared_ptr<OfflineArguments> arguments, Verb verb) {
  return [arguments, verb](Context& context) -> absl::StatusOr<ExitCode> {
    absl::StatusOr<ExitCode> code = verb(context, *arguments);
    if (!code.ok()) return WithOfflineHint(code.status());
    return code;
  };
}

}  // namespace

Action DeclareVaultLs(CLI::App& app) { return Run(DeclareVault(app), List); }

Action DeclareVaultRestore(CLI::App& app) {
  auto arguments = DeclareVault(app);
  app.add_option("BACKUP", arguments->backup, "Id, WORKLOAD@latest or a unique prefix")
      ->type_name("")
      ->required();
  app.add_option("--to", arguments->to, "Restore into this directory")
      ->type_name("DIR")
      ->required();
  app.add_option("--path", arguments->paths, "Only this path and what is below; may be repeated")
      ->type_name("PATH")
      ->allow_extra_args(false);
  app.add_flag("--anyway", arguments->anyway, "Restore what can be read and list the holes");
  return Run(std::move(arguments), Restore);
}

}  // namespace ember::cli
