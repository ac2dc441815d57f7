#include "common/vault/record_reader.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/pack.h"

namespace ember::vault {
namespace {

uint64_t EndOf(const WantedRecord& wanted) {
  return wanted.offset + kRecordHeaderBytes + wanted.length;
}

absl::StatusOr<RecordView> ParseWanted(const WantedRecord& wanted, absl::string_view bytes) {
  EMBER_ASSIGN_OR_RETURN(const RecordView record, ParseRecord(bytes));
  if (record.id != wanted.id) return absl::DataLossError("another record is in its place");
  return record;
}

}  // namespace

absl::Status RecordReader::ReadIds(std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::map<uint32_t, std::vector<WantedRecord>> by_pack;
  for (size_t begin = 0; begin < ids.size(); begin += kIndexLookupBatch) {
    const size_t end = std::min(ids.size(), begin + kIndexLookupBatch);
    EMBER_ASSIGN_OR_RETURN(const auto found, index_.Find(std::vector<absl::string_view>(
                                                 ids.begin() + begin, ids.begin() + end)));
    for (size_t i = begin; i < end; ++i) {
      const auto& location = found[i - begin];
      if (location) {
        by_pack[location->pack].push_back({std::move(ids[i]), location->offset, location->length});
      } else {
        EMBER_RETURN_IF_ERROR(Report(ids[i], true, "not in this vault"));
      }
    }
  }
  for (auto& [pack, wanted] : by_pack) {
    EMBER_RETURN_IF_ERROR(ReadFromPack(index_.PackName(pack), std::move(wanted)));
  }
  return Send();
}

absl::Status RecordReader::ReadSession(absl::string_view session_id) {
  for (const std::string& name : index_.PacksOf(session_id).names) {
    // A pack that is gone or torn beyond its footer cannot say which records are lost, so the whole
    // read fails.
    EMBER_ASSIGN_OR_RETURN(const format::v1::PackFooter table, ReadPackTable(store_, name));
    std::vector<WantedRecord> wanted;
    for (const format::v1::PackRecord& record : table.records()) {
      if (table.sessions(static_cast<int>(record.session())).session_id() != session_id) continue;
      wanted.push_back({record.id(), record.offset(), record.length()});
    }
    EMBER_RETURN_IF_ERROR(ReadFromPack(name, std::move(wanted)));
  }
  return Send();
}

absl::Status RecordReader::ReadFromPack(const std::string& name, std::vector<WantedRecord> wanted) {
  std::sort(wanted.begin(), wanted.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  const std::string object = PackObject(name);
  for (size_t begin = 0; begin < wanted.size();) {
    size_t end = begin + 1;
    while (end < wanted.size() && wanted[end].offset <= EndOf(wanted[end - 1]) + kReadGapBytesMax &&
           EndOf(wanted[end]) - wanted[begin].offset <= kReadRangeBytesMax) {
      ++end;
    }
    EMBER_RETURN_IF_ERROR(ReadRange(object, &wanted[begin], &wanted[begin] + (end - begin)));
    begin = end;
  }
  return absl::OkStatus();
}

absl::Status RecordReader::ReadRange(const std::string& object, const WantedRecord* begin,
                                     const WantedRecord* end) {
  const uint64_t from = begin->offset;
  const auto bytes = store_.Read(object, from, EndOf(*(end - 1)) - from);
  for (const WantedRecord* wanted = begin; wanted != end; ++wanted) {
    // One unreadable sector or a cut-off end must not take its neighbours along.
    EMBER_RETURN_IF_ERROR(
        bytes.ok() ? Deliver(*wanted, absl::string_view(*bytes).substr(wanted->offset - from))
                   : ReadOne(object, *wanted));
  }
  return absl::OkStatus();
}

absl::Status RecordReader::ReadOne(const std::string& object, const WantedRecord& wanted) {
  const auto bytes = store_.Read(object, wanted.offset, EndOf(wanted) - wanted.offset);
  if (bytes.ok()) return Deliver(wanted, *bytes);
  if (absl::IsOutOfRange(bytes.status())) damaged_.Add(wanted.id);
  return Report(wanted.id, false, absl::StrCat(object, ": ", bytes.status().message()));
}

absl::Status RecordReader::Deliver(const WantedRecord& wanted, absl::string_view bytes) {
  const auto parsed = ParseWanted(wanted, bytes);
  if (!parsed.ok()) {
    damaged_.Add(wanted.id);
    return Report(wanted.id, false, parsed.status().message());
  }
  v1::Record* record = reply_.add_records();
  record->set_id(wanted.id);
  record->set_type(parsed->type);
  record->set_nonce(parsed->nonce);
  record->set_session_id(std::string(parsed->session_id));
  record->set_payload(parsed->payload.data(), parsed->payload.size());
  reply_bytes_ += kRecordHeaderBytes + parsed->payload.size();
  return SendIfLarge();
}

absl::Status RecordReader::Report(const std::string& id, bool absent, absl::string_view problem) {
  if (!absent) {
    LogError("vault", "a record is damaged",
             {{"id", absl::BytesToHexString(id)}, {"why", problem}});
  }
  v1::ReadProblem* row = reply_.add_problems();
  row->set_id(id);
  row->set_absent(absent);
  row->set_problem(std::string(problem));
  return SendIfLarge();
}

absl::Status RecordReader::SendIfLarge() {
  const bool is_large = reply_bytes_ >= kUploadMessageBytes ||
                        reply_.problems_size() >= static_cast<int>(kReadProblemsPerReply);
  return is_large ? Send() : absl::OkStatus();
}

absl::Status RecordReader::Send() {
  if (reply_.records_size() == 0 && reply_.problems_size() == 0) return absl::OkStatus();
  reply_bytes_ = 0;
  return sink_(std::exchange(reply_, v1::ReadReply()));
}

bool IsRecordIntact(ObjectStore& store, ChunkIndex& index, const Location& location,
                    absl::string_view id) {
  const WantedRecord wanted{std::string(id), location.offset, location.length};
  const auto bytes = store.Read(PackObject(index.PackName(location.pack)), wanted.offset,
                                EndOf(wanted) - wanted.offset);
  return bytes.ok() && ParseWanted(wanted, *bytes).ok();
}

}  // namespace ember::vault
