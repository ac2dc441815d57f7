#include "node-agent/link/em_channel.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/renewal.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace ember::agent {

// gRPC takes a time span as "from now" on its own monotonic clock.
void SetTimeout(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(gpr_time_from_millis(absl::ToInt64Milliseconds(timeout), GPR_TIMESPAN));
}

absl::StatusOr<std::unique_ptr<EmChannel>> EmChannel::Open(std::string address,
                                                           std::string identity_directory,
                                                           Clock* clock) {
  std::unique_ptr<EmChannel> em(
      new EmChannel(std::move(address), std::move(identity_directory), clock));
  EMBER_RETURN_IF_ERROR(em->Reload());
  return em;
}

absl::Status EmChannel::Reload() {
  absl::StatusOr<rpc::Identity> identity = rpc::LoadIdentity(identity_directory_);
  if (!identity.ok()) {
    return WithHint(
        absl::FailedPreconditionError(absl::StrCat("no usable identity in ", identity_directory_,
                                                   ": ", identity.status().message())),
        "ember node token NODE, then: ember-agent join TOKEN --state-dir DIR");
  }
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo info, ParseCertificate(identity->certificate_pem));
  std::shared_ptr<grpc::Channel> channel = rpc::Dial(address_, *identity, "controller", "em");
  absl::MutexLock lock(&mu_);
  identity_ = *std::move(identity);
  node_ = info.name;
  not_after_ = info.not_after;
  channel_ = std::move(channel);
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> EmChannel::channel() const {
  absl::MutexLock lock(&mu_);
  return channel_;
}

void EmChannel::DialNow() { grpc::experimental::ChannelResetConnectionBackoff(channel().get()); }

void EmChannel::DialAnew() {
  absl::MutexLock lock(&mu_);
  channel_ = rpc::Dial(address_, identity_, "controller", "em");
}

rpc::Identity EmChannel::identity() const {
  absl::MutexLock lock(&mu_);
  return identity_;
}

std::string EmChannel::node() const {
  absl::MutexLock lock(&mu_);
  return node_;
}

bool EmChannel::HasExpired() const {
  absl::MutexLock lock(&mu_);
  return clock_->Now() >= not_after_;
}

absl::Status EmChannel::RenewIfDue() {
  const absl::Time now = clock_->Now();
  {
    absl::MutexLock lock(&mu_);
    if (not_after_ - now > absl::Hours(24 * kRenewBeforeDays) || now < renew_not_before_)
      return absl::OkStatus();
    renew_not_before_ = now + absl::Minutes(kRenewRetryMinutes);
  }
  EMBER_RETURN_IF_ERROR(Renew());
  LogInfo("link", "the certificate was renewed", {{"node", node()}});
  return absl::OkStatus();
}

absl::Status EmChannel::Renew() {
  const auto sign = [this](const std::string& csr) -> absl::StatusOr<std::string> {
    v1::RenewCertificateRequest request;
    request.set_csr_pem(csr);
    v1::RenewCertificateReply reply;
    grpc::ClientContext context;
    SetTimeout(&context, absl::Seconds(kJoinSeconds));
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc(
        v1::AgentService::NewStub(channel())->RenewCertificate(&context, request, &reply)));
    return reply.certificate_pem();
  };
  EMBER_ASSIGN_OR_RETURN(const rpc::Identity renewed,
                         rpc::RenewedIdentity(identity(), NewPrivateKeyPem(), clock_->Now(), sign));
  EMBER_RETURN_IF_ERROR(rpc::SaveIdentity(identity_directory_, renewed));
  return Reload();
}

}  // namespace ember::agent
