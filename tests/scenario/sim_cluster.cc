#include "tests/scenario/sim_cluster.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/rpc/convert.h"
#include "common/rpc/signed.h"
#include "controller/estate/parser.h"
#include "controller/fleet/beats.h"
#include "controller/messages/mailbox.h"
#include "controller/recover/moves.h"
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

// A key for the host of a vault; one for all clusters, because making one takes long.
const rpc::Identity& IdentityOf(const std::string& node, absl::Time now) {
  static auto* const identities = new std::map<std::string, rpc::Identity>;
  rpc::Identity& identity = (*identities)[node];
  if (identity.key_pem.empty()) {
    const auto keys = controller::KeyVault::InMemory();
    identity.key_pem = NewPrivateKeyPem();
    identity.ca_pem = keys->ca_pem();
    identity.certificate_pem =
        keys->Sign(CreateCsr(identity.key_pem).value(), "agent", node, now).value();
  }
  return identity;
}

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
  // On a full disk it does not start.
  if (!controller::BeginTerm(*em_).ok()) KillEm();
}

void SimCluster::KillEm() {
  em_.reset();
  held_.clear();
}

void SimCluster::SetUp(const std::string& estate_yaml) {
  auto estate = controller::ParseEstate(estate_yaml, "estate.yaml");
  ASSERT_TRUE(estate.ok()) << estate.status();
  invariants_ = std::make_unique<SimInvariants>(*estate);
  estate_ = *estate;
  if (estate->workloads_size() > 0) receiver_ = estate->workloads(0).name();
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
    hosts_[name] = std::make_unique<SimHost>(name, WorldOf(name));
    hosts_[name]->StartAgent(clock_.Monotonic());
  }
  for (const v1::WorkloadSpec& spec : estate->workloads())
    hosts_[spec.node()]->service(spec.name()).data = true;
  ASSERT_TRUE(em_->Commit(batch).ok());
  events_before_ = em_->catalog->last_event_seq();
}

bool SimCluster::Connected(const std::string& a, const std::string& b) const {
  const bool to_em = (a == kEm && cut_em_.count(b) > 0) || (b == kEm && cut_em_.count(a) > 0);
  return !to_em && cut_out_.count(a) == 0 && cut_in_.count(b) == 0;
}

absl::Duration SimCluster::Local(const std::string& node) const {
  const auto drift = drift_.find(node);
  const absl::Duration now = const_cast<FakeClock&>(clock_).Monotonic();
  return drift == drift_.end() ? now : start_ + (now - start_) * (1 + drift->second / 1000);
}

void SimCluster::Push(absl::Duration at, std::function<void()> deliver) {
  messages_.push_back({at, message_count_++, std::move(deliver)});
  std::push_heap(messages_.begin(), messages_.end(), std::greater<>());
}

void SimCluster::Send(const std::string& from, const std::string& to,
                      std::function<void()> deliver) {
  if (!Connected(from, to)) return;
  const auto chance = [this] { return std::uniform_real_distribution<>(0, 1)(random_); };
  if (chance() < network_.drop) return;
  const int copies = network_.duplicate > 0 && chance() < network_.duplicate ? 2 : 1;
  for (int i = 0; i < copies; ++i)
    Push(clock_.Monotonic() + chance() * network_.delay_max, deliver);
}

void SimCluster::DeliverBeat(const std::string& node, v1::HeartbeatRequest request,
                             absl::Duration sent) {
  if (em_ == nullptr) return;
  if (em_paused_) {  // it lies in a buffer meanwhile
    Push(clock_.Monotonic() + kStep,
         [this, node, request = std::move(request), sent] { DeliverBeat(node, request, sent); });
    return;
  }
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
    Send(kEm, node, [this, node, sent, reply] { TakeReply(node, sent, reply); });
  }
}

void SimCluster::TakeReply(const std::string& node, absl::Duration sent,
                           const v1::HeartbeatReply& reply) {
  if (hosts_[node]->paused()) {
    Push(clock_.Monotonic() + kStep, [this, node, sent, reply] { TakeReply(node, sent, reply); });
  } else {
    hosts_[node]->TakeReply(sent, reply, Local(node));
  }
}

