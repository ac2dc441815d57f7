#include "common/rpc/identity.h"

#include <sys/stat.h>

#include "common/base/file.h"
#include "common/crypto/certificate.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::rpc {
namespace {

using testing::HasCode;

class IdentityTest : public ::testing::Test {
 protected:
  Identity Make() {
    Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.certificate_pem =
        SignCsr(ca_, CreateCsr(identity.key_pem).value(), "agent", "nas1", kNow, absl::Hours(1))
            .value();
    identity.ca_pem = ca_.certificate_pem;
    return identity;
  }
  static int ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }

  const absl::Time kNow = absl::FromUnixSeconds(1767225600);
  const KeyAndCertificate ca_ = CreateCa("home", kNow).value();
  testing::TempDir dir_;
  const std::string directory_ = dir_.Join("state/identity");
};

TEST_F(IdentityTest, IsLoadedAsItWasSavedAndIsPrivate) {
  const Identity saved = Make();
  ASSERT_OK(SaveIdentity(directory_, saved));
  ASSERT_OK_AND_ASSIGN(const Identity loaded, LoadIdentity(directory_));
  EXPECT_EQ(loaded.key_pem, saved.key_pem);
  EXPECT_EQ(loaded.certificate_pem, saved.certificate_pem);
  EXPECT_EQ(loaded.ca_pem, saved.ca_pem);
  EXPECT_EQ(ModeOf(directory_), 0700);
  ASSERT_OK_AND_ASSIGN(const auto files, ListDirectory(directory_));
  EXPECT_EQ(files, (std::vector<std::string>{"ca.pem", "cert.pem", "key.pem"}));
  for (const std::string& file : files) EXPECT_EQ(ModeOf(JoinPath(directory_, file)), 0600) << file;
}

// A renewal is killed after each of its writes in turn: what is on disk must always be one whole
// identity.
TEST_F(IdentityTest, RenewalInterruptedAnywhereLeavesOneThatWorks) {
  const Identity before = Make();
  const Identity after = Make();
  ASSERT_OK(SaveIdentity(directory_, before));
  const std::vector<std::pair<std::string, std::string>> writes = {
      {"key.next.pem", after.key_pem},
      {"cert.pem", after.certificate_pem},
      {"key.pem", after.key_pem}};
  for (const auto& [file, content] : writes) {
    ASSERT_OK(WriteFileAtomic(JoinPath(directory_, file), content));
    ASSERT_OK_AND_ASSIGN(const Identity loaded, LoadIdentity(directory_));
    EXPECT_OK(CheckKeyMatches(loaded.certificate_pem, loaded.key_pem)) << "after " << file;
  }
  ASSERT_OK(SaveIdentity(directory_, Make()));
  EXPECT_FALSE(FileExists(JoinPath(directory_, "key.next.pem")));
}

TEST_F(IdentityTest, AbsentOrHalfIsNotFound) {
  EXPECT_THAT(LoadIdentity(directory_), HasCode(absl::StatusCode::kNotFound));
  ASSERT_OK(SaveIdentity(directory_, Make()));
  ASSERT_OK(RemoveFile(JoinPath(directory_, "cert.pem")));
  EXPECT_THAT(LoadIdentity(directory_), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(IdentityTest, DamageIsNoticed) {
  ASSERT_OK(SaveIdentity(directory_, Make()));
  ASSERT_OK(WriteFileAtomic(JoinPath(directory_, "key.pem"), NewPrivateKeyPem()));
  EXPECT_THAT(LoadIdentity(directory_), HasCode(absl::StatusCode::kDataLoss));
  ASSERT_OK(SaveIdentity(directory_, Make()));
  ASSERT_OK(WriteFileAtomic(JoinPath(directory_, "ca.pem"), "nonsense"));
  EXPECT_THAT(LoadIdentity(directory_), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(IdentityTest, AMismatchedOneIsNotSaved) {
  Identity mixed = Make();
  mixed.key_pem = NewPrivateKeyPem();
  EXPECT_THAT(SaveIdentity(directory_, mixed), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(FileExists(directory_));
}

}  // namespace
}  // namespace ember::rpc
