// One host of the simulated cluster: the agent's real deciders (lease, self-fence, supervision,
// ledger) around services and data that are only flags.
#ifndef EMBER_TESTS_SCENARIO_SIM_HOST_H_
#define EMBER_TESTS_SCENARIO_SIM_HOST_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ember/v1/agent.pb.h"
#include "node-agent/link/lease.h"
#include "node-agent/link/message_log.h"
#include "node-agent/link/self_fence.h"
#include "node-agent/orders/ledger.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

struct SimService {
  bool running = false;
  bool data = false;
  int64_t written = 0;  // in its data: grows while it runs
  bool broken = false;  // starts, and ends at once
  uint64_t epoch = 0;
  int failures = 0;
  int restarts = 0;
  bool exhausted = false;
  bool probed = false;
  absl::Duration stop_at =
      absl::InfiniteDuration();  // the guard's deadline: holds without an agent
};

class SimHost {
 public:
  // What lies beyond the host.
  struct World {
    // Runs the fence command of a node; empty: it is off, else what went wrong.
    std::function<std::string(const std::string& node)> run_fence;
    // Stores `written` in the vault that the order names, or says why not.
    std::function<v1::OrderUpdate(const v1::Order& order, int64_t written)> store;
    // What is in a backup.
    std::function<int64_t(const std::string& backup_id)> fetch;
    std::function<bool(const std::string& node)> reach;
  };
  SimHost(std::string name, World world) : name_(std::move(name)), world_(std::move(world)) {}

  const std::string& name() const { return name_; }
  bool agent_up() const { return powered_ && agent_ != nullptr; }
  SimService& service(const std::string& workload) { return services_[workload]; }
  const std::map<std::string, SimService>& services() const { return services_; }

  void PowerOn(absl::Duration now);
  void PowerOff();
  void KillAgent() { agent_.reset(); }
  // The whole host stands still: nothing on it runs, and nothing is lost.
  void Pause() { paused_ = true; }
  void Resume() { paused_ = false; }
  bool paused() const { return paused_; }
  // From now on restores fail here, as when the disk is bad.
  void BreakRestores(bool broken) { restores_fail_ = broken; }
  // Its next durable write is its last: what it wrote stays, what was to follow does not happen.
  void CrashAgentAtWrite() { crash_at_write_ = true; }
  // Hands message `number` for `receiver` to the agent. False: it is down.
  bool Send(const std::string& receiver, int number);
  bool MessagesWait() const { return agent_up() && !agent_->messages->Head().empty(); }
  void StartAgent(absl::Duration now);

  // What happens by itself: deadlines pass, services are probed and supervised, orders proceed.
  void Step(absl::Duration now);

  // True when a beat should be sent now.
  bool WantsToBeat(absl::Duration now) const;
  v1::HeartbeatRequest MakeBeat(absl::Duration now, absl::Time wall);
  void TakeReply(absl::Duration sent, const v1::HeartbeatReply& reply, absl::Duration now);

  bool has_lease(absl::Duration now) const { return agent_up() && agent_->lease.Held(now); }
  // The peers to be asked now, when a vote is due; the answer comes back through TakeVote.
  std::optional<std::vector<std::string>> WantsVote(absl::Duration now);
  void TakeVote(absl::Duration asked, const agent::Vote& vote);

 private:
  struct RunningOrder {
    v1::Order order;
    absl::Duration ends;
  };
  struct Agent {
    explicit Agent(absl::Duration now) : fence(now) {}
    agent::Lease lease;
    agent::SelfFence fence;
    std::unique_ptr<agent::Ledger> ledger;
    std::unique_ptr<agent::MessageLog> messages;
    std::string boot_id;
    uint64_t seq = 0;
    absl::Duration beat_sent = -absl::InfiniteDuration();
    bool outstanding = false;
    bool urgent = true;
    absl::Duration next_probe = absl::ZeroDuration();
    std::map<std::string, RunningOrder> orders;
    bool vote_asked = false;
    std::vector<std::string> look_at;
  };

  void Probe(const v1::Assignment& assignment, SimService* service);
  void Supervise(const v1::Assignment& assignment, SimService* service, absl::Duration now);
  void Begin(const v1::Order& order, absl::Duration now);
  void End(const v1::Order& order, absl::Duration now);
  void EndFence(const v1::Order& order);
  void EndBackup(const v1::Order& order);
  // Makes the result durable.
  void Report(v1::OrderUpdate update);
  // True: the agent is gone, having written just now.
  bool Crashes();

  const std::string name_;
  const World world_;
  bool powered_ = true;
  int boots_ = 0;
  bool paused_ = false;
  bool crash_at_write_ = false;
  bool restores_fail_ = false;
  TempDir disk_{FastDirectory()};
  v1::NodeConfig config_;  // survives the agent
  std::map<std::string, SimService> services_;
  std::map<std::string, uint64_t> highest_epoch_;
  uint64_t controller_epoch_ = 0;
  std::unique_ptr<Agent> agent_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SCENARIO_SIM_HOST_H_
