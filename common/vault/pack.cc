#include "common/vault/pack.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "common/base/crc32c.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/little_endian.h"

namespace ember::vault {
namespace {

using format::v1::PackFooter;
using format::v1::PackRecord;
using format::v1::PackSession;

constexpr absl::string_view kStartMagic = "EMPK";
constexpr absl::string_view kRecordMagic = "EMRC";
constexpr absl::string_view kParityMagic = "EMPA";
constexpr absl::string_view kEndMagic = "EMPE";
constexpr uint32_t kVersion = 1;
constexpr size_t kStartBytes = 16;
constexpr size_t kParityHeaderBytes = 12;
constexpr size_t kTrailerBytes = 12;
constexpr size_t kCrcAt = 68;  // in a record header
constexpr size_t kNameBytes = 64;

absl::Status Bad(absl::string_view why) { return absl::DataLossError(why); }

std::string EncodeRecordHeader(const RecordView& record) {
  std::string header;
  header.reserve(kRecordHeaderBytes);
  absl::StrAppend(&header, kRecordMagic);
  PutFixed<uint16_t>(header, kVersion);
  PutFixed<uint16_t>(header, static_cast<uint16_t>(record.type));
  absl::StrAppend(&header, record.id, record.session_id);
  PutFixed<uint64_t>(header, record.nonce);
  PutFixed<uint32_t>(header, static_cast<uint32_t>(record.payload.size()));
  PutFixed<uint32_t>(header, Crc32c(record.payload, Crc32c(header)));
  return header;
}

// Of a message and its length.
uint32_t CrcWithLength(absl::string_view message) {
  std::string length;
  PutFixed<uint32_t>(length, static_cast<uint32_t>(message.size()));
  return Crc32c(length, Crc32c(message));
}

std::string EncodeStart(const PackFooter& sessions) {
  const std::string body = sessions.SerializeAsString();
  std::string start(kStartMagic);
  PutFixed<uint32_t>(start, kVersion);
  PutFixed<uint32_t>(start, static_cast<uint32_t>(body.size()));
  PutFixed<uint32_t>(start, Crc32c(body, Crc32c(start)));
  return start + body;
}

absl::Status CheckSessions(const PackFooter& table) {
  for (const PackSession& session : table.sessions()) {
    if (session.session_id().size() != kSessionIdBytes)
      return Bad("a session id has the wrong size");
  }
  return absl::OkStatus();
}

absl::Status CheckTable(const PackFooter& table, uint64_t footer_at) {
  if (table.version() != kVersion) return Bad(absl::StrCat("footer version ", table.version()));
  EMBER_RETURN_IF_ERROR(CheckSessions(table));
  uint64_t end = kStartBytes;
  for (const PackRecord& record : table.records()) {
    const uint64_t size = kRecordHeaderBytes + uint64_t{record.length()};
    if (record.id().size() != kRecordIdBytes || record.length() > kRecordBytesMax ||
        record.offset() < end || record.offset() > footer_at ||
        size > footer_at - record.offset() ||
        record.session() >= static_cast<uint32_t>(table.sessions_size())) {
      return Bad("a record of the footer is out of bounds");
    }
    end = record.offset() + size;
  }
  return absl::OkStatus();
}

// Finds the intact records of a pack in memory, whatever lies between them.
class Scanner {
 public:
  explicit Scanner(absl::string_view pack) : pack_(pack) {}

  PackFooter Run() {
    size_t at = 0;
    if (auto start = ParsePackStart(pack_); start.ok()) {
      table_ = *std::move(start);
      for (int i = 0; i < table_.sessions_size(); ++i)
        numbers_[table_.sessions(i).session_id()] = i;
      at = kStartBytes;
    }
    table_.set_version(kVersion);
    while ((at = pack_.find(kRecordMagic, at)) != absl::string_view::npos) {
      auto record = ParseRecord(pack_.substr(at));
      if (!record.ok()) {
        ++at;
        continue;
      }
      Add(*record, at);
      at += kRecordHeaderBytes + record->payload.size();
    }
    return std::move(table_);
  }

