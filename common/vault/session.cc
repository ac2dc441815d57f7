#include "common/vault/session.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/vault/request_check.h"
#include "common/vault/take_pack.h"

namespace ember::vault {

namespace {

// Full packs that wait for the one that is being published; more would only wait, too.
constexpr size_t kFullPacksMax = 1;

}  // namespace

Session::Session(SessionFacts facts, ObjectStore& store, ChunkIndex& index, PackTrash& trash,
                 DamagedIds& damaged)
    : facts_(std::move(facts)), store_(store), index_(index), trash_(trash), damaged_(damaged) {
  // A session that goes on after a restart of the vault counts what it stored before.
  stored_bytes_ = static_cast<int64_t>(index.PacksOf(facts_.session_id).bytes);
}

absl::Status Session::CheckCurrent() const {
  if (!superseded_) return absl::OkStatus();
  return WithHint(absl::AbortedError(absl::StrCat("this session of workload '", facts_.workload,
                                                  "' is over: a newer one was opened")),
                  "let the newer backup finish");
}

absl::Status Session::Fail(absl::Status status) {
  for (std::unique_ptr<PackWriter>& pack : packs_) pack.reset();
  failure_ = status;
  return status;
}

int64_t Session::stored_bytes() const {
  absl::MutexLock lock(&published_mu_);
  return stored_bytes_;
}

absl::Status Session::PublishError() const {
  absl::MutexLock lock(&published_mu_);
  return publish_error_;
}

void Session::WaitForPublished() {
  absl::MutexLock lock(&mu);
  publishing_ = nullptr;
}

absl::Status Session::Append(const v1::UploadRequest& request) {
  EMBER_RETURN_IF_ERROR(CheckCurrent());
  EMBER_RETURN_IF_ERROR(failure_);
  if (absl::Status published = PublishError(); !published.ok()) return Fail(std::move(published));
  int64_t bytes = 0;
  for (const v1::Record& record : request.records()) {
    EMBER_RETURN_IF_ERROR(CheckRecord(record));
    bytes += static_cast<int64_t>(kRecordHeaderBytes + record.payload().size());
  }
  if (bytes == 0) return absl::OkStatus();
  EMBER_ASSIGN_OR_RETURN(const ObjectStore::Space space, store_.GetSpace());
  // Refused before anything is written: what came before stays, and can be synced and committed.
  if (space.free_bytes - bytes < kVaultReserveBytes) return DiskFull("vault");
  std::vector<absl::string_view> ids;
  for (const v1::Record& record : request.records()) ids.push_back(record.id());
  EMBER_ASSIGN_OR_RETURN(const std::vector<bool> of_another,
                         AreOfAnotherDomain(index_, ids, facts_.domain_id));
  if (absl::c_linear_search(of_another, true))
    return PeerRefused(facts_.node, "a record's id is another domain's");
  for (const v1::Record& record : request.records()) {
    if (absl::Status status = AppendOne(record); !status.ok()) return Fail(std::move(status));
  }
  return absl::OkStatus();
}

absl::Status Session::AppendOne(const v1::Record& record) {
  std::unique_ptr<PackWriter>& pack = packs_[absl::Uniform<size_t>(random_, 0, packs_.size())];
  if (pack == nullptr) {
    format::v1::PackSession session;
    session.set_session_id(facts_.session_id);
    session.set_keybox(facts_.keybox);
    session.set_domain_id(facts_.domain_id);
    EMBER_ASSIGN_OR_RETURN(pack, PackWriter::Create(store_, {session}, facts_.parity));
  }
  EMBER_RETURN_IF_ERROR(pack->Append({.type = record.type(),
                                      .id = record.id(),
                                      .session_id = facts_.session_id,
                                      .nonce = record.nonce(),
                                      .payload = record.payload()}));
  if (pack->IsFull()) Publish(std::move(pack));
  return absl::OkStatus();
}

void Session::Publish(std::unique_ptr<PackWriter> pack) {
  if (publishing_ == nullptr) publishing_ = std::make_unique<WorkerPool>(1, kFullPacksMax);
  publishing_->Submit([this, full = std::shared_ptr<PackWriter>(std::move(pack))] { Take(*full); });
}

void Session::Take(PackWriter& pack) {
  // What follows an error is lost in any case.
  if (!PublishError().ok()) return;
  const absl::StatusOr<uint64_t> size = TakePack(pack, store_, index_, trash_, damaged_);
  absl::MutexLock lock(&published_mu_);
  if (size.ok()) {
    stored_bytes_ += static_cast<int64_t>(*size);
  } else {
    publish_error_ = size.status();
  }
}

absl::Status Session::Sync() {
  EMBER_RETURN_IF_ERROR(CheckCurrent());
  EMBER_RETURN_IF_ERROR(failure_);
  publishing_ = nullptr;
  for (std::unique_ptr<PackWriter>& pack : packs_) {
    if (pack != nullptr) Take(*std::exchange(pack, nullptr));
  }
  if (absl::Status published = PublishError(); !published.ok()) return Fail(std::move(published));
  return absl::OkStatus();
}

}  // namespace ember::vault
