// A controller as far as an agent can tell: one estate, one node, replies as the test wants them.
#ifndef EMBER_TESTS_UNIT_AGENT_FAKE_EM_H_
#define EMBER_TESTS_UNIT_AGENT_FAKE_EM_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/crypto/certificate.h"
#include "common/crypto/keybox.h"
#include "common/rpc/server.h"
#include "ember/v1/agent.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

// Holds a beat, as the real one does, until there is something to say, the beat is urgent, or it is
// given up. A reply may be lost on its way, because the agent gave the beat up: orders are
// repeated, as the real one does, until a beat tells of them, and the newest configuration until it
// is in force.
class FakeEm final : public v1::AgentService::Service {
 public:
  FakeEm();
  ~FakeEm() override;

  std::string address() const;
  // An identity directory for the agent `name`.
  std::string MakeIdentity(const std::string& name, absl::Duration lifetime = absl::Hours(24 * 90));
  std::string Token(const std::string& node);
  // Stops answering, and answers again at the same address.
  void Down();
  void Up();
  // From now on the node is not one of the estate's.
  void Remove();

  // The reply to the next beat.
  void Say(v1::HeartbeatReply reply);
  void GiveOrder(const v1::Order& order);
  // Facts of the newest beat.
  v1::HeartbeatRequest last() const;
  std::vector<v1::HeartbeatRequest> beats() const;
  // Of any beat so far.
  v1::OrderUpdate UpdateOf(const std::string& order_id) const;
  std::vector<v1::AgentEvent> events() const;
  int renewals() const;

  v1::DomainKeys domain() const;
  v1::Signed Grant(const v1::Grant& grant) const;
  const std::string& ca_pem() const { return ca_.certificate_pem; }

  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatReply* reply) override;
  grpc::Status RenewCertificate(grpc::ServerContext* context,
                                const v1::RenewCertificateRequest* request,
                                v1::RenewCertificateReply* reply) override;
  grpc::Status ReleaseKeys(grpc::ServerContext* context, const v1::ReleaseKeysRequest* request,
                           v1::ReleaseKeysReply* reply) override;

 private:
  class Enrol;

  void Confirm(const v1::HeartbeatRequest& beat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Repeat(v1::HeartbeatReply* reply) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  TempDir dir_;
  KeyAndCertificate ca_;
  X25519KeyPair domain_pair_;
  std::string id_key_;
  std::unique_ptr<Enrol> enrol_;
  std::unique_ptr<rpc::Server> server_;
  int port_ = 0;
  mutable absl::Mutex mu_;
  std::vector<v1::HeartbeatReply> replies_ ABSL_GUARDED_BY(mu_);
  v1::HeartbeatReply unconfirmed_ ABSL_GUARDED_BY(mu_);  // orders and a configuration
  std::vector<v1::HeartbeatRequest> beats_ ABSL_GUARDED_BY(mu_);
  uint64_t epoch_ ABSL_GUARDED_BY(mu_) = 1;
  bool removed_ ABSL_GUARDED_BY(mu_) = false;
  int renewals_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_AGENT_FAKE_EM_H_
