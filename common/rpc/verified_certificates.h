// Peers' certificates whose signature was checked, so that each call does not check it again.
#ifndef EMBER_COMMON_RPC_VERIFIED_CERTIFICATES_H_
#define EMBER_COMMON_RPC_VERIFIED_CERTIFICATES_H_

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/crypto/certificate.h"

namespace ember::rpc {

// Keeps at most kVerifiedCertificatesMax, and only such as passed. Safe for concurrent use.
class VerifiedCertificates {
 public:
  // As ember::VerifyCertificate. The signature is checked once, the validity at every call.
  absl::StatusOr<CertificateInfo> Verify(absl::string_view ca_pem,
                                         absl::string_view certificate_pem, absl::Time now);
  // What Verify found out earlier, whichever CA it was.
  std::optional<CertificateInfo> Find(absl::string_view certificate_pem);

 private:
  struct Entry {
    std::string ca_pem;
    CertificateInfo info;
  };
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

// Of this process. Never destroyed.
VerifiedCertificates& ProcessCertificates();

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_VERIFIED_CERTIFICATES_H_
