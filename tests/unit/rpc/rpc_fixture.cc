#include "tests/unit/rpc/rpc_fixture.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/rpc/convert.h"
#include "grpc/support/time.h"

namespace ember::rpc {

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(gpr_time_from_seconds(20, GPR_TIMESPAN));
}

void Services::Saw(const grpc::ServerContext& context) {
  absl::MutexLock lock(&mu_);
  seen_.push_back(CallerOf(context));
}
Peer Services::last() const {
  absl::MutexLock lock(&mu_);
  return seen_.empty() ? Peer() : seen_.back();
}
int Services::calls() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int>(seen_.size());
}

grpc::Status Services::Peers::HasLease(grpc::ServerContext* context, const v1::HasLeaseRequest*,
                                       v1::HasLeaseReply* reply) {
  all->Saw(*context);
  const int running = ++all->running;
  all->running_max = std::max<int>(all->running_max, running);
  if (all->hold != nullptr) all->hold->WaitForNotification();
  --all->running;
  reply->set_has_lease(true);
  return grpc::Status::OK;
}
grpc::Status Services::Enrol::Join(grpc::ServerContext* context, const v1::JoinRequest*,
                                   v1::JoinReply*) {
  all->Saw(*context);
  return grpc::Status::OK;
}
grpc::Status Services::Estate::Status(grpc::ServerContext* context, const v1::StatusRequest*,
                                      v1::StatusReply*) {
  all->Saw(*context);
  return grpc::Status::OK;
}
grpc::Status Services::Estate::Apply(grpc::ServerContext* context, const v1::ApplyRequest*,
                                     v1::ApplyReply*) {
  all->Saw(*context);
  return ToGrpc(all->apply_says);
}
grpc::Status Services::Vault::Upload(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::UploadReply, v1::UploadRequest>* stream) {
  all->Saw(*context);
  v1::UploadRequest request;
  v1::UploadReply reply;
  while (stream->Read(&request)) {
    int64_t bytes = 0;
    for (const v1::Record& record : request.records()) bytes += record.payload().size();
    reply.set_stored_bytes(bytes);
    stream->Write(reply);
  }
  return grpc::Status::OK;
}

RpcFixture::RpcFixture() : ca_(CreateCa("home", SystemClock()->Now()).value()) {
  clock_.JumpWall(SystemClock()->Now() - clock_.Now());
  options_.listen = "127.0.0.1:0";
  options_.identity_directory = dir_.Join("identity");
  options_.clock = &clock_;
  options_.admit = [this](const Peer& peer) {
    absl::MutexLock lock(&mu_);
    return revoked_.count(peer.serial) ? absl::PermissionDeniedError("its certificate was revoked")
                                       : absl::OkStatus();
  };
  options_.refused = [this](const Peer& peer, absl::string_view method, const absl::Status& why) {
    absl::MutexLock lock(&mu_);
    refusals_.push_back({peer, std::string(method), why});
  };
  served_ = {&services_.peers, &services_.enrol, &services_.estate, &services_.vault};
}

void RpcFixture::StartServer() {
  ASSERT_OK(SaveIdentity(options_.identity_directory, MakeIdentity("controller", "em")));
  ASSERT_OK_AND_ASSIGN(server_, Server::Start(options_, served_));
}

Identity RpcFixture::MakeIdentity(absl::string_view role, absl::string_view name,
                                  absl::Duration lifetime) {
  Identity identity;
  identity.key_pem = NewPrivateKeyPem();
  identity.certificate_pem =
      SignCsr(ca_, CreateCsr(identity.key_pem).value(), role, name, clock_.Now(), lifetime).value();
  identity.ca_pem = ca_.certificate_pem;
  return identity;
}

std::string RpcFixture::address() const { return absl::StrCat("127.0.0.1:", server_->port()); }

std::shared_ptr<grpc::Channel> RpcFixture::Channel(const Identity& identity) {
  return Dial(address(), identity, "controller", "em");
}

absl::Status RpcFixture::HasLease(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::HasLeaseReply reply;
  return FromGrpc(v1::PeerService::NewStub(channel)->HasLease(&context, {}, &reply));
}
absl::Status RpcFixture::Join(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::JoinReply reply;
  return FromGrpc(v1::EnrolService::NewStub(channel)->Join(&context, {}, &reply));
}
absl::Status RpcFixture::GetStatus(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::StatusReply reply;
  return FromGrpc(v1::EstateService::NewStub(channel)->Status(&context, {}, &reply));
}
absl::Status RpcFixture::Apply(const std::shared_ptr<grpc::Channel>& channel,
                               const std::string& text) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ApplyRequest request;
  request.set_text(text);
  v1::ApplyReply reply;
  return FromGrpc(v1::EstateService::NewStub(channel)->Apply(&context, request, &reply));
}

std::vector<Refusal> RpcFixture::refusals() const {
  absl::MutexLock lock(&mu_);
  return refusals_;
}
void RpcFixture::Revoke(const std::string& serial) {
  absl::MutexLock lock(&mu_);
  revoked_.insert(serial);
}

}  // namespace ember::rpc
