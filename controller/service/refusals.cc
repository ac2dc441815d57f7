#include "controller/service/refusals.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/limits.h"
#include "common/base/log.h"

namespace ember::controller {

void NoteRefusal(EmState& em, const std::string& who, absl::string_view what) {
  const std::string key = absl::StrCat(who, " ", what);
  const absl::Duration now = em.clock->Monotonic();
  std::erase_if(em.refusals, [&](const auto& each) { return each.second <= now; });
  // So many at once are an attack: what is written already shows it.
  if (em.refusals.size() >= kRefusalsRemembered) return;
  if (!em.refusals.emplace(key, now + absl::Seconds(kRefusedEventSeconds)).second) return;
  Batch batch;
  batch.AddEvent("peer.refused", who, what);
  if (absl::Status status = em.Commit(batch); !status.ok())
    LogError("gate", "event lost", {{"error", status.message()}});
}

}  // namespace ember::controller
