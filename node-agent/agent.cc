#include "node-agent/agent.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/server.h"
#include "common/vault/vault_service.h"
#include "node-agent/exchange.h"
#include "node-agent/link/em_channel.h"
#include "node-agent/link/link.h"
#include "node-agent/link/lookout.h"
#include "node-agent/link/uplink.h"
#include "node-agent/orders/actions.h"
#include "node-agent/orders/key_release.h"
#include "node-agent/supervise/host_watchdog.h"

namespace ember::agent {
namespace {

std::string HostBootId() {
  absl::StatusOr<std::string> id = ReadFile("/proc/sys/kernel/random/boot_id", 256);
  return id.ok() ? std::string(absl::StripAsciiWhitespace(*id)) : std::string();
}

class AgentImpl final : public Agent {
 public:
  explicit AgentImpl(const AgentOptions& options)
      : options_(options), clock_(options.clock), state_(options.state_directory) {}
  ~AgentImpl() override;

  absl::Status Open();
  int port() const override { return server_->port(); }
  absl::Status Reload() override;

 private:
  absl::Status OpenState();
  absl::Status OpenIdentity();
  void BuildVaults();
  void BuildWorkloads();
  void BuildLease();
  absl::Status Serve();
  void BuildLink();
  void Refused(const rpc::Peer& peer, absl::string_view method, const absl::Status& why);
  // The link comes last and goes first; until then and after there is nobody to urge.
  void Urge();
  void TryNow();

  const AgentOptions options_;
  Clock* const clock_;
  const StateDirectory state_;

  // In the order of construction; each uses only those before it.
  Fd lock_;
  std::unique_ptr<Epochs> epochs_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<EventSpool> events_;
  std::unique_ptr<EmChannel> em_;
  std::unique_ptr<MessageLog> messages_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Uplink> uplink_;
  std::unique_ptr<VaultHost> vaults_;
  std::unique_ptr<ExportKeeper> exports_;
  std::unique_ptr<Supervisor> supervisor_;
  std::unique_ptr<Lookout> lookout_;
  std::unique_ptr<LeaseKeeper> lease_;
  std::unique_ptr<HostWatchdog> watchdog_;
  std::unique_ptr<OrderActions> actions_;
  std::unique_ptr<OrderRunner> orders_;
  std::unique_ptr<grpc::Service> vault_service_;
  std::unique_ptr<grpc::Service> peer_service_;
  std::unique_ptr<grpc::Service> message_service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Link> link_;

