#include "node-agent/orders/actions.h"

#include <utility>

#include "common/base/status.h"
#include "node-agent/service/run_command.h"

namespace ember::agent {
namespace {

absl::StatusOr<v1::FenceResult> RunFence(const v1::FenceOrder& fence, const OrderContext& context) {
  if (fence.command().empty() || fence.command(0).empty())
    return absl::InvalidArgumentError("the fence command is empty");
  v1::FenceResult result;
  EMBER_ASSIGN_OR_RETURN(*result.mutable_output(),
                         RunCommand({fence.command().begin(), fence.command().end()},
                                    absl::Seconds(fence.timeout_seconds()), context.cancelled));
  return result;
}

class HostActions final : public OrderActions {
 public:
  HostActions(Supervisor* supervisor, DataPlane plane)
      : supervisor_(supervisor), plane_(std::move(plane)) {}

  // From the moment a restore over a workload's data is promised, nothing starts on that data.
  void Accepted(const v1::Order& order) override {
    if (RestoresInPlace(order)) supervisor_->Suspend(order.workload());
  }

  void Over(const v1::Order& order, bool begun) override {
    if (RestoresInPlace(order)) supervisor_->Resume(order.workload(), begun);
  }

  absl::StatusOr<v1::OrderUpdate> Do(const v1::Order& order, const OrderContext& context) override {
    v1::OrderUpdate update;
    switch (order.action_case()) {
      case v1::Order::kBackup: {
        EMBER_ASSIGN_OR_RETURN(*update.mutable_backup(), RunBackup(order, plane_, context));
        return update;
      }
      case v1::Order::kRestore: {
        if (RestoresInPlace(order))
          EMBER_RETURN_IF_ERROR(supervisor_->StopForRestore(order.workload()));
        EMBER_ASSIGN_OR_RETURN(*update.mutable_restore(), RunRestore(order, plane_, context));
        return update;
      }
      case v1::Order::kVerify: {
        EMBER_ASSIGN_OR_RETURN(*update.mutable_verify(), RunVerify(order, plane_, context));
        return update;
      }
      case v1::Order::kVault: {
        EMBER_ASSIGN_OR_RETURN(*update.mutable_vault(), RunVaultJob(order, plane_, context));
        return update;
      }
      case v1::Order::kListFiles: {
        EMBER_ASSIGN_OR_RETURN(*update.mutable_files(), RunListFiles(order, plane_, context));
        return update;
      }
      case v1::Order::kStart:
        EMBER_RETURN_IF_ERROR(supervisor_->Start(order.workload(), order.epoch(), order.start()));
        return update;
      case v1::Order::kStop:
        EMBER_RETURN_IF_ERROR(supervisor_->Stop(order.workload()));
        return update;
      case v1::Order::kFence: {
        EMBER_ASSIGN_OR_RETURN(*update.mutable_fence(), RunFence(order.fence(), context));
        return update;
      }
      case v1::Order::ACTION_NOT_SET: break;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("order ", order.id(), " is of a kind this agent does not know"));
  }

 private:
  Supervisor* const supervisor_;
  const DataPlane plane_;
};

}  // namespace

std::unique_ptr<OrderActions> NewOrderActions(Supervisor* supervisor, DataPlane plane) {
  return std::make_unique<HostActions>(supervisor, std::move(plane));
}

}  // namespace ember::agent
