#include "common/vault/vault_state.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/vault/framed.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {
namespace {

constexpr char kSequenceFile[] = "sequence";
constexpr char kEpochFile[] = "epoch";
constexpr char kDomains[] = "domains";
constexpr char kWorkloads[] = "workloads";

template <typename Message>
absl::StatusOr<Message> ReadState(const std::string& path) {
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  EMBER_ASSIGN_OR_RETURN(const absl::string_view body, Unframe(kStateMagic, bytes, path));
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return Damaged(path, "it does not parse");
  return message;
}

template <typename Message>
absl::Status WriteState(const std::string& path, const Message& message) {
  const absl::Status status =
      WriteFileAtomic(path, Frame(kStateMagic, message.SerializeAsString()));
  return absl::IsResourceExhausted(status) ? DiskFull(path) : status;
}

// What WriteFileAtomic leaves when the process dies within it.
absl::Status RemoveTemporaries(const std::string& directory) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  for (const std::string& name : names) {
    if (absl::StrContains(name, ".tmp."))
      EMBER_RETURN_IF_ERROR(RemoveFile(JoinPath(directory, name)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<VaultState>> VaultState::Open(const std::string& directory) {
  const std::string workloads = JoinPath(directory, kWorkloads);
  EMBER_RETURN_IF_ERROR(MakeDirectories(workloads));
  EMBER_RETURN_IF_ERROR(SyncDirectory(directory));
  EMBER_RETURN_IF_ERROR(RemoveTemporaries(directory));
  EMBER_RETURN_IF_ERROR(RemoveTemporaries(workloads));
  const std::string domains = JoinPath(directory, kDomains);
  EMBER_RETURN_IF_ERROR(MakeDirectories(domains));
  EMBER_RETURN_IF_ERROR(RemoveTemporaries(domains));
  std::unique_ptr<VaultState> state(new VaultState(directory));
  EMBER_RETURN_IF_ERROR(state->LoadEpochs());
  EMBER_RETURN_IF_ERROR(state->LoadHeads());
  auto sequence = ReadState<format::v1::SequenceState>(JoinPath(directory, kSequenceFile));
  if (absl::IsNotFound(sequence.status())) return state;
  if (!sequence.ok()) {
    return WithHint(sequence.status(),
                    "remove that file: numbering goes on above the stored backups");
  }
  state->RaiseTo(
      {.sequence = sequence->sequence(), .received = rpc::FromTimestamp(sequence->received())});
  return state;
}

absl::Status VaultState::LoadEpochs() {
  auto state = ReadState<format::v1::EpochState>(JoinPath(directory_, kEpochFile));
  if (absl::IsNotFound(state.status())) return absl::OkStatus();
  if (!state.ok()) {
    return WithHint(state.status(), "remove that file: the epochs go on above those of the index");
  }
  absl::MutexLock lock(&mu_);
  for (const format::v1::EpochStart& start : state->epochs()) {
    epochs_.push_back({.epoch = start.epoch(), .started = rpc::FromTimestamp(start.started())});
    last_.received = std::max(last_.received, epochs_.back().started);
  }
  return absl::OkStatus();
}

absl::Status VaultState::LoadHeads() {
  const std::string domains = JoinPath(directory_, kDomains);
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(domains));
  absl::MutexLock lock(&mu_);
  for (const std::string& name : names) {
    const auto head = ReadState<format::v1::ChainHead>(JoinPath(domains, name));
    if (head.ok()) {
      heads_[name] = {.sequence = head->sequence(), .record_sha256 = head->record_sha256()};
    } else {
      // It only ever adds suspicion; the next commit writes it anew.
      LogWarning("vault", "the head of a chain cannot be read",
                 {{"domain", name}, {"why", head.status().message()}});
    }
  }
  return absl::OkStatus();
}

void VaultState::SetHead(const std::string& domain_id, ChainHead head) {
  format::v1::ChainHead state;
  state.set_version(1);
  state.set_domain_id(domain_id);
  state.set_sequence(head.sequence);
  state.set_record_sha256(head.record_sha256);
  absl::MutexLock lock(&mu_);
  const absl::Status written =
      WriteState(JoinPath(JoinPath(directory_, kDomains), domain_id), state);
  if (!written.ok()) {
    LogWarning("vault", "could not save the head of a chain",
               {{"domain", domain_id}, {"why", written.message()}});
  }
  heads_[domain_id] = std::move(head);
}

std::map<std::string, VaultState::ChainHead> VaultState::Heads() {
  absl::MutexLock lock(&mu_);
  return heads_;
}

void VaultState::RaiseTo(const Stamp& seen) {
  absl::MutexLock lock(&mu_);
  last_.sequence = std::max(last_.sequence, seen.sequence);
  last_.received = std::max(last_.received, seen.received);
}

uint64_t VaultState::sequence() {
  absl::MutexLock lock(&mu_);
  return last_.sequence;
}

absl::Time VaultState::TimeAt(absl::Time now) {
  absl::MutexLock lock(&mu_);
  return std::max(now, last_.received);
}

uint32_t VaultState::LastEpoch() const { return epochs_.empty() ? 1 : epochs_.back().epoch; }

uint32_t VaultState::epoch() {
  absl::MutexLock lock(&mu_);
  return LastEpoch();
}

void VaultState::RaiseEpochTo(uint32_t seen) {
  absl::MutexLock lock(&mu_);
  if (seen > LastEpoch()) epochs_.push_back({.epoch = seen, .started = last_.received});
}

absl::StatusOr<uint32_t> VaultState::NextEpoch(absl::Time now) {
  absl::MutexLock lock(&mu_);
  const absl::Time started = std::max(now, last_.received);
  std::vector<EpochStart> epochs = epochs_;
  epochs.push_back({.epoch = LastEpoch() + 1, .started = started});
  // Nobody asks further back than a session's lease.
  while (epochs.size() > 1 && epochs[1].started <= started - absl::Hours(kSessionLeaseHours)) {
    epochs.erase(epochs.begin());
  }
  format::v1::EpochState state;
  state.set_version(1);
  for (const EpochStart& epoch : epochs) {
    format::v1::EpochStart* row = state.add_epochs();
    row->set_epoch(epoch.epoch);
    *row->mutable_started() = rpc::ToTimestamp(epoch.started);
  }
  EMBER_RETURN_IF_ERROR(WriteState(JoinPath(directory_, kEpochFile), state));
  epochs_ = std::move(epochs);
  last_.received = started;
  return LastEpoch();
}

uint32_t VaultState::EpochAt(absl::Time time) {
  absl::MutexLock lock(&mu_);
  uint32_t epoch = 0;
  for (const EpochStart& start : epochs_) {
    if (start.started <= time) epoch = start.epoch;
  }
  return epoch;
}

absl::StatusOr<VaultState::Stamp> VaultState::NextStamp(absl::Time now) {
  absl::MutexLock lock(&mu_);
  const Stamp next{.sequence = last_.sequence + 1,
                   .received = std::max(now, last_.received + absl::Microseconds(1))};
  format::v1::SequenceState state;
  state.set_version(1);
  state.set_sequence(next.sequence);
  *state.mutable_received() = rpc::ToTimestamp(next.received);
  EMBER_RETURN_IF_ERROR(WriteState(JoinPath(directory_, kSequenceFile), state));
  last_ = next;
  return next;
}

absl::StatusOr<uint64_t> VaultState::NextToken(const std::string& workload, uint64_t epoch) {
  EMBER_RETURN_IF_ERROR(ValidateName("workload", workload));
  const std::string path = JoinPath(JoinPath(directory_, kWorkloads), workload);
  absl::MutexLock lock(&mu_);
  auto state = ReadState<format::v1::WorkloadState>(path);
  if (absl::IsNotFound(state.status())) state = format::v1::WorkloadState();
  if (!state.ok()) {
    return WithHint(state.status(),
                    "make sure the workload runs on one node only, then remove that file");
  }
  if (epoch < state->epoch()) {
    return WithHint(
        absl::AbortedError(absl::StrCat("workload '", workload, "' was placed elsewhere: epoch ",
                                        epoch, " is older than ", state->epoch())),
        absl::StrCat("ember workload show ", workload));
  }
  state->set_version(1);
  state->set_workload(workload);
  state->set_epoch(epoch);
  state->set_token(state->token() + 1);
  EMBER_RETURN_IF_ERROR(WriteState(path, *state));
  return state->token();
}

}  // namespace ember::vault
