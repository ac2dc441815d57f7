// Backups, restores, verifications and jobs of vaults, asked for or due: from wish to order to
// result.
#ifndef EMBER_CONTROLLER_PROTECT_RUNS_H_
#define EMBER_CONTROLLER_PROTECT_RUNS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/em_state.h"

namespace ember::controller {

// Neither ended nor given up.
bool IsOpenRun(const record::v1::RunRecord& run);

// It reads or replaces the workload's own data.
bool TouchesData(const record::v1::RunRecord& run);

// Nothing happens in it, so no event tells of it: a comparison, a listing.
bool ChangesNothing(const record::v1::RunRecord& run);

// A fresh run in PENDING, not yet written. `kind` is as in Run.kind; `workload` may be empty.
record::v1::RunRecord NewRun(const EmState& em, absl::string_view kind, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Adds the runs whose schedule came due since they were last looked at. At most one per policy,
// however many instants were missed; and the jobs of vaults that are due.
absl::Status AddDueRuns(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The first instant later than `after` at which the policy's schedule is due; InfiniteFuture when
// it has none.
absl::Time NextDue(const v1::PolicySpec& policy, absl::Time after);

// The next runs of each scheduled policy, soonest first. NOT_FOUND: no such workload.
// INVALID_ARGUMENT: more than kNextRunsMax of each.
absl::StatusOr<v1::ListNextRunsReply> NextRuns(const EmState& em,
                                               const v1::ListNextRunsRequest& request)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// When the workload's next scheduled backup comes; InfiniteFuture when it has no schedule.
absl::Time NextBackup(const EmState& em, const v1::WorkloadSpec& spec)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Takes every open run one step: sends orders, records results, retries.
absl::Status AdvanceRuns(EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// A start outside any recovery (`cause`: what asked for it), not yet written. Its result is dropped
// by AdvanceRuns; a failure becomes an event.
record::v1::OrderRecord StartOrder(const EmState& em, const v1::WorkloadSpec& spec,
                                   const record::v1::WorkloadRecord& workload,
                                   absl::string_view cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Its vault took it, whole (OK) or with problems (PARTIAL).
bool IsStored(const v1::Backup& backup);

// When the vault received it: unlike the controller's own clock, that never goes back.
absl::Time ReceivedAt(const record::v1::BackupRecord& record);

// How old its data are; not negative.
absl::Duration AgeOf(const record::v1::BackupRecord& record, absl::Time now);

// The good backups (OK, read back, not in the trash, no orphans) of a workload, newest first by the
// vault's own time.
std::vector<const record::v1::BackupRecord*> GoodBackups(const EmState& em,
                                                         const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// id, name, WORKLOAD@latest, WORKLOAD@TIME (newest not after it; neither is ever one in the trash,
// or an orphan) or unique prefix.
absl::StatusOr<const record::v1::BackupRecord*> ResolveBackup(const EmState& em,
                                                              const std::string& text)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The newest good backup that was begun at `at` or before; of the workload that `text` names, or
// whose backup it names. NOT_FOUND: there is none that old.
absl::StatusOr<const record::v1::BackupRecord*> NewestGoodAt(const EmState& em,
                                                             const std::string& text, absl::Time at)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// How agents reach a vault; UNAVAILABLE when its node is not ALIVE.
absl::StatusOr<v1::VaultAddress> AddressOf(const EmState& em, const std::string& vault)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// What lets the workload's node store that backup in `vault`, in the workload's present epoch.
absl::StatusOr<v1::Signed> GrantFor(const EmState& em, const record::v1::WorkloadRecord& workload,
                                    const std::string& vault, const std::string& backup_id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// Lets `node` read what `order` is to read and another node stored: a backup, or all of a vault.
absl::Status GrantReading(const EmState& em, const std::string& node, v1::Order* order)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

// The record, in RUNNING and not yet written, of the backup that `run` makes on the workload's
// node.
record::v1::BackupRecord NewBackup(const record::v1::WorkloadRecord& workload,
                                   const std::string& vault, const record::v1::RunRecord& run);

// The keys of the domain that backups taken on `node` belong to; created at first need.
absl::StatusOr<v1::DomainKeys> DomainOf(EmState& em, const std::string& node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_PROTECT_RUNS_H_
