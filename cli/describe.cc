#include "cli/describe.h"

#include "absl/strings/str_cat.h"
#include "cli/format.h"

namespace ember::cli {
namespace {

// A value that this build has no name for comes from a newer EM.
std::string NameOr(const std::string& name) { return name.empty() ? "?" : name; }

}  // namespace

Cell NodeStateCell(const v1::Node& node) {
  std::string text = NameOr(v1::NodeState::Value_Name(node.state()));
  if (node.maintenance()) return {text + " (maintenance)", Style::kWarning};
  if (node.drained()) text += " (drained)";
  switch (node.state()) {
    case v1::NodeState::ALIVE: return {text, Style::kGood};
    case v1::NodeState::SUSPECT:
    case v1::NodeState::UNREACHABLE: return {text, Style::kWarning};
    case v1::NodeState::DEAD: return {text, Style::kBad};
    default: return {text};
  }
}

Cell WorkloadStateCell(const v1::Workload& workload) {
  const std::string text = NameOr(v1::WorkloadState::Value_Name(workload.state()));
  switch (workload.state()) {
    case v1::WorkloadState::RUNNING: return {text, Style::kGood};
    case v1::WorkloadState::SUSPECT:
    case v1::WorkloadState::RECOVERING:
    case v1::WorkloadState::HELD: return {text, Style::kWarning};
    case v1::WorkloadState::DEAD:
    case v1::WorkloadState::ESCALATED:
    case v1::WorkloadState::QUARANTINED: return {text, Style::kBad};
    default: return {text};
  }
}

Cell RecoveryStateCell(const v1::Recovery& recovery) {
  const std::string text = NameOr(v1::RecoveryState::Value_Name(recovery.state()));
  switch (recovery.state()) {
    case v1::RecoveryState::DONE: return {text, Style::kGood};
    case v1::RecoveryState::ESCALATED: return {text, Style::kBad};
    case v1::RecoveryState::CANCELLED: return {text};
    default: return {text, Style::kWarning};
  }
}

Cell OutcomeCell(v1::Outcome::Value outcome) {
  const std::string text = NameOr(v1::Outcome::Value_Name(outcome));
  switch (outcome) {
    case v1::Outcome::OK: return {text, Style::kGood};
    case v1::Outcome::PARTIAL: return {text, Style::kWarning};
    case v1::Outcome::FAILED: return {text, Style::kBad};
    default: return {text};
  }
}

std::string VerifiedText(const v1::Backup& backup) {
  return !backup.verified()                ? "no"
         : backup.verified_level().empty() ? "yes"
                                           : backup.verified_level();
}

Cell RpoCell(const v1::Workload& workload) {
  const double age = workload.last_backup_age_seconds();
  const std::string text = age < 0 ? "never" : FormatRough(absl::Seconds(age));
  if (workload.rpo_seconds() <= 0) return {text};
  const std::string rpo =
      absl::StrCat(text, " / ", FormatRough(absl::Seconds(workload.rpo_seconds())));
  return workload.rpo_met() ? Cell(rpo + " ok", Style::kGood) : Cell(rpo + " LATE", Style::kBad);
}

Cell RtoCell(const v1::Workload& workload) {
  const std::string rto = workload.rto_seconds() > 0
                              ? FormatRough(absl::Seconds(workload.rto_seconds()))
                              : std::string();
  // 0 is what an EM sends that never measured one.
  if (workload.last_recovery_seconds() <= 0) return {rto};
  const std::string last =
      absl::StrCat("last ", FormatExact(absl::Seconds(workload.last_recovery_seconds())));
  if (rto.empty()) return {last};
  const std::string both = absl::StrCat(rto, ", ", last);
  return workload.rto_met() ? Cell(both + " ok", Style::kGood) : Cell(both + " LATE", Style::kBad);
}

Table NodeTable(const Context& context, const google::protobuf::RepeatedPtrField<v1::Node>& nodes) {
  Table table({{"NODE", false, true},
               {"STATE"},
               {"LAST BEAT"},
               {"VERSION"},
               {"ADDRESS"},
               {"WORKLOADS", true}});
  for (const v1::Node& node : nodes) {
    table.Add({node.name(), NodeStateCell(node), FormatAge(context, node.last_beat()),
               node.version(), node.address(), absl::StrCat(node.workloads_size())});
  }
  return table;
}

Table WorkloadTable(const google::protobuf::RepeatedPtrField<v1::Workload>& workloads) {
  Table table(
      {{"WORKLOAD", false, true}, {"STATE"}, {"NODE"}, {"BACKUP AGE / RPO"}, {"RTO"}, {"MESSAGE"}});
  for (const v1::Workload& workload : workloads) {
    table.Add({workload.name(), WorkloadStateCell(workload), workload.node(), RpoCell(workload),
               RtoCell(workload), workload.message()});
  }
  return table;
}

Table RecoveryTable(const Context& context,
                    const google::protobuf::RepeatedPtrField<v1::Recovery>& recoveries) {
  Table table({{"RECOVERY", false, true},
               {"WORKLOAD"},
               {"STATE"},
               {"NODE"},
               {"TARGET"},
               {"STARTED"},
               {"TOOK", true},
               {"CAUSE"}});
  for (const v1::Recovery& recovery : recoveries) {
    const std::string took = recovery.has_ended() && recovery.total_seconds() > 0
                                 ? FormatExact(absl::Seconds(recovery.total_seconds()))
                                 : std::string();
    table.Add({recovery.id(), recovery.workload(), RecoveryStateCell(recovery), recovery.node(),
               recovery.target(), FormatAge(context, recovery.started()), took, recovery.cause()});
  }
  return table;
}

std::string NextCommands(const google::protobuf::RepeatedPtrField<v1::Recovery>& recoveries) {
  std::string lines;
  for (const v1::Recovery& recovery : recoveries) {
    if (recovery.next_command().empty()) continue;
    absl::StrAppend(&lines, Escape(recovery.id()), ": ", Escape(recovery.next_command()), "\n");
  }
  return lines;
}

std::string EscalationText(const google::protobuf::RepeatedPtrField<std::string>& diagnostics,
                           const std::string& next_command) {
  std::string text = diagnostics.empty() ? "" : "\ndiagnostics:\n";
  for (const std::string& line : diagnostics) absl::StrAppend(&text, "  ", Escape(line), "\n");
  if (!next_command.empty()) absl::StrAppend(&text, "\nnext: ", Escape(next_command), "\n");
  return text;
}

Table VaultTable(const google::protobuf::RepeatedPtrField<v1::Vault>& vaults) {
  Table table({{"VAULT", false, true},
               {"STATE"},
               {"NODE"},
               {"PATH"},
               {"USED", true},
               {"FREE", true},
               {"BACKUPS", true},
               {"OFFSITE"}});
  for (const v1::Vault& vault : vaults) {
    table.Add({vault.name(), vault.state(), vault.node(), vault.path(),
               FormatBytes(vault.used_bytes()), FormatBytes(vault.free_bytes()),
               absl::StrCat(vault.backups()), vault.offsite() ? "yes" : "no"});
  }
  return table;
}

}  // namespace ember::cli
