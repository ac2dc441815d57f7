#include "common/vault/pack_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/vault/chunk_index.h"

namespace ember::vault {
namespace {

uint64_t EndOf(const WantedRecord& wanted) {
  return wanted.offset + kRecordHeaderBytes + wanted.length;
}

absl::StatusOr<RecordView> ParseWanted(const WantedRecord& wanted, absl::string_view bytes) {
  EMBER_ASSIGN_OR_RETURN(const RecordView record, ParseRecord(bytes));
  if (record.id == wanted.id) return record;
  // Whoever asks chooses the id: that he is led to an intact record says nothing about damage.
  if (record.id.substr(0, kIndexPrefixBytes) == wanted.id.substr(0, kIndexPrefixBytes))
    return absl::NotFoundError("a record is there whose id begins alike");
  return absl::DataLossError("another record is in its place");
}

absl::Status ReadOne(ObjectStore& store, const std::string& object, const WantedRecord& wanted,
                     const RecordVisitor& visit) {
  const auto bytes = store.Read(object, wanted.offset, EndOf(wanted) - wanted.offset);
  if (bytes.ok()) return visit(wanted, ParseWanted(wanted, *bytes));
  const std::string why = absl::StrCat(object, ": ", bytes.status().message());
  return visit(wanted, absl::IsOutOfRange(bytes.status()) ? absl::OutOfRangeError(why)
                                                          : absl::UnavailableError(why));
}

absl::Status ReadRange(ObjectStore& store, const std::string& object, const WantedRecord* begin,
                       const WantedRecord* end, const RecordVisitor& visit) {
  const uint64_t from = begin->offset;
  const auto bytes = store.Read(object, from, EndOf(*(end - 1)) - from);
  for (const WantedRecord* wanted = begin; wanted != end; ++wanted) {
    // One unreadable sector or a cut-off end must not take its neighbours along.
    EMBER_RETURN_IF_ERROR(
        bytes.ok()
            ? visit(*wanted,
                    ParseWanted(*wanted, absl::string_view(*bytes).substr(wanted->offset - from)))
            : ReadOne(store, object, *wanted, visit));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadRecords(ObjectStore& store, absl::string_view pack,
                         std::vector<WantedRecord> wanted, const RecordVisitor& visit) {
  std::sort(wanted.begin(), wanted.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  const std::string object = PackObject(pack);
  for (size_t begin = 0; begin < wanted.size();) {
    size_t end = begin + 1;
    while (end < wanted.size() && wanted[end].offset <= EndOf(wanted[end - 1]) + kReadGapBytesMax &&
           EndOf(wanted[end]) - wanted[begin].offset <= kReadRangeBytesMax) {
      ++end;
    }
    EMBER_RETURN_IF_ERROR(
        ReadRange(store, object, &wanted[begin], &wanted[begin] + (end - begin), visit));
    begin = end;
  }
  return absl::OkStatus();
}

absl::StatusOr<RecordView> FindRecord(absl::string_view pack_bytes, const WantedRecord& wanted) {
  if (EndOf(wanted) > pack_bytes.size()) return absl::OutOfRangeError("a record is cut off");
  return ParseWanted(wanted, pack_bytes.substr(wanted.offset));
}

}  // namespace ember::vault
