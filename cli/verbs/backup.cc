// ember backup ...
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::cli {
namespace {

struct RunArguments {
  std::string workload;
  std::string name;
  std::string reason;
  std::string kind;
  bool no_wait = false;
};

ExitCode PrintStarted(Context& context, const v1::Run& run) {
  if (context.options.json) return PrintJson(context, run);
  // The backup has its id once the node begins; until then the run's id is the one thing that names
  // it.
  *context.out << (run.backup_id().empty() ? run.id() : run.backup_id()) << "\n" << std::flush;
  *context.err << "asked for; it shows in `ember backup list " << Escape(run.workload())
               << "` when it is done\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> RunBackup(Context& context, const RunArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::RunBackupRequest request;
  request.set_workload(arguments.workload);
  request.set_name(arguments.name);
  request.set_reason(arguments.reason);
  request.set_kind(arguments.kind);
  EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::RunBackup, request));
  if (arguments.no_wait) return PrintStarted(context, run);

  const std::string what = absl::StrCat("the backup of '", arguments.workload, "'");
  EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  v1::Backup backup = run.backup();
  if (!run.has_backup()) {
    EMBER_ASSIGN_OR_RETURN(backup, FindBackup(client, run.backup_id()));
  }
  if (context.options.json) {
    PrintJson(context, backup);
  } else {
    *context.out << backup.id() << "\n" << std::flush;
  }
  *context.err << v1::Outcome::Value_Name(run.outcome()) << ": " << Counted(backup.files(), "file")
               << ", " << FormatBytes(backup.size_bytes()) << ", "
               << FormatBytes(backup.added_bytes()) << " added, in "
               << FormatExact(rpc::FromTimestamp(run.ended()) - rpc::FromTimestamp(run.started()))
               << "\n";
  if (run.outcome() != v1::Outcome::PARTIAL) return kExitDone;
  const bool in_run = run.problems_size() > 0;
  PrintProblems(context, in_run ? run.problems() : backup.problems(),
                in_run ? run.problems_total() : backup.problems_total(), "not backed up");
  return kExitPartial;
}

std::string CopiesVerifiedText(Context& context, const v1::Backup& backup) {
  return absl::StrJoin(backup.copies_verified(), ", ",
                       [&](std::string* out, const v1::CopyVerified& copy) {
                         absl::StrAppend(out, copy.vault(), " (", copy.level(), ") ",
                                         FormatTime(context, copy.at()));
                       });
}

ExitCode PrintBackup(Context& context, const v1::Backup& backup) {
  if (context.options.json) return PrintJson(context, backup);
  std::string verified = VerifiedText(backup);
  if (backup.has_verified_at())
    absl::StrAppend(&verified, ", ", FormatTime(context, backup.verified_at()));
  *context.out << FormatFields({
      {"backup", backup.id()},
      {"name", backup.name()},
      {"outcome", OutcomeCell(backup.outcome()).text},
      {"error", backup.error()},
      {"created", FormatTime(context, backup.created())},
      {"kind", backup.kind()},
      {"reason", backup.reason()},
      {"size", FormatBytes(backup.size_bytes())},
      {"added", FormatBytes(backup.added_bytes())},
      {"files", absl::StrCat(backup.files())},
      {"node", backup.node()},
      {"vaults", absl::StrJoin(backup.vaults(), ", ")},
      {"compliant", backup.compliant() ? "yes" : "no: not in every vault that its policies name"},
      {"deleted", backup.trashed() ? absl::StrCat("in the trash until about ",
                                                  FormatTime(context, backup.trashed_until()))
                                   : std::string()},
      {"verified", verified},
      {"copies verified", CopiesVerifiedText(context, backup)},
      {"copies damaged", backup.copies_damaged().empty()
                             ? std::string()
                             : absl::StrCat(absl::StrJoin(backup.copies_damaged(), ", "),
                                            ": made anew when the vault was checked")},
      {"held until",
       backup.has_held_until() ? FormatTime(context, backup.held_until()) : std::string()},
      {"pinned", backup.pinned() ? "yes" : "no"},
      {"version", backup.version()},
  });
  if (backup.problems_size() > 0) {
    PrintProblems(context, backup.problems(), backup.problems_total(), "not backed up");
  }
  return kExitDone;
}

absl::StatusOr<ExitCode> VerifyBackup(Context& context, const v1::VerifyBackupRequest& request) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  const std::string& id = request.backup();
  const std::string& vault = request.vault();
  EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::VerifyBackup, request));
  const std::string what = absl::StrCat("the verification of '", id, "'");
  EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
  if (absl::Status failure = FailureOf(run, what); !failure.ok()) {
    if (run.problems_size() > 0)
      PrintProblems(context, run.problems(), run.problems_total(), "damaged");
    return failure;
  }
  const bool partial = run.outcome() == v1::Outcome::PARTIAL;
  if (partial) PrintProblems(context, run.problems(), run.problems_total(), "not verified");
  if (context.options.json) {
    PrintJson(context, run);
  } else {
    *context.out << Escape(run.backup_id().empty() ? id : run.backup_id())
                 << (vault.empty() ? "" : absl::StrCat(" in vault '", Escape(vault), "'"))
                 << (partial ? " verified in part: " : " verified: ")
                 << Counted(run.verify().files(), "file") << ", "
                 << FormatBytes(run.verify().bytes()) << ", "
                 << Counted(run.verify().records(), "record");
    if (run.verify().files_skipped() > 0)
      *context.out << "; a sample, " << Counted(run.verify().files_skipped(), "file")
                   << " not read";
    *context.out << "\n";
  }
  return partial ? kExitPartial : kExitDone;
}

