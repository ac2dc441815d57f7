#include "common/rpc/renewal.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"

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

absl::StatusOr<Identity> RenewedIdentity(Identity identity, std::string key_pem, absl::Time now,
                                         const CertificateSigner& sign) {
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo old, ParseCertificate(identity.certificate_pem));
  identity.key_pem = std::move(key_pem);
  EMBER_ASSIGN_OR_RETURN(const std::string csr, CreateCsr(identity.key_pem));
  EMBER_ASSIGN_OR_RETURN(identity.certificate_pem, sign(csr));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo info,
                         VerifyCertificate(identity.ca_pem, identity.certificate_pem, now));
  if (info.role != old.role || info.name != old.name) {
    return absl::PermissionDeniedError(
        absl::StrCat("the renewed certificate is for ", info.role, " ", info.name));
  }
  return identity;
}

absl::Status RenewCertificate(const std::string& directory, absl::Time now,
                              const CertificateSigner& sign) {
  if (access(directory.c_str(), W_OK) != 0) return ErrnoToStatus(errno, directory);
  EMBER_ASSIGN_OR_RETURN(const Identity identity, LoadIdentity(directory));
  EMBER_ASSIGN_OR_RETURN(const Identity renewed,
                         RenewedIdentity(identity, identity.key_pem, now, sign));
  const absl::Status key = CheckKeyMatches(renewed.certificate_pem, renewed.key_pem);
  if (!key.ok()) return absl::PermissionDeniedError(key.message());
  return WriteFileAtomic(JoinPath(directory, "cert.pem"), renewed.certificate_pem);
}

}  // namespace ember::rpc
