// Everything the controller decides upon, behind one lock: the catalog (durable) and the board
// (heard).
#ifndef EMBER_CONTROLLER_EM_STATE_H_
#define EMBER_CONTROLLER_EM_STATE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "controller/catalog/catalog.h"
#include "controller/fleet/board.h"
#include "controller/identity/key_vault.h"

namespace ember::controller {

struct EmState {
  EmState(Clock* c, std::unique_ptr<Catalog> cat, std::unique_ptr<KeyVault> k)
      : clock(c), catalog(std::move(cat)), keys(std::move(k)) {}

  Clock* const clock;
  absl::Mutex mu;
  std::unique_ptr<Catalog> catalog ABSL_GUARDED_BY(mu) ABSL_PT_GUARDED_BY(mu);
  std::unique_ptr<KeyVault> keys ABSL_GUARDED_BY(mu) ABSL_PT_GUARDED_BY(mu);
  Board board ABSL_GUARDED_BY(mu);
  std::string advertise
      ABSL_GUARDED_BY(mu);  // HOST:PORT for tokens when the caller names none; may be empty
  // A fact arrived that the tick should look at now rather than at its next turn.
  bool news ABSL_GUARDED_BY(mu) = false;
  // Refusals that are in the log; until when they are not written again.
  std::map<std::string, absl::Duration> refusals ABSL_GUARDED_BY(mu);

  absl::Status Commit(const Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return catalog->Commit(batch, clock->Now());
  }
};

// An order for the outbox of `node`, not yet written.
record::v1::OrderRecord NewOrder(const EmState& em, const std::string& node, v1::Order order);

// The declared workload, vault or policy; null when the estate has none of that name.
const v1::WorkloadSpec* FindWorkload(const v1::Estate& estate, const std::string& name);
const v1::VaultSpec* FindVault(const v1::Estate& estate, const std::string& name);
const v1::PolicySpec* FindPolicy(const v1::Estate& estate, const std::string& name);

// True for an exclusive workload whose fail-over is automatic: it stops itself when cut off. Not in
// an estate of two nodes, where it could not be told from one whose peer is off: there a fence
// command proves what silence does not.
bool SelfFences(const v1::WorkloadSpec& spec, bool has_majority);
// It has nodes enough that one that is cut off can be told from one whose peers are.
bool HasFailoverMajority(const v1::Estate& estate);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_EM_STATE_H_
