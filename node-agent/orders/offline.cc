#include "node-agent/orders/offline.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"

namespace ember::agent {
namespace {

v1::Order OrderFor(const v1::Assignment& assignment, const v1::OfflineBackup& item) {
  v1::Order order;
  order.set_id(OfflineOrderId(item.backup_id()));
  order.set_workload(assignment.spec().name());
  order.set_epoch(assignment.epoch());
  order.set_offline(true);
  v1::BackupOrder* backup = order.mutable_backup();
  backup->set_backup_id(item.backup_id());
  *backup->mutable_spec() = assignment.spec();
  *backup->mutable_vault() = item.vault();
  *backup->mutable_domain() = assignment.offline().domain();
  *backup->mutable_grant() = item.grant();
  backup->set_reason(absl::StrCat("schedule ", item.policy(), ", without the controller"));
  return order;
}

}  // namespace

std::vector<v1::Order> DueOffline(const v1::NodeConfig& config, absl::Time now) {
  std::vector<v1::Order> due;
  for (const v1::Assignment& assignment : config.workloads()) {
    std::map<std::string, const v1::OfflineBackup*> newest;  // by policy
    for (const v1::OfflineBackup& item : assignment.offline().items()) {
      const absl::Time at = rpc::FromTimestamp(item.due());
      const v1::OfflineBackup*& best = newest[item.policy()];
      if (at <= now && (best == nullptr || rpc::FromTimestamp(best->due()) < at)) best = &item;
    }
    for (const auto& [policy, item] : newest) {
      if (item != nullptr) due.push_back(OrderFor(assignment, *item));
    }
  }
  return due;
}

absl::Duration OfflineAfter(const v1::Settings& settings) {
  return absl::Seconds(settings.dead_after_seconds() > 0 ? settings.dead_after_seconds()
                                                         : kDeadSeconds);
}

}  // namespace ember::agent
