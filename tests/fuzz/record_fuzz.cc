// Any bytes as a record of a pack, and as what lies within its seal.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/backup/record.h"
#include "common/base/limits.h"
#include "common/base/zero.h"
#include "common/crypto/aead.h"
#include "common/vault/little_endian.h"
#include "common/vault/pack.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pack_reseal.h"
#include "tests/support/memory_store.h"

namespace ember::fuzz {
namespace {

using backup::RecordId;
using backup::RecordType;

constexpr char kDomain[] = "node-host1";
constexpr uint64_t kNonce = 7;
constexpr size_t kInnerHeaderBytes = 5;

const std::string& SessionKey() {
  static const std::string key(32, 's');
  return key;
}
const HmacSha256Key& IdKey() {
  static const HmacSha256Key key(std::string(32, 'i'));
  return key;
}

// The writer makes the same bytes of it.
void CheckWritten(absl::string_view bytes, const vault::RecordView& record) {
  testing::MemoryStore store;
  format::v1::PackSession session;
  session.set_session_id(std::string(record.session_id));
  const auto writer = vault::PackWriter::Create(store, {session});
  Require(writer.ok() && (*writer)->Append(record).ok());
  const auto pack = (*writer)->Publish();
  Require(pack.ok() && pack->footer.records_size() == 1);
  const auto written = store.Read(vault::PackObject(pack->name), pack->footer.records(0).offset(),
                                  vault::kRecordHeaderBytes + record.payload.size());
  Require(written.ok() && *written == bytes.substr(0, written->size()));
}

void LookAtRecord(absl::string_view bytes) {
  const auto record = vault::ParseRecord(bytes);
  if (!record.ok()) return;
  Require(record->payload.data() == bytes.data() + vault::kRecordHeaderBytes);
  Require(record->payload.size() <= bytes.size() - vault::kRecordHeaderBytes);
  CheckWritten(bytes, *record);
}

// Sealed as docs/formats.md says, whatever `inner` is.
std::string SealInner(absl::string_view inner, const RecordId& id, RecordType::Value type) {
  const char type_byte = static_cast<char>(type);
  const std::string aad =
      absl::StrCat("EMBR\1", std::string(1, static_cast<char>(sizeof(kDomain) - 1)), kDomain,
                   backup::BytesOf(id), absl::string_view(&type_byte, 1));
  return Seal(SessionKey(), kNonce, aad, inner);
}

v1::Record RecordOf(const RecordId& id, RecordType::Value type, std::string payload) {
  v1::Record record;
  record.set_id(id.data(), id.size());
  record.set_type(type);
  record.set_nonce(kNonce);
  record.set_payload(std::move(payload));
  return record;
}

// A raw body of the length that the header says, padded with zeroes, is what is opened; of a
// compressed one nothing may come out under this id.
void LookAtInner(absl::string_view inner) {
  absl::string_view plaintext;
  if (inner.size() >= kInnerHeaderBytes)
    plaintext = inner.substr(kInnerHeaderBytes, vault::GetFixed<uint32_t>(inner, 1));
  const RecordId id = backup::MakeRecordId(IdKey(), RecordType::DATA, plaintext);
  const auto opened =
      backup::OpenRecord(kDomain, IdKey(), SessionKey(),
                         RecordOf(id, RecordType::DATA, SealInner(inner, id, RecordType::DATA)));
  Require(opened.ok() || absl::IsDataLoss(opened.status()));
  if (!opened.ok()) return;
  Require(*opened == plaintext && plaintext.size() == vault::GetFixed<uint32_t>(inner, 1));
  Require(IsAllZero(inner.substr(kInnerHeaderBytes + plaintext.size())));
  Require(backup::PadmeLength(kInnerHeaderBytes + plaintext.size()) == inner.size());
}

void LookAtSummary(absl::string_view inner) {
  const RecordId root = backup::MakeRecordId(IdKey(), RecordType::NODE, "root");
  v1::StoredBackup stored;
  stored.set_domain_id(kDomain);
  stored.set_backup_id("web/20260101-000000");
  stored.set_manifest_root(root.data(), root.size());
  stored.set_summary_nonce(kNonce);
  stored.set_sealed_summary(SealInner(inner, root, RecordType::SUMMARY));
  const auto summary = backup::OpenSummary(SessionKey(), stored);
  if (!summary.ok()) return;
  Require(summary->version() == 1 && summary->backup_id() == stored.backup_id());
  stored.set_sealed_summary(backup::SealSummary(kDomain, SessionKey(), kNonce, root, *summary));
  Require(backup::OpenSummary(SessionKey(), stored).ok());
}

// What is sealed opens again.
void LookAtPlaintext(absl::string_view plaintext) {
  const RecordId id = backup::MakeRecordId(IdKey(), RecordType::GROUP, plaintext);
  const auto opened = backup::OpenRecord(
      kDomain, IdKey(), SessionKey(),
      RecordOf(
          id, RecordType::GROUP,
          backup::SealRecord(kDomain, SessionKey(), kNonce, id, RecordType::GROUP, plaintext)));
  Require(opened.ok() && *opened == plaintext);
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  LookAtRecord(bytes);
  LookAtRecord(ResealRecord(bytes));
  LookAtInner(bytes);
  LookAtSummary(bytes);
  LookAtPlaintext(bytes.substr(0, kRecordBytesMax));
}

}  // namespace ember::fuzz
