// Who a peer is, and what it may call.
#ifndef EMBER_COMMON_RPC_IDENTITY_H_
#define EMBER_COMMON_RPC_IDENTITY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ember/v1/types.pb.h"

namespace ember::rpc {

// A directory with `key.pem`, `cert.pem` and `ca.pem`: one identity of one estate.
struct Identity {
  std::string key_pem;
  std::string certificate_pem;
  std::string ca_pem;
};
absl::StatusOr<Identity> LoadIdentity(const std::string& directory);
// Files mode 0600, directory 0700; certificate last, so a half-written one is not used.
absl::Status SaveIdentity(const std::string& directory, const Identity& identity);

// The authenticated caller of an RPC. role NONE: no certificate was shown (enrolment only).
struct Peer {
  v1::Role::Value role = v1::Role::NONE;
  std::string name;
  std::string serial;
  std::string address;  // as gRPC names it, for the log
};

// The roles that may call `method` ("/ember.v1.AgentService/Heartbeat"); empty when the method has no row, and then
// nobody may.
std::vector<v1::Role::Value> RolesFor(absl::string_view method);
// Every row, for the test that compares them with the proto descriptors.
std::vector<std::string> MethodsWithRoles();

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_IDENTITY_H_
