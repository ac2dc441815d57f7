// The list of verbs. Help, completion and dispatch come from it.
#ifndef EMBER_CLI_COMMAND_H_
#define EMBER_CLI_COMMAND_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cli/context.h"
#include "cli/exit_code.h"

namespace CLI {
class App;
}  // namespace CLI

namespace ember::cli {

// What a verb does once its arguments are parsed. An error is printed and becomes its exit code.
using Action = std::function<absl::StatusOr<ExitCode>(Context&)>;

struct Command {
  const char* noun;
  const char* verb;  // "" when the noun is the whole command
  const char* summary;
  // Adds the verb's own options to `app`; the action reads them when it runs.
  Action (*declare)(CLI::App& app);
};

// In the order of the help. The commands of a noun are neighbours.
absl::Span<const Command> Commands();

// "backup run", "apply".
std::string NameOf(const Command& command);

// One per verb, in cli/verbs/<noun>.cc.
Action DeclareApply(CLI::App& app);
Action DeclareExport(CLI::App& app);
Action DeclareStatus(CLI::App& app);
Action DeclareNodeList(CLI::App& app);
Action DeclareNodeShow(CLI::App& app);
Action DeclareNodeToken(CLI::App& app);
Action DeclareNodeMaintenance(CLI::App& app);
Action DeclareNodeDrain(CLI::App& app);
Action DeclareNodeRemove(CLI::App& app);
Action DeclareWorkloadList(CLI::App& app);
Action DeclareWorkloadShow(CLI::App& app);
Action DeclareWorkloadRestart(CLI::App& app);
Action DeclareWorkloadMove(CLI::App& app);
Action DeclareWorkloadHold(CLI::App& app);
Action DeclareWorkloadRelease(CLI::App& app);
Action DeclareBackupRun(CLI::App& app);
Action DeclareBackupList(CLI::App& app);
Action DeclareBackupShow(CLI::App& app);
Action DeclareBackupFiles(CLI::App& app);
Action DeclareBackupCat(CLI::App& app);
Action DeclareBackupDiff(CLI::App& app);
Action DeclareBackupVerify(CLI::App& app);
Action DeclareBackupPin(CLI::App& app);
Action DeclareBackupUnpin(CLI::App& app);
Action DeclareBackupDelete(CLI::App& app);
Action DeclareBackupUndelete(CLI::App& app);
Action DeclareRestore(CLI::App& app);
Action DeclareClean(CLI::App& app);
Action DeclareScheduleNext(CLI::App& app);
Action DeclareVaultList(CLI::App& app);
Action DeclareVaultShow(CLI::App& app);
Action DeclareVaultCheck(CLI::App& app);
Action DeclareVaultGc(CLI::App& app);
Action DeclareVaultReplicate(CLI::App& app);
Action DeclareVaultRebuildIndex(CLI::App& app);
Action DeclareVaultLs(CLI::App& app);
Action DeclareVaultRestore(CLI::App& app);
Action DeclareRecoveryList(CLI::App& app);
Action DeclareRecoveryShow(CLI::App& app);
Action DeclareRecoveryApprove(CLI::App& app);
Action DeclareRecoveryCancel(CLI::App& app);
Action DeclareRecoveryPlan(CLI::App& app);
Action DeclareRecoveryArm(CLI::App& app);
Action DeclareMessageSend(CLI::App& app);
Action DeclareMessageReceive(CLI::App& app);
Action DeclareMessageList(CLI::App& app);
Action DeclareBeat(CLI::App& app);
Action DeclareEvents(CLI::App& app);
Action DeclareLogVerify(CLI::App& app);
Action DeclareDoctor(CLI::App& app);
Action DeclareVersion(CLI::App& app);
Action DeclareCompletion(CLI::App& app);

}  // namespace ember::cli

#endif  // EMBER_CLI_COMMAND_H_
