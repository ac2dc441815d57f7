#include "controller/identity/key_vault.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/crypto/recovery_kit.h"
#include "common/rpc/identity.h"
#include "common/rpc/signed.h"
#include "controller/identity/catalog_export.h"
#include "ember/format/v1/format.pb.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kSaltBytes = 16;
constexpr char kDomainContext[] = "ember domain v1";

// One key per sealed domain, so that nonce 0 is never used twice under one key.
std::string SealingKey(absl::string_view estate_key, absl::string_view salt, absl::string_view id) {
  return HkdfSha256(estate_key, salt, absl::StrCat("domain ", id), kKeyBytes);
}

absl::Status WriteSignedIdentity(const std::string& directory, const KeyAndCertificate& ca,
                                 absl::string_view role, absl::string_view name, absl::Time now) {
  rpc::Identity identity;
  identity.key_pem = NewPrivateKeyPem();
  identity.ca_pem = ca.certificate_pem;
  EMBER_ASSIGN_OR_RETURN(const std::string csr, CreateCsr(identity.key_pem));
  EMBER_ASSIGN_OR_RETURN(identity.certificate_pem,
                         SignCsr(ca, csr, role, name, now, absl::Hours(24) * kCertificateDays));
  return rpc::SaveIdentity(directory, identity);
}

struct Secrets {
  KeyAndCertificate ca;
  std::string estate_key;
  std::string recovery_public_key;
};

absl::Status WriteSecrets(const std::string& directory, const Secrets& secrets, absl::Time now) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(JoinPath(directory, "ca")));
  EMBER_RETURN_IF_ERROR(
      WriteFileAtomic(JoinPath(directory, "recovery.pub"), secrets.recovery_public_key));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory, "estate.key"), secrets.estate_key));
  EMBER_RETURN_IF_ERROR(
      WriteSignedIdentity(JoinPath(directory, "identity"), secrets.ca, "controller", "em", now));
  EMBER_RETURN_IF_ERROR(
      WriteSignedIdentity(JoinPath(directory, "admin"), secrets.ca, "admin", "admin", now));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(JoinPath(directory, "ca/key.pem"), secrets.ca.key_pem));
  // Last: a CA certificate marks a complete estate.
  return WriteFileAtomic(JoinPath(directory, "ca/cert.pem"), secrets.ca.certificate_pem);
}

}  // namespace

absl::Status KeyVault::Create(const std::string& state_directory, const std::string& estate_id,
                              absl::Time now) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(state_directory));
  EMBER_ASSIGN_OR_RETURN(const KeyAndCertificate ca, CreateCa(estate_id, now));
  const X25519KeyPair recovery = NewX25519KeyPair();
  EMBER_ASSIGN_OR_RETURN(const std::string fingerprint, CertificateFingerprint(ca.certificate_pem));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(JoinPath(state_directory, "recovery-kit.txt"),
                                        FormatRecoveryKit({.estate_id = estate_id,
                                                           .private_key = recovery.private_key,
                                                           .ca_fingerprint = fingerprint},
                                                          now)));
  return WriteSecrets(
      state_directory,
      {.ca = ca, .estate_key = RandomBytes(kKeyBytes), .recovery_public_key = recovery.public_key},
      now);
}

absl::Status KeyVault::CreateFrom(const std::string& state_directory,
                                  const rec::CatalogContents& contents, absl::Time now) {
  return WriteSecrets(
      state_directory,
      {.ca = {.key_pem = contents.ca_key_pem(), .certificate_pem = contents.ca_certificate_pem()},
       .estate_key = contents.estate_key(),
       .recovery_public_key = contents.recovery_public_key()},
      now);
}

absl::StatusOr<std::unique_ptr<KeyVault>> KeyVault::Open(const std::string& state_directory,
                                                         absl::Time now) {
  if (!FileExists(JoinPath(state_directory, "ca/cert.pem"))) return StateDirEmpty(state_directory);
  auto keys = std::make_unique<KeyVault>();
  keys->directory_ = state_directory;
  EMBER_ASSIGN_OR_RETURN(keys->ca_.certificate_pem,
                         ReadFile(JoinPath(state_directory, "ca/cert.pem")));
  EMBER_ASSIGN_OR_RETURN(keys->ca_.key_pem, ReadFile(JoinPath(state_directory, "ca/key.pem")));
  EMBER_ASSIGN_OR_RETURN(keys->estate_key_, ReadFile(JoinPath(state_directory, "estate.key")));
  EMBER_ASSIGN_OR_RETURN(keys->recovery_public_key_,
                         ReadFile(JoinPath(state_directory, "recovery.pub")));
  if (keys->estate_key_.size() != kKeyBytes) return Damaged("estate.key", "it has not 32 bytes");
  EMBER_ASSIGN_OR_RETURN(const rpc::Identity own,
                         rpc::LoadIdentity(JoinPath(state_directory, "identity")));
  EMBER_ASSIGN_OR_RETURN(const CertificateInfo info, ParseCertificate(own.certificate_pem));
  keys->estate_id_ = info.estate_id;
  if (info.not_after - now < absl::Hours(24) * kRenewBeforeDays)
    EMBER_RETURN_IF_ERROR(keys->RenewOwnCertificate(now));
  return keys;
}

std::unique_ptr<KeyVault> KeyVault::InMemory() {
  static const KeyAndCertificate* const ca = new KeyAndCertificate(
      *CreateCa("memory", absl::FromUnixSeconds(0) + absl::Hours(24 * 365 * 50)));
  auto keys = std::make_unique<KeyVault>();
  keys->ca_ = *ca;
  keys->estate_id_ = "memory";
  keys->estate_key_ = std::string(kKeyBytes, 'k');
  keys->recovery_public_key_ = NewX25519KeyPair().public_key;
  return keys;
}

