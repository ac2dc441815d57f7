#include "cli/command.h"

#include "absl/strings/str_cat.h"

namespace ember::cli {
namespace {

constexpr Command kCommands[] = {
    {"apply", "", "Apply an estate file: show the plan, ask, change everything or nothing",
     DeclareApply},
    {"export", "", "Print the estate as a file that apply accepts", DeclareExport},
    {"status", "", "One page: the EM, nodes, workloads, open recoveries, alarms", DeclareStatus},
    {"node", "list", "List the nodes and when they were last heard", DeclareNodeList},
    {"node", "show", "Show one node", DeclareNodeShow},
    {"node", "token", "Make a one-time token with which a node joins", DeclareNodeToken},
    {"node", "maintenance", "Tell the EM that a node's silence is intended, or no longer",
     DeclareNodeMaintenance},
    {"node", "drain", "Move away from a node what can be moved, or let it be used again",
     DeclareNodeDrain},
    {"node", "remove", "Take a node out of the estate and revoke its certificates",
     DeclareNodeRemove},
    {"workload", "list", "List the workloads, their state and their newest backup",
     DeclareWorkloadList},
    {"workload", "show", "Show one workload", DeclareWorkloadShow},
    {"workload", "restart", "Restart a workload where it is", DeclareWorkloadRestart},
    {"workload", "move", "Move a workload to another of its nodes without losing anything",
     DeclareWorkloadMove},
    {"workload", "hold", "Stop a workload and keep it stopped", DeclareWorkloadHold},
    {"workload", "release", "Let a held workload run again", DeclareWorkloadRelease},
    {"backup", "run", "Back a workload up now and print the backup's id", DeclareBackupRun},
    {"backup", "list", "List backups", DeclareBackupList},
    {"backup", "show", "Show one backup", DeclareBackupShow},
    {"backup", "files", "List what is in a backup, like ls -l", DeclareBackupFiles},
    {"backup", "cat", "Print a file as it is in a backup", DeclareBackupCat},
    {"backup", "diff", "Show what changed between two backups", DeclareBackupDiff},
    {"backup", "verify", "Read a backup back and check every byte", DeclareBackupVerify},
    {"backup", "pin", "Keep a backup whatever the retention rules say", DeclareBackupPin},
    {"backup", "unpin", "Give a backup back to the retention rules", DeclareBackupUnpin},
    {"backup", "delete", "Put a backup into its vault's trash", DeclareBackupDelete},
    {"backup", "undelete", "Take a backup back out of the trash", DeclareBackupUndelete},
    {"restore", "", "Restore a backup in place or elsewhere; what was there is kept",
     DeclareRestore},
    {"clean", "", "Remove the backups that no retention rule keeps, after showing them",
     DeclareClean},
    {"schedule", "next", "List the backups that come next", DeclareScheduleNext},
    {"vault", "list", "List the vaults and their space", DeclareVaultList},
    {"vault", "show", "Show one vault", DeclareVaultShow},
    {"vault", "check", "Look for missing and damaged data in a vault", DeclareVaultCheck},
    {"vault", "gc", "Free the space of what no backup needs any more", DeclareVaultGc},
    {"vault", "rebuild-index", "Make a vault's index anew from its packs",
     DeclareVaultRebuildIndex},
    {"vault", "replicate", "Copy into a vault what another one has and it lacks",
     DeclareVaultReplicate},
    {"vault", "ls", "List the backups in a vault's directory, with no EM and no agent",
     DeclareVaultLs},
    {"vault", "restore", "Restore from a vault's directory, with no EM and no agent",
     DeclareVaultRestore},
    {"recovery", "list", "List recoveries, open and past", DeclareRecoveryList},
    {"recovery", "show", "Show one recovery step by step", DeclareRecoveryShow},
    {"recovery", "approve", "Let a recovery that waits for approval go on", DeclareRecoveryApprove},
    {"recovery", "cancel", "Stop a recovery", DeclareRecoveryCancel},
    {"recovery", "plan", "Show what would happen if a workload or node died now",
     DeclareRecoveryPlan},
    {"recovery", "arm", "Let a controller that was made anew act", DeclareRecoveryArm},
    {"message", "send", "Send a message to a workload", DeclareMessageSend},
    {"message", "receive", "Take the oldest message that waits for a workload",
     DeclareMessageReceive},
    {"message", "list", "List the messages that wait", DeclareMessageList},
    {"beat", "", "The heartbeat of an application: call it while all is well", DeclareBeat},
    {"events", "", "Print what happened, oldest first", DeclareEvents},
    {"log", "verify", "Check that no event was changed or removed", DeclareLogVerify},
    {"doctor", "", "Check this machine: what Ember needs, and what to do where it lacks",
     DeclareDoctor},
    {"version", "", "Print the version", DeclareVersion},
    {"completion", "", "Print the completion script of a shell", DeclareCompletion},
};

}  // namespace

absl::Span<const Command> Commands() { return kCommands; }

std::string NameOf(const Command& command) {
  return *command.verb == '\0' ? std::string(command.noun)
                               : absl::StrCat(command.noun, " ", command.verb);
}

}  // namespace ember::cli