// The votes are counted at once: a lost answer is a peer that cannot be reached.
void SimCluster::AskVotes(SimHost* host) {
  const absl::Duration asked = Local(host->name());
  const auto peers = host->WantsVote(asked);
  if (!peers) return;
  agent::Vote vote;
  vote.peers = static_cast<int>(peers->size());
  for (const std::string& peer : *peers) {
    const bool answers = Connected(host->name(), peer) && Connected(peer, host->name()) &&
                         hosts_[peer]->agent_up() && !hosts_[peer]->paused() &&
                         std::uniform_real_distribution<>(0, 1)(random_) >= network_.drop;
    if (answers && !hosts_[peer]->has_lease(Local(peer))) ++vote.without_lease;
  }
  const std::string name = host->name();
  Push(clock_.Monotonic() + absl::Milliseconds(500),
       [this, name, asked, vote] { hosts_[name]->TakeVote(asked, vote); });
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
    if (host->paused()) continue;
    const absl::Duration local = Local(name);
    host->Step(local);
    AskVotes(host.get());
    if (!host->WantsToBeat(local)) continue;
    const std::string node = name;
    v1::HeartbeatRequest beat = host->MakeBeat(local, clock_.Now() + clock_skew_[name]);
    Send(node, kEm, [this, node, beat, local] { DeliverBeat(node, beat, local); });
  }
  if (em_ != nullptr && !em_paused_) {
    // A full disk ends a tick, not the controller.
    const absl::Status ticked = controller::Tick(*em_);
    if (!ticked.ok() && !absl::IsResourceExhausted(ticked)) {
      KillEm();
    } else {
      Receive();
      ReleaseBeats();
    }
  }
  CheckInvariants();
}

// The receiver takes and confirms what there is, now and then.
void SimCluster::Receive() {
  if (random_() % 16 != 0) return;
  absl::MutexLock lock(&em_->mu);
  if (const v1::Message* oldest = controller::OldestFor(*em_->catalog, receiver_))
    (void)controller::ConfirmMessage(*em_, receiver_, oldest->seq());
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

std::string SimCluster::RunFence(const std::string& node) {
  if (broken_fences_.count(node) > 0) return "the switch does not answer";
  hosts_.at(node)->PowerOff();
  return "";
}

v1::OrderUpdate SimCluster::Store(const std::string& from, const v1::Order& order,
                                  int64_t written) {
  const v1::BackupOrder& backup = order.backup();
  const std::string& to = backup.vault().node();
  v1::OrderUpdate update;
  update.set_order_id(order.id());
  const auto host = hosts_.find(to);
  const bool there = host != hosts_.end() && host->second->agent_up() && !host->second->paused() &&
                     Connected(from, to) && Connected(to, from);
  if (!there) {
    update.set_state(v1::OrderUpdate::FAILED);
    update.set_code(static_cast<int32_t>(absl::StatusCode::kUnavailable));
    update.set_error("its vault cannot be reached");
    return update;
  }
  stored_[backup.backup_id()] = written;
  v1::Receipt receipt;
  receipt.set_vault_id(absl::StrCat("disk of ", to));
  receipt.set_backup_id(backup.backup_id());
  receipt.set_domain_id(backup.domain().id());
  receipt.set_workload(order.workload());
  receipt.set_sequence(stored_.size());
  *receipt.mutable_received() = rpc::ToTimestamp(clock_.Now());
  v1::BackupResult* result = update.mutable_backup();
  result->set_outcome(v1::Outcome::OK);
  result->set_files(10);
  result->set_size_bytes(1000);
  result->set_read_back_ok(true);
  result->mutable_receipt()->set_statement(receipt.SerializeAsString());
  EXPECT_TRUE(rpc::SignReceipt(IdentityOf(to, start_wall_), result->mutable_receipt()).ok());
  update.set_state(v1::OrderUpdate::DONE);
  return update;
}

SimHost::World SimCluster::WorldOf(const std::string& node) {
  SimHost::World world;
  world.run_fence = [this](const std::string& other) { return RunFence(other); };
  world.store = [this, node](const v1::Order& order, int64_t written) {
    return Store(node, order, written);
  };
  world.fetch = [this](const std::string& backup) { return stored_[backup]; };
  world.reach = [this, node](const std::string& other) {
    const SimHost& host = *hosts_.at(other);
    return Connected(node, other) && Connected(other, node) && host.agent_up() && !host.paused();
  };
  return world;
}

bool SimCluster::SetMaintenance(bool on) {
  if (em_ == nullptr) return false;
  absl::MutexLock lock(&em_->mu);
  rec::FreezeRecord freeze = em_->catalog->freeze();
  freeze.set_maintenance(on);
  Batch batch;
  batch.Put(freeze);
  return em_->Commit(batch).ok();
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

// What a person finds who goes and looks.
bool SimCluster::RunsWhereSilent(const std::string& workload) {
  MemoryCatalog catalog(&disk_);
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& entry) {
    const auto& [name, host] = entry;
    const auto service = host->services().find(workload);
    return service != host->services().end() && service->second.running &&
           catalog.nodes().at(name).state() != v1::NodeState::ALIVE;
  });
}

