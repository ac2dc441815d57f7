#include "node-agent/link/join.h"

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/identity.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "node-agent/link/em_channel.h"
#include "node-agent/link/token.h"

namespace ember::agent {
namespace {

absl::StatusOr<std::string> FetchCa(const v1::JoinToken& token) {
  absl::StatusOr<std::string> ca = FetchCertificateByFingerprint(
      token.em_address(), token.ca_fingerprint(), absl::Seconds(kJoinSeconds));
  if (ca.ok()) return ca;
  if (absl::IsPermissionDenied(ca.status())) {
    return WithHint(
        absl::PermissionDeniedError(
            absl::StrCat("whoever answers at ", token.em_address(),
                         " is not the controller of this token: ", ca.status().message())),
        "check the address in `ember node token NODE`, and that nobody sits in between");
  }
  return EmUnreachable(token.em_address(), ca.status().message());
}

absl::StatusOr<v1::JoinReply> Enrol(const v1::JoinToken& token, const std::string& ca_pem,
                                    const std::string& csr_pem) {
  v1::JoinRequest request;
  request.set_node(token.node());
  request.set_secret(token.secret());
  request.set_csr_pem(csr_pem);
  rpc::Identity nobody;
  nobody.ca_pem = ca_pem;
  grpc::ClientContext context;
  SetTimeout(&context, absl::Seconds(kJoinSeconds));
  context.set_wait_for_ready(true);
  v1::JoinReply reply;
  const absl::Status joined = rpc::FromGrpc(
      v1::EnrolService::NewStub(rpc::Dial(token.em_address(), nobody, "controller", "em"))
          ->Join(&context, request, &reply));
  if (absl::IsUnavailable(joined) || absl::IsDeadlineExceeded(joined)) {
    return EmUnreachable(token.em_address(), joined.message());
  }
  if (absl::IsUnauthenticated(joined) && HintOf(joined).empty())
    return TokenRefused(joined.message());
  EMBER_RETURN_IF_ERROR(joined);
  return reply;
}

absl::Status CheckCertificate(const v1::JoinToken& token, const v1::JoinReply& reply,
                              const std::string& ca_pem, absl::Time now) {
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo info,
                         VerifyCertificate(ca_pem, reply.certificate_pem(), now));
  if (info.role != "agent" || info.name != token.node() || info.estate_id != reply.estate_id()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the controller certified ", info.role, " ", info.name, " of estate ", info.estate_id,
        " instead of agent ", token.node(), " of ", reply.estate_id()));
  }
  return absl::OkStatus();
}

// Orders, epochs and a configuration of another estate would be taken for this one's.
absl::Status RefuseAnotherEstate(const StateDirectory& state, const std::string& ca_pem) {
  const absl::StatusOr<rpc::Identity> present = rpc::LoadIdentity(state.identity());
  if (!present.ok() || present->ca_pem == ca_pem) return absl::OkStatus();
  return WithHint(absl::FailedPreconditionError(absl::StrCat(
                      state.root(), " belongs to an agent of another estate: nothing was changed")),
                  absl::StrCat("stop it, `ember-agent down --state-dir ", state.root(),
                               "`, move the directory away, and join again"));
}

}  // namespace

absl::StatusOr<Joined> Join(absl::string_view token_text, const StateDirectory& state,
                            Clock* clock) {
  EMBER_ASSIGN_OR_RETURN(const v1::JoinToken token, ParseToken(token_text));
  EMBER_ASSIGN_OR_RETURN(const Fd lock, state.Lock());
  EMBER_ASSIGN_OR_RETURN(const std::string ca_pem, FetchCa(token));
  EMBER_RETURN_IF_ERROR(RefuseAnotherEstate(state, ca_pem));
  rpc::Identity identity;
  identity.ca_pem = ca_pem;
  identity.key_pem = NewPrivateKeyPem();
  EMBER_ASSIGN_OR_RETURN(const std::string csr, CreateCsr(identity.key_pem));
  EMBER_ASSIGN_OR_RETURN(const v1::JoinReply reply, Enrol(token, ca_pem, csr));
  EMBER_RETURN_IF_ERROR(CheckCertificate(token, reply, ca_pem, clock->Now()));
  identity.certificate_pem = reply.certificate_pem();
  EMBER_RETURN_IF_ERROR(state.SaveEm(token.em_address()));
  EMBER_RETURN_IF_ERROR(rpc::SaveIdentity(state.identity(), identity));
  return Joined{token.node(), reply.estate_id(), token.em_address()};
}

}  // namespace ember::agent
