#include "common/rpc/gate.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/status.h"

namespace ember::rpc {
namespace {

std::string Describe(const Peer& peer) {
  return absl::StrCat(absl::AsciiStrToLower(v1::Role::Value_Name(peer.role)), " '", peer.name, "'");
}

bool Contains(const std::vector<v1::Role::Value>& roles, v1::Role::Value role) {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

}  // namespace

Peer ToPeer(const CertificateInfo& info) {
  Peer peer;
  peer.name = info.name;
  peer.serial = info.serial;
  v1::Role::Value role;
  if (v1::Role::Value_Parse(absl::AsciiStrToUpper(info.role), &role)) peer.role = role;
  return peer;
}

absl::Status Gate::Check(absl::string_view method, absl::string_view certificate_pem,
                         absl::string_view ca_pem) const {
  Peer peer;
  absl::Status verdict = Decide(method, certificate_pem, ca_pem, peer);
  if (!verdict.ok() && options_.refused) options_.refused(peer, method, verdict);
  return verdict;
}

absl::Status Gate::Decide(absl::string_view method, absl::string_view certificate_pem,
                          absl::string_view ca_pem, Peer& peer) const {
  const std::vector<v1::Role::Value> roles = RolesFor(method);
  if (certificate_pem.empty()) {
    if (Contains(roles, v1::Role::NONE)) return absl::OkStatus();
    return WithHint(absl::UnauthenticatedError(absl::StrCat(method, ": no certificate was shown")),
                    "check the identity used (--identity), or enrol with `ember node token NODE`");
  }
  const absl::StatusOr<CertificateInfo> info =
      ProcessCertificates().Verify(ca_pem, certificate_pem, options_.clock->Now());
  if (!info.ok()) {
    // Who it claims to be is for the log only.
    const absl::StatusOr<CertificateInfo> claimed = ParseCertificate(certificate_pem);
    if (claimed.ok()) peer.name = claimed->name, peer.serial = claimed->serial;
    return PeerRefused(absl::StrCat("the certificate of '", peer.name, "'"),
                       info.status().message());
  }
  peer = ToPeer(*info);
  if (options_.admit) {
    const absl::Status welcome = options_.admit(peer);
    if (!welcome.ok()) return PeerRefused(Describe(peer), welcome.message());
  }
  if (peer.role != v1::Role::NONE && Contains(roles, peer.role)) return absl::OkStatus();
  return PeerRefused(Describe(peer),
                     roles.empty() ? absl::StrCat(method, " is not a method that anybody may call")
                                   : absl::StrCat("its role may not call ", method));
}

}  // namespace ember::rpc