 private:
  void Add(const RecordView& record, size_t at) {
    const auto [number, is_new] =
        numbers_.try_emplace(std::string(record.session_id), table_.sessions_size());
    if (is_new) table_.add_sessions()->set_session_id(number->first);
    PackRecord* row = table_.add_records();
    row->set_id(std::string(record.id));
    row->set_type(record.type);
    row->set_offset(at);
    row->set_length(static_cast<uint32_t>(record.payload.size()));
    row->set_session(static_cast<uint32_t>(number->second));
  }

  const absl::string_view pack_;
  PackFooter table_;
  std::map<std::string, int> numbers_;
};

}  // namespace

absl::StatusOr<RecordView> ParseRecord(absl::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) return Bad("a record header is cut off");
  if (!absl::StartsWith(bytes, kRecordMagic)) return Bad("a record has the wrong magic");
  const uint32_t length = GetFixed<uint32_t>(bytes, 64);
  if (length > kRecordBytesMax || length > bytes.size() - kRecordHeaderBytes)
    return Bad("a record is cut off");
  const absl::string_view payload = bytes.substr(kRecordHeaderBytes, length);
  if (Crc32c(payload, Crc32c(bytes.substr(0, kCrcAt))) != GetFixed<uint32_t>(bytes, kCrcAt)) {
    return Bad("a record's checksum does not match");
  }
  const uint16_t version = GetFixed<uint16_t>(bytes, 4);
  if (version != kVersion) return Bad(absl::StrCat("record version ", version));
  return RecordView{.type = GetFixed<uint16_t>(bytes, 6),
                    .id = bytes.substr(8, kRecordIdBytes),
                    .session_id = bytes.substr(40, kSessionIdBytes),
                    .nonce = GetFixed<uint64_t>(bytes, 56),
                    .payload = payload};
}

absl::StatusOr<PackFooter> ParsePackStart(absl::string_view pack) {
  if (pack.size() < kStartBytes || !absl::StartsWith(pack, kStartMagic))
    return Bad("the start is not a pack's");
  const uint32_t length = GetFixed<uint32_t>(pack, 8);
  if (length > pack.size() - kStartBytes) return Bad("the start is cut off");
  const absl::string_view body = pack.substr(kStartBytes, length);
  if (Crc32c(body, Crc32c(pack.substr(0, 12))) != GetFixed<uint32_t>(pack, 12)) {
    return Bad("the start's checksum does not match");
  }
  if (GetFixed<uint32_t>(pack, 4) != kVersion) return Bad("the pack has another version");
  PackFooter sessions;
  if (!sessions.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return Bad("the start does not parse");
  // Nobody would check them: a scan adds the rows that it finds to these.
  if (sessions.records_size() > 0 || sessions.has_parity())
    return Bad("the start names more than sessions");
  EMBER_RETURN_IF_ERROR(CheckSessions(sessions));
  return sessions;
}

std::string PackObject(absl::string_view name) {
  return absl::StrCat("packs/", name.substr(0, 2), "/", name);
}

std::string PackNameOf(absl::string_view object) {
  const std::string name(object.substr(object.rfind('/') + 1));
  const bool is_hex = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
  });
  return name.size() == kNameBytes && is_hex && PackObject(name) == object ? name : "";
}

absl::StatusOr<std::vector<std::string>> ListPacks(ObjectStore& store) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> objects, store.List("packs"));
  std::vector<std::string> names;
  for (const std::string& object : objects) {
    if (std::string name = PackNameOf(object); !name.empty()) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::unique_ptr<PackWriter>> PackWriter::Create(
    ObjectStore& store, const std::vector<PackSession>& sessions, PackParityMode parity) {
  EMBER_ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> object, store.Create());
  std::unique_ptr<PackWriter> pack(new PackWriter(store, std::move(object)));
  pack->footer_.set_version(kVersion);
  for (const PackSession& session : sessions) *pack->footer_.add_sessions() = session;
  if (parity == PackParityMode::kOn) pack->parity_.emplace();
  EMBER_RETURN_IF_ERROR(pack->WriteCovered(EncodeStart(pack->footer_)));
  return pack;
}

