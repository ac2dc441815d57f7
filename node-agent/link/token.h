// The join token: everything a fresh machine needs to enrol, as one word to copy.
#ifndef EMBER_NODE_AGENT_LINK_TOKEN_H_
#define EMBER_NODE_AGENT_LINK_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ember/v1/agent.pb.h"

namespace ember::agent {

// "ember1." and the base64url (RFC 4648 section 5, without padding) of the serialised message.
std::string TokenText(const v1::JoinToken& token);
// INVALID_ARGUMENT when it is not a token: another prefix, cut off, a bad node name, nothing to
// dial. Spaces around it are ignored.
absl::StatusOr<v1::JoinToken> ParseToken(absl::string_view text);

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_LINK_TOKEN_H_
