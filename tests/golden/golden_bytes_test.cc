// The formats as bytes. A release may learn to write others; these it must go on reading, and as
// long as it writes them at all, it writes them so: these tests change only together with a version
// of docs/formats.md.
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/backup/manifest.h"
#include "common/backup/record.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"
#include "tests/support/memory_store.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {
namespace {

using backup::RecordType;

constexpr char kDomain[] = "node-host1";
constexpr uint64_t kNonce = 7;
const std::string kSessionKey(32, 's');
const HmacSha256Key kIdKey(std::string(32, 'i'));

v1::Record RecordOf(absl::string_view id_hex, absl::string_view payload_hex) {
  v1::Record record;
  record.set_id(absl::HexStringToBytes(id_hex));
  record.set_type(RecordType::DATA);
  record.set_nonce(kNonce);
  record.set_payload(absl::HexStringToBytes(payload_hex));
  return record;
}

TEST(GoldenBytes, ARecordIsSealedSo) {
  constexpr char kText[] = "kept for ever";
  constexpr char kId[] = "a9eaba32d2d81f23f919b598b6f7bb59bd341651a8e277ef903734aecd03cb71";
  constexpr char kPayload[] =
      "d03ede6f6c7d432f7bbd485a6e98154965bb5ec2d73e5f0dccab8e360465bcafaac3";
  const backup::RecordId id = backup::MakeRecordId(kIdKey, RecordType::DATA, kText);
  EXPECT_EQ(absl::BytesToHexString(backup::BytesOf(id)), kId);
  EXPECT_EQ(absl::BytesToHexString(
                backup::SealRecord(kDomain, kSessionKey, kNonce, id, RecordType::DATA, kText)),
            kPayload);
  ASSERT_OK_AND_ASSIGN(const std::string opened,
                       backup::OpenRecord(kDomain, kIdKey, kSessionKey, RecordOf(kId, kPayload)));
  EXPECT_EQ(opened, kText);
}

// How well a later zstd compresses is its own affair.
TEST(GoldenBytes, ACompressedRecordOpens) {
  ASSERT_OK_AND_ASSIGN(
      const std::string opened,
      backup::OpenRecord(
          kDomain, kIdKey, kSessionKey,
          RecordOf(
              "9325ce75c33c144c31796c9b6d4eb5665d3392ac4afb643b3264bbf0b20241ee",
              "d120de6f6c3e9370f2fdc63751b8702f78b118b5f8428686b0f86d2b556ff5014a0a8d16f576e27e")));
  EXPECT_EQ(opened, std::string(1000, 'x'));
}

TEST(GoldenBytes, AKeyboxOpens) {
  ASSERT_OK_AND_ASSIGN(
      const std::string secret,
      OpenWithPrivateKey(
          std::string(32, 'r'), kDomain,
          absl::HexStringToBytes(
              "454b4231e0b43ebaa41c99a8b9b085b25437489d6c5de05270e11e5396317eed73ee7f15aaafd589"
              "e6812b0c989276a4c0cbcc95296990d86d287d5e6c0b")));
  EXPECT_EQ(secret, "the secret");
}

TEST(GoldenBytes, AFrameIsMadeSo) {
  constexpr char kFrame[] =
      "454d4242010000001a6e5a5fe1b7063bd34c5a34f669f216eff14562676a9e41112104816b1c7e95"
      "626f6479";
  EXPECT_EQ(absl::BytesToHexString(vault::Frame(vault::kBackupMagic, "body")), kFrame);
  ASSERT_OK_AND_ASSIGN(
      const absl::string_view body,
      vault::Unframe(vault::kBackupMagic, absl::HexStringToBytes(kFrame), "a file"));
  EXPECT_EQ(body.size(), 4u);
}

// Where leaves and nodes end decides what two backups share.
TEST(GoldenBytes, AManifestIsCutSo) {
  int leaves = 0;
  int nodes = 0;
  backup::ManifestBuilder builder(
      std::string(32, 'c'), [&](RecordType::Value type, const std::string& bytes) {
        ++(type == RecordType::LEAF ? leaves : nodes);
        return absl::StatusOr<backup::RecordId>(backup::MakeRecordId(kIdKey, type, bytes));
      });
  for (int i = 1000; i < 3000; ++i) {
    format::v1::Entry entry;
    entry.set_path(absl::StrCat("srv/", i));
    entry.set_type(format::v1::EntryType::FILE);
    entry.set_mode(0644);
    entry.set_size(2);
    entry.set_inline_content("ab");
    ASSERT_OK(builder.Add(entry, backup::EncodeInLeaf(entry)));
  }
  ASSERT_OK_AND_ASSIGN(const backup::RecordId root, builder.Finish());
  EXPECT_EQ(absl::BytesToHexString(backup::BytesOf(root)),
            "c092bc55a220255931003794c10fbd52142033c14445ae0e5bd3b1e5d61849fe");
  EXPECT_EQ(leaves, 6);
  EXPECT_EQ(nodes, 1);
}

// tests/unit/vault/pack_test.cc has the bytes of one without.
TEST(GoldenBytes, APackWithParityIsWrittenSo) {
  MemoryStore store;
  format::v1::PackSession session;
  session.set_session_id("0123456789abcdef");
  session.set_keybox("keybox");
  session.set_domain_id(kDomain);
  ASSERT_OK_AND_ASSIGN(const auto writer,
                       vault::PackWriter::Create(store, {session}, vault::PackParityMode::kOn));
  for (int i = 0; i < 40; ++i) {
    const std::string id = Sha256(absl::StrCat("record ", i));
    const std::string payload(static_cast<size_t>(100 + 97 * i), static_cast<char>('a' + i % 26));
    ASSERT_OK(writer->Append({.type = 1,
                              .id = id,
                              .session_id = session.session_id(),
                              .nonce = static_cast<uint64_t>(i),
                              .payload = payload}));
  }
  ASSERT_OK_AND_ASSIGN(const auto pack, writer->Publish());
  EXPECT_EQ(pack.name, "93016dd576854f801787696cdd1b24b0ce6dafab6f5ee1b7a87f63017bbbdb18");
}

}  // namespace
}  // namespace ember::testing
