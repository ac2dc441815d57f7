// The recovery of one workload as a durable state machine. Pure: a record and what is known go in;
// the next record, at most one order, and what changes about the workload come out, to be written
// in one batch.
//
//   DETECTED → FENCING → PLANNED → (APPROVAL) → RESTORING → STARTING → VERIFYING → DONE | ESCALATED
//   from any open state: FROZEN (and back), CANCELLED by a person
//
// A move that is planned takes the same states until something is begun at its target; there
// DETECTED means that it runs, FENCING that it is being stopped, PLANNED that it is stopped
// (planned_move.h). Called off it is CANCELLED.
//
// Candidates in order: restart in place, newest good backup in place, a standby node, the previous
// backup in place. A failed candidate is remembered and the next one is tried. Every open state
// ends: DONE, ESCALATED or CANCELLED.
#ifndef EMBER_CONTROLLER_RECOVER_SAGA_H_
#define EMBER_CONTROLLER_RECOVER_SAGA_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controller/recover/fence_command.h"
#include "controller/recover/judge.h"
#include "ember/record/v1/records.pb.h"

namespace ember::controller {

struct BackupChoice {
  std::string id;
  absl::Time created;
  v1::VaultAddress vault;
  std::string domain_id;
  bool reachable = false;  // its vault's node is ALIVE
  int64_t size_bytes = 0;
};

// What a node has room for; 0: not known.
struct Room {
  int64_t memory_bytes = 0;
  int64_t data_bytes = 0;  // where the workload's data would be

  // For another workload that is on its way there.
  void Take(int64_t memory, int64_t data) {
    const auto take = [](int64_t bytes, int64_t* from) {
      if (*from > 0) *from = std::max<int64_t>(1, *from - bytes);  // none is "not known"
    };
    take(memory, &memory_bytes);
    take(data, &data_bytes);
  }
};

// A backup that a recovery waits for.
struct AwaitedRun {
  bool ended = false;
  std::string backup_id;
  std::string error;
};

struct RecoveryView {
  absl::Time now;
  bool frozen = false;       // nothing may be begun
  bool maintenance = false;  // because a person said so
  v1::WorkloadSpec spec;
  record::v1::WorkloadRecord workload;
  std::map<std::string, v1::NodeState::Value> nodes;
  absl::Time gone_since = absl::InfinitePast();  // since when its node has been in its state
  WorkloadJudgement judgement;                   // of the instance at the present placement
  std::optional<v1::WorkloadFact> fact;          // the same, raw
  absl::Time fact_heard = absl::InfinitePast();
  std::vector<std::string> unmet_dependencies;
  std::vector<std::string> escalated_dependencies;
  std::vector<BackupChoice> backups;            // good ones (OK and verified), newest first
  std::optional<v1::OrderUpdate> order_result;  // of `order_id`, when finished
  bool slot_free = true;                        // room for one more restore in the estate
  std::map<std::string, int> restoring_to;      // how many restores go to a node
  std::map<std::string, int> restoring_from;    // and read a vault
  std::map<std::string, std::string>
      places;                     // of the workloads that it must be with, or apart from
  std::set<std::string> moving;   // those of them that are being recovered
  std::set<std::string> drained;  // nodes that nothing is moved to
  std::map<std::string, Room> rooms;
  AwaitedRun run;                 // of `run_id`
  bool fence_by_lease = false;    // the node to be fenced has stopped what fences itself
  bool fence_unprovable = false;  // and nobody will ever know whether it has
  FenceCommand fence_command;     // of that node

  // UNKNOWN when there is no such node.
  v1::NodeState::Value StateOf(const std::string& node) const {
    const auto it = nodes.find(node);
    return it == nodes.end() ? v1::NodeState::UNKNOWN : it->second;
  }
  bool IsAlive(const std::string& node) const { return StateOf(node) == v1::NodeState::ALIVE; }
};

struct RecoveryEvent {
  std::string type;
  std::string message;
};

struct RecoveryStepResult {
  bool changed = false;
  record::v1::RecoveryRecord recovery;
  record::v1::WorkloadRecord workload;
  std::optional<v1::Order> order;  // for `order_node`
  std::string order_node;
  bool order_done = false;      // the finished order of the input was consumed
  std::string abandoned_order;  // an order whose result no longer matters
  bool start_again = false;     // at its place: it was stopped for a move that is called off
  std::string backup_reason;    // not empty: a backup is to be made, and waited for
  std::vector<RecoveryEvent> events;
};

// A new recovery in DETECTED. `died` is the last time the workload was known healthy.
record::v1::RecoveryRecord NewRecovery(const std::string& id, const v1::WorkloadSpec& spec,
                                       const record::v1::WorkloadRecord& workload,
                                       absl::string_view cause, absl::Time died, absl::Time now,
                                       bool node_death);

// A move to `target` that nobody's death is the cause of, in DETECTED.
record::v1::RecoveryRecord NewMove(const std::string& id, const v1::WorkloadSpec& spec,
                                   const record::v1::WorkloadRecord& workload,
                                   const std::string& target, absl::string_view cause,
                                   absl::Time now);

// One step. Unchanged input gives an unchanged result: safe to repeat.
RecoveryStepResult AdvanceRecovery(const record::v1::RecoveryRecord& recovery,
                                   const RecoveryView& view);

// Ends an open recovery of which nothing may be tried. `why` for the owner.
RecoveryStepResult EscalateRecovery(const record::v1::RecoveryRecord& recovery,
                                    const RecoveryView& view, const std::string& why);

// The workload is about to go to `target`. Unless everything at its place was just backed up, or
// nothing is there, what stays behind differs from what is restored elsewhere, and is all that
// there is of the time since that backup.
void NoteLeftData(const record::v1::RecoveryRecord& recovery, const RecoveryView& view,
                  const std::string& target, record::v1::WorkloadRecord* workload);

// One that has ended waits for nobody any more.
void CloseEscalation(record::v1::RecoveryRecord* recovery, absl::string_view why, absl::Time now);

// What the next candidate would be, for `recovery plan`.
struct Candidate {
  enum Kind { kTry, kWait, kGiveUp } kind = kGiveUp;
  record::v1::Candidate::Value action = record::v1::Candidate::NONE;
  std::string target;
  BackupChoice backup;
  std::string reason;  // why it waits or gives up, or what approval is about
  bool needs_approval = false;
  absl::Duration data_loss;  // of its backup
  bool blocked = false;  // kGiveUp only because a dependency was escalated or a vault's node away
};
Candidate ChooseCandidate(const record::v1::RecoveryRecord& recovery, const RecoveryView& view);

// Why it must not move to `node` with `backup_bytes` of data; empty when it may.
std::string RuledOut(const RecoveryView& view, const std::string& node, int64_t backup_bytes);

// A person said yes to this very candidate.
bool IsApproved(const record::v1::RecoveryRecord& recovery, const Candidate& candidate);

// True when a silent node is sure to stop it, or when it may run twice.
bool FencesItselfWhenSilent(const v1::WorkloadSpec& spec,
                            const record::v1::WorkloadRecord& workload);

// In words for the owner.
std::string DependencyGivenUp(const std::vector<std::string>& names);
std::string WaitsForDependencies(const std::vector<std::string>& names);

// What was written in this time before the death is lost.
std::string LossText(absl::Duration loss);

bool IsOpen(v1::RecoveryState::Value state);
absl::string_view ActionText(record::v1::Candidate::Value action);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_SAGA_H_