bool SimCluster::Approve(const std::string& workload) {
  if (em_ == nullptr) return true;
  absl::MutexLock lock(&em_->mu);
  for (const auto& [id, recovery] : em_->catalog->recoveries()) {
    const v1::Recovery& wire = recovery.recovery();
    if (wire.workload() != workload || wire.state() != v1::RecoveryState::APPROVAL) continue;
    rec::RecoveryRecord approved = recovery;
    approved.set_approved(true);
    Batch batch;
    batch.Put(approved);
    (void)em_->Commit(batch);
    return true;
  }
  return true;  // nobody asks
}

// It may refuse, or be away.
bool SimCluster::Move(const std::string& workload, const std::string& node) {
  if (em_ == nullptr) return true;
  absl::MutexLock lock(&em_->mu);
  Batch batch;
  if (controller::BeginMove(*em_, workload, node, "asked by a person", &batch).ok())
    (void)em_->Commit(batch);
  return true;
}

bool SimCluster::Cancel(const std::string& workload) {
  if (em_ == nullptr) return false;
  absl::MutexLock lock(&em_->mu);
  const rec::RecoveryRecord* open = controller::OpenRecoveryOf(*em_, workload);
  if (open == nullptr || open->move_to().empty()) return false;
  rec::RecoveryRecord record = *open;
  record.set_cancelled_by("a person");
  Batch batch;
  batch.Put(record);
  return em_->Commit(batch).ok();
}

bool SimCluster::Drain(const std::string& node, bool on) {
  if (em_ == nullptr) return true;
  absl::MutexLock lock(&em_->mu);
  rec::NodeRecord record = em_->catalog->nodes().at(node);
  Batch batch;
  controller::SetDrained(*em_, on, &record, &batch);
  batch.Put(record);
  (void)em_->Commit(batch);
  return true;
}

bool SimCluster::Do(const std::string& command) {
  const std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  if (words.empty()) return false;
  const std::string& verb = words[0];
  const std::string subject = words.size() > 1 ? words[1] : "";
  int64_t number = 0;
  const bool has_number = absl::SimpleAtoi(words.back(), &number);
  if (verb == "clock" && has_number) {
    if (subject == kEm) clock_.JumpWall(absl::Seconds(number));
    clock_skew_[subject] += absl::Seconds(number);
    return true;
  }
  if (const auto host = hosts_.find(subject); host != hosts_.end())
    return DoToNode(verb, host->second.get(), number);
  if (subject.empty() || has_number) return DoToEm(verb, number);
  return DoToWorkload(verb, subject);
}

bool SimCluster::DoToEm(const std::string& verb, int64_t number) {
  if (verb == "kill_em") {
    KillEm();
  } else if (verb == "start_em") {
    StartEm();
  } else if (verb == "pause_em") {
    em_paused_ = true;
  } else if (verb == "resume_em") {
    em_paused_ = false;
  } else if (verb == "fill_em") {
    disk_.full = true;
  } else if (verb == "free_em") {
    disk_.full = false;
  } else if (verb == "maintenance_on" || verb == "maintenance_off") {
    return SetMaintenance(verb == "maintenance_on");
  } else if (verb == "crash_em_at_write" && number > 0) {
    disk_.fail_at = disk_.writes + number;
  } else {
    return false;
  }
  return true;
}

