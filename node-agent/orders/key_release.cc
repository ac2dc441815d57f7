#include "node-agent/orders/key_release.h"

#include <utility>

#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "node-agent/link/em_channel.h"

namespace ember::agent {
namespace {

// K_id belongs to no session.
constexpr size_t kSessionIdBytes = 16;

}  // namespace

absl::StatusOr<backup::RestoreKeys> OpenReleasedKeys(const X25519KeyPair& pair,
                                                     const std::vector<v1::Keybox>& boxes,
                                                     const v1::ReleaseKeysReply& reply) {
  backup::RestoreKeys keys;
  EMBER_ASSIGN_OR_RETURN(
      keys.id_key,
      OpenWithPrivateKey(pair.private_key, std::string(kSessionIdBytes, '\0'), reply.id_key_box()));
  for (const v1::Keybox& box : reply.keyboxes()) {
    EMBER_ASSIGN_OR_RETURN(keys.session_keys[box.session_id()],
                           OpenWithPrivateKey(pair.private_key, box.session_id(), box.sealed()));
  }
  for (const v1::Keybox& box : boxes) {
    if (!keys.session_keys.contains(box.session_id())) {
      return absl::PermissionDeniedError("the controller did not release the key of every session");
    }
  }
  return keys;
}

backup::KeySource KeysFromController(std::function<std::shared_ptr<grpc::Channel>()> channel,
                                     std::string order_id) {
  return [channel = std::move(channel), order_id = std::move(order_id)](
             const std::string& domain_id,
             const std::vector<v1::Keybox>& boxes) -> absl::StatusOr<backup::RestoreKeys> {
    const X25519KeyPair pair = NewX25519KeyPair();
    v1::ReleaseKeysRequest request;
    request.set_order_id(order_id);
    request.set_domain_id(domain_id);
    request.set_public_key(pair.public_key);
    for (const v1::Keybox& box : boxes) *request.add_keyboxes() = box;
    v1::ReleaseKeysReply reply;
    grpc::ClientContext context;
    SetTimeout(&context, absl::Seconds(kKeyReleaseSeconds));
    context.set_wait_for_ready(true);
    EMBER_RETURN_IF_ERROR(Annotate(
        rpc::FromGrpc(v1::AgentService::NewStub(channel())->ReleaseKeys(&context, request, &reply)),
        "the controller did not release the keys"));
    return OpenReleasedKeys(pair, boxes, reply);
  };
}

}  // namespace ember::agent
