#include "common/rpc/identity.h"

#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"

namespace ember::rpc {
namespace {

constexpr char kKey[] = "key.pem";
constexpr char kCertificate[] = "cert.pem";
constexpr char kCa[] = "ca.pem";
// A renewal changes two files, and the old certificate is useless with the new key. So the new key
// waits under this name until the certificate is in place; LoadIdentity takes whichever key the
// certificate is for.
constexpr char kNextKey[] = "key.next.pem";

absl::StatusOr<std::string> ReadPem(const std::string& directory, absl::string_view name) {
  return ReadFile(JoinPath(directory, name), kPemBytesMax);
}

absl::StatusOr<std::string> ReadKeyOf(const std::string& directory,
                                      absl::string_view certificate_pem) {
  absl::StatusOr<std::string> key = ReadPem(directory, kKey);
  if (key.ok() && CheckKeyMatches(certificate_pem, *key).ok()) return key;
  absl::StatusOr<std::string> next = ReadPem(directory, kNextKey);
  if (next.ok() && CheckKeyMatches(certificate_pem, *next).ok()) return next;
  EMBER_RETURN_IF_ERROR(key.status());
  return Damaged(JoinPath(directory, kKey), "it is not the key of cert.pem");
}

}  // namespace

absl::StatusOr<Identity> LoadIdentity(const std::string& directory) {
  Identity identity;
  EMBER_ASSIGN_OR_RETURN(identity.certificate_pem, ReadPem(directory, kCertificate));
  EMBER_ASSIGN_OR_RETURN(identity.ca_pem, ReadPem(directory, kCa));
  for (const std::string* pem : {&identity.certificate_pem, &identity.ca_pem}) {
    const absl::Status readable = ParseCertificate(*pem).status();
    if (!readable.ok()) return Damaged(directory, readable.message());
  }
  EMBER_ASSIGN_OR_RETURN(identity.key_pem, ReadKeyOf(directory, identity.certificate_pem));
  return identity;
}

absl::Status SaveIdentity(const std::string& directory, const Identity& identity) {
  EMBER_RETURN_IF_ERROR(ParseCertificate(identity.ca_pem).status());
  EMBER_RETURN_IF_ERROR(CheckKeyMatches(identity.certificate_pem, identity.key_pem));
  EMBER_RETURN_IF_ERROR(MakeDirectories(directory));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory, kNextKey), identity.key_pem));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory, kCa), identity.ca_pem));
  EMBER_RETURN_IF_ERROR(
      WriteFileAtomic(JoinPath(directory, kCertificate), identity.certificate_pem));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory, kKey), identity.key_pem));
  return RemoveFile(JoinPath(directory, kNextKey));
}

}  // namespace ember::rpc
