#include "common/backup/record_opener.h"

#include <string.h>

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace ember::backup {

RecordOpener::RecordOpener(std::string domain_id, RestoreKeys keys)
    : domain_id_(std::move(domain_id)), keys_(std::move(keys)), id_key_(keys_.id_key) {}

RecordOpener::~RecordOpener() {
  explicit_bzero(keys_.id_key.data(), keys_.id_key.size());
  for (auto& [session, key] : keys_.session_keys) explicit_bzero(key.data(), key.size());
}

const std::string* RecordOpener::KeyOf(const std::string& session_id) const {
  const auto at = keys_.session_keys.find(session_id);
  return at == keys_.session_keys.end() ? nullptr : &at->second;
}

absl::StatusOr<PlainRecord> RecordOpener::Open(const v1::Record& record) const {
  const std::string* key = KeyOf(record.session_id());
  if (key == nullptr) return absl::DataLossError("there is no key for the session that stored it");
  EMBER_ASSIGN_OR_RETURN(std::string bytes, OpenRecord(domain_id_, id_key_, *key, record));
  return PlainRecord{static_cast<RecordType::Value>(record.type()), std::move(bytes)};
}

absl::Status StatusOfProblem(const v1::ReadProblem& problem) {
  if (problem.absent()) return absl::DataLossError("a record is not in the vault");
  return absl::DataLossError(absl::StrCat("a record is damaged in the vault: ", problem.problem()));
}

std::vector<absl::StatusOr<PlainRecord>> FetchRecords(VaultPort* vault, const RecordOpener& opener,
                                                      const std::vector<RecordId>& ids) {
  std::vector<absl::StatusOr<PlainRecord>> records(
      ids.size(), absl::DataLossError("a record is not in the vault"));
  absl::flat_hash_map<absl::string_view, size_t> places;
  v1::ReadRequest request;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (places.emplace(BytesOf(ids[i]), i).second) request.add_ids(ids[i].data(), ids[i].size());
  }
  const auto place = [&](const std::string& id, absl::StatusOr<PlainRecord> record) {
    const auto at = places.find(absl::string_view(id));
    if (at != places.end()) records[at->second] = std::move(record);
  };
  const absl::Status read = vault->Read(std::move(request), [&](v1::ReadReply&& reply) {
    for (const v1::ReadProblem& problem : reply.problems())
      place(problem.id(), StatusOfProblem(problem));
    for (const v1::Record& record : reply.records()) place(record.id(), opener.Open(record));
    return absl::OkStatus();
  });
  if (!read.ok()) return std::vector<absl::StatusOr<PlainRecord>>(ids.size(), read);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (const size_t first = places.at(BytesOf(ids[i])); first != i) records[i] = records[first];
  }
  return records;
}

}  // namespace ember::backup
