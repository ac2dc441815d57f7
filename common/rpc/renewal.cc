#include "common/rpc/renewal.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/rpc/identity.h"

namespace ember::rpc {

absl::StatusOr<IdentityTerm> TermOf(const std::string& directory) {
  EMBER_ASSIGN_OR_RETURN(const std::string pem,
                         ReadFile(JoinPath(directory, "cert.pem"), kPemBytesMax));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo info, ParseCertificate(pem));
  return IdentityTerm{info.role, info.name, info.not_before, info.not_after};
}

bool RenewalDue(const IdentityTerm& term, absl::Time now) {
  const absl::Duration life = term.not_after - term.not_before;
  return now < term.not_after && term.not_after - now < life / kIdentityRenewPart;
}

absl::Status RenewCertificate(const std::string& directory, absl::Time now,
                              const CertificateSigner& sign) {
  if (access(directory.c_str(), W_OK) != 0) return ErrnoToStatus(errno, directory);
  EMBER_ASSIGN_OR_RETURN(Identity identity, LoadIdentity(directory));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo old, ParseCertificate(identity.certificate_pem));
  EMBER_ASSIGN_OR_RETURN(const std::string csr, CreateCsr(identity.key_pem));
  EMBER_ASSIGN_OR_RETURN(const std::string renewed, sign(csr));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo info,
                         VerifyCertificate(identity.ca_pem, renewed, now));
  if (info.role != old.role || info.name != old.name) {
    return absl::PermissionDeniedError(
        absl::StrCat("the renewed certificate is for ", info.role, " ", info.name));
  }
  if (const absl::Status key = CheckKeyMatches(renewed, identity.key_pem); !key.ok())
    return absl::PermissionDeniedError(key.message());
  return WriteFileAtomic(JoinPath(directory, "cert.pem"), renewed);
}

}  // namespace ember::rpc
