#include "tests/unit/agent/fake_em.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/rpc/identity.h"
#include "common/rpc/signed.h"
#include "node-agent/link/token.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

constexpr char kSecret[] = "the secret";

std::string Sign(const KeyAndCertificate& ca, const std::string& csr, const std::string& role,
                 const std::string& name, absl::Duration lifetime) {
  return SignCsr(ca, csr, role, name, SystemClock()->Now(), lifetime).value();
}

}  // namespace

class FakeEm::Enrol final : public v1::EnrolService::Service {
 public:
  explicit Enrol(const KeyAndCertificate& ca) : ca_(ca) {}
  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest* request,
                    v1::JoinReply* reply) override {
    if (request->secret() != kSecret) {
      return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "it was used already");
    }
    reply->set_certificate_pem(
        Sign(ca_, request->csr_pem(), "agent", request->node(), absl::Hours(24)));
    reply->set_ca_pem(ca_.certificate_pem);
    reply->set_estate_id("home");
    return grpc::Status::OK;
  }

 private:
  const KeyAndCertificate& ca_;
};

FakeEm::FakeEm()
    : ca_(CreateCa("home", SystemClock()->Now()).value()),
      domain_pair_(NewX25519KeyPair()),
      id_key_(RandomBytes(32)),
      enrol_(std::make_unique<Enrol>(ca_)) {
  rpc::Identity em;
  em.key_pem = NewPrivateKeyPem();
  em.ca_pem = ca_.certificate_pem;
  em.certificate_pem =
      Sign(ca_, CreateCsr(em.key_pem).value(), "controller", "em", absl::Hours(24));
  EXPECT_OK(rpc::SaveIdentity(dir_.Join("em"), em));
  Up();
}

FakeEm::~FakeEm() { Down(); }

void FakeEm::Up() {
  rpc::ServerOptions options;
  options.listen = absl::StrCat("127.0.0.1:", port_);
  options.identity_directory = dir_.Join("em");
  options.clock = SystemClock();
  server_ = rpc::Server::Start(options, {this, enrol_.get()}).value();
  port_ = server_->port();
}

void FakeEm::Down() {
  if (server_ != nullptr) server_->Stop(absl::ZeroDuration());
  server_ = nullptr;
}

std::string FakeEm::address() const { return absl::StrCat("127.0.0.1:", port_); }

std::string FakeEm::MakeIdentity(const std::string& name, absl::Duration lifetime) {
  rpc::Identity agent;
  agent.key_pem = NewPrivateKeyPem();
  agent.ca_pem = ca_.certificate_pem;
  agent.certificate_pem = Sign(ca_, CreateCsr(agent.key_pem).value(), "agent", name, lifetime);
  const std::string directory = dir_.Join(absl::StrCat("identity-", name));
  EXPECT_OK(rpc::SaveIdentity(directory, agent));
  return directory;
}

std::string FakeEm::Token(const std::string& node) {
  v1::JoinToken token;
  token.set_em_address(address());
  token.set_ca_fingerprint(CertificateFingerprint(ca_.certificate_pem).value());
  token.set_node(node);
  token.set_secret(kSecret);
  return agent::TokenText(token);
}

void FakeEm::Say(v1::HeartbeatReply reply) {
  absl::MutexLock lock(&mu_);
  if (reply.lease_millis() == 0) reply.set_lease_millis(kLeaseSeconds * 1000);
  if (reply.em_epoch() == 0) reply.set_em_epoch(epoch_);
  epoch_ = std::max(epoch_, reply.em_epoch());
  replies_.push_back(std::move(reply));
}

void FakeEm::Remove() {
  absl::MutexLock lock(&mu_);
  removed_ = true;
}

void FakeEm::GiveOrder(const v1::Order& order) {
  v1::HeartbeatReply reply;
  *reply.add_orders() = order;
  Say(std::move(reply));
}

v1::HeartbeatRequest FakeEm::last() const {
  absl::MutexLock lock(&mu_);
  return beats_.empty() ? v1::HeartbeatRequest() : beats_.back();
}

std::vector<v1::HeartbeatRequest> FakeEm::beats() const {
  absl::MutexLock lock(&mu_);
  return beats_;
}

