// ember vault ...
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

// "OK, 2026-01-01 12:00 (L1)", or "never".
std::string LastJob(const Context& context, const v1::VaultJobSummary& last,
                    const std::string& detail) {
  if (!last.has_time()) return "never";
  std::string text =
      absl::StrCat(v1::Outcome::Value_Name(last.outcome()), ", ", FormatTime(context, last.time()));
  if (!detail.empty()) absl::StrAppend(&text, " (", detail, ")");
  if (!last.error().empty()) absl::StrAppend(&text, ": ", last.error());
  return text;
}

ExitCode PrintVault(Context& context, const v1::Vault& vault) {
  if (context.options.json) return PrintJson(context, vault);
  *context.out << FormatFields({
      {"vault", vault.name()},
      {"state", vault.state()},
      {"node", vault.node()},
      {"path", vault.path()},
      {"offsite", vault.offsite() ? "yes" : "no"},
      {"used", FormatBytes(vault.used_bytes())},
      {"free", FormatBytes(vault.free_bytes())},
      {"backups", absl::StrCat(vault.backups())},
      {"in trash", absl::StrCat(Counted(vault.trashed_backups(), "backup"), ", ",
                                FormatBytes(vault.trashed_bytes()), " of packs")},
      {"damaged", Counted(vault.damaged_records(), "record")},
      {"rolled back",
       vault.rolled_back()
           ? absl::StrCat("an older state of its disk was put back; ember vault check ",
                          vault.name())
           : std::string()},
      {"last check", LastJob(context, vault.last_check(), vault.last_check().level())},
      {"last gc", LastJob(context, vault.last_gc(),
                          absl::StrCat(FormatBytes(vault.last_gc().bytes_freed()), " freed"))},
      {"last replication", LastJob(context, vault.last_replication(),
                                   Counted(vault.last_replication().backups_copied(), "backup"))},
      {"last export", vault.has_last_export() ? FormatTime(context, vault.last_export()) : "none"},
      {"vault id", vault.vault_id()},
  });
  return kExitDone;
}

absl::StatusOr<ExitCode> ShowVault(Context& context, const std::string& name) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  EMBER_ASSIGN_OR_RETURN(const v1::ListVaultsReply reply,
                         client.Call(&Fleet::ListVaults, v1::ListVaultsRequest()));
  for (const v1::Vault& vault : reply.items()) {
    if (vault.name() == name) return PrintVault(context, vault);
  }
  return VaultNotFound(name);
}

// The run once it has ended, whatever its outcome. Asks the person when the EM wants a
// confirmation.
absl::StatusOr<v1::Run> RunToEnd(Context& context, v1::VaultJobRequest request,
                                 const std::string& what) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  request.set_confirmed(context.options.yes);
  absl::StatusOr<v1::Run> run = client.Call(&Protection::RunVaultJob, request);
  if (!run.ok()) {
    EMBER_RETURN_IF_ERROR(ConfirmRefused(
        context, run.status(), absl::StrCat("empty the trash of '", request.vault(), "'")));
    request.set_confirmed(true);
    run = client.Call(&Protection::RunVaultJob, request);
  }
  EMBER_RETURN_IF_ERROR(run.status());
  return WaitForRun(context, client, *std::move(run), what);
}

void PrintCheck(Context& context, const v1::VaultJobRequest& request,
                const v1::VaultResult& result) {
  *context.out << Escape(request.vault())
               << " checked: " << Counted(result.records_checked(), "record") << ", "
               << Counted(result.packs_checked(), "pack") << ", "
               << FormatBytes(result.bytes_read()) << " read, " << result.records_damaged()
               << " damaged, " << result.records_repaired() << " repaired\n";
  for (const std::string& problem : result.problems())
    *context.out << "  " << Escape(problem) << "\n";
  for (const std::string& backup : result.damaged_backups())
    *context.out << "  damaged: " << Escape(backup) << "\n";
  context.out->flush();
}

absl::StatusOr<ExitCode> CheckVault(Context& context, const v1::VaultJobRequest& request) {
  const std::string what = absl::StrCat("the check of '", request.vault(), "'");
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RunToEnd(context, request, what));
  const absl::Status failure = FailureOf(run, what);
  // A check that found damage has done its work: what it found is the answer.
  const bool found_damage = absl::IsDataLoss(failure) && run.has_vault_result();
  if (!failure.ok() && !found_damage) return failure;
  if (context.options.json) {
    PrintJson(context, run);
    return found_damage ? kExitDamaged : kExitDone;
  }
  PrintCheck(context, request, run.vault_result());
  if (!found_damage) return kExitDone;
  return WithHint(
      absl::DataLossError(run.error()),
      request.repair()
          ? "the next backup sends again what it still has; restore from another backup"
          : absl::StrCat("ember vault check ", request.vault(), " --read-data --repair"));
}

