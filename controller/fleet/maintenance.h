// Maintenance of a node or of the whole estate: the same two fields of NodeRecord and FreezeRecord.
#ifndef EMBER_CONTROLLER_FLEET_MAINTENANCE_H_
#define EMBER_CONTROLLER_FLEET_MAINTENANCE_H_

#include "absl/time/time.h"
#include "common/rpc/convert.h"
#include "ember/v1/control.pb.h"

namespace ember::controller {

template <typename Record>
void WriteMaintenance(const v1::SetMaintenanceRequest& request, absl::Time now, Record* record) {
  record->set_maintenance(request.on());
  record->clear_maintenance_until();
  if (request.on() && request.for_seconds() > 0) {
    *record->mutable_maintenance_until() =
        rpc::ToTimestamp(now + absl::Seconds(request.for_seconds()));
  }
}

// True when its time was over, and it has ended by this.
template <typename Record>
bool EndMaintenanceInTime(absl::Time now, Record* record) {
  if (!record->maintenance() || !record->has_maintenance_until() ||
      rpc::FromTimestamp(record->maintenance_until()) > now)
    return false;
  record->set_maintenance(false);
  record->clear_maintenance_until();
  return true;
}

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_MAINTENANCE_H_
