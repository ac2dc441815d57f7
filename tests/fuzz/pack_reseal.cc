#include "tests/fuzz/pack_reseal.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/crc32c.h"
#include "common/vault/little_endian.h"
#include "common/vault/pack.h"

namespace ember::fuzz {
namespace {

using vault::GetFixed;
using vault::kRecordHeaderBytes;
using vault::PutFixed;

constexpr size_t kStartBytes = 16;
constexpr size_t kParityHeaderBytes = 12;
constexpr size_t kTrailerBytes = 12;
constexpr size_t kRecordLengthAt = 64;
constexpr size_t kRecordCrcAt = 68;

void PutAt(std::string& bytes, size_t at, uint32_t value) {
  std::string fixed;
  PutFixed<uint32_t>(fixed, value);
  bytes.replace(at, fixed.size(), fixed);
}

uint32_t CrcWithLength(absl::string_view message) {
  std::string length;
  PutFixed<uint32_t>(length, static_cast<uint32_t>(message.size()));
  return Crc32c(length, Crc32c(message));
}

// `length` bytes at `at`, or as many as there are.
absl::string_view Body(const std::string& bytes, size_t at, uint32_t length) {
  return absl::string_view(bytes).substr(at, length);
}

void ResealStart(std::string& bytes) {
  if (bytes.size() < kStartBytes) return;
  const absl::string_view body = Body(bytes, kStartBytes, GetFixed<uint32_t>(bytes, 8));
  PutAt(bytes, 12, Crc32c(body, Crc32c(Body(bytes, 0, 12))));
}

// How far the record at `at` goes; 0 when it is cut off, and then has the checksum of what is left.
size_t ResealRecordAt(std::string& bytes, size_t at) {
  if (bytes.size() - at < kRecordHeaderBytes) return 0;
  const uint32_t length = GetFixed<uint32_t>(bytes, at + kRecordLengthAt);
  const absl::string_view payload = Body(bytes, at + kRecordHeaderBytes, length);
  PutAt(bytes, at + kRecordCrcAt, Crc32c(payload, Crc32c(Body(bytes, at, kRecordCrcAt))));
  return payload.size() == length ? kRecordHeaderBytes + length : 0;
}

void ResealTables(std::string& bytes) {
  for (size_t at = bytes.find("EMPA"); at != std::string::npos; at = bytes.find("EMPA", at + 1)) {
    if (bytes.size() - at < kParityHeaderBytes) return;
    PutAt(bytes, at + 8,
          CrcWithLength(Body(bytes, at + kParityHeaderBytes, GetFixed<uint32_t>(bytes, at + 4))));
  }
}

void ResealTrailer(std::string& bytes) {
  if (bytes.size() < kStartBytes + kTrailerBytes || !absl::EndsWith(bytes, "EMPE")) return;
  const size_t end = bytes.size() - kTrailerBytes;
  const uint32_t length = GetFixed<uint32_t>(bytes, end);
  if (length <= end) PutAt(bytes, end + 4, CrcWithLength(Body(bytes, end - length, length)));
}

}  // namespace

std::string ResealPack(absl::string_view bytes) {
  std::string pack(bytes);
  for (size_t at = pack.find("EMRC"); at != std::string::npos;) {
    const size_t size = ResealRecordAt(pack, at);
    at = pack.find("EMRC", at + (size == 0 ? 1 : size));
  }
  ResealTables(pack);
  ResealTrailer(pack);
  ResealStart(pack);
  return pack;
}

std::string ResealRecord(absl::string_view bytes) {
  std::string record(bytes);
  ResealRecordAt(record, 0);
  return record;
}

std::string FrameParityTable(absl::string_view table) {
  std::string framed = "EMPA";
  PutFixed<uint32_t>(framed, static_cast<uint32_t>(table.size()));
  PutFixed<uint32_t>(framed, CrcWithLength(table));
  return absl::StrCat(framed, table);
}

std::string FrameFooter(absl::string_view footer) {
  std::string framed(footer);
  PutFixed<uint32_t>(framed, static_cast<uint32_t>(footer.size()));
  PutFixed<uint32_t>(framed, CrcWithLength(footer));
  return absl::StrCat(framed, "EMPE");
}

}  // namespace ember::fuzz
