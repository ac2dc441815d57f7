// Any bytes as the records of a manifest. The pieces of the input are its records, of type LEAF
// when their kind is even, else NODE; the first is the root, and the first byte of an id is the
// number of a record, so that nodes lead anywhere, also back to themselves.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/backup/backup_writer.h"
#include "common/backup/manifest.h"
#include "common/backup/manifest_reader.h"
#include "common/base/limits.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pieces.h"

namespace ember::fuzz {
namespace {

using backup::ManifestReader;
using backup::PathFilter;
using backup::PlainRecord;
using backup::RecordId;
using backup::RecordType;
using format::v1::Entry;

constexpr size_t kRecordsMax = 64;
// A small tree whose nodes name each other has very many leaves; reading on shows nothing new.
constexpr size_t kFetchedMax = 2000;
constexpr size_t kDamagesMax = 100;

struct Reading {
  std::vector<Entry> entries;
  absl::Status end;
  bool damaged = false;
};

// Fetches from `pieces`.
ManifestReader::Fetch FetchFrom(const std::vector<Piece>& pieces, size_t* fetched) {
  return [&pieces, fetched](const std::vector<RecordId>& ids) {
    std::vector<absl::StatusOr<PlainRecord>> records;
    for (const RecordId& id : ids) {
      const size_t number = static_cast<unsigned char>(id[0]);
      if (++*fetched > kFetchedMax) {
        records.emplace_back(absl::CancelledError("enough"));
      } else if (number >= pieces.size()) {
        records.emplace_back(absl::DataLossError("no such record"));
      } else {
        records.emplace_back(
            PlainRecord{pieces[number].kind % 2 == 0 ? RecordType::LEAF : RecordType::NODE,
                        std::string(pieces[number].bytes)});
      }
    }
    return records;
  };
}

Reading ReadAll(const ManifestReader::Fetch& fetch, const RecordId& root, PathFilter filter,
                bool goes_on) {
  Reading reading;
  size_t damages = 0;
  ManifestReader::OnDamage on_damage;
  if (goes_on) {
    on_damage = [&](const std::string&, const absl::Status& why) {
      Require(absl::IsDataLoss(why));
      reading.damaged = true;
      return ++damages > kDamagesMax ? absl::CancelledError("enough") : absl::OkStatus();
    };
  }
  ManifestReader reader(root, std::move(filter), fetch, on_damage);
  while (true) {
    Entry entry;
    const auto more = reader.Next(&entry);
    reading.end = more.status();
    if (!more.ok() || !*more) return reading;
    reading.entries.push_back(std::move(entry));
  }
}

// Below the root, and below nothing else.
void CheckPath(absl::string_view path) {
  if (path.empty()) return;
  for (const absl::string_view name : absl::StrSplit(path, '/'))
    Require(!name.empty() && name != "." && name != ".." && !absl::StrContains(name, '\0'));
}

// Ascending from `end` on, within `size` and within their records; `end` becomes theirs.
void CheckExtents(const Entry& entry, int64_t size, int64_t* end) {
  for (const format::v1::Extent& extent : entry.extents()) {
    Require(extent.offset() >= *end && extent.length() > 0 && extent.start() >= 0);
    Require(extent.length() <= size - extent.offset());
    Require(extent.start() + extent.length() <= static_cast<int64_t>(kRecordBytesMax));
    Require(extent.id().size() == RecordId().size());
    *end = extent.offset() + extent.length();
  }
}

void CheckWhole(const Entry& entry) {
  CheckPath(entry.path());
  CheckPath(entry.hardlink_to());
  Require(format::v1::EntryType::Value_IsValid(entry.type()) && entry.type() != 0);
  Require(entry.size() >= 0);
  Require(entry.hardlink_to().empty() || backup::PathLess(entry.hardlink_to(), entry.path()));
  const int64_t inline_size = static_cast<int64_t>(entry.inline_content().size());
  Require(inline_size == 0 || (inline_size == entry.size() && entry.extents().empty()));
}

// Whoever restores relies on this. Damage may have taken the end of an entry.
void CheckEntries(const std::vector<Entry>& entries, bool damaged) {
  const Entry* last = nullptr;
  int64_t size = 0;
  int64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.part() == 0) {
      CheckWhole(entry);
      Require(damaged || last == nullptr || !last->more_parts());
      Require(last == nullptr || backup::PathLess(last->path(), entry.path()));
      size = entry.size();
      end = 0;
    } else {
      Require(last != nullptr && last->path() == entry.path() && last->part() + 1 == entry.part());
    }
    CheckExtents(entry, size, &end);
    last = &entry;
  }
}

// The same entries written anew read the same.
void CheckWritten(const std::vector<Entry>& entries) {
  std::map<RecordId, PlainRecord> records;
  const HmacSha256Key id_key(std::string(32, 'i'));
  backup::ManifestBuilder builder(std::string(32, 'c'),
                                  [&](RecordType::Value type, std::string bytes) {
                                    const RecordId id = backup::MakeRecordId(id_key, type, bytes);
                                    records[id] = {type, std::move(bytes)};
                                    return absl::StatusOr<RecordId>(id);
                                  });
  for (const Entry& entry : entries) Require(builder.Add(entry, backup::EncodeInLeaf(entry)).ok());
  const auto root = builder.Finish();
  Require(root.ok());
  const auto fetch = [&](const std::vector<RecordId>& ids) {
    std::vector<absl::StatusOr<PlainRecord>> found;
    for (const RecordId& id : ids) found.emplace_back(records.at(id));
    return found;
  };
  const Reading again = ReadAll(fetch, *root, PathFilter({}), false);
  Require(again.end.ok() && again.entries.size() == entries.size());
  for (size_t i = 0; i < entries.size(); ++i)
    Require(again.entries[i].SerializeAsString() == entries[i].SerializeAsString());
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  const std::vector<Piece> pieces = PiecesOf(bytes, kRecordsMax);
  size_t fetched = 0;
  const auto fetch = FetchFrom(pieces, &fetched);
  const Reading strict = ReadAll(fetch, RecordId{}, PathFilter({}), false);
  CheckEntries(strict.entries, false);
  if (strict.end.ok()) CheckWritten(strict.entries);
  fetched = 0;
  const Reading lenient = ReadAll(fetch, RecordId{}, PathFilter({}), true);
  CheckEntries(lenient.entries, lenient.damaged);
  // Without damage both are the same.
  Require(!strict.end.ok() || (!lenient.damaged && lenient.end.ok() &&
                               lenient.entries.size() == strict.entries.size()));
  fetched = 0;
  for (const Entry& entry : ReadAll(fetch, RecordId{}, PathFilter({"srv/m"}), true).entries)
    Require(backup::IsWithin(entry.path(), "srv/m"));
}

}  // namespace ember::fuzz
