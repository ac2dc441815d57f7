// One record: what a vault stores, without being able to read it (docs/formats.md, record).
//
// clang-format off
//   id      = HMAC-SHA256(K_id, type byte ‖ plaintext)
//   inner   = codec byte (0 raw, 1 zstd) ‖ u32 little-endian body length ‖ body ‖ zeroes up to the Padmé length
//   payload = AES-256-GCM(session key, nonce = counter, inner, AAD)
//   AAD     = "EMBR" ‖ version byte 1 ‖ u8 length ‖ domain id ‖ id ‖ type byte
// clang-format on
#ifndef EMBER_COMMON_BACKUP_RECORD_H_
#define EMBER_COMMON_BACKUP_RECORD_H_

#include <array>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/limits.h"
#include "common/crypto/hmac_batch.h"
#include "ember/format/v1/format.pb.h"
#include "ember/v1/vault.pb.h"

namespace ember::backup {

using RecordType = format::v1::RecordType;
using RecordId = HmacCode;
static_assert(sizeof(RecordId) == kRecordIdBytes);
// What the known-id set keeps; the vault's index has the same 16 bytes.
using RecordIdPrefix = std::array<char, 16>;

inline absl::string_view BytesOf(const RecordId& id) {
  return absl::string_view(id.data(), id.size());
}
RecordIdPrefix PrefixOf(const RecordId& id);
// False when `bytes` are not 32.
bool ParseRecordId(absl::string_view bytes, RecordId* id);

// The length that a plaintext of `size` is padded to: leaks O(log log size) bits, costs at most 12
// % (Nikitin et al., PURBs, PoPETs 2019).
size_t PadmeLength(size_t size);

// `id_key` is K_id.
RecordId MakeRecordId(const HmacSha256Key& id_key, RecordType::Value type,
                      absl::string_view plaintext);

// The payload. `plaintext` has at most kRecordBytesMax bytes; `nonce` is used once per key. Safe
// for concurrent use.
std::string SealRecord(absl::string_view domain_id, absl::string_view session_key, uint64_t nonce,
                       const RecordId& id, RecordType::Value type, absl::string_view plaintext);

// The plaintext. DATA_LOSS unless everything is as sealed and the id, recomputed, is the record's.
absl::StatusOr<std::string> OpenRecord(absl::string_view domain_id, const HmacSha256Key& id_key,
                                       absl::string_view session_key, const v1::Record& record);

// A backup's summary: sealed like a record of type SUMMARY that has the manifest root as id, which
// binds the two.
std::string SealSummary(absl::string_view domain_id, absl::string_view session_key, uint64_t nonce,
                        const RecordId& manifest_root, const format::v1::BackupSummary& summary);
// DATA_LOSS also when the summary is of another backup than the vault says.
absl::StatusOr<format::v1::BackupSummary> OpenSummary(absl::string_view session_key,
                                                      const v1::StoredBackup& stored);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_RECORD_H_
