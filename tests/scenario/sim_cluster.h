// The real controller logic and the real agent deciders under virtual time: one thread, one seed,
// one story.
#ifndef EMBER_TESTS_SCENARIO_SIM_CLUSTER_H_
#define EMBER_TESTS_SCENARIO_SIM_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controller/em_state.h"
#include "tests/scenario/sim_host.h"
#include "tests/scenario/sim_invariants.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_catalog.h"

namespace ember::testing {

struct SimNetwork {
  double drop = 0;       // share of messages lost
  double duplicate = 0;  // and of those that come twice
  absl::Duration delay_max = absl::Milliseconds(20);
};

class SimCluster {
 public:
  // Nodes are those that `estate_yaml` names, all joined and powered. Each workload with sources
  // has its data, and one good backup in the first vault, an hour old.
  SimCluster(const std::string& estate_yaml, uint64_t seed, SimNetwork network);

  // One line of a story. Of a node: `power_off`, `power_on`, `pause` (SIGSTOP of all of it),
  // `resume`, `kill_agent`, `start_agent`, `crash_agent` (at its next durable write), `cut`,
  // `cut_out` (what it sends is lost), `cut_in` (what is sent to it), `cut_em` (from the controller
  // alone), `heal`, `drift PERMILLE` (of its monotonic clock), `send` (a message to the first
  // workload), `remove_node` (from the estate; it knows nothing of it). Of a workload:
  // `kill_service`, `break_service`, `mend_service`, `delete_data`, `approve`, `look_and_approve`
  // (only what is true), `cancel`, `move_to_NODE`, `move_home` and `break_home` (it cannot run
  // there any more); of a node also `drain`, `undrain`, `break_restores` and `mend_restores`. Of
  // the controller: `kill_em`, `start_em`, `pause_em`, `resume_em`, `crash_em_at_write N` (counted
  // from now), `fill_em` (its disk), `free_em`. `clock NODE|em SECONDS` moves a wall clock. False:
  // not understood.
  bool Do(const std::string& command);
  // No more lost or slow messages.
  void MendNetwork() { network_ = SimNetwork{}; }
  void RunFor(absl::Duration duration);

  absl::Duration now() { return clock_.Monotonic() - start_; }
  // The controller's events, "SECONDS type subject message", without those of the set-up.
  std::vector<std::string> Log();
  // What must never be, and was.
  const std::vector<std::string>& violations() const { return invariants_->violations(); }
  bool AllRecoveriesEnded();
  // Everything that was handed to an agent has reached the controller.
  bool AllMessagesTaken();
  std::vector<std::string> RunningServices();
  v1::WorkloadState::Value StateOf(const std::string& workload);
  int64_t writes() const { return disk_.writes; }
  const std::vector<std::string>& nodes() const { return node_names_; }

 private:
  struct Message {
    absl::Duration at;
    uint64_t order;
    std::function<void()> deliver;
    bool operator>(const Message& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };
  struct Held {
    v1::HeartbeatRequest request;
    absl::Duration sent;
    absl::Duration release_at;
  };

  void StartEm();
  void KillEm();
  void SetUp(const std::string& estate_yaml);
  void Step();
  void Send(const std::string& from, const std::string& to, std::function<void()> deliver);
  bool Connected(const std::string& a, const std::string& b) const;
  void DeliverBeat(const std::string& node, v1::HeartbeatRequest request, absl::Duration sent);
  void ReleaseBeats();
  void Push(absl::Duration at, std::function<void()> deliver);
  // The monotonic clock of a host.
  absl::Duration Local(const std::string& node) const;
  bool DoToNode(const std::string& verb, SimHost* host, int64_t number);
  bool DoToEm(const std::string& verb, int64_t number);
  bool DoToWorkload(const std::string& verb, const std::string& workload);
  void TakeReply(const std::string& node, absl::Duration sent, const v1::HeartbeatReply& reply);
  void Receive();
  void AskVotes(SimHost* host);
  void CheckInvariants();
  bool RemoveNode(const std::string& node);
  bool SetMaintenance(bool on);
  // Switches it off; empty: it is.
  std::string RunFence(const std::string& node);
  bool Approve(const std::string& workload);
  bool RunsWhereSilent(const std::string& workload);
  bool Cancel(const std::string& workload);
  bool Move(const std::string& workload, const std::string& node);
  bool Drain(const std::string& node, bool on);
  SimHost::World WorldOf(const std::string& node);
  v1::OrderUpdate Store(const std::string& from, const v1::Order& order, int64_t written);
  // What was moved as planned has all that was written before.
  void CheckMoves();
  SimHost& HostOf(const std::string& workload);

  FakeClock clock_;
  const absl::Duration start_;
  const absl::Time start_wall_;
  std::mt19937_64 random_;
  SimNetwork network_;
  MemoryDisk disk_;
  std::unique_ptr<controller::EmState> em_;  // null while it is down
  std::vector<std::string> node_names_;
  std::map<std::string, std::unique_ptr<SimHost>> hosts_;
  std::map<std::string, Held> held_;
  std::vector<Message> messages_;  // a heap, soonest first
  uint64_t message_count_ = 0;
  bool em_paused_ = false;
  std::set<std::string> cut_em_;
  std::set<std::string> cut_out_;
  std::set<std::string> cut_in_;
  std::set<std::string> broken_fences_;  // of these nodes: the command fails
  std::map<std::string, absl::Duration> clock_skew_;
  std::map<std::string, double> drift_;
  std::map<std::string, int> sent_;  // messages, by node
  uint64_t events_before_ = 0;
  std::unique_ptr<SimInvariants> invariants_;
  int64_t checked_writes_ = -1;
  v1::Estate estate_;
  std::string receiver_;
  std::map<std::string, int64_t> stored_;  // by backup
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SCENARIO_SIM_CLUSTER_H_
