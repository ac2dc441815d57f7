#include "tests/scenario/sim_cluster.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "controller/estate/parser.h"
#include "controller/fleet/beats.h"
#include "controller/recover/recoveries.h"
#include "controller/tick.h"
#include "gtest/gtest.h"

namespace ember::testing {

namespace rec = record::v1;
using controller::Batch;
using controller::EmState;

namespace {

constexpr absl::Duration kStep = absl::Milliseconds(250);
constexpr char kEm[] = "em";

}  // namespace

SimCluster::SimCluster(const std::string& estate_yaml, uint64_t seed, SimNetwork network)
    : start_(clock_.Monotonic()), start_wall_(clock_.Now()), random_(seed), network_(network) {
  StartEm();
  SetUp(estate_yaml);
}

void SimCluster::StartEm() {
  if (em_ != nullptr) return;
  disk_.fail_at = -1;
  em_ = std::make_unique<EmState>(&clock_, std::make_unique<MemoryCatalog>(&disk_),
                                  controller::KeyVault::InMemory());
  EXPECT_TRUE(controller::BeginTerm(*em_).ok());
}

void SimCluster::KillEm() {
  em_.reset();
  held_.clear();
}

void SimCluster::SetUp(const std::string& estate_yaml) {
  auto estate = controller::ParseEstate(estate_yaml, "estate.yaml");
  ASSERT_TRUE(estate.ok()) << estate.status();
  absl::MutexLock lock(&em_->mu);
  Batch batch;
  rec::EstateRecord record;
  *record.mutable_estate() = *estate;
  batch.Put(record);
  std::set<std::string> names;
  for (const v1::VaultSpec& vault : estate->vaults()) names.insert(vault.node());
  for (const v1::WorkloadSpec& spec : estate->workloads()) {
    names.insert(spec.node());
    names.insert(spec.recovery().standby().begin(), spec.recovery().standby().end());
    rec::WorkloadRecord workload;
    workload.set_name(spec.name());
    workload.set_node(spec.node());
    workload.set_epoch(1);
    workload.set_state(v1::WorkloadState::STARTING);
    *workload.mutable_state_since() = rpc::ToTimestamp(clock_.Now());
    batch.Put(workload);
    if (spec.sources().empty() || estate->vaults().empty()) continue;
    rec::BackupRecord backup;
    const absl::Time created = clock_.Now() - absl::Hours(1);
    backup.mutable_backup()->set_id(BackupId(spec.name(), created));
    backup.mutable_backup()->set_workload(spec.name());
    backup.mutable_backup()->set_outcome(v1::Outcome::OK);
    backup.mutable_backup()->set_verified(true);
    backup.mutable_backup()->set_files(10);
    *backup.mutable_backup()->mutable_created() = rpc::ToTimestamp(created);
    *backup.mutable_vault_received() = rpc::ToTimestamp(created);
    backup.set_vault(estate->vaults(0).name());
    backup.set_domain_id(absl::StrCat("node-", spec.node()));
    batch.Put(backup);
  }
  for (const std::string& name : names) {
    rec::NodeRecord node;
    node.set_name(name);
    node.set_state(v1::NodeState::JOINED);
    batch.Put(node);
    node_names_.push_back(name);
    hosts_[name] = std::make_unique<SimHost>(name);
    hosts_[name]->StartAgent(clock_.Monotonic());
  }
  for (const v1::WorkloadSpec& spec : estate->workloads())
    hosts_[spec.node()]->service(spec.name()).data = true;
  ASSERT_TRUE(em_->Commit(batch).ok());
  events_before_ = em_->catalog->last_event_seq();
}

bool SimCluster::Connected(const std::string& a, const std::string& b) const {
  return cut_.count(a) == 0 && cut_.count(b) == 0;
}

void SimCluster::Send(const std::string& from, const std::string& to,
                      std::function<void()> deliver) {
  if (!Connected(from, to)) return;
  if (std::uniform_real_distribution<>(0, 1)(random_) < network_.drop) return;
  const double delay =
      std::uniform_real_distribution<>(0, absl::ToDoubleSeconds(network_.delay_max))(random_);
  messages_.push_back(
      {clock_.Monotonic() + absl::Seconds(delay), message_count_++, std::move(deliver)});
  std::push_heap(messages_.begin(), messages_.end(), std::greater<>());
}

void SimCluster::DeliverBeat(const std::string& node, v1::HeartbeatRequest request,
                             absl::Duration sent) {
  if (em_ == nullptr) return;
  absl::MutexLock lock(&em_->mu);
  if (em_->catalog->nodes().at(node).revoked()) return;  // the gate refuses it
  if (!controller::RecordBeat(*em_, node, node, request).ok()) return;
  held_[node] = {std::move(request), sent, clock_.Monotonic() + absl::Seconds(kBeatSeconds)};
}

void SimCluster::ReleaseBeats() {
  absl::MutexLock lock(&em_->mu);
  for (auto it = held_.begin(); it != held_.end();) {
    const std::string node = it->first;
    if (clock_.Monotonic() < it->second.release_at && !controller::HasNewsFor(*em_, node)) {
      ++it;
      continue;
    }
    const v1::HeartbeatReply reply = controller::ComposeReply(*em_, node, it->second.request);
    const absl::Duration sent = it->second.sent;
    it = held_.erase(it);
    Send(kEm, node,
         [this, node, sent, reply] { hosts_[node]->TakeReply(sent, reply, clock_.Monotonic()); });
  }
}

// The votes are counted at once: a lost answer is a peer that cannot be reached.
void SimCluster::AskVotes(SimHost* host) {
  const auto peers = host->WantsVote(clock_.Monotonic());
  if (!peers) return;
  const absl::Duration asked = clock_.Monotonic();
  agent::Vote vote;
  vote.peers = static_cast<int>(peers->size());
  for (const std::string& peer : *peers) {
    const bool answers = Connected(host->name(), peer) && hosts_[peer]->agent_up() &&
                         std::uniform_real_distribution<>(0, 1)(random_) >= network_.drop;
    if (answers && !hosts_[peer]->has_lease(asked)) ++vote.without_lease;
  }
  const std::string name = host->name();
  messages_.push_back({asked + absl::Milliseconds(500), message_count_++,
                       [this, name, asked, vote] { hosts_[name]->TakeVote(asked, vote); }});
  std::push_heap(messages_.begin(), messages_.end(), std::greater<>());
}

void SimCluster::Step() {
  clock_.Advance(kStep);
  const absl::Duration now = clock_.Monotonic();
  while (!messages_.empty() && messages_.front().at <= now) {
    std::pop_heap(messages_.begin(), messages_.end(), std::greater<>());
    const Message message = std::move(messages_.back());
    messages_.pop_back();
    message.deliver();
  }
  for (auto& [name, host] : hosts_) {
    host->Step(now);
    AskVotes(host.get());
    if (!host->WantsToBeat(now)) continue;
    const std::string node = name;
    v1::HeartbeatRequest beat = host->MakeBeat(now, clock_.Now() + clock_skew_[name]);
    Send(node, kEm, [this, node, beat, now] { DeliverBeat(node, beat, now); });
  }
  if (em_ != nullptr) {
    const bool crashed = !controller::Tick(*em_).ok();
    if (crashed) {
      KillEm();
    } else {
      ReleaseBeats();
    }
  }
  CheckInvariants();
}

void SimCluster::RunFor(absl::Duration duration) {
  const absl::Duration until = clock_.Monotonic() + duration;
  while (clock_.Monotonic() < until) Step();
}

SimHost& SimCluster::HostOf(const std::string& workload) {
  for (auto& [name, host] : hosts_) {
    if (host->services().count(workload) > 0 && host->services().at(workload).running) return *host;
  }
  MemoryCatalog catalog(&disk_);
  return *hosts_.at(catalog.workloads().at(workload).node());
}

bool SimCluster::RemoveNode(const std::string& node) {
  if (em_ == nullptr) return false;
  absl::MutexLock lock(&em_->mu);
  const auto it = em_->catalog->nodes().find(node);
  if (it == em_->catalog->nodes().end()) return false;
  rec::NodeRecord record = it->second;
  record.set_revoked(true);
  Batch batch;
  batch.Put(record);
  return em_->Commit(batch).ok();
}

bool SimCluster::Approve(const std::string& workload) {
  if (em_ == nullptr) return false;
  absl::MutexLock lock(&em_->mu);
  for (const auto& [id, recovery] : em_->catalog->recoveries()) {
    const v1::Recovery& wire = recovery.recovery();
    if (wire.workload() != workload || wire.state() != v1::RecoveryState::APPROVAL) continue;
    rec::RecoveryRecord approved = recovery;
    approved.set_approved(true);
    Batch batch;
    batch.Put(approved);
    return em_->Commit(batch).ok();
  }
  return false;
}

bool SimCluster::Do(const std::string& command) {
  const std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  const std::string verb = words.empty() ? "" : words[0];
  const std::string subject = words.size() > 1 ? words[1] : "";
  const absl::Duration now = clock_.Monotonic();
  int64_t number = 0;
  const bool has_number = !words.empty() && absl::SimpleAtoi(words.back(), &number);
  if (verb == "kill_em") {
    KillEm();
  } else if (verb == "start_em") {
    StartEm();
  } else if (verb == "crash_em_at_write" && has_number) {
    disk_.fail_at = disk_.writes + number;
  } else if (verb == "remove_node") {
    return RemoveNode(subject);
  } else if (verb == "approve") {
    return Approve(subject);
  } else if (verb == "cut") {
    cut_.insert(subject);
  } else if (verb == "heal") {
    cut_.erase(subject);
  } else if (verb == "clock" && has_number) {
    if (subject == kEm) clock_.JumpWall(absl::Seconds(number));
    clock_skew_[subject] += absl::Seconds(number);
  } else if (hosts_.count(subject) > 0) {
    SimHost& host = *hosts_[subject];
    if (verb == "power_off")
      host.PowerOff();
    else if (verb == "power_on")
      host.PowerOn(now);
    else if (verb == "kill_agent")
      host.KillAgent();
    else if (verb == "start_agent")
      host.StartAgent(now);
    else
      return false;
  } else {
    SimService& service = HostOf(subject).service(subject);
    if (verb == "kill_service")
      service.running = false;
    else if (verb == "delete_data")
      service.data = false;
    else if (verb == "break_service")
      service.broken = true;
    else if (verb == "mend_service")
      service.broken = false;
    else
      return false;
  }
  return true;
}

void SimCluster::CheckInvariants() {
  const MemoryCatalog catalog(&disk_);
  const auto complain = [this](std::string what) {
    violations_.push_back(absl::StrCat(absl::FormatDuration(now()), ": ", what));
  };
  for (const v1::WorkloadSpec& spec : catalog.estate().estate().workloads()) {
    int active = 0;
    for (const auto& [name, host] : hosts_) {
      const auto it = host->services().find(spec.name());
      active += it != host->services().end() && it->second.running ? 1 : 0;
    }
    if (active > 1 && spec.recovery().class_() == v1::RecoverySpec::EXCLUSIVE) {
      complain(absl::StrCat(spec.name(), " runs on ", active, " hosts"));
    }
  }
  for (const auto& [id, recovery] : catalog.recoveries()) {
    const bool moved = recovery.recovery().target() != recovery.recovery().node();
    const bool acts = recovery.recovery().state() == v1::RecoveryState::RESTORING ||
                      recovery.recovery().state() == v1::RecoveryState::STARTING;
    if (moved && acts && !recovery.fence_proven())
      complain(absl::StrCat(id, " moves without a fence proof"));
    const auto& freeze = catalog.freeze();
    const bool began_frozen = freeze.frozen() && rpc::FromTimestamp(recovery.recovery().started()) >
                                                     rpc::FromTimestamp(freeze.since());
    if (began_frozen && acts) complain(absl::StrCat(id, " acts in a frozen estate"));
  }
}

std::vector<std::string> SimCluster::Log() {
  std::vector<std::string> lines;
  MemoryCatalog catalog(&disk_);
  EXPECT_TRUE(catalog
                  .ScanEvents(events_before_,
                              [&](const rec::EventRecord& record) {
                                const v1::Event& event = record.event();
                                const double at = absl::ToDoubleSeconds(
                                    rpc::FromTimestamp(event.time()) - start_wall_);
                                lines.push_back(absl::StrCat(
                                    absl::Dec(static_cast<int64_t>(at), absl::kSpacePad4), " ",
                                    event.type(), " ", event.subject(), ": ", event.message()));
                                return true;
                              })
                  .ok());
  return lines;
}

bool SimCluster::AllRecoveriesEnded() {
  MemoryCatalog catalog(&disk_);
  return std::all_of(
      catalog.recoveries().begin(), catalog.recoveries().end(),
      [](const auto& entry) { return !controller::IsOpen(entry.second.recovery().state()); });
}

v1::WorkloadState::Value SimCluster::StateOf(const std::string& workload) {
  MemoryCatalog catalog(&disk_);
  return catalog.workloads().at(workload).state();
}

}  // namespace ember::testing
