#include "controller/recover/fence_command.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"

namespace ember::controller {

namespace {

v1::NodeState::Value StateOf(const FenceView& view, const std::string& node) {
  const auto it = view.nodes.find(node);
  return it == view.nodes.end() ? v1::NodeState::UNKNOWN : it->second;
}

bool IsDead(const FenceView& view) { return view.node.state() == v1::NodeState::DEAD; }

// Those that can run it now, in the order of the estate.
std::vector<std::string> Ready(const FenceView& view) {
  std::vector<std::string> ready;
  for (const std::string& node : view.spec.from()) {
    if (StateOf(view, node) == v1::NodeState::ALIVE) ready.push_back(node);
  }
  return ready;
}

bool SomeMayReturn(const FenceView& view) {
  for (const std::string& node : view.spec.from()) {
    const v1::NodeState::Value state = StateOf(view, node);
    if (state == v1::NodeState::ALIVE || state == v1::NodeState::SUSPECT ||
        state == v1::NodeState::UNREACHABLE) {
      return true;
    }
  }
  return false;
}

// What ran there will never be heard of.
bool IsLost(v1::NodeState::Value state) {
  return state == v1::NodeState::DEAD || state == v1::NodeState::REVOKED ||
         state == v1::NodeState::UNKNOWN;
}

class Step {
 public:
  explicit Step(const FenceView& view) : view_(view) { out_.node = view.node; }

  FenceStep Run() {
    if (!IsDead(view_) || IsOfAnEarlierDeath()) {
      if (view_.node.has_fence()) Forget();
    } else if (!fence().order_id().empty()) {
      Await();
    } else if (view_.wanted && FenceCommandFrom(view_).open) {
      Begin();
    }
    return std::move(out_);
  }

 private:
  record::v1::NodeFence& fence() { return *out_.node.mutable_fence(); }

  std::string OrderPrefix() const {
    return absl::StrCat("fence/", view_.node.name(), "/", view_.node.state_since().seconds(), "/");
  }

  // It was back meanwhile: what ran before then proves nothing.
  bool IsOfAnEarlierDeath() const {
    const std::string& order = view_.node.fence().order_id();
    return !order.empty() && !absl::StartsWith(order, OrderPrefix());
  }

  // It is back, or was removed.
  void Forget() {
    out_.changed = true;
    out_.order_over = view_.node.fence().order_id();
    out_.node.clear_fence();
  }

  void Await() {
    if (!view_.result) {
      const absl::Duration allowed =
          absl::Seconds(view_.spec.timeout_seconds() + kFenceAnswerSeconds);
      if (IsLost(StateOf(view_, view_.order_node))) {
        Fail(absl::StrCat("node ", view_.order_node, ", which ran it, is gone"));
      } else if (view_.now - view_.order_created > allowed) {
        Fail(absl::StrCat("on ", view_.order_node, ": it has not ended"));
      }
    } else if (view_.result->state() != v1::OrderUpdate::DONE) {
      Fail(absl::StrCat("on ", view_.order_node, ": ", view_.result->error()));
    } else {
      End("node.fenced", absl::StrCat("its fence command on ", view_.order_node, " ended well",
                                      view_.result->fence().output().empty()
                                          ? ""
                                          : absl::StrCat(": ", view_.result->fence().output())));
      fence().set_proof(out_.message);
      fence().clear_error();
    }
  }

  void Fail(const std::string& why) {
    End("node.fence_failed", absl::StrCat("its fence command failed ", why));
    fence().set_error(why);
    *fence().mutable_failed() = rpc::ToTimestamp(view_.now);
  }

  void End(const char* event, std::string message) {
    out_.changed = true;
    out_.order_over = fence().order_id();
    fence().clear_order_id();
    out_.event = event;
    out_.message = std::move(message);
  }

  // Another node each time: what one cannot reach another may.
  void Begin() {
    const std::vector<std::string> ready = Ready(view_);
    const absl::Time failed = rpc::FromTimestamp(view_.node.fence().failed());
    if (ready.empty() || view_.now < failed + absl::Seconds(kFenceRetrySeconds)) return;
    const int attempt = fence().attempt() + 1;
    out_.changed = true;
    out_.order_node = ready[static_cast<size_t>(attempt - 1) % ready.size()];
    fence().set_attempt(attempt);
    v1::Order order;
    order.set_id(absl::StrCat(OrderPrefix(), attempt));
    order.mutable_fence()->set_node(view_.node.name());
    *order.mutable_fence()->mutable_command() = view_.spec.command();
    order.mutable_fence()->set_timeout_seconds(view_.spec.timeout_seconds());
    fence().set_order_id(order.id());
    out_.event = "node.fencing";
    out_.message = absl::StrCat("its fence command is run on ", out_.order_node);
    out_.order = std::move(order);
  }

  const FenceView& view_;
  FenceStep out_;
};

}  // namespace

FenceCommand FenceCommandFrom(const FenceView& view) {
  FenceCommand command;
  // Of a node that is removed, or may be back, nothing is proven this way.
  if (!IsDead(view)) return command;
  const record::v1::NodeFence& fence = view.node.fence();
  command.proof = fence.proof();
  command.error = fence.error();
  const bool under_way = !fence.order_id().empty();
  const bool may_begin = fence.attempt() < kFenceAttempts && SomeMayReturn(view);
  command.open = fence.proof().empty() && !view.spec.command().empty() && (under_way || may_begin);
  return command;
}

FenceStep AdvanceFence(const FenceView& view) { return Step(view).Run(); }

}  // namespace ember::controller
