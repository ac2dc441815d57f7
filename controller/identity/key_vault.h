// The estate's secrets that the controller keeps: the CA, and the dedup domains' keys, sealed at
// rest under `estate.key` and wrapped to the recovery recipient. The only part of the controller
// that decrypts anything.
#ifndef EMBER_CONTROLLER_IDENTITY_KEY_VAULT_H_
#define EMBER_CONTROLLER_IDENTITY_KEY_VAULT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/crypto/certificate.h"
#include "ember/record/v1/records.pb.h"
#include "ember/v1/agent.pb.h"

namespace ember::controller {

// Files of a state directory: ca/{key,cert}.pem, estate.key, recovery.pub, identity/ (the EM's own
// certificate), admin/ (the first admin's), recovery-kit.txt.
class KeyVault {
 public:
  // Creates all of it. The recovery kit is written once and holds the only copy of the recovery
  // private key.
  static absl::Status Create(const std::string& state_directory, const std::string& estate_id,
                             absl::Time now);
  // Creates it with the secrets of an export; without a kit, which the owner has.
  static absl::Status CreateFrom(const std::string& state_directory,
                                 const record::v1::CatalogContents& contents, absl::Time now);
  // FAILED_PRECONDITION (StateDirEmpty) when there is no estate. Renews the EM's certificate when
  // it runs out soon.
  static absl::StatusOr<std::unique_ptr<KeyVault>> Open(const std::string& state_directory,
                                                        absl::Time now);
  // Without files; one CA for all of a process: for the simulation.
  static std::unique_ptr<KeyVault> InMemory();

  // The agent's (or a person's) certificate for a CSR.
  absl::StatusOr<std::string> Sign(absl::string_view csr_pem, absl::string_view role,
                                   absl::string_view name, absl::Time now) const;
  const std::string& ca_pem() const { return ca_.certificate_pem; }
  const std::string& estate_id() const { return estate_id_; }
  absl::Status RenewOwnCertificate(absl::Time now) const;

  absl::StatusOr<v1::Signed> SignGrant(const v1::Grant& grant) const;
  absl::StatusOr<v1::Signed> SignReadGrant(const v1::ReadGrant& grant) const;

  // As SealCatalogExport, with this estate's secrets added.
  absl::StatusOr<std::string> SealExport(record::v1::CatalogContents contents, uint64_t number,
                                         absl::Time now) const;

  absl::StatusOr<record::v1::DomainRecord> NewDomain(const std::string& id) const;
  absl::StatusOr<v1::DomainKeys> BackupKeys(const record::v1::DomainRecord& domain) const;
  // Opens each box with the domain's private key and seals its session key to `request.public_key`,
  // with K_id.
  absl::StatusOr<v1::ReleaseKeysReply> Release(const record::v1::DomainRecord& domain,
                                               const v1::ReleaseKeysRequest& request) const;

 private:
  absl::StatusOr<record::v1::DomainSecrets> Unseal(const record::v1::DomainRecord& domain) const;

  std::string directory_;
  std::string estate_id_;
  KeyAndCertificate ca_;
  std::string estate_key_;
  std::string recovery_public_key_;
};

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_IDENTITY_KEY_VAULT_H_