absl::StatusOr<ExitCode> CollectGarbage(Context& context, const v1::VaultJobRequest& request) {
  const std::string what = absl::StrCat("the garbage collection of '", request.vault(), "'");
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RunToEnd(context, request, what));
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  if (context.options.json) return PrintJson(context, run);
  const v1::VaultResult& result = run.vault_result();
  *context.out << FormatBytes(result.bytes_freed()) << " freed, "
               << FormatBytes(result.bytes_in_trash()) << " wait in the trash; "
               << Counted(result.backups_size(), "backup") << " purged, "
               << Counted(result.packs_rewritten(), "pack") << " rewritten\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> ReplicateVault(Context& context, const v1::VaultJobRequest& request) {
  const std::string what =
      absl::StrCat("the copying from '", request.from(), "' to '", request.vault(), "'");
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RunToEnd(context, request, what));
  const v1::VaultResult& result = run.vault_result();
  for (const std::string& problem : result.problems())
    *context.err << "  " << Escape(problem) << "\n";
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  if (context.options.json) return PrintJson(context, run);
  *context.out << Escape(request.vault()) << " has " << Counted(result.backups_size(), "backup")
               << " of " << Escape(request.from()) << ": "
               << Counted(result.records_copied(), "record") << ", "
               << FormatBytes(result.bytes_copied()) << " copied now\n";
  return kExitDone;
}

absl::StatusOr<ExitCode> RebuildIndex(Context& context, const v1::VaultJobRequest& request) {
  const std::string what = absl::StrCat("making the index of '", request.vault(), "' anew");
  EMBER_ASSIGN_OR_RETURN(const v1::Run run, RunToEnd(context, request, what));
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  if (context.options.json) return PrintJson(context, run);
  *context.out << "the index of " << Escape(request.vault()) << " was made anew\n";
  for (const std::string& problem : run.vault_result().problems())
    *context.out << "  still wrong: " << Escape(problem) << "\n";
  return kExitDone;
}

// The request of `job`, with the vault's name as the command line has it.
std::shared_ptr<v1::VaultJobRequest> DeclareJob(CLI::App& app, const std::string& job) {
  auto request = std::make_shared<v1::VaultJobRequest>();
  request->set_job(job);
  app.add_option("VAULT", *request->mutable_vault(), "The vault's name")->type_name("")->required();
  return request;
}

}  // namespace

Action DeclareVaultList(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::ListVaultsReply reply,
                           client.Call(&Fleet::ListVaults, v1::ListVaultsRequest()));
    if (context.options.json) return PrintJson(context, reply);
    *context.out << VaultTable(reply.items()).Format(ColorsWelcome(context));
    return kExitDone;
  };
}

Action DeclareVaultShow(CLI::App& app) {
  auto request = DeclareJob(app, "");
  return [request](Context& context) { return ShowVault(context, request->vault()); };
}

Action DeclareVaultCheck(CLI::App& app) {
  auto request = DeclareJob(app, "check");
  app.add_flag_callback(
      "--read-data", [request] { request->set_read_data(true); },
      "Read every byte; without it only records and references are looked at");
  app.add_flag_callback(
      "--repair", [request] { request->set_repair(true); }, "Repair what can be repaired");
  app.add_option("--from", *request->mutable_from(),
                 "Read every byte, and take what is damaged from this other vault")
      ->type_name("VAULT");
  return [request](Context& context) {
    // Healing needs both, and is what was asked for.
    if (!request->from().empty()) {
      request->set_read_data(true);
      request->set_repair(true);
    }
    return CheckVault(context, *request);
  };
}

Action DeclareVaultGc(CLI::App& app) {
  auto request = DeclareJob(app, "gc");
  app.add_flag_callback(
      "--empty-trash", [request] { request->set_empty_trash(true); },
      "Remove deleted backups for good, before their time is over");
  return [request](Context& context) { return CollectGarbage(context, *request); };
}

Action DeclareVaultReplicate(CLI::App& app) {
  auto request = std::make_shared<v1::VaultJobRequest>();
  request->set_job("replicate");
  app.add_option("FROM", *request->mutable_from(), "The vault whose backups are copied")
      ->type_name("")
      ->required();
  app.add_option("TO", *request->mutable_vault(), "The vault that they are copied into")
      ->type_name("")
      ->required();
  return [request](Context& context) { return ReplicateVault(context, *request); };
}

Action DeclareVaultRebuildIndex(CLI::App& app) {
  auto request = DeclareJob(app, "rebuild-index");
  return [request](Context& context) { return RebuildIndex(context, *request); };
}

}  // namespace ember::cli
