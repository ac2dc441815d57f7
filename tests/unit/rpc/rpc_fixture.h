// An estate with a CA, a server of its controller, and callers of every kind.
#ifndef EMBER_TESTS_UNIT_RPC_RPC_FIXTURE_H_
#define EMBER_TESTS_UNIT_RPC_RPC_FIXTURE_H_

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/crypto/certificate.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "ember/v1/agent.grpc.pb.h"
#include "ember/v1/control.grpc.pb.h"
#include "ember/v1/vault.grpc.pb.h"
#include "grpcpp/channel.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::rpc {

// Answers every call with the caller it saw; HasLease waits while `hold` is set and not notified.
struct Services {
  struct Peers : v1::PeerService::Service {
    grpc::Status HasLease(grpc::ServerContext*, const v1::HasLeaseRequest*,
                          v1::HasLeaseReply*) override;
    Services* all = nullptr;
  } peers;
  struct Enrol : v1::EnrolService::Service {
    grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest*, v1::JoinReply*) override;
    Services* all = nullptr;
  } enrol;
  struct Estate : v1::EstateService::Service {
    grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::StatusReply*) override;
    grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest*, v1::ApplyReply*) override;
    Services* all = nullptr;
  } estate;
  struct Vault : v1::VaultService::Service {
    grpc::Status Upload(
        grpc::ServerContext*,
        grpc::ServerReaderWriter<v1::UploadReply, v1::UploadRequest>* stream) override;
    Services* all = nullptr;
  } vault;

  Services() { peers.all = enrol.all = estate.all = vault.all = this; }
  void Saw(const grpc::ServerContext& context);
  Peer last() const;
  int calls() const;

  absl::Notification* hold = nullptr;
  std::atomic<int> running{0};
  std::atomic<int> running_max{0};
  absl::Status apply_says;

 private:
  mutable absl::Mutex mu_;
  std::vector<Peer> seen_ ABSL_GUARDED_BY(mu_);
};

struct Refusal {
  Peer peer;
  std::string method;
  absl::Status why;
};

class RpcFixture : public ::testing::Test {
 protected:
  RpcFixture();
  void StartServer();

  Identity MakeIdentity(absl::string_view role, absl::string_view name,
                        absl::Duration lifetime = absl::Hours(2160));
  Identity Anonymous() const { return {"", "", ca_.certificate_pem}; }
  std::string address() const;
  // A channel to the server.
  std::shared_ptr<grpc::Channel> Channel(const Identity& identity);

  absl::Status HasLease(const std::shared_ptr<grpc::Channel>& channel);
  absl::Status Join(const std::shared_ptr<grpc::Channel>& channel);
  absl::Status GetStatus(const std::shared_ptr<grpc::Channel>& channel);
  absl::Status Apply(const std::shared_ptr<grpc::Channel>& channel, const std::string& text = "");

  std::vector<Refusal> refusals() const;
  void Revoke(const std::string& serial);

  testing::TempDir dir_;
  testing::FakeClock
      clock_;  // starts at the real time: the client's TLS compares certificates with that
  const KeyAndCertificate ca_;
  Services services_;
  ServerOptions options_;
  std::vector<grpc::Service*> served_;
  std::unique_ptr<Server> server_;

 private:
  mutable absl::Mutex mu_;
  std::vector<Refusal> refusals_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> revoked_ ABSL_GUARDED_BY(mu_);
};

// A context whose call fails rather than hangs.
void SetDeadline(grpc::ClientContext& context);

}  // namespace ember::rpc

#endif  // EMBER_TESTS_UNIT_RPC_RPC_FIXTURE_H_
