// What a recovery's table tests tell: a view, a record, and steps.
#ifndef EMBER_TESTS_UNIT_CONTROLLER_SAGA_STORY_H_
#define EMBER_TESTS_UNIT_CONTROLLER_SAGA_STORY_H_

#include <string>

#include "absl/status/status.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/recover/saga.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::controller {

namespace rec = record::v1;
using State = v1::RecoveryState;
using ::testing::HasSubstr;

inline const absl::Time kNow = absl::FromUnixSeconds(1767225600);

inline BackupChoice Backup(const std::string& id, absl::Duration age) {
  BackupChoice backup;
  backup.id = id;
  backup.created = kNow - age;
  backup.vault.set_name("main");
  backup.vault.set_node("nas");
  backup.reachable = true;
  return backup;
}

// A database on host1 with a standby, whose data is gone, and two good backups.
struct Story {
  RecoveryView view;
  rec::RecoveryRecord recovery;

  Story() {
    view.now = kNow;
    view.spec.set_name("db");
    view.spec.set_node("host1");
    view.spec.add_sources()->mutable_files()->add_paths("/srv/db");
    view.spec.mutable_recovery()->add_standby("host2");
    view.workload.set_name("db");
    view.workload.set_node("host1");
    view.workload.set_epoch(1);
    view.workload.set_self_fences(true);
    view.nodes = {{"host1", v1::NodeState::ALIVE},
                  {"host2", v1::NodeState::ALIVE},
                  {"nas", v1::NodeState::ALIVE}};
    view.judgement = {Health::kDead, "data is missing"};
    view.fact.emplace();
    view.fact->set_epoch(1);
    view.fact->set_data_missing(true);
    view.backups = {Backup("db/new", absl::Hours(1)), Backup("db/old", absl::Hours(25))};
    recovery = NewRecovery("r-1", view.spec, view.workload, "data is missing",
                           kNow - absl::Seconds(3), kNow, false);
  }

  RecoveryStepResult Step() {
    RecoveryStepResult result = AdvanceRecovery(recovery, view);
    recovery = result.recovery;
    view.workload = result.workload;
    view.order_result.reset();
    return result;
  }
  // Until nothing changes any more or an order leaves.
  RecoveryStepResult Run() {
    RecoveryStepResult last;
    for (int i = 0; i < 20; ++i) {
      last = Step();
      if (!last.changed || last.order) break;
    }
    return last;
  }
  void Answer(bool ok, const std::string& error = "",
              absl::StatusCode code = absl::StatusCode::kUnavailable) {
    view.order_result.emplace();
    if (!ok) view.order_result->set_code(static_cast<int>(code));
    view.order_result->set_state(ok ? v1::OrderUpdate::DONE : v1::OrderUpdate::FAILED);
    view.order_result->set_error(error);
  }
  void Healthy() {
    view.judgement = {Health::kHealthy, ""};
    view.fact->set_data_missing(false);
    view.fact->set_epoch(view.workload.epoch());
  }
  void Die() {
    view.nodes["host1"] = v1::NodeState::DEAD;
    view.fence_by_lease = true;
    view.fact.reset();
    view.judgement = {};
    recovery.set_node_death(true);
  }
  State::Value state() const { return recovery.recovery().state(); }
};

}  // namespace ember::controller

#endif  // EMBER_TESTS_UNIT_CONTROLLER_SAGA_STORY_H_