  absl::Mutex mu_;
  Link* urged_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::map<std::string, absl::Duration> refused_
      ABSL_GUARDED_BY(mu_);  // name of the peer → when told
};

absl::Status AgentImpl::Open() {
  EMBER_RETURN_IF_ERROR(OpenState());
  EMBER_RETURN_IF_ERROR(OpenIdentity());
  EMBER_ASSIGN_OR_RETURN(messages_,
                         MessageLog::Open(state_.messages(), [this](absl::string_view what) {
                           events_->Add("messages.lost", em_->node(), what);
                         }));
  BuildVaults();
  BuildWorkloads();
  BuildLease();
  EMBER_RETURN_IF_ERROR(Serve());
  BuildLink();
  EMBER_RETURN_IF_ERROR(exchange_->ApplyStored());
  vaults_->Run();
  exports_->Run();
  if (watchdog_ != nullptr) watchdog_->Run();
  lookout_->Run();
  lease_->Run();
  orders_->Run();
  link_->Run();
  LogInfo("agent", "running", {{"node", em_->node()}, {"port", port()}, {"em", em_->address()}});
  return absl::OkStatus();
}

AgentImpl::~AgentImpl() {
  {
    absl::MutexLock lock(&mu_);
    urged_ = nullptr;
  }
  if (link_ != nullptr) link_->Stop();
  if (orders_ != nullptr) orders_->Stop();
  if (server_ != nullptr) server_->Stop(absl::Seconds(1));
  if (lease_ != nullptr) lease_->Stop();
  if (lookout_ != nullptr) lookout_->Stop();
  watchdog_ = nullptr;
  supervisor_ = nullptr;
  exports_ = nullptr;
  if (vaults_ != nullptr) vaults_->Stop();
}

absl::Status AgentImpl::OpenState() {
  EMBER_ASSIGN_OR_RETURN(lock_, state_.Lock());
  EMBER_ASSIGN_OR_RETURN(epochs_, Epochs::Open(state_.epochs()));
  EMBER_ASSIGN_OR_RETURN(ledger_, Ledger::Open(state_.orders()));
  EMBER_ASSIGN_OR_RETURN(events_, EventSpool::Open(state_.events(), clock_));
  return absl::OkStatus();
}

absl::Status AgentImpl::OpenIdentity() {
  std::string address = options_.em;
  if (address.empty()) {
    EMBER_ASSIGN_OR_RETURN(address, state_.LoadEm());
  }
  EMBER_ASSIGN_OR_RETURN(em_, EmChannel::Open(address, state_.identity(), clock_));
  if (!options_.node.empty() && options_.node != em_->node()) {
    return WithHint(
        absl::FailedPreconditionError(absl::StrCat("this is not node '", options_.node,
                                                   "': it joined as '", em_->node(), "'")),
        absl::StrCat("start it with --name ", em_->node(), ", or join again with another token"));
  }
  return absl::OkStatus();
}

void AgentImpl::BuildVaults() {
  vaults_ = std::make_unique<VaultHost>(DirectoryVaults(clock_), clock_, [this] { Urge(); });
  ExportKeeper::Ports exports;
  exports.clock = clock_;
  exports.fetch = [this] { return FetchCatalogExport(em_->channel()); };
  exports.vaults = [this] { return vaults_->Open(); };
  exports_ = std::make_unique<ExportKeeper>(std::move(exports));
  vault_service_ =
      vault::NewVaultService([this](const std::string& name) { return vaults_->Find(name); },
                             [this] { return em_->identity(); },
                             [this](const rpc::Peer& peer, absl::string_view method,
                                    const absl::Status& why) { Refused(peer, method, why); });
}

void AgentImpl::BuildWorkloads() {
  supervisor_ = std::make_unique<Supervisor>(
      HostEnvironment(state_.workloads(), options_.agent_binary, clock_, [this] { Urge(); }),
      epochs_.get());
  uplink_ = std::make_unique<Uplink>(clock_, absl::LocalTimeZone());
  DataPlane plane;
  plane.pace = [this](const std::string& node, int64_t bytes) {
    return uplink_->Pace(node, bytes);
  };
  plane.clock = clock_;
  plane.node = em_->node();
  plane.cache_directory = state_.cache();
  plane.open_vault = [this](const v1::VaultAddress& address) {
    return DialVault(address, em_->identity());
  };
  plane.open_replica_source = [this](const v1::VaultAddress& address) {
    return DialReplicaSource(address, em_->identity());
  };
  plane.find_vault = [this](const std::string& name) { return vaults_->Find(name); };
  plane.rebuild_index = [this](const std::string& name) { return vaults_->RebuildIndex(name); };
  plane.keys = [this](const std::string& order_id) {
    return KeysFromController([this] { return em_->channel(); }, order_id);
  };
  actions_ = NewOrderActions(supervisor_.get(), std::move(plane));
  orders_ = std::make_unique<OrderRunner>(
      OrderRunner::Ports{clock_, ledger_.get(), epochs_.get(), actions_.get(), [this] { Urge(); }});
}

void AgentImpl::BuildLease() {
  peers_ = std::make_unique<Peers>(em_->node(), [this] { return em_->identity(); });
  LeaseKeeper::Ports ports;
  ports.clock = clock_;
  ports.ask_peers = [this](absl::Duration timeout) { return peers_->Ask(timeout); };
  ports.has_self_fencing = [this] { return supervisor_->HasSelfFencing(); };
  ports.apply = [this](const FenceState& fence) { supervisor_->SetFence(fence); };
  ports.controller_is_up = [this] { TryNow(); };
  ports.event = [this](absl::string_view type, absl::string_view message) {
    events_->Add(type, em_->node(), message);
  };
  lease_ = std::make_unique<LeaseKeeper>(std::move(ports));
  lookout_ = std::make_unique<Lookout>(
      clock_, [this](const std::set<std::string>& nodes, absl::Duration timeout) {
        return peers_->Reach(nodes, timeout);
      });
  if (!options_.watchdog.empty()) {
    HostWatchdog::Ports watchdog;
    watchdog.clock = clock_;
    watchdog.device = OpenWatchdogDevice(options_.watchdog);
    watchdog.fences = [this] { return supervisor_->HasSelfFencing(); };
    watchdog.overdue = [this] { return supervisor_->IsFenceOverdue(); };
    watchdog.event = [this](absl::string_view type, absl::string_view message) {
      events_->Add(type, em_->node(), message);
    };
    watchdog_ = std::make_unique<HostWatchdog>(std::move(watchdog));
  }
  peer_service_ = NewPeerService([this] { return lease_->HasLease(); });
}

absl::Status AgentImpl::Serve() {
  rpc::ServerOptions server;
  server.listen = options_.listen;
  server.identity_directory = state_.identity();
  server.clock = clock_;
  server.admit = [this](const rpc::Peer& peer) { return peers_->Admit(peer); };
  server.refused = [this](const rpc::Peer& peer, absl::string_view method,
                          const absl::Status& why) { Refused(peer, method, why); };
  message_service_ = NewMessageSpoolService(messages_.get(), em_->node(), [this] { Urge(); });
  EMBER_ASSIGN_OR_RETURN(
      server_, rpc::Server::Start(
                   server, {vault_service_.get(), peer_service_.get(), message_service_.get()}));
  return absl::OkStatus();
}

void AgentImpl::BuildLink() {
  Exchange::Self self;
  self.node = em_->node();
  self.data_address = options_.advertise.empty() ? absl::StrCat(":", port()) : options_.advertise;
  self.boot_id = absl::BytesToHexString(RandomBytes(16));
  self.host_boot_id = HostBootId();
  exchange_ = std::make_unique<Exchange>(
      Exchange::Parts{clock_, &state_, epochs_.get(), ledger_.get(), orders_.get(),
                      supervisor_.get(), vaults_.get(), exports_.get(), events_.get(),
                      messages_.get(), lease_.get(), peers_.get(), uplink_.get(), lookout_.get()},
      std::move(self));
  Link::Ports ports;
  ports.clock = clock_;
  ports.em = em_.get();
  ports.facts = [this] { return exchange_->Facts(); };
  ports.reply = [this](const v1::HeartbeatReply& reply, absl::Duration sent) {
    return exchange_->Reply(reply, sent);
  };
  ports.refused = [this] { lease_->Refused(); };
  ports.unanswered = [this] { exchange_->Unanswered(); };
  ports.duplicate = options_.duplicate;
  ports.renewed = [this] { peers_->Redial(); };
  link_ = std::make_unique<Link>(std::move(ports));
  absl::MutexLock lock(&mu_);
  urged_ = link_.get();
}

void AgentImpl::Urge() {
  absl::MutexLock lock(&mu_);
  if (urged_ != nullptr) urged_->Urge();
}

void AgentImpl::TryNow() {
  absl::MutexLock lock(&mu_);
  if (urged_ != nullptr) urged_->TryNow();
}

void AgentImpl::Refused(const rpc::Peer& peer, absl::string_view method, const absl::Status& why) {
  {
    // A scanner must not fill the spool.
    absl::MutexLock lock(&mu_);
    const absl::Duration now = clock_->Monotonic();
    std::erase_if(refused_, [&](const auto& each) {
      return now - each.second >= absl::Seconds(kRefusedEventSeconds);
    });
    const bool many = refused_.size() >= kRefusedPeersMax;
    if (many || !refused_.emplace(peer.name, now).second) return;
  }
  events_->Add("peer.refused", peer.name.empty() ? peer.address : peer.name,
               absl::StrCat(method, " from ", peer.address, ": ", why.message()));
}

absl::Status AgentImpl::Reload() {
  EMBER_RETURN_IF_ERROR(em_->Reload());
  peers_->Redial();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(const AgentOptions& options) {
  auto agent = std::make_unique<AgentImpl>(options);
  EMBER_RETURN_IF_ERROR(agent->Open());
  return agent;
}

}  // namespace ember::agent
