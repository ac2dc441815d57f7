#include "tests/scenario/sim_host.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "gtest/gtest.h"
#include "node-agent/supervise/decide.h"

namespace ember::testing {
namespace {

constexpr absl::Duration kProbeEvery = absl::Seconds(1);
constexpr absl::Duration kRestoreTakes = absl::Seconds(5);
constexpr absl::Duration kBackupTakes = absl::Seconds(4);
constexpr absl::Duration kFenceTakes = absl::Seconds(3);

}  // namespace

void SimHost::PowerOn(absl::Duration now) {
  powered_ = true;
  StartAgent(now);
}

void SimHost::PowerOff() {
  powered_ = false;
  agent_.reset();
  for (auto& [name, service] : services_) service.running = false;
}

void SimHost::StartAgent(absl::Duration now) {
  if (!powered_) return;
  crash_at_write_ = false;
  agent_ = std::make_unique<Agent>(now);
  agent_->boot_id = absl::StrCat(name_, "-", ++boots_);
  auto ledger = agent::Ledger::Open(disk_.Join("orders"));
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  agent_->ledger = *std::move(ledger);
  auto messages = agent::MessageLog::Open(disk_.Join("messages"),
                                          [](absl::string_view what) { ADD_FAILURE() << what; });
  ASSERT_TRUE(messages.ok()) << messages.status();
  agent_->messages = *std::move(messages);
  for (const v1::Order& order : agent_->ledger->OpenOrders()) Begin(order, now);
}

bool SimHost::Crashes() {
  if (!std::exchange(crash_at_write_, false)) return false;
  agent_.reset();
  return true;
}

bool SimHost::Send(const std::string& receiver, int number) {
  if (!agent_up() || paused_) return false;
  v1::Message message;
  message.set_to(receiver);
  message.set_id(absl::StrCat(name_, "-", number));
  message.set_body(absl::StrCat(name_, " ", number));
  EXPECT_TRUE(agent_->messages->Append(message).ok());
  agent_->urgent = true;
  // Written, and the sender told nothing: it sends it again, under its id.
  return !Crashes();
}

void SimHost::Step(absl::Duration now) {
  for (auto& [name, service] : services_) {
    if (service.running && now >= service.stop_at) service.running = false;
    if (service.running && service.broken) service.running = false;
    if (service.running && service.data) ++service.written;
  }
  if (!agent_up()) return;
  std::vector<v1::Order> ended;
  for (const auto& [id, running] : agent_->orders) {
    if (now >= running.ends) ended.push_back(running.order);
  }
  for (const v1::Order& order : ended) {
    End(order, now);
    if (!agent_up()) return;
  }
  const bool probe = now >= agent_->next_probe;
  if (probe) agent_->next_probe = now + kProbeEvery;
  for (const v1::Assignment& assignment : config_.workloads()) {
    SimService& service = services_[assignment.spec().name()];
    if (probe) Probe(assignment, &service);
    Supervise(assignment, &service, now);
    const std::optional<absl::Duration> deadline = agent_->fence.deadline();
    if (assignment.self_fence() && deadline) service.stop_at = *deadline;
    if (!assignment.self_fence()) service.stop_at = absl::InfiniteDuration();
  }
}

void SimHost::Probe(const v1::Assignment& assignment, SimService* service) {
  const bool lost = assignment.expect_data() && !service->data;
  const int before = service->failures;
  const bool wanted = assignment.run() == v1::Assignment::RUN;
  service->probed = service->probed || service->running;
  service->failures = !wanted || (service->running && !lost) ? 0 : service->failures + 1;
  if ((before == 0) != (service->failures == 0)) agent_->urgent = true;
}

void SimHost::Supervise(const v1::Assignment& assignment, SimService* service, absl::Duration now) {
  uint64_t& highest = highest_epoch_[assignment.spec().name()];
  highest = std::max<uint64_t>(highest, assignment.epoch());
  agent::Situation situation;
  situation.want_run = assignment.run() == v1::Assignment::RUN;
  situation.epoch_current = assignment.epoch() >= highest;
  situation.data_lost = assignment.expect_data() && !service->data;
  situation.fenced = assignment.self_fence() && agent_->fence.fenced();
  situation.waits = agent::WaitsForController(assignment.spec(), assignment.self_fence(),
                                              agent_->fence.gate_open(),
                                              agent_->fence.controller_had_its_say(now));
  situation.running = service->running;
  situation.restarts = service->restarts;
  situation.restart_limit = kRestartLimit;
  situation.exhausted = service->exhausted;
  for (const auto& [id, running] : agent_->orders) {
    situation.restoring =
        situation.restoring ||
        (running.order.workload() == assignment.spec().name() && running.order.has_restore());
  }
  switch (agent::Decide(situation)) {
    case agent::Decision::kNothing: break;
    case agent::Decision::kStart:
      service->restarts += service->epoch > 0 ? 1 : 0;
      service->running = true;
      service->probed = false;
      service->failures = 0;
      service->epoch = assignment.epoch();
      if (assignment.self_fence()) service->stop_at = agent_->fence.deadline().value_or(now);
      break;
    case agent::Decision::kStop: service->running = false; break;
    case agent::Decision::kGiveUp:
      service->exhausted = true;
      agent_->urgent = true;
      break;
  }
}

void SimHost::Begin(const v1::Order& order, absl::Duration now) {
  const absl::Duration takes = order.has_restore()  ? kRestoreTakes
                               : order.has_backup() ? kBackupTakes
                               : order.has_fence()  ? kFenceTakes
                                                    : absl::ZeroDuration();
  agent_->orders[order.id()] = {order, now + takes};
  if (order.has_restore()) services_[order.workload()].running = false;
}

void SimHost::Report(v1::OrderUpdate update) {
  EXPECT_TRUE(agent_->ledger->Finish(update).ok());
  agent_->urgent = true;
  Crashes();
}

void SimHost::EndFence(const v1::Order& order) {
  v1::OrderUpdate update;
  update.set_order_id(order.id());
  const std::string error = world_.run_fence(order.fence().node());
  update.set_state(error.empty() ? v1::OrderUpdate::DONE : v1::OrderUpdate::FAILED);
  update.set_error(error);
  update.mutable_fence();
  Report(std::move(update));
}

void SimHost::EndBackup(const v1::Order& order) {
  const SimService& service = services_[order.workload()];
  if (service.data) return Report(world_.store(order, service.written));
  v1::OrderUpdate update;
  update.set_order_id(order.id());
  update.set_state(v1::OrderUpdate::FAILED);
  update.set_code(static_cast<int32_t>(absl::StatusCode::kFailedPrecondition));
  update.set_error("its data is missing");
  Report(std::move(update));
}

void SimHost::End(const v1::Order& order, absl::Duration now) {
  agent_->orders.erase(order.id());
  if (order.has_fence()) return EndFence(order);
  if (order.has_backup() && order.epoch() >= highest_epoch_[order.workload()])
    return EndBackup(order);
  SimService& service = services_[order.workload()];
  v1::OrderUpdate update;
  update.set_order_id(order.id());
  update.set_state(v1::OrderUpdate::DONE);
  uint64_t& highest = highest_epoch_[order.workload()];
  const bool stale = order.epoch() < highest;
  highest = std::max<uint64_t>(highest, order.epoch());
  if (stale) {
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_error("a higher epoch was seen");
  } else if (order.has_restore() && restores_fail_) {
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_code(static_cast<int32_t>(absl::StatusCode::kInternal));
    update.set_error("the disk is bad");
  } else if (order.has_restore()) {
    service.data = true;
    service.written = world_.fetch(order.restore().backup_id());
    update.mutable_restore()->set_files(10);
  } else if (order.has_start() &&
             (agent_->fence.gate_open() || agent_->fence.deadline() == std::nullopt)) {
    service.running = true;
    service.epoch = order.epoch();
    service.restarts = 0;
    service.exhausted = false;
    service.failures = 0;
    service.probed = false;
    service.stop_at = absl::InfiniteDuration();
    for (const v1::Assignment& assignment : config_.workloads()) {
      const bool mine = assignment.spec().name() == order.workload();
      if (mine && assignment.self_fence()) service.stop_at = agent_->fence.deadline().value_or(now);
    }
  } else if (order.has_stop()) {
    service.running = false;
  }
  Report(std::move(update));
}

bool SimHost::WantsToBeat(absl::Duration now) const {
  if (!agent_up()) return false;
  if (!agent_->outstanding || agent_->urgent) return true;
  return now - agent_->beat_sent > absl::Seconds(kBeatDeadlineSeconds);
}

v1::HeartbeatRequest SimHost::MakeBeat(absl::Duration now, absl::Time wall) {
  v1::HeartbeatRequest beat;
  beat.set_node(name_);
  beat.set_boot_id(agent_->boot_id);
  beat.set_seq(++agent_->seq);
  *beat.mutable_sent_at() = rpc::ToTimestamp(wall);
  beat.set_version(kVersion);
  beat.set_data_address(absl::StrCat(name_, ":7444"));
  beat.set_config_version(config_.version());
  beat.set_controller_epoch(controller_epoch_);
  beat.set_message_spool(agent_->messages->id());
  for (v1::SpooledMessage& message : agent_->messages->Head()) *beat.add_messages() = message;
  for (const v1::OrderUpdate& update : agent_->ledger->Updates()) *beat.add_orders() = update;
  for (const v1::Assignment& assignment : config_.workloads()) {
    const SimService& service = services_[assignment.spec().name()];
    v1::WorkloadFact* fact = beat.add_workloads();
    fact->set_workload(assignment.spec().name());
    fact->set_epoch(assignment.epoch());
    fact->set_running(service.running);
    fact->set_healthy(service.running && service.failures == 0 && service.probed);
    fact->set_probed(service.probed);
    fact->set_consecutive_failures(service.failures);
    fact->set_data_missing(assignment.expect_data() && !service.data);
    fact->set_restarts(service.restarts);
    fact->set_restarts_exhausted(service.exhausted);
    if (service.failures > 0) fact->set_probe_message(service.running ? "no data" : "not running");
  }
  for (const std::string& node : agent_->look_at) {
    v1::PeerSight* sight = beat.add_sights();
    sight->set_node(node);
    sight->set_answers(world_.reach(node));
  }
  if (agent_->outstanding && now - agent_->beat_sent > absl::Seconds(kBeatDeadlineSeconds))
    agent_->fence.Unanswered();
  agent_->outstanding = true;
  agent_->urgent = false;
  agent_->beat_sent = now;
  return beat;
}

void SimHost::TakeReply(absl::Duration sent, const v1::HeartbeatReply& reply, absl::Duration now) {
  // The answer to a call that was given up goes nowhere.
  const bool given_up =
      !agent_up() || sent != agent_->beat_sent || now - sent > absl::Seconds(kBeatDeadlineSeconds);
  if (given_up || reply.em_epoch() < controller_epoch_) return;
  controller_epoch_ = reply.em_epoch();
  agent_->outstanding = false;
  agent_->lease.Grant(sent, absl::Milliseconds(reply.lease_millis()));
  agent_->fence.Granted(agent_->lease);
  if (reply.has_config()) {
    std::map<std::string, v1::Assignment::Run> before;
    for (const v1::Assignment& assignment : config_.workloads())
      before[assignment.spec().name()] = assignment.run();
    config_ = reply.config();
    for (const v1::Assignment& assignment : config_.workloads()) {
      const auto known = before.find(assignment.spec().name());
      if (known == before.end() || known->second == assignment.run()) continue;
      SimService& service = services_[assignment.spec().name()];
      service.restarts = 0;
      service.exhausted = false;
    }
    agent_->urgent = true;
  }
  for (const v1::Order& order : reply.orders()) {
    auto accepted = agent_->ledger->Accept(order);
    ASSERT_TRUE(accepted.ok()) << accepted.status();
    if (Crashes()) return;
    if (*accepted) Begin(order, now);
  }
  agent_->look_at = {reply.look_at().begin(), reply.look_at().end()};
  agent_->messages->Acknowledge(reply.acknowledged_message_seq());
  for (const std::string& id : reply.acknowledged_orders())
    EXPECT_TRUE(agent_->ledger->Acknowledge(id).ok());
}

std::optional<std::vector<std::string>> SimHost::WantsVote(absl::Duration now) {
  if (!agent_up() || agent_->vote_asked) return std::nullopt;
  const agent::SelfFence::Step step = agent_->fence.Next(now);
  if (step.action == agent::SelfFence::Action::kFence) {
    for (const v1::Assignment& assignment : config_.workloads()) {
      if (assignment.self_fence()) services_[assignment.spec().name()].running = false;
    }
  }
  if (step.action != agent::SelfFence::Action::kAskPeers) return std::nullopt;
  agent_->vote_asked = true;
  std::vector<std::string> peers;
  for (const v1::Peer& peer : config_.peers()) peers.push_back(peer.node());
  return peers;
}

void SimHost::TakeVote(absl::Duration asked, const agent::Vote& vote) {
  if (!agent_up()) return;
  agent_->vote_asked = false;
  agent_->fence.Voted(asked, vote, agent_->lease.length());
}

}  // namespace ember::testing
