#include "node-agent/orders/runner.h"

#include <utility>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace ember::agent {
namespace {

void SetResult(const v1::Order& order, const absl::Status& result, v1::OrderUpdate* update) {
  update->set_order_id(order.id());
  update->set_state(result.ok() ? v1::OrderUpdate::DONE : v1::OrderUpdate::FAILED);
  if (result.ok()) return;
  update->set_code(static_cast<int32_t>(result.code()));
  update->set_error(std::string(result.message()));
}

}  // namespace

OrderRunner::OrderRunner(Ports ports) : ports_(std::move(ports)) {
  absl::MutexLock lock(&mu_);
  for (v1::Order& order : ports_.ledger->OpenOrders()) {
    ports_.actions->Accepted(order);
    if (order.offline()) {
      queue_.Push(std::move(order));
    } else {
      accepted_.push_back(std::move(order));
    }
  }
}

OrderRunner::~OrderRunner() { Stop(); }

void OrderRunner::Run() {
  for (int i = 0; i < kOrdersAtOnce; ++i) threads_.emplace_back([this] { Work(Lane::kLong); });
  for (int i = 0; i < kPromptOrdersAtOnce; ++i)
    threads_.emplace_back([this] { Work(Lane::kPrompt); });
  for (int i = 0; i < kVaultOrdersAtOnce; ++i)
    threads_.emplace_back([this] { Work(Lane::kVault); });
  for (int i = 0; i < kFenceOrdersAtOnce; ++i)
    threads_.emplace_back([this] { Work(Lane::kFence); });
}

void OrderRunner::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (!stop_.HasBeenNotified()) stop_.Notify();
    for (auto& [id, running] : running_) running->cancelled = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

absl::Status OrderRunner::Accept(const v1::Order& order) {
  EMBER_ASSIGN_OR_RETURN(const bool is_new, ports_.ledger->Accept(order));
  if (!is_new) return absl::OkStatus();
  LogInfo("orders", "accepted", {{"order", order.id()}, {"workload", order.workload()}});
  ports_.actions->Accepted(order);
  absl::MutexLock lock(&mu_);
  accepted_.push_back(order);
  return absl::OkStatus();
}

absl::Status OrderRunner::Begin(const v1::Order& order) {
  EMBER_ASSIGN_OR_RETURN(const bool is_new, ports_.ledger->Accept(order));
  if (!is_new) return absl::OkStatus();
  LogInfo("orders", "begun without a controller",
          {{"order", order.id()}, {"workload", order.workload()}});
  ports_.actions->Accepted(order);
  absl::MutexLock lock(&mu_);
  queue_.Push(order);
  return absl::OkStatus();
}

void OrderRunner::Release() {
  absl::MutexLock lock(&mu_);
  for (v1::Order& order : accepted_) queue_.Push(std::move(order));
  accepted_.clear();
}

void OrderRunner::Cancel(const std::string& id) {
  std::optional<v1::Order> waiting;
  {
    absl::MutexLock lock(&mu_);
    if (const auto running = running_.find(id); running != running_.end())
      running->second->cancelled = true;
    waiting = queue_.Remove(id);
  }
  if (!waiting.has_value()) return;
  const absl::Status result = absl::CancelledError("cancelled before it began");
  v1::OrderUpdate update;
  SetResult(*waiting, result, &update);
  const absl::Status stored = ports_.ledger->Finish(update);
  if (stored.ok()) return Announce(*waiting, result, false);
  // Beats must not wait for room on the disk: the controller says it again with the next one.
  LogError("orders", "a cancellation cannot be stored",
           {{"order", id}, {"error", stored.ToString()}});
  absl::MutexLock lock(&mu_);
  queue_.Push(*std::move(waiting));
}

void OrderRunner::Work(Lane lane) {
  while (true) {
    std::optional<v1::Order> order;
    {
      absl::MutexLock lock(&mu_);
      const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || queue_.HasNext(lane);
      };
      mu_.Await(absl::Condition(&ready));
      if (stopping_) return;
      order = queue_.Next(lane);
      running_[order->id()] = std::make_shared<Running>();
    }
    Execute(*order);
    absl::MutexLock lock(&mu_);
    running_.erase(order->id());
    queue_.Finished(order->id());
  }
}

// Verifying, listing, restoring elsewhere and work on a vault touch nothing that a placement owns.
absl::Status OrderRunner::CheckEpoch(const v1::Order& order) {
  if (order.has_verify() || order.has_vault() || order.has_list_files() || order.has_diff() ||
      order.has_read_file() || order.has_fence() ||
      (order.has_restore() && !RestoresInPlace(order)))
    return absl::OkStatus();
  return ports_.epochs->Raise(order.workload(), order.epoch());
}

void OrderRunner::Execute(const v1::Order& order) {
  std::shared_ptr<Running> running;
  {
    absl::MutexLock lock(&mu_);
    running = running_.at(order.id());
  }
  if (const absl::Status epoch = CheckEpoch(order); !epoch.ok()) {
    Finish(order, epoch, false, v1::OrderUpdate());
    return;
  }
  OrderContext context;
  context.cancelled = &running->cancelled;
  context.progress = [this, running, id = order.id()](const v1::Progress& progress) {
    absl::MutexLock lock(&running->mu);
    const absl::Duration now = ports_.clock->Monotonic();
    if (now - running->reported < absl::Milliseconds(kProgressMillis)) return;
    running->reported = now;
    ports_.ledger->Report(id, progress);
  };
  context.progress(v1::Progress());
  v1::OrderUpdate update;
  const absl::Status result = ports_.actions->Do(order, context, &update);
  Finish(order, result, true, std::move(update));
}

void OrderRunner::Finish(const v1::Order& order, const absl::Status& result, bool begun,
                         v1::OrderUpdate update) {
  {
    absl::MutexLock lock(&mu_);
    // What fails because this process ends has not failed.
    if (stopping_ && !result.ok()) return;
  }
  SetResult(order, result, &update);
  // Not durable, not reported. Disks get room again; and an agent that ends first leaves the order
  // open.
  for (absl::Status stored = ports_.ledger->Finish(update); !stored.ok();
       stored = ports_.ledger->Finish(update)) {
    LogError("orders", "a result cannot be stored",
             {{"order", order.id()}, {"error", stored.ToString()}});
    if (ports_.clock->Sleep(absl::Seconds(kResultRetrySeconds), stop_)) return;
  }
  Announce(order, result, begun);
}

void OrderRunner::Announce(const v1::Order& order, const absl::Status& result, bool begun) {
  if (result.ok()) {
    LogInfo("orders", "done", {{"order", order.id()}});
  } else {
    LogWarning("orders", "failed", {{"order", order.id()}, {"error", result.ToString()}});
  }
  ports_.actions->Over(order, begun);
  ports_.urgent();
}

}  // namespace ember::agent
