// Joining: a one-time token becomes a certificate.
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "controller/fleet/nodes.h"
#include "controller/service/refusals.h"
#include "controller/service/services.h"
#include "ember/v1/agent.grpc.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

class EnrolServiceImpl : public v1::EnrolService::Service {
 public:
  explicit EnrolServiceImpl(EmState* em) : em_(*em) {}

  grpc::Status Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                    v1::JoinReply* reply) override {
    absl::MutexLock lock(&em_.mu);
    const absl::Status status = Enrol(*request, reply);
    if (status.ok()) return grpc::Status::OK;
    // The port changes with every connection.
    const std::string host = context->peer().substr(0, context->peer().rfind(':'));
    NoteRefusal(em_, request->node().substr(0, kNameBytesMax),
                absl::StrCat("join from ", host, ": ", status.message()));
    return rpc::ToGrpc(status);
  }

 private:
  absl::Status Enrol(const v1::JoinRequest& request, v1::JoinReply* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(em_.mu) {
    EMBER_RETURN_IF_ERROR(ValidateName("node", request.node()));
    const absl::Time now = em_.clock->Now();
    const auto it = em_.catalog->tokens().find(Sha256Hex(request.secret()));
    if (it == em_.catalog->tokens().end()) return TokenRefused("it is unknown");
    rec::TokenRecord token = it->second;
    if (token.used()) return TokenRefused("it was used already");
    if (rpc::FromTimestamp(token.expires()) < now) return TokenRefused("it has expired");
    if (token.node() != request.node())
      return TokenRefused(absl::StrCat("it is for node '", token.node(), "'"));
    EMBER_ASSIGN_OR_RETURN(const std::string certificate,
                           em_.keys->Sign(request.csr_pem(), "agent", request.node(), now));
    EMBER_ASSIGN_OR_RETURN(const CertificateInfo info, ParseCertificate(certificate));
    token.set_used(true);
    rec::NodeRecord node;
    const auto known = em_.catalog->nodes().find(request.node());
    if (known != em_.catalog->nodes().end()) node = known->second;
    const bool again = known != em_.catalog->nodes().end();
    node.set_name(request.node());
    node.set_revoked(false);
    // Certificates of an earlier enrolment end here; so does its event spool.
    SupersedeCertificates(node);
    node.add_valid_serials(info.serial);
    node.set_acknowledged_event_seq(0);
    *node.mutable_enrolled() = rpc::ToTimestamp(now);
    *node.mutable_certificate_expires() = rpc::ToTimestamp(info.not_after);
    if (!again || node.state() == v1::NodeState::REVOKED) {
      node.set_state(v1::NodeState::JOINED);
      *node.mutable_state_since() = rpc::ToTimestamp(now);
    }
    Batch batch;
    batch.Put(token);
    batch.Put(node);
    batch.AddEvent(
        "node.joined", request.node(),
        again ? "enrolled again: earlier certificates are refused from now on" : "enrolled");
    EMBER_RETURN_IF_ERROR(em_.Commit(batch));
    reply->set_certificate_pem(certificate);
    reply->set_ca_pem(em_.keys->ca_pem());
    reply->set_estate_id(em_.keys->estate_id());
    return absl::OkStatus();
  }

  EmState& em_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewEnrolService(EmState* em) {
  return std::make_unique<EnrolServiceImpl>(em);
}

}  // namespace ember::controller
