// Statements that outlive the connection they came on: what the controller grants an agent, and
// what a vault's host acknowledges. An agent carries both, and can make up neither: a stolen
// certificate of one node is worth no other node's backups, and does not tell the controller what
// it stored, or when.
#ifndef EMBER_COMMON_RPC_SIGNED_H_
#define EMBER_COMMON_RPC_SIGNED_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/rpc/identity.h"
#include "ember/v1/types.pb.h"

namespace ember::rpc {

// INVALID_ARGUMENT: not a key.
absl::StatusOr<v1::Signed> SignGrant(absl::string_view ca_key_pem, const v1::Grant& grant);
// PERMISSION_DENIED, with the reason: not signed by the CA, or about something else than `needed`.
absl::Status CheckGrant(absl::string_view ca_pem, const v1::Signed& grant, const v1::Grant& needed);

absl::StatusOr<v1::Signed> SignReadGrant(absl::string_view ca_key_pem, const v1::ReadGrant& grant);
// What `grant` lets `node` read in `vault`. PERMISSION_DENIED, with the reason: not signed by the
// CA, or for another node or vault.
absl::StatusOr<v1::ReadGrant> OpenReadGrant(absl::string_view ca_pem, const v1::Signed& grant,
                                            absl::string_view node, absl::string_view vault);

// Signs the statement that `receipt` has. INVALID_ARGUMENT: `host` has no key.
absl::Status SignReceipt(const Identity& host, v1::Signed* receipt);
// What agent `node` acknowledged. PERMISSION_DENIED, with the reason: not by that agent, whose
// certificate must be valid at `now`.
absl::StatusOr<v1::Receipt> OpenReceipt(absl::string_view ca_pem, const v1::Signed& receipt,
                                        absl::string_view node, absl::Time now);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_SIGNED_H_
