#include "cli/verbs/recovery_bundle.h"

#include "cli/event_pages.h"
#include "cli/json.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

// Enough for the days before an escalation in an estate of twenty machines.
constexpr size_t kBundleEventsMax = 2000;

}  // namespace

absl::Status WriteRecoveryBundle(const Context& context, Client& client,
                                 const v1::Recovery& recovery, const std::string& file) {
  nlohmann::ordered_json bundle;
  const auto add = [&](const char* name, auto method, const auto& request) -> absl::Status {
    EMBER_ASSIGN_OR_RETURN(const auto reply, client.Call(method, request));
    bundle[name] = ToJson(reply);
    return absl::OkStatus();
  };
  bundle["version"] = kVersion;
  bundle["made"] = absl::FormatTime(absl::RFC3339_sec, context.clock->Now(), absl::UTCTimeZone());
  bundle["recovery"] = ToJson(recovery);
  v1::GetWorkloadRequest workload;
  workload.set_name(recovery.workload());
  const absl::Status known = add("workload", &Fleet::GetWorkload, workload);
  if (!known.ok() && !absl::IsNotFound(known)) return known;  // it may have left the estate
  v1::ListRecoveriesRequest earlier;
  earlier.set_workload(recovery.workload());
  EMBER_RETURN_IF_ERROR(add("recoveries", &Recoveries::ListRecoveries, earlier));
  v1::ListBackupsRequest backups;
  backups.set_workload(recovery.workload());
  EMBER_RETURN_IF_ERROR(add("backups", &Protection::ListBackups, backups));
  EMBER_RETURN_IF_ERROR(add("status", &Estate::Status, v1::StatusRequest()));
  v1::ListEventsRequest events;
  events.set_limit(kEventsPerReplyMax);
  EMBER_ASSIGN_OR_RETURN(const v1::ListEventsReply past,
                         CollectEvents(client, events, kBundleEventsMax));
  bundle["events"] = ToJson(past);
  return Annotate(WriteFileAtomic(file, JsonText(bundle)), file);
}

}  // namespace ember::cli
