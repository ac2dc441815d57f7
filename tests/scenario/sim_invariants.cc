#include "tests/scenario/sim_invariants.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ember::testing {

using v1::RecoveryState;

void SimInvariants::Complain(const std::string& when, const std::string& what) {
  violations_.push_back(absl::StrCat(when, ": ", what));
}

void SimInvariants::CheckActive(const std::string& when,
                                const std::function<int(const std::string&)>& active) {
  for (const v1::WorkloadSpec& spec : estate_.workloads()) {
    if (spec.recovery().class_() != v1::RecoverySpec::EXCLUSIVE) continue;
    const int count = active(spec.name());
    if (count > 1) Complain(when, absl::StrCat(spec.name(), " runs on ", count, " hosts"));
  }
}

void SimInvariants::CheckCatalog(const std::string& when, const controller::Catalog& catalog) {
  const bool frozen = catalog.freeze().frozen();
  if (frozen && !frozen_) ++freezes_;
  for (const auto& [id, recovery] : catalog.recoveries()) {
    // By what was seen, not by the controller's clock, which jumps. 0: in no freeze.
    began_in_.emplace(id, frozen && frozen_ ? freezes_ : 0);
    CheckRecovery(when, catalog, recovery);
    states_[id] = recovery.recovery().state();
  }
  frozen_ = frozen;
  CheckMessages(when, catalog);
}

void SimInvariants::CheckRecovery(const std::string& when, const controller::Catalog& catalog,
                                  const record::v1::RecoveryRecord& record) {
  const v1::Recovery& recovery = record.recovery();
  const RecoveryState::Value state = recovery.state();
  const bool acts = state == RecoveryState::RESTORING || state == RecoveryState::STARTING;
  // In place is where it was moved to with a proof.
  const auto candidate = record.candidate();
  const bool moves = candidate == record::v1::Candidate::RESTORE_STANDBY ||
                     candidate == record::v1::Candidate::START_STANDBY;
  if (moves && recovery.target() != recovery.node() && acts && !record.fence_proven())
    Complain(when, absl::StrCat(recovery.id(), " moves without a fence proof"));
  if (acts && catalog.freeze().frozen() && began_in_.at(recovery.id()) == freezes_)
    Complain(when, absl::StrCat(recovery.id(), " acts in a frozen estate"));
  const auto before = states_.find(recovery.id());
  const bool starts = state == RecoveryState::STARTING &&
                      (before == states_.end() || before->second != RecoveryState::STARTING);
  if (!starts) return;
  for (const v1::WorkloadSpec& spec : estate_.workloads()) {
    if (spec.name() != recovery.workload()) continue;
    for (const std::string& dependency : spec.depends_on()) {
      const auto needed = catalog.workloads().find(dependency);
      const bool verified = needed != catalog.workloads().end() &&
                            needed->second.state() == v1::WorkloadState::RUNNING;
      if (!verified) {
        Complain(when, absl::StrCat(recovery.id(), " starts ", recovery.workload(), " before ",
                                    dependency, " is verified"));
      }
    }
  }
}

// Ids are "SENDER-NUMBER", numbers from 1; they outlive the confirmation.
void SimInvariants::CheckMessages(const std::string& when, const controller::Catalog& catalog) {
  for (const auto& [key, record] : catalog.messages()) {
    const std::string& id = record.message().id();
    const size_t dash = id.rfind('-');
    int number = 0;
    if (dash == std::string::npos || !absl::SimpleAtoi(id.substr(dash + 1), &number)) continue;
    auto& [seq, last] = delivered_[id.substr(0, dash)];
    if (record.message().seq() <= seq) continue;
    if (number != last + 1) Complain(when, absl::StrCat("message ", id, " follows number ", last));
    seq = record.message().seq();
    last = number;
  }
}

}  // namespace ember::testing
