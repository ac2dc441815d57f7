// The one decision about every call: who is it, and may they.
#ifndef EMBER_COMMON_RPC_GATE_H_
#define EMBER_COMMON_RPC_GATE_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/rpc/identity.h"
#include "common/rpc/verified_certificates.h"

namespace ember::rpc {

// What the certificate says, with the role NONE for an empty one or a role that no peer has.
Peer ToPeer(const CertificateInfo& info);

// Safe for concurrent use; does not block.
class Gate {
 public:
  struct Options {
    Clock* clock = nullptr;
    std::function<absl::Status(const Peer&)> admit;  // may be empty
    std::function<void(const Peer&, absl::string_view, const absl::Status&)>
        refused;  // may be empty
  };
  explicit Gate(Options options) : options_(std::move(options)) {}

  // OK: a peer with this certificate (empty: it showed none) may call `method`. The peer has proved
  // that it has the certificate's key. UNAUTHENTICATED: a certificate is needed. PERMISSION_DENIED:
  // any other refusal.
  absl::Status Check(absl::string_view method, absl::string_view certificate_pem,
                     absl::string_view ca_pem) const;

 private:
  absl::Status Decide(absl::string_view method, absl::string_view certificate_pem,
                      absl::string_view ca_pem, Peer& peer) const;

  const Options options_;
};

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_GATE_H_
