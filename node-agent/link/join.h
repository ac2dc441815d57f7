// Enrolment: a token becomes an identity.
#ifndef EMBER_NODE_AGENT_LINK_JOIN_H_
#define EMBER_NODE_AGENT_LINK_JOIN_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "node-agent/state.h"

namespace ember::agent {

struct Joined {
  std::string node;
  std::string estate_id;
  std::string em_address;
};

// Fetches the CA that the token names by fingerprint, makes a key here, has it certified, and
// stores identity and address. Nothing is stored unless all of it succeeded. Errors: not a token
// (INVALID_ARGUMENT), EmUnreachable, TokenRefused, PERMISSION_DENIED when whoever answers is not
// the controller of the token or certifies something else.
absl::StatusOr<Joined> Join(absl::string_view token_text, const StateDirectory& state,
                            Clock* clock);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_JOIN_H_