absl::StatusOr<ExitCode> Pin(Context& context, const std::string& id, bool pinned) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::PinBackupRequest request;
  request.set_id(id);
  request.set_pinned(pinned);
  EMBER_ASSIGN_OR_RETURN(const v1::Backup backup, client.Call(&Protection::PinBackup, request));
  if (context.options.json) return PrintJson(context, backup);
  *context.out << (pinned ? "pinned " : "unpinned ") << Escape(backup.id()) << "\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> WaitAndSay(Context& context, Client& client, v1::Run run,
                                    const std::string& what, const std::string& done) {
  EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  if (context.options.json) return PrintJson(context, run);
  *context.out << Escape(done) << "\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> Delete(Context& context, v1::DeleteBackupRequest request) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  EMBER_ASSIGN_OR_RETURN(const v1::Backup backup, FindBackup(client, request.id()));
  request.set_id(backup.id());
  request.set_confirmed(context.options.yes);
  absl::StatusOr<v1::Run> run = client.Call(&Protection::DeleteBackup, request);
  if (!run.ok()) {
    EMBER_RETURN_IF_ERROR(
        ConfirmRefused(context, run.status(), absl::StrCat("delete ", backup.id())));
    request.set_confirmed(true);
    run = client.Call(&Protection::DeleteBackup, request);
  }
  EMBER_RETURN_IF_ERROR(run.status());
  return WaitAndSay(context, client, *std::move(run),
                    absl::StrCat("the deletion of '", backup.id(), "'"),
                    absl::StrCat("deleted ", backup.id(),
                                 "; to have it back: ember backup undelete ", backup.id()));
}

absl::StatusOr<ExitCode> Undelete(Context& context, const std::string& id) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::GetBackupRequest request;
  request.set_id(id);
  EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::UndeleteBackup, request));
  const std::string name = run.backup_id().empty() ? id : run.backup_id();
  return WaitAndSay(context, client, std::move(run), absl::StrCat("the undeletion of '", name, "'"),
                    absl::StrCat("undeleted ", name));
}

std::shared_ptr<std::string> DeclareId(CLI::App& app) {
  auto id = std::make_shared<std::string>();
  app.add_option("BACKUP", *id, "Id, name, WORKLOAD@latest, WORKLOAD@TIME or a unique prefix")
      ->type_name("")
      ->required();
  return id;
}

}  // namespace

Action DeclareBackupRun(CLI::App& app) {
  auto arguments = std::make_shared<RunArguments>();
  app.add_option("WORKLOAD", arguments->workload, "The workload's name")->type_name("")->required();
  app.add_option("--name", arguments->name, "A name of your own for this backup")
      ->type_name("NAME");
  app.add_option("--reason", arguments->reason, "Why, for the list and the audit log")
      ->type_name("TEXT");
  app.add_option("--kind", arguments->kind, "full: read everything again, trust no cache")
      ->type_name("KIND")
      ->check(CLI::IsMember({"full"}).description(""));
  app.add_flag("--no-wait", arguments->no_wait, "Ask for it and return at once");
  return [arguments](Context& context) { return RunBackup(context, *arguments); };
}

Action DeclareBackupShow(CLI::App& app) {
  auto id = DeclareId(app);
  return [id](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::Backup backup, FindBackup(client, *id));
    return PrintBackup(context, backup);
  };
}

Action DeclareBackupVerify(CLI::App& app) {
  auto id = DeclareId(app);
  auto vault = std::make_shared<std::string>();
  auto sample = std::make_shared<int>(100);
  app.add_option("--vault", *vault, "Of the copy in this vault instead of the backup's own");
  app.add_option("--sample", *sample, "Read so many percent of the files, other ones each time")
      ->type_name("PERCENT")
      ->check(CLI::Range(1, 100));
  return [id, vault, sample](Context& context) {
    v1::VerifyBackupRequest request;
    request.set_backup(*id);
    request.set_vault(*vault);
    if (*sample < 100) request.set_sample_percent(*sample);
    return VerifyBackup(context, request);
  };
}

Action DeclareBackupPin(CLI::App& app) {
  auto id = DeclareId(app);
  return [id](Context& context) { return Pin(context, *id, true); };
}

Action DeclareBackupUnpin(CLI::App& app) {
  auto id = DeclareId(app);
  return [id](Context& context) { return Pin(context, *id, false); };
}

Action DeclareBackupDelete(CLI::App& app) {
  auto id = DeclareId(app);
  auto why = std::make_shared<std::string>();
  app.add_option("--why", *why, "The reason, for the audit log")->type_name("TEXT");
  return [id, why](Context& context) {
    v1::DeleteBackupRequest request;
    request.set_id(*id);
    request.set_why(*why);
    return Delete(context, std::move(request));
  };
}

Action DeclareBackupUndelete(CLI::App& app) {
  auto id = DeclareId(app);
  return [id](Context& context) { return Undelete(context, *id); };
}

}  // namespace ember::cli
