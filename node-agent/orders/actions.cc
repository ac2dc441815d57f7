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

template <typename Result>
absl::Status Take(absl::StatusOr<Result> result, Result* into) {
  if (result.ok()) *into = *std::move(result);
  return result.status();
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

  absl::Status Do(const v1::Order& order, const OrderContext& context,
                  v1::OrderUpdate* update) override {
    switch (order.action_case()) {
      case v1::Order::kBackup:
        return Take(RunBackup(order, plane_, context), update->mutable_backup());
      case v1::Order::kRestore:
        if (RestoresInPlace(order))
          EMBER_RETURN_IF_ERROR(supervisor_->StopForRestore(order.workload()));
        return Take(RunRestore(order, plane_, context), update->mutable_restore());
      case v1::Order::kVerify: return RunVerify(order, plane_, context, update->mutable_verify());
      case v1::Order::kVault:
        return Take(RunVaultJob(order, plane_, context), update->mutable_vault());
      case v1::Order::kListFiles:
        return Take(RunListFiles(order, plane_, context), update->mutable_files());
      case v1::Order::kReadFile:
        return Take(RunReadFile(order, plane_, context), update->mutable_part());
      case v1::Order::kDiff: return Take(RunDiff(order, plane_, context), update->mutable_diff());
      case v1::Order::kStart:
        return supervisor_->Start(order.workload(), order.epoch(), order.start());
      case v1::Order::kStop: return supervisor_->Stop(order.workload());
      case v1::Order::kFence:
        return Take(RunFence(order.fence(), context), update->mutable_fence());
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