v1::OrderUpdate FakeEm::UpdateOf(const std::string& order_id) const {
  absl::MutexLock lock(&mu_);
  v1::OrderUpdate newest;
  for (const v1::HeartbeatRequest& beat : beats_) {
    for (const v1::OrderUpdate& update : beat.orders()) {
      if (update.order_id() == order_id) newest = update;
    }
  }
  return newest;
}

std::vector<v1::AgentEvent> FakeEm::events() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::AgentEvent> events;
  for (const v1::HeartbeatRequest& beat : beats_) {
    events.insert(events.end(), beat.events().begin(), beat.events().end());
  }
  return events;
}

int FakeEm::renewals() const {
  absl::MutexLock lock(&mu_);
  return renewals_;
}

v1::DomainKeys FakeEm::domain() const {
  v1::DomainKeys domain;
  domain.set_id("node-nas1");
  domain.set_id_key(id_key_);
  domain.set_cut_key(std::string(32, 'c'));
  domain.set_public_key(domain_pair_.public_key);
  return domain;
}

v1::Signed FakeEm::Grant(const v1::Grant& grant) const {
  return rpc::SignGrant(ca_.key_pem, grant).value();
}

void FakeEm::Confirm(const v1::HeartbeatRequest& beat) {
  for (const v1::OrderUpdate& update : beat.orders()) {
    auto* orders = unconfirmed_.mutable_orders();
    orders->erase(
        std::remove_if(orders->begin(), orders->end(),
                       [&](const v1::Order& order) { return order.id() == update.order_id(); }),
        orders->end());
  }
  if (unconfirmed_.config().version() == beat.config_version()) unconfirmed_.clear_config();
}

void FakeEm::Repeat(v1::HeartbeatReply* reply) const {
  for (const v1::Order& order : unconfirmed_.orders()) *reply->add_orders() = order;
  if (unconfirmed_.has_config() && !reply->has_config())
    *reply->mutable_config() = unconfirmed_.config();
}

grpc::Status FakeEm::Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                               v1::HeartbeatReply* reply) {
  absl::MutexLock lock(&mu_);
  if (removed_) return {grpc::StatusCode::PERMISSION_DENIED, "it was removed"};
  beats_.push_back(*request);
  Confirm(*request);
  const auto said = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !replies_.empty(); };
  for (int i = 0; i < 300 && !context->IsCancelled() && !request->urgent(); ++i) {
    if (mu_.AwaitWithTimeout(absl::Condition(&said), absl::Milliseconds(10))) break;
  }
  reply->set_lease_millis(kLeaseSeconds * 1000);
  reply->set_em_epoch(epoch_);
  if (replies_.empty() || context->IsCancelled()) {
    Repeat(reply);
    return grpc::Status::OK;
  }
  *reply = replies_.front();
  if (!reply->rejected_duplicate()) replies_.erase(replies_.begin());
  Repeat(reply);
  // One of an older controller is not to come into force.
  if (reply->em_epoch() < epoch_) return grpc::Status::OK;
  *unconfirmed_.mutable_orders() = reply->orders();
  if (reply->has_config()) *unconfirmed_.mutable_config() = reply->config();
  return grpc::Status::OK;
}

grpc::Status FakeEm::RenewCertificate(grpc::ServerContext* context,
                                      const v1::RenewCertificateRequest* request,
                                      v1::RenewCertificateReply* reply) {
  reply->set_certificate_pem(
      Sign(ca_, request->csr_pem(), "agent", rpc::CallerOf(*context).name, absl::Hours(24 * 90)));
  absl::MutexLock lock(&mu_);
  ++renewals_;
  return grpc::Status::OK;
}

grpc::Status FakeEm::ReleaseKeys(grpc::ServerContext*, const v1::ReleaseKeysRequest* request,
                                 v1::ReleaseKeysReply* reply) {
  const auto seal = [&](const std::string& context, const std::string& secret) {
    return SealToPublicKey(request->public_key(), context, secret).value();
  };
  reply->set_id_key_box(seal(std::string(16, '\0'), id_key_));
  for (const v1::Keybox& box : request->keyboxes()) {
    absl::StatusOr<std::string> key =
        OpenWithPrivateKey(domain_pair_.private_key, box.session_id(), box.sealed());
    if (!key.ok()) return rpc::ToGrpc(key.status());
    v1::Keybox* out = reply->add_keyboxes();
    out->set_session_id(box.session_id());
    out->set_sealed(seal(box.session_id(), *key));
  }
  return grpc::Status::OK;
}

}  // namespace ember::testing
