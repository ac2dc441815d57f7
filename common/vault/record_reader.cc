#include "common/vault/record_reader.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/domain_sessions.h"
#include "common/vault/pack.h"

namespace ember::vault {

absl::Status RecordReader::ReadIds(std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  DomainSessions domain(index_, domain_id_);
  std::map<uint32_t, std::vector<WantedRecord>> by_pack;
  for (size_t begin = 0; begin < ids.size(); begin += kIndexLookupBatch) {
    const size_t end = std::min(ids.size(), begin + kIndexLookupBatch);
    EMBER_ASSIGN_OR_RETURN(const auto found, index_.Find(std::vector<absl::string_view>(
                                                 ids.begin() + begin, ids.begin() + end)));
    for (size_t i = begin; i < end; ++i) {
      const auto& location = found[i - begin];
      if (location && (domain_id_.empty() || domain.MayContain(location->session))) {
        by_pack[location->pack].push_back({std::move(ids[i]), location->offset, location->length});
      } else {
        EMBER_RETURN_IF_ERROR(Report(ids[i], true, "not in this vault"));
      }
    }
  }
  for (auto& [pack, wanted] : by_pack) {
    EMBER_RETURN_IF_ERROR(ReadFromPack(index_.PackName(pack), std::move(wanted)));
  }
  return replies_.Send();
}

absl::Status RecordReader::ReadSession(absl::string_view session_id) {
  const auto session = index_.FindSession(session_id);
  const bool is_anothers = session && !domain_id_.empty() && !session->domain_id().empty() &&
                           session->domain_id() != domain_id_;
  if (is_anothers) return replies_.Send();
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
  return replies_.Send();
}

absl::Status RecordReader::ReadFromPack(const std::string& name, std::vector<WantedRecord> wanted) {
  return ReadRecords(store_, name, std::move(wanted),
                     [this](const WantedRecord& each, const absl::StatusOr<RecordView>& record) {
                       if (record.ok()) return replies_.Add(*record);
                       if (absl::IsNotFound(record.status()))
                         return Report(each.id, true, record.status().message());
                       if (!absl::IsUnavailable(record.status())) damaged_.Add(each.id);
                       return Report(each.id, false, record.status().message());
                     });
}

absl::Status RecordReader::Report(const std::string& id, bool absent, absl::string_view problem) {
  if (!absent) {
    LogError("vault", "a record is damaged",
             {{"id", absl::BytesToHexString(id)}, {"why", problem}});
  }
  return replies_.AddProblem(id, absent, problem);
}

bool IsRecordIntact(ObjectStore& store, ChunkIndex& index, const Location& location,
                    absl::string_view id) {
  // An index entry is of a prefix: another id that begins alike must not pass for damage.
  const auto bytes = store.Read(PackObject(index.PackName(location.pack)), location.offset,
                                kRecordHeaderBytes + location.length);
  if (!bytes.ok()) return false;
  const auto record = ParseRecord(*bytes);
  return record.ok() && record->id.substr(0, kIndexPrefixBytes) == id.substr(0, kIndexPrefixBytes);
}

}  // namespace ember::vault
