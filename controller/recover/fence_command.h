// The fence command of a node that died: run where it can be run, until one run proves that the
// node is off or the attempts are used up. Pure: a record and what is known go in; the next record
// and at most one order come out.
#ifndef EMBER_CONTROLLER_RECOVER_FENCE_COMMAND_H_
#define EMBER_CONTROLLER_RECOVER_FENCE_COMMAND_H_

#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "ember/record/v1/records.pb.h"

namespace ember::controller {

// What it says about its node.
struct FenceCommand {
  std::string proof;  // it is off: who said so
  std::string error;  // of the last attempt
  bool open = false;  // a proof may come yet
};

struct FenceView {
  absl::Time now;
  v1::FenceSpec spec;  // without a command: there is none
  record::v1::NodeRecord node;
  bool wanted = false;  // a recovery waits for it
  std::map<std::string, v1::NodeState::Value> nodes;
  std::string order_node;  // of the order under way
  absl::Time order_created;
  std::optional<v1::OrderUpdate> result;  // of that order, when finished
};

struct FenceStep {
  bool changed = false;
  record::v1::NodeRecord node;
  std::optional<v1::Order> order;  // for `order_node`
  std::string order_node;
  std::string order_over;  // finished, or of no use any more
  std::string event;       // type; empty: none
  std::string message;
};

FenceCommand FenceCommandFrom(const FenceView& view);

// One step. Unchanged input gives an unchanged result.
FenceStep AdvanceFence(const FenceView& view);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_RECOVER_FENCE_COMMAND_H_
