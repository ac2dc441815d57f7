#include "common/backup/record.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/base/zero.h"
#include "common/crypto/aead.h"

namespace ember::backup {
namespace {

constexpr char kMagic[] = "EMBR";
constexpr char kVersionByte = 1;
constexpr size_t kInnerHeaderBytes = 5;
enum Codec : char { kRaw = 0, kZstd = 1 };

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Contexts are large and slow to set up: one per thread.
ZSTD_CCtx* Compressor() {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
  return context.get();
}
ZSTD_DCtx* Decompressor() {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  return context.get();
}

std::string Aad(absl::string_view domain_id, absl::string_view id, char type) {
  return absl::StrCat(kMagic, absl::string_view(&kVersionByte, 1),
                      std::string(1, static_cast<char>(domain_id.size())), domain_id, id,
                      absl::string_view(&type, 1));
}

// Grows and is never cleared: what zstd writes into need not be zeroes before.
std::string& CompressionBuffer(size_t size) {
  thread_local std::string buffer;
  if (buffer.size() < size) buffer.resize(size);
  return buffer;
}

std::string EncodeInner(absl::string_view plaintext) {
  std::string& compressed = CompressionBuffer(ZSTD_compressBound(plaintext.size()));
  const size_t size = ZSTD_compressCCtx(Compressor(), compressed.data(), compressed.size(),
                                        plaintext.data(), plaintext.size(), kZstdLevel);
  const bool gains =
      !ZSTD_isError(size) && size * 100 <= plaintext.size() * (100 - kCompressionGainPercentMin);
  const absl::string_view body = gains ? absl::string_view(compressed).substr(0, size) : plaintext;
  const size_t padded = PadmeLength(kInnerHeaderBytes + body.size());
  std::string inner;
  inner.reserve(padded);
  inner.push_back(gains ? kZstd : kRaw);
  for (int i = 0; i < 4; ++i) inner.push_back(static_cast<char>(body.size() >> (8 * i)));
  inner.append(body.data(), body.size());
  inner.resize(padded);
  return inner;
}

absl::StatusOr<std::string> Decompress(absl::string_view body) {
  const unsigned long long size = ZSTD_getFrameContentSize(body.data(), body.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ||
      size > kRecordBytesMax) {
    return absl::DataLossError("its compressed body has no acceptable size");
  }
  std::string plaintext(size, '\0');
  const size_t got = ZSTD_decompressDCtx(Decompressor(), plaintext.data(), plaintext.size(),
                                         body.data(), body.size());
  if (ZSTD_isError(got) || got != size)
    return absl::DataLossError("its compressed body does not decompress");
  return plaintext;
}

absl::StatusOr<std::string> DecodeInner(absl::string_view inner) {
  if (inner.size() < kInnerHeaderBytes) return absl::DataLossError("it is too short");
  size_t body_size = 0;
  for (int i = 3; i >= 0; --i)
    body_size = body_size << 8 | static_cast<unsigned char>(inner[1 + i]);
  if (body_size > inner.size() - kInnerHeaderBytes ||
      PadmeLength(kInnerHeaderBytes + body_size) != inner.size()) {
    return absl::DataLossError("its length is wrong");
  }
  const absl::string_view body = inner.substr(kInnerHeaderBytes, body_size);
  const absl::string_view padding = inner.substr(kInnerHeaderBytes + body_size);
  if (!IsAllZero(padding)) return absl::DataLossError("its padding is not zero");
  if (inner[0] == kZstd) return Decompress(body);
  if (inner[0] != kRaw) return absl::DataLossError("its codec is unknown");
  if (body.size() > kRecordBytesMax) return absl::DataLossError("it is too large");
  return std::string(body);
}

std::string SealAs(absl::string_view domain_id, absl::string_view session_key, uint64_t nonce,
                   absl::string_view id, RecordType::Value type, absl::string_view plaintext) {
  return Seal(session_key, nonce, Aad(domain_id, id, static_cast<char>(type)),
              EncodeInner(plaintext));
}

absl::StatusOr<std::string> OpenAs(absl::string_view domain_id, absl::string_view session_key,
                                   uint64_t nonce, absl::string_view id, uint32_t type,
                                   absl::string_view payload) {
  if (session_key.size() != kAeadKeyBytes)
    return absl::DataLossError("its session key is not a key");
  if (domain_id.size() > 255 || type > 255)
    return absl::DataLossError("its type or domain is out of range");
  if (payload.size() > PadmeLength(kRecordBytesMax + kInnerHeaderBytes) + kAeadTagBytes) {
    return absl::DataLossError("it is too large");
  }
  EMBER_ASSIGN_OR_RETURN(
      const std::string inner,
      Open(session_key, nonce, Aad(domain_id, id, static_cast<char>(type)), payload));
  return DecodeInner(inner);
}

}  // namespace

RecordIdPrefix PrefixOf(const RecordId& id) {
  RecordIdPrefix prefix;
  std::copy_n(id.begin(), prefix.size(), prefix.begin());
  return prefix;
}

bool ParseRecordId(absl::string_view bytes, RecordId* id) {
  if (bytes.size() != id->size()) return false;
  std::copy(bytes.begin(), bytes.end(), id->begin());
  return true;
}

size_t PadmeLength(size_t size) {
  if (size < 2) return size;
  const int exponent = absl::bit_width(size) - 1;
  const int kept = absl::bit_width(static_cast<unsigned>(exponent));
  const size_t mask = (size_t{1} << (exponent - kept)) - 1;
  return (size + mask) & ~mask;
}

RecordId MakeRecordId(const HmacSha256Key& id_key, RecordType::Value type,
                      absl::string_view plaintext) {
  const HmacMessage message = {static_cast<unsigned char>(type), plaintext};
  RecordId id;
  HmacSha256Batch(id_key, absl::MakeConstSpan(&message, 1), absl::MakeSpan(&id, 1));
  return id;
}

std::string SealRecord(absl::string_view domain_id, absl::string_view session_key, uint64_t nonce,
                       const RecordId& id, RecordType::Value type, absl::string_view plaintext) {
  return SealAs(domain_id, session_key, nonce, BytesOf(id), type, plaintext);
}

absl::StatusOr<std::string> OpenRecord(absl::string_view domain_id, const HmacSha256Key& id_key,
                                       absl::string_view session_key, const v1::Record& record) {
  RecordId id;
  if (!ParseRecordId(record.id(), &id)) return absl::DataLossError("its id has not 32 bytes");
  EMBER_ASSIGN_OR_RETURN(
      std::string plaintext,
      OpenAs(domain_id, session_key, record.nonce(), record.id(), record.type(), record.payload()));
  if (MakeRecordId(id_key, static_cast<RecordType::Value>(record.type()), plaintext) != id) {
    return absl::DataLossError("its content is not what its id says");
  }
  return plaintext;
}

std::string SealSummary(absl::string_view domain_id, absl::string_view session_key, uint64_t nonce,
                        const RecordId& manifest_root, const format::v1::BackupSummary& summary) {
  return SealAs(domain_id, session_key, nonce, BytesOf(manifest_root), RecordType::SUMMARY,
                summary.SerializeAsString());
}

absl::StatusOr<format::v1::BackupSummary> OpenSummary(absl::string_view session_key,
                                                      const v1::StoredBackup& stored) {
  RecordId root;
  if (!ParseRecordId(stored.manifest_root(), &root))
    return absl::DataLossError("its manifest root is not an id");
  EMBER_ASSIGN_OR_RETURN(
      const std::string plaintext,
      OpenAs(stored.domain_id(), session_key, stored.summary_nonce(), stored.manifest_root(),
             RecordType::SUMMARY, stored.sealed_summary()));
  format::v1::BackupSummary summary;
  if (!summary.ParseFromString(plaintext) || summary.version() != 1) {
    return absl::DataLossError("its summary has an unknown form");
  }
  if (summary.backup_id() != stored.backup_id() ||
      summary.manifest_root() != stored.manifest_root()) {
    return absl::DataLossError("its summary belongs to another backup");
  }
  return summary;
}

}  // namespace ember::backup