absl::Status KeyVault::RenewOwnCertificate(absl::Time now) const {
  EMBER_RETURN_IF_ERROR(
      WriteSignedIdentity(JoinPath(directory_, "identity"), ca_, "controller", "em", now));
  // The first admin's identity lives beside it and would otherwise run out unnoticed.
  return WriteSignedIdentity(JoinPath(directory_, "admin"), ca_, "admin", "admin", now);
}

absl::StatusOr<std::string> KeyVault::Sign(absl::string_view csr_pem, absl::string_view role,
                                           absl::string_view name, absl::Time now) const {
  return SignCsr(ca_, csr_pem, role, name, now, absl::Hours(24) * kCertificateDays);
}

absl::StatusOr<v1::Signed> KeyVault::SignReadGrant(const v1::ReadGrant& grant) const {
  return rpc::SignReadGrant(ca_.key_pem, grant);
}

absl::StatusOr<v1::Signed> KeyVault::SignGrant(const v1::Grant& grant) const {
  return rpc::SignGrant(ca_.key_pem, grant);
}

absl::StatusOr<std::string> KeyVault::SealExport(rec::CatalogContents contents, uint64_t number,
                                                 absl::Time now) const {
  contents.set_estate_key(estate_key_);
  contents.set_recovery_public_key(recovery_public_key_);
  contents.set_ca_key_pem(ca_.key_pem);
  contents.set_ca_certificate_pem(ca_.certificate_pem);
  return SealCatalogExport(contents, number, now);
}

absl::StatusOr<rec::DomainRecord> KeyVault::NewDomain(const std::string& id) const {
  const X25519KeyPair pair = NewX25519KeyPair();
  rec::DomainSecrets secrets;
  secrets.set_id_key(RandomBytes(kKeyBytes));
  secrets.set_cut_key(RandomBytes(kKeyBytes));
  secrets.set_private_key(pair.private_key);
  const std::string plain = secrets.SerializeAsString();
  format::v1::DomainSecrets boxed;
  boxed.set_version(1);
  boxed.set_id_key(secrets.id_key());
  boxed.set_cut_key(secrets.cut_key());
  boxed.set_private_key(secrets.private_key());
  const std::string salt = RandomBytes(kSaltBytes);
  rec::DomainRecord domain;
  domain.set_id(id);
  domain.set_public_key(pair.public_key);
  domain.set_sealed_secrets(
      absl::StrCat(salt, Seal(SealingKey(estate_key_, salt, id), 0, kDomainContext, plain)));
  EMBER_ASSIGN_OR_RETURN(const std::string box,
                         SealToPublicKey(recovery_public_key_, id, boxed.SerializeAsString()));
  domain.add_recovery_boxes(box);
  return domain;
}

absl::StatusOr<rec::DomainSecrets> KeyVault::Unseal(const rec::DomainRecord& domain) const {
  absl::string_view sealed = domain.sealed_secrets();
  if (sealed.size() < kSaltBytes)
    return Damaged(absl::StrCat("domain ", domain.id()), "its sealed keys are too short");
  const absl::string_view salt = sealed.substr(0, kSaltBytes);
  auto plain = ember::Open(SealingKey(estate_key_, salt, domain.id()), 0, kDomainContext,
                           sealed.substr(kSaltBytes));
  if (!plain.ok())
    return Annotate(plain.status(), absl::StrCat("opening the keys of domain ", domain.id()));
  rec::DomainSecrets secrets;
  if (!secrets.ParseFromString(*plain))
    return Damaged(absl::StrCat("domain ", domain.id()), "its keys do not parse");
  return secrets;
}

absl::StatusOr<v1::DomainKeys> KeyVault::BackupKeys(const rec::DomainRecord& domain) const {
  EMBER_ASSIGN_OR_RETURN(const rec::DomainSecrets secrets, Unseal(domain));
  v1::DomainKeys keys;
  keys.set_id(domain.id());
  keys.set_id_key(secrets.id_key());
  keys.set_cut_key(secrets.cut_key());
  keys.set_public_key(domain.public_key());
  *keys.mutable_recovery_boxes() = domain.recovery_boxes();
  keys.set_estate_id(estate_id_);
  return keys;
}

absl::StatusOr<v1::ReleaseKeysReply> KeyVault::Release(
    const rec::DomainRecord& domain, const v1::ReleaseKeysRequest& request) const {
  EMBER_ASSIGN_OR_RETURN(const rec::DomainSecrets secrets, Unseal(domain));
  v1::ReleaseKeysReply reply;
  for (const v1::Keybox& box : request.keyboxes()) {
    auto session_key = OpenWithPrivateKey(secrets.private_key(), box.session_id(), box.sealed());
    if (!session_key.ok()) return Annotate(session_key.status(), "opening a session's keybox");
    v1::Keybox* out = reply.add_keyboxes();
    out->set_session_id(box.session_id());
    EMBER_ASSIGN_OR_RETURN(*out->mutable_sealed(),
                           SealToPublicKey(request.public_key(), box.session_id(), *session_key));
  }
  EMBER_ASSIGN_OR_RETURN(
      *reply.mutable_id_key_box(),
      SealToPublicKey(request.public_key(), std::string(16, '\0'), secrets.id_key()));
  return reply;
}

}  // namespace ember::controller
