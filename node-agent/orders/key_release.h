// Asks the controller for the keys that one restore or verification needs.
#ifndef EMBER_NODE_AGENT_ORDERS_KEY_RELEASE_H_
#define EMBER_NODE_AGENT_ORDERS_KEY_RELEASE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "common/crypto/keybox.h"
#include "ember/v1/agent.pb.h"
#include "grpcpp/channel.h"

namespace ember::agent {

// The keys in `reply`, sealed to `pair` and asked for `boxes`. DATA_LOSS: one does not open.
// PERMISSION_DENIED: one of the boxes was not answered.
absl::StatusOr<backup::RestoreKeys> OpenReleasedKeys(const X25519KeyPair& pair,
                                                     const std::vector<v1::Keybox>& boxes,
                                                     const v1::ReleaseKeysReply& reply);

// Each use makes a key pair that only this process and this call ever see.
backup::KeySource KeysFromController(std::function<std::shared_ptr<grpc::Channel>()> channel,
                                     std::string order_id);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_ORDERS_KEY_RELEASE_H_