bool SimCluster::DoToNode(const std::string& verb, SimHost* host, int64_t number) {
  const std::string& name = host->name();
  if (verb == "power_off") {
    host->PowerOff();
  } else if (verb == "power_on") {
    host->PowerOn(Local(name));
  } else if (verb == "pause") {
    host->Pause();
  } else if (verb == "resume") {
    host->Resume();
  } else if (verb == "kill_agent") {
    host->KillAgent();
  } else if (verb == "start_agent") {
    host->StartAgent(Local(name));
  } else if (verb == "crash_agent") {
    host->CrashAgentAtWrite();
  } else if (verb == "cut") {
    cut_out_.insert(name);
    cut_in_.insert(name);
  } else if (verb == "cut_em") {
    cut_em_.insert(name);
  } else if (verb == "cut_out") {
    cut_out_.insert(name);
  } else if (verb == "cut_in") {
    cut_in_.insert(name);
  } else if (verb == "break_fence") {
    broken_fences_.insert(name);
  } else if (verb == "mend_fence") {
    broken_fences_.erase(name);
  } else if (verb == "heal") {
    cut_em_.erase(name);
    cut_out_.erase(name);
    cut_in_.erase(name);
  } else if (verb == "drift") {
    drift_[name] = static_cast<double>(number);
  } else if (verb == "send") {
    if (host->Send(receiver_, sent_[name] + 1)) ++sent_[name];
  } else if (verb == "break_restores" || verb == "mend_restores") {
    host->BreakRestores(verb == "break_restores");
  } else if (verb == "drain" || verb == "undrain") {
    return Drain(name, verb == "drain");
  } else if (verb == "remove_node") {
    return RemoveNode(name);
  } else {
    return false;
  }
  return true;
}

bool SimCluster::DoToWorkload(const std::string& verb, const std::string& workload) {
  if (verb == "approve") return Approve(workload);
  if (verb == "look_and_approve") return RunsWhereSilent(workload) || Approve(workload);
  if (verb == "break_home") {
    for (const v1::WorkloadSpec& spec : estate_.workloads())
      if (spec.name() == workload) hosts_.at(spec.node())->service(workload).broken = true;
    return true;
  }
  if (verb == "cancel") return Cancel(workload);
  if (verb == "move_home") return Move(workload, "");
  if (absl::StartsWith(verb, "move_to_")) return Move(workload, verb.substr(8));
  SimService& service = HostOf(workload).service(workload);
  if (verb == "kill_service") {
    service.running = false;
  } else if (verb == "delete_data") {
    service.data = false;
  } else if (verb == "break_service") {
    service.broken = true;
  } else if (verb == "mend_service") {
    service.broken = false;
  } else {
    return false;
  }
  return true;
}

void SimCluster::CheckInvariants() {
  const auto active = [this](const std::string& workload) {
    int count = 0;
    for (const auto& [name, host] : hosts_) {
      const auto service = host->services().find(workload);
      count += service != host->services().end() && service->second.running && !host->paused();
    }
    return count;
  };
  invariants_->CheckActive(absl::FormatDuration(now()), active);
  if (em_ == nullptr || checked_writes_ == disk_.writes) return;
  checked_writes_ = disk_.writes;
  CheckMoves();
  absl::MutexLock lock(&em_->mu);
  invariants_->CheckCatalog(absl::FormatDuration(now()), *em_->catalog);
}

void SimCluster::CheckMoves() {
  absl::MutexLock lock(&em_->mu);
  for (const auto& [id, record] : em_->catalog->recoveries()) {
    const v1::Recovery& move = record.recovery();
    const bool restored = move.planned() && move.state() == v1::RecoveryState::STARTING &&
                          record.tried().empty() && !record.node_death() &&
                          record.candidate() == rec::Candidate::RESTORE_STANDBY;
    if (!restored || move.node() == move.target()) continue;
    const int64_t before = hosts_.at(move.node())->service(move.workload()).written;
    const int64_t after = stored_[move.backup_id()];
    if (after < before) {
      invariants_->Complain(absl::FormatDuration(now()),
                            absl::StrCat(id, " lost ", before - after, " writes of ",
                                         move.workload(), " in a planned move"));
    }
  }
}

bool SimCluster::AllMessagesTaken() {
  for (const auto& [name, host] : hosts_)
    if (host->MessagesWait()) return false;
  return true;
}

std::vector<std::string> SimCluster::RunningServices() {
  std::vector<std::string> running;
  for (const auto& [name, host] : hosts_) {
    for (const auto& [workload, service] : host->services())
      if (service.running) running.push_back(workload);
  }
  std::sort(running.begin(), running.end());
  return running;
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
