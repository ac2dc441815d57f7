#include "controller/fleet/observing.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

uint64_t HighestEpochHeard(const EmState& em) ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  uint64_t highest = 0;
  for (const auto& [name, heard] : em.board.nodes)
    highest = std::max(highest, heard.controller_epoch);
  return highest;
}

// Where a workload was heard to be in its latest epoch; of two copies in one, the one that runs.
struct Placement {
  std::string node;
  uint64_t epoch = 0;
  bool running = false;
};

std::map<std::string, Placement> PlacementsHeard(const EmState& em)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  std::map<std::string, Placement> placements;
  for (const auto& [node, heard] : em.board.nodes) {
    for (const auto& [workload, told] : heard.workloads) {
      Placement& latest = placements[workload];
      const v1::WorkloadFact& fact = told.fact;
      if (fact.epoch() < latest.epoch) continue;
      if (fact.epoch() == latest.epoch && (latest.running || !fact.running())) continue;
      latest = {node, fact.epoch(), fact.running()};
    }
  }
  return placements;
}

// What the export did not know yet: the workload as it was placed since.
bool Correct(const Placement& heard, rec::WorkloadRecord* record) {
  const bool later = heard.epoch > record->epoch();
  const bool elsewhere =
      heard.running && heard.epoch == record->epoch() && heard.node != record->node();
  if (!later && !elsewhere) return false;
  record->set_epoch(heard.epoch);
  if (heard.running) record->set_node(heard.node);
  return true;
}

}  // namespace

absl::Status NoticeSuccessor(EmState& em) {
  const rec::MetaRecord& now = em.catalog->meta();
  if (now.observing()) return absl::OkStatus();
  int nodes = 0;
  int later = 0;
  for (const auto& [name, node] : em.catalog->nodes()) {
    if (node.revoked()) continue;
    ++nodes;
    const auto heard = em.board.nodes.find(name);
    if (heard != em.board.nodes.end() && heard->second.controller_epoch > now.em_epoch()) ++later;
  }
  // One agent alone could say so with a stolen certificate.
  if (later * 2 <= nodes) return absl::OkStatus();
  rec::MetaRecord meta = now;
  meta.set_observing(true);
  Batch batch;
  batch.Put(meta);
  batch.AddEvent("em.superseded", "em",
                 absl::StrCat("the nodes follow a controller of epoch ", HighestEpochHeard(em),
                              ", this one is of ", now.em_epoch(), ": it decides nothing"));
  return em.Commit(batch);
}

absl::Status RefuseWhileObserving(const EmState& em) {
  if (!em.catalog->meta().observing()) return absl::OkStatus();
  return WithHint(
      absl::FailedPreconditionError(
          "this controller only observes: it was made anew, or another one took its place"),
      "see `ember status`, then `ember recovery arm`");
}

absl::StatusOr<v1::ArmReply> Arm(EmState& em, const std::string& who, bool confirmed) {
  if (!em.catalog->meta().observing()) {
    return WithHint(absl::FailedPreconditionError("this controller is armed already"),
                    "ember status");
  }
  v1::ArmReply reply;
  for (const auto& [name, node] : em.catalog->nodes()) {
    if (node.revoked()) continue;
    *(em.board.nodes.count(name) > 0 ? reply.add_heard() : reply.add_unheard()) = name;
  }
  Batch batch;
  rec::MetaRecord meta = em.catalog->meta();
  for (const auto& [name, placement] : PlacementsHeard(em)) {
    meta.set_epoch_floor(std::max(meta.epoch_floor(), placement.epoch));
    const auto known = em.catalog->workloads().find(name);
    if (known == em.catalog->workloads().end()) {
      if (placement.running)
        reply.add_corrected(absl::StrCat(name, " runs on ", placement.node,
                                         " and is not in the estate: it will be stopped"));
      continue;
    }
    rec::WorkloadRecord record = known->second;
    if (!Correct(placement, &record)) continue;
    batch.Put(record);
    reply.add_corrected(absl::StrCat(name, " is on ", record.node(), " in epoch ", record.epoch(),
                                     "; the catalog had ", known->second.node(), " in ",
                                     known->second.epoch()));
  }
  if (!confirmed) return reply;
  meta.set_observing(false);
  meta.set_em_epoch(std::max(meta.em_epoch(), HighestEpochHeard(em)) + 1);
  batch.Put(meta);
  batch.AddEvent("em.armed", "em",
                 absl::StrCat("by ", who, ", as epoch ", meta.em_epoch(), "; heard ",
                              reply.heard_size(), " nodes, not heard ", reply.unheard_size()));
  EMBER_RETURN_IF_ERROR(em.Commit(batch));
  // Nobody is judged by what was not listened for.
  em.board.trusted_from = em.clock->Monotonic();
  em.news = true;
  reply.set_armed(true);
  return reply;
}

}  // namespace ember::controller