absl::StatusOr<uint32_t> PackWriter::SessionNumber(absl::string_view session_id) const {
  for (int i = 0; i < footer_.sessions_size(); ++i) {
    if (footer_.sessions(i).session_id() == session_id) return static_cast<uint32_t>(i);
  }
  return absl::InvalidArgumentError("a record of a session that the pack does not name");
}

absl::Status PackWriter::Write(absl::string_view bytes) {
  digest_.Update(bytes);
  size_ += bytes.size();
  return object_->Append(bytes);
}

absl::Status PackWriter::WriteCovered(absl::string_view bytes) {
  if (parity_) parity_->Add(bytes);
  return Write(bytes);
}

absl::Status PackWriter::Append(const RecordView& record) {
  EMBER_ASSIGN_OR_RETURN(const uint32_t session, SessionNumber(record.session_id));
  PackRecord* row = footer_.add_records();
  row->set_id(std::string(record.id));
  row->set_type(record.type);
  row->set_offset(size_);
  row->set_length(static_cast<uint32_t>(record.payload.size()));
  row->set_session(session);
  EMBER_RETURN_IF_ERROR(WriteCovered(EncodeRecordHeader(record)));
  return WriteCovered(record.payload);
}

bool PackWriter::IsFull() const {
  return size_ >= kPackBytes || footer_.records_size() >= kPackRecordsMax;
}

absl::StatusOr<PackWriter::Published> PackWriter::Publish() {
  if (parity_) {
    ParityBuilder::Result parity = parity_->Finish();
    EMBER_RETURN_IF_ERROR(Write(EncodeParity(parity)));
    *footer_.mutable_parity() = std::move(parity.table);
  }
  EMBER_RETURN_IF_ERROR(Write(EncodePackEnd(footer_)));
  std::string name = absl::BytesToHexString(digest_.Finish());
  absl::Status status = object_->Publish(PackObject(name));
  // A session that was cut off and sends the same again may write the same pack twice, and so may
  // healing: the first one will do, unless it is damaged by now.
  if (absl::IsAlreadyExists(status)) {
    EMBER_ASSIGN_OR_RETURN(const bool whole, IsWholePack(store_, name, size_, {}));
    status = whole ? absl::OkStatus() : object_->Replace(PackObject(name));
  }
  EMBER_RETURN_IF_ERROR(status);
  return Published{.name = std::move(name), .size = size_, .footer = std::move(footer_)};
}

absl::StatusOr<PackFooter> ReadPackFooter(ObjectStore& store, absl::string_view name) {
  const std::string object = PackObject(name);
  const auto damaged = [&object](absl::string_view why) { return Damaged(object, why); };
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(object));
  if (size > kPackBytesMax) return damaged("it is larger than a pack can be");
  if (size < kStartBytes + kTrailerBytes) return damaged("it is too short");
  EMBER_ASSIGN_OR_RETURN(const std::string trailer,
                         store.Read(object, size - kTrailerBytes, kTrailerBytes));
  if (trailer.size() != kTrailerBytes)
    return absl::InternalError("the store read less than was asked");
  const uint32_t length = GetFixed<uint32_t>(trailer, 0);
  if (!absl::EndsWith(trailer, kEndMagic) || length > size - kStartBytes - kTrailerBytes) {
    return damaged("the trailer is not a pack's");
  }
  const uint64_t footer_at = size - kTrailerBytes - length;
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, store.Read(object, footer_at, length));
  if (CrcWithLength(bytes) != GetFixed<uint32_t>(trailer, 4))
    return damaged("the footer's checksum does not match");
  PackFooter footer;
  if (!footer.ParseFromString(bytes)) return damaged("the footer does not parse");
  if (absl::Status status = CheckTable(footer, footer_at); !status.ok())
    return damaged(status.message());
  return footer;
}

absl::StatusOr<PackFooter> ScanPack(ObjectStore& store, absl::string_view name) {
  const std::string object = PackObject(name);
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(object));
  if (size > kPackBytesMax) return Damaged(object, "it is larger than a pack can be");
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, store.Read(object, 0, size));
  return ScanPackBytes(bytes);
}

