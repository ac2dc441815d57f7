#include "node-agent/supervise/record.h"

#include <algorithm>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "google/protobuf/util/message_differencer.h"

namespace ember::agent {
namespace {

std::string RecordPath(const std::string& directory, const std::string& workload) {
  return JoinPath(JoinPath(directory, workload), "record.pb");
}

}  // namespace

std::string ServiceDirectory(const std::string& directory, const std::string& workload) {
  return JoinPath(JoinPath(directory, workload), "service");
}

absl::Status SaveRecord(const std::string& directory, const record::v1::AgentWorkload& record) {
  const std::string& workload = record.assignment().spec().name();
  EMBER_RETURN_IF_ERROR(MakeDirectories(ServiceDirectory(directory, workload)));
  return WriteFileAtomic(RecordPath(directory, workload), record.SerializeAsString());
}

absl::StatusOr<std::vector<record::v1::AgentWorkload>> LoadRecords(const std::string& directory) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(directory));
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  std::vector<record::v1::AgentWorkload> records;
  for (const std::string& name : names) {
    absl::StatusOr<std::string> bytes = ReadFile(RecordPath(directory, name));
    if (absl::IsNotFound(bytes.status())) continue;
    if (!bytes.ok()) return bytes.status();
    record::v1::AgentWorkload record;
    if (!record.ParseFromString(*bytes) || record.assignment().spec().name() != name) {
      LogError("supervise", "a workload record is damaged and left out", {{"workload", name}});
      continue;
    }
    records.push_back(std::move(record));
  }
  return records;
}

absl::Status RemoveRecord(const std::string& directory, const std::string& workload) {
  return RemoveFile(RecordPath(directory, workload));
}

bool SameService(const v1::ServiceSpec& a, const v1::ServiceSpec& b) {
  const auto process = [](v1::ServiceSpec spec) {
    spec.clear_restart_limit();
    spec.clear_restart_window_seconds();
    return spec;
  };
  return google::protobuf::util::MessageDifferencer::Equals(process(a), process(b));
}

record::v1::AgentWorkload Reassign(const record::v1::AgentWorkload& known,
                                   const v1::Assignment& next) {
  record::v1::AgentWorkload record;
  v1::Assignment& kept = *record.mutable_assignment();
  kept = next;
  v1::ServiceSpec* service = kept.mutable_spec()->mutable_service();
  if (service->kind_case() == v1::ServiceSpec::KIND_NOT_SET) service->mutable_none();
  const v1::Assignment& old = known.assignment();
  kept.set_epoch(std::max(old.epoch(), next.epoch()));
  const bool changed = !known.has_assignment() || known.retired() || old.run() != kept.run() ||
                       old.epoch() < kept.epoch() || !SameService(old.spec().service(), *service);
  record.set_stopped(kept.run() == v1::Assignment::HOLD || (!changed && known.stopped()));
  return record;
}

}  // namespace ember::agent
