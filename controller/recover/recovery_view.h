// What the saga needs to know, out of catalog and board.
#ifndef EMBER_CONTROLLER_RECOVER_RECOVERY_VIEW_H_
#define EMBER_CONTROLLER_RECOVER_RECOVERY_VIEW_H_

#include <cstdint>
#include <map>
#include <string>

#include "controller/em_state.h"
#include "controller/fleet/failure_detector.h"
#include "controller/recover/saga.h"

namespace ember::controller {

// What all recoveries share in one pass over them: slots for restores, room on nodes, what the
// silence of a node proves. So that a pass over n of them takes n steps and not n².
class RecoveryPass {
 public:
  explicit RecoveryPass(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

  // It has changed, and is written.
  void Note(const EmState& em, const record::v1::RecoveryRecord& recovery)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
  LeaseFence FenceOf(const EmState& em, const std::string& node)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
  // What the others leave for the workload of `view`.
  void AddLoad(const EmState& em, RecoveryView* view) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

 private:
  // Of one recovery.
  struct Share {
    std::string target;
    std::string vault;
    bool restores = false;
    int64_t memory_bytes = 0;
    int64_t data_bytes = 0;
  };
  static Share ShareOf(const EmState& em, const record::v1::RecoveryRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
  void Count(const Share& share, int sign);

  std::map<std::string, Share> shares_;  // by recovery
  int restoring_ = 0;
  std::map<std::string, int> restoring_to_;
  std::map<std::string, int> restoring_from_;
  std::map<std::string, Room> taken_;  // by node
  std::map<std::string, LeaseFence> fences_;
};

// `recovery` may be a draft (preview).
RecoveryView ViewFor(const EmState& em, const v1::WorkloadSpec& spec,
                     const record::v1::RecoveryRecord& recovery, RecoveryPass* pass)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);
// For one alone.
RecoveryView ViewFor(const EmState& em, const v1::WorkloadSpec& spec,
                     const record::v1::RecoveryRecord& recovery)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_RECOVERY_VIEW_H_