PackFooter ScanPackBytes(absl::string_view pack) { return Scanner(pack).Run(); }

std::string EncodeParity(const ParityBuilder::Result& parity) {
  const std::string table = parity.table.SerializeAsString();
  std::string encoded = parity.slices;
  absl::StrAppend(&encoded, kParityMagic);
  PutFixed<uint32_t>(encoded, static_cast<uint32_t>(table.size()));
  PutFixed<uint32_t>(encoded, CrcWithLength(table));
  return encoded + table;
}

std::string EncodePackEnd(const PackFooter& footer) {
  std::string end = footer.SerializeAsString();
  const uint32_t length = static_cast<uint32_t>(end.size());
  const uint32_t crc = CrcWithLength(end);
  PutFixed<uint32_t>(end, length);
  PutFixed<uint32_t>(end, crc);
  absl::StrAppend(&end, kEndMagic);
  return end;
}

absl::StatusOr<PackFooter> ParsePackEnd(absl::string_view pack) {
  if (pack.size() < kStartBytes + kTrailerBytes || !absl::EndsWith(pack, kEndMagic))
    return Bad("the trailer is not a pack's");
  const uint64_t end = pack.size() - kTrailerBytes;
  const uint32_t length = GetFixed<uint32_t>(pack, end);
  if (length > end - kStartBytes) return Bad("the trailer is not a pack's");
  const absl::string_view bytes = pack.substr(end - length, length);
  if (CrcWithLength(bytes) != GetFixed<uint32_t>(pack, end + 4))
    return Bad("the footer's checksum does not match");
  PackFooter footer;
  if (!footer.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Bad("the footer does not parse");
  EMBER_RETURN_IF_ERROR(CheckTable(footer, end - length));
  return footer;
}

absl::StatusOr<format::v1::PackParity> FindParityTable(absl::string_view pack) {
  for (size_t at = pack.rfind(kParityMagic); at != absl::string_view::npos;
       at = at == 0 ? absl::string_view::npos : pack.rfind(kParityMagic, at - 1)) {
    if (pack.size() - at < kParityHeaderBytes) continue;
    const uint32_t length = GetFixed<uint32_t>(pack, at + 4);
    if (length > pack.size() - at - kParityHeaderBytes) continue;
    const absl::string_view bytes = pack.substr(at + kParityHeaderBytes, length);
    format::v1::PackParity table;
    if (CrcWithLength(bytes) == GetFixed<uint32_t>(pack, at + 8) &&
        table.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return table;
  }
  return Bad("no intact table of the parity");
}

absl::StatusOr<uint64_t> EndOfRecords(absl::string_view pack) {
  EMBER_RETURN_IF_ERROR(ParsePackStart(pack).status());
  uint64_t at = kStartBytes + GetFixed<uint32_t>(pack, 8);
  for (auto record = ParseRecord(pack.substr(at)); record.ok();
       record = ParseRecord(pack.substr(at)))
    at += kRecordHeaderBytes + record->payload.size();
  return at;
}

absl::StatusOr<bool> IsWholePack(ObjectStore& store, const std::string& name, uint64_t size,
                                 const std::function<absl::Status()>& go_on) {
  Sha256Stream digest;
  for (uint64_t at = 0; at < size; at += kReadRangeBytesMax) {
    if (go_on) EMBER_RETURN_IF_ERROR(go_on());
    const auto piece =
        store.Read(PackObject(name), at, std::min<uint64_t>(size - at, kReadRangeBytesMax));
    if (!piece.ok()) return false;
    digest.Update(*piece);
  }
  return absl::BytesToHexString(digest.Finish()) == name;
}

absl::StatusOr<PackFooter> ReadPackTable(ObjectStore& store, absl::string_view name) {
  auto footer = ReadPackFooter(store, name);
  if (!absl::IsDataLoss(footer.status())) return footer;
  LogError("vault", "a pack's footer is damaged; its records are found by scanning",
           {{"pack", name}, {"why", footer.status().message()}});
  return ScanPack(store, name);
}

}  // namespace ember::vault
