#include "controller/identity/key_vault.h"

#include <sys/stat.h>

#include "absl/strings/escaping.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/crypto/keybox.h"
#include "common/rpc/identity.h"
#include "ember/format/v1/format.pb.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::controller {
namespace {

using ember::testing::HasCode;
using ember::testing::TempDir;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);
const std::string kSession(16, 's');

TEST(KeyVault, AnEmptyDirectoryHasNoEstate) {
  TempDir dir;
  EXPECT_THAT(KeyVault::Open(dir.path(), kNow), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST(KeyVault, CreatesPrivateFilesAndOpensThem) {
  TempDir dir;
  ASSERT_OK(KeyVault::Create(dir.path(), "e1", kNow));
  ASSERT_OK_AND_ASSIGN(auto keys, KeyVault::Open(dir.path(), kNow));
  EXPECT_EQ(keys->estate_id(), "e1");
  for (const char* name :
       {"recovery-kit.txt", "estate.key", "ca/key.pem", "admin/key.pem", "identity/key.pem"}) {
    struct stat info;
    ASSERT_EQ(stat(dir.Join(name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 077, 0u) << name;
  }
}

TEST(KeyVault, ReleasesSessionKeysToTheAskedKeyOnly) {
  const auto keys = KeyVault::InMemory();
  ASSERT_OK_AND_ASSIGN(const record::v1::DomainRecord domain, keys->NewDomain("node-a"));
  const std::string session_key(32, 'k');
  v1::ReleaseKeysRequest request;
  const X25519KeyPair agent = NewX25519KeyPair();
  request.set_public_key(agent.public_key);
  v1::Keybox* box = request.add_keyboxes();
  box->set_session_id(kSession);
  ASSERT_OK_AND_ASSIGN(*box->mutable_sealed(),
                       SealToPublicKey(domain.public_key(), kSession, session_key));
  ASSERT_OK_AND_ASSIGN(const v1::ReleaseKeysReply reply, keys->Release(domain, request));
  ASSERT_EQ(reply.keyboxes_size(), 1);
  ASSERT_OK_AND_ASSIGN(const std::string opened,
                       OpenWithPrivateKey(agent.private_key, kSession, reply.keyboxes(0).sealed()));
  EXPECT_EQ(opened, session_key);
  const X25519KeyPair other = NewX25519KeyPair();
  EXPECT_FALSE(OpenWithPrivateKey(other.private_key, kSession, reply.keyboxes(0).sealed()).ok());
  ASSERT_OK_AND_ASSIGN(const v1::DomainKeys backup_keys, keys->BackupKeys(domain));
  ASSERT_OK_AND_ASSIGN(
      const std::string id_key,
      OpenWithPrivateKey(agent.private_key, std::string(16, '\0'), reply.id_key_box()));
  EXPECT_EQ(id_key, backup_keys.id_key());
}

TEST(KeyVault, AnotherDomainsBoxIsNotOpened) {
  const auto keys = KeyVault::InMemory();
  ASSERT_OK_AND_ASSIGN(const record::v1::DomainRecord a, keys->NewDomain("node-a"));
  ASSERT_OK_AND_ASSIGN(const record::v1::DomainRecord b, keys->NewDomain("node-b"));
  v1::ReleaseKeysRequest request;
  request.set_public_key(NewX25519KeyPair().public_key);
  v1::Keybox* box = request.add_keyboxes();
  box->set_session_id(kSession);
  ASSERT_OK_AND_ASSIGN(*box->mutable_sealed(),
                       SealToPublicKey(b.public_key(), kSession, std::string(32, 'k')));
  EXPECT_THAT(keys->Release(a, request), HasCode(absl::StatusCode::kDataLoss));
}

TEST(KeyVault, ADamagedDomainRecordIsNoticed) {
  const auto keys = KeyVault::InMemory();
  ASSERT_OK_AND_ASSIGN(record::v1::DomainRecord domain, keys->NewDomain("node-a"));
  for (size_t i = 0; i < domain.sealed_secrets().size(); ++i) {
    record::v1::DomainRecord bad = domain;
    (*bad.mutable_sealed_secrets())[i] ^= 1;
    EXPECT_THAT(keys->BackupKeys(bad), HasCode(absl::StatusCode::kDataLoss)) << "byte " << i;
  }
}

TEST(KeyVault, RenewsItsOwnCertificateInTime) {
  TempDir dir;
  ASSERT_OK(KeyVault::Create(dir.path(), "e1", kNow));
  const absl::Time later = kNow + absl::Hours(24) * (kCertificateDays - 5);
  ASSERT_OK(KeyVault::Open(dir.path(), later));
  ASSERT_OK_AND_ASSIGN(const rpc::Identity identity, rpc::LoadIdentity(dir.Join("identity")));
  ASSERT_OK_AND_ASSIGN(const CertificateInfo info, ParseCertificate(identity.certificate_pem));
  EXPECT_GT(info.not_after, later + absl::Hours(24 * 30));
  EXPECT_EQ(info.name, "em");
}

TEST(KeyVault, TheRecoveryKitOpensTheDomains) {
  TempDir dir;
  ASSERT_OK(KeyVault::Create(dir.path(), "e1", kNow));
  ASSERT_OK_AND_ASSIGN(auto keys, KeyVault::Open(dir.path(), kNow));
  ASSERT_OK_AND_ASSIGN(const record::v1::DomainRecord domain, keys->NewDomain("node-a"));
  ASSERT_OK_AND_ASSIGN(const std::string kit, ReadFile(dir.Join("recovery-kit.txt")));
  const size_t at = kit.find("recovery-key:");
  ASSERT_NE(at, std::string::npos);
  const size_t digits = kit.find_first_of("0123456789ABCDEF", at + 13);
  const std::string key = absl::HexStringToBytes(kit.substr(digits, 64));
  ASSERT_OK_AND_ASSIGN(const std::string opened,
                       OpenWithPrivateKey(key, "node-a", domain.recovery_boxes(0)));
  format::v1::DomainSecrets secrets;
  ASSERT_TRUE(secrets.ParseFromString(opened));
  EXPECT_EQ(secrets.version(), 1u);
  ASSERT_OK_AND_ASSIGN(const std::string public_key, X25519PublicKey(secrets.private_key()));
  EXPECT_EQ(public_key, domain.public_key());
}

TEST(KeyVault, TheRecoveryBoxesTravelWithEveryBackup) {
  TempDir dir;
  ASSERT_OK(KeyVault::Create(dir.path(), "e1", kNow));
  ASSERT_OK_AND_ASSIGN(auto keys, KeyVault::Open(dir.path(), kNow));
  ASSERT_OK_AND_ASSIGN(const record::v1::DomainRecord domain, keys->NewDomain("node-a"));
  ASSERT_OK_AND_ASSIGN(const v1::DomainKeys sent, keys->BackupKeys(domain));
  ASSERT_EQ(sent.recovery_boxes_size(), 1);
  EXPECT_EQ(sent.recovery_boxes(0), domain.recovery_boxes(0));
  EXPECT_EQ(sent.estate_id(), "e1");
}

}  // namespace
}  // namespace ember::controller
