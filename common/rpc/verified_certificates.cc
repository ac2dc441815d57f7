#include "common/rpc/verified_certificates.h"

#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::rpc {

absl::StatusOr<CertificateInfo> VerifiedCertificates::Verify(absl::string_view ca_pem,
                                                             absl::string_view certificate_pem,
                                                             absl::Time now) {
  {
    absl::MutexLock lock(&mu_);
    const auto found = entries_.find(certificate_pem);
    if (found != entries_.end() && found->second.ca_pem == ca_pem) {
      EMBER_RETURN_IF_ERROR(CheckValidity(found->second.info, now));
      return found->second.info;
    }
  }
  EMBER_ASSIGN_OR_RETURN(CertificateInfo info, VerifyCertificate(ca_pem, certificate_pem, now));
  absl::MutexLock lock(&mu_);
  // Full means many renewals in one long life; starting anew costs one check per live peer.
  if (entries_.size() >= kVerifiedCertificatesMax) entries_.clear();
  entries_.insert_or_assign(std::string(certificate_pem), Entry{std::string(ca_pem), info});
  return info;
}

std::optional<CertificateInfo> VerifiedCertificates::Find(absl::string_view certificate_pem) {
  absl::MutexLock lock(&mu_);
  const auto found = entries_.find(certificate_pem);
  if (found == entries_.end()) return std::nullopt;
  return found->second.info;
}

VerifiedCertificates& ProcessCertificates() {
  static VerifiedCertificates* const certificates = new VerifiedCertificates;
  return *certificates;
}

}  // namespace ember::rpc
