#include "controller/controller.h"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/server.h"
#include "controller/em_state.h"
#include "controller/notify/channel.h"
#include "controller/notify/notifier.h"
#include "controller/service/refusals.h"
#include "controller/service/services.h"
#include "controller/tick.h"

namespace ember::controller {
namespace {

class ControllerImpl : public Controller {
 public:
  ControllerImpl(const ControllerOptions& options, Fd lock, std::unique_ptr<EmState> em)
      : options_(options),
        lock_(std::move(lock)),
        em_(std::move(em)),
        notifier_(em_.get(), &SendNotice) {}
  ~ControllerImpl() override { Stop(); }

  absl::Status Serve() {
    EMBER_RETURN_IF_ERROR(BeginTerm(*em_));
    beats_ = NewAgentService(em_.get());
    services_.push_back(NewEnrolService(em_.get()));
    services_.push_back(NewEstateService(em_.get()));
    SetAdvertise(options_.advertise);
    services_.push_back(NewFleetService(em_.get()));
    services_.push_back(NewProtectionService(em_.get()));
    services_.push_back(NewRecoveryService(em_.get()));
    services_.push_back(NewEventService(em_.get()));
    services_.push_back(NewMessageService(em_.get()));
    std::vector<grpc::Service*> services = {beats_->service()};
    for (const auto& service : services_) services.push_back(service.get());
    rpc::ServerOptions server;
    server.listen = options_.listen;
    server.identity_directory = JoinPath(options_.state_directory, "identity");
    server.clock = options_.clock;
    server.admit = [this](const rpc::Peer& peer) { return Admit(peer); };
    server.refused = [this](const rpc::Peer& peer, absl::string_view method,
                            const absl::Status& why) { Refused(peer, method, why); };
    EMBER_ASSIGN_OR_RETURN(server_, rpc::Server::Start(server, services));
    ticker_ = std::thread([this] { TickUntilStopped(); });
    notifier_.Run();
    return absl::OkStatus();
  }

  int port() const override { return server_->port(); }

  void SetAdvertise(const std::string& advertise) override {
    absl::MutexLock lock(&em_->mu);
    em_->advertise = advertise;
  }

  void Stop() override {
    if (stop_.HasBeenNotified()) return;
    stop_.Notify();
    if (ticker_.joinable()) ticker_.join();
    notifier_.Stop();
    if (beats_ != nullptr) beats_->ReleaseAll();
    if (server_ != nullptr) server_->Stop(absl::Seconds(5));
  }

 private:
  void TickUntilStopped() {
    absl::Duration renew_at = em_->clock->Monotonic() + absl::Hours(24);
    std::string last_error;
    while (!stop_.HasBeenNotified()) {
      const absl::Status status = Tick(*em_);
      if (!status.ok() && status.message() != last_error)
        LogError("tick", "ended early", {{"error", status.message()}});
      last_error = std::string(status.message());
      beats_->Release();
      if (em_->clock->Monotonic() > renew_at) {
        renew_at += absl::Hours(24);
        RenewOwnCertificate();
      }
      absl::MutexLock lock(&em_->mu);
      const auto wake = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return em_->news || stop_.HasBeenNotified();
      };
      em_->mu.AwaitWithTimeout(absl::Condition(&wake), absl::Milliseconds(kTickMillis));
    }
  }

  void RenewOwnCertificate() {
    absl::MutexLock lock(&em_->mu);
    if (absl::Status status = em_->keys->RenewOwnCertificate(em_->clock->Now()); !status.ok()) {
      LogError("identity", "own certificate not renewed", {{"error", status.message()}});
    }
  }

  absl::Status Admit(const rpc::Peer& peer) {
    if (peer.role != v1::Role::AGENT) return absl::OkStatus();
    absl::MutexLock lock(&em_->mu);
    const auto node = em_->catalog->nodes().find(peer.name);
    if (node == em_->catalog->nodes().end())
      return PeerRefused(absl::StrCat("agent ", peer.name), "no such node is enrolled");
    if (node->second.revoked())
      return PeerRefused(absl::StrCat("agent ", peer.name), "the node was removed");
    const auto& serials = node->second.valid_serials();
    if (std::find(serials.begin(), serials.end(), peer.serial) == serials.end()) {
      return PeerRefused(absl::StrCat("agent ", peer.name),
                         "its certificate was superseded by a newer enrolment");
    }
    return absl::OkStatus();
  }

  void Refused(const rpc::Peer& peer, absl::string_view method, const absl::Status& why) {
    const std::string who = peer.name.empty() ? "a peer without a valid certificate" : peer.name;
    absl::MutexLock lock(&em_->mu);
    NoteRefusal(*em_, who, absl::StrCat(method, ": ", why.message()));
  }

  const ControllerOptions options_;
  const Fd lock_;
  const std::unique_ptr<EmState> em_;
  Notifier notifier_;
  std::unique_ptr<HeldBeats> beats_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<rpc::Server> server_;
  absl::Notification stop_;
  std::thread ticker_;
};

}  // namespace

absl::Status InitEstate(const std::string& state_directory, Clock* clock) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(state_directory));
  EMBER_ASSIGN_OR_RETURN(const Fd lock, LockFile(JoinPath(state_directory, "lock")));
  if (FileExists(JoinPath(state_directory, "ca/cert.pem")) ||
      FileExists(JoinPath(state_directory, "catalog"))) {
    return WithHint(absl::AlreadyExistsError(
                        absl::StrCat("there is an estate in ", state_directory, " already")),
                    absl::StrCat("ember-controller --state-dir ", state_directory));
  }
  const std::string estate_id = absl::BytesToHexString(RandomBytes(8));
  return KeyVault::Create(state_directory, estate_id, clock->Now());
}

absl::StatusOr<std::unique_ptr<Controller>> Controller::Start(const ControllerOptions& options) {
  if (!FileExists(JoinPath(options.state_directory, "ca/cert.pem")))
    return StateDirEmpty(options.state_directory);
  EMBER_ASSIGN_OR_RETURN(Fd lock, LockFile(JoinPath(options.state_directory, "lock")));
  EMBER_ASSIGN_OR_RETURN(auto keys, KeyVault::Open(options.state_directory, options.clock->Now()));
  EMBER_ASSIGN_OR_RETURN(auto catalog, Catalog::Open(JoinPath(options.state_directory, "catalog")));
  auto em = std::make_unique<EmState>(options.clock, std::move(catalog), std::move(keys));
  auto controller = std::make_unique<ControllerImpl>(options, std::move(lock), std::move(em));
  EMBER_RETURN_IF_ERROR(controller->Serve());
  return controller;
}

}  // namespace ember::controller
