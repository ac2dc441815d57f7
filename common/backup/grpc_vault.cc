// A vault behind a gRPC channel.
#include <algorithm>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/backup/record.h"
#include "common/backup/vault_port.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "common/rpc/stream.h"
#include "ember/v1/vault.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"

namespace ember::backup {
namespace {

// A vault that does not answer in time is as good as absent.
absl::Status FromGrpc(const grpc::Status& status) {
  absl::Status converted = rpc::FromGrpc(status);
  if (!absl::IsDeadlineExceeded(converted)) return converted;
  return absl::UnavailableError("the vault did not answer in time");
}

// From now on. gRPC takes a time span as well as an instant.
void SetDeadline(grpc::ClientContext* context, int64_t seconds) {
  context->set_deadline(gpr_time_from_seconds(seconds, GPR_TIMESPAN));
}

// The upload stream of one session: requests go out from one thread, replies come in on another,
// and a third gives the call up when nothing has moved for kUploadStallSeconds.
class UploadStream {
 public:
  explicit UploadStream(v1::VaultService::Stub* stub) : stream_(stub->Upload(&context_)) {
    reader_ = std::thread([this] { ReadReplies(); });
    watchdog_ = std::thread([this] { Watch(); });
  }
  ~UploadStream() {
    context_.TryCancel();
    (void)Finish();
  }

  // Sends when the window has room.
  absl::Status Send(const v1::UploadRequest& request) {
    const size_t size = request.ByteSizeLong();
    {
      absl::MutexLock lock(&mu_);
      while (!ended_ && !sent_.empty() && unacknowledged_ + size > kUploadWindowBytes)
        moved_.Wait(&mu_);
      if (!ended_) {
        sent_.push_back(size);
        unacknowledged_ += size;
      }
    }
    if (ended() || !stream_->Write(request)) return Broken();
    absl::MutexLock lock(&mu_);
    ++movements_;
    return absl::OkStatus();
  }

  // Waits until everything sent is acknowledged.
  absl::Status Settle() {
    {
      absl::MutexLock lock(&mu_);
      while (!ended_ && !sent_.empty()) moved_.Wait(&mu_);
      if (sent_.empty()) return absl::OkStatus();
    }
    return Broken();
  }

  // Ends the stream in order.
  absl::Status Close() {
    EMBER_RETURN_IF_ERROR(Settle());
    stream_->WritesDone();
    return Finish();
  }

 private:
  bool ended() {
    absl::MutexLock lock(&mu_);
    return ended_;
  }

  void ReadReplies() {
    v1::UploadReply reply;
    while (stream_->Read(&reply)) {
      absl::MutexLock lock(&mu_);
      ++movements_;
      // One reply per request. Its count does not tell a flush from the records before it.
      if (!sent_.empty()) {
        unacknowledged_ -= sent_.front();
        sent_.pop_front();
      }
      moved_.SignalAll();
    }
    absl::MutexLock lock(&mu_);
    ended_ = true;
    moved_.SignalAll();
  }

  void Watch() {
    absl::MutexLock lock(&mu_);
    uint64_t seen = movements_;
    while (!ended_) {
      const bool timed_out = moved_.WaitWithTimeout(&mu_, absl::Seconds(kUploadStallSeconds));
      if (!timed_out) continue;
      if (!sent_.empty() && movements_ == seen) {
        stalled_ = true;
        context_.TryCancel();
        return;
      }
      seen = movements_;
    }
  }

  // Why the stream ended before its time.
  absl::Status Broken() {
    const absl::Status status = Finish();
    return status.ok() ? absl::UnavailableError("the vault ended the upload") : status;
  }

  // Once the stream has ended, or is about to.
  absl::Status Finish() {
    if (finished_) return final_;
    finished_ = true;
    if (reader_.joinable()) reader_.join();
    if (watchdog_.joinable()) watchdog_.join();
    final_ = FromGrpc(stream_->Finish());
    absl::MutexLock lock(&mu_);
    if (stalled_) {
      final_ = absl::UnavailableError(
          absl::StrCat("the vault acknowledged nothing for ", kUploadStallSeconds, " s"));
    }
    return final_;
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::UploadRequest, v1::UploadReply>> stream_;
  absl::Mutex mu_;
  absl::CondVar moved_;
  std::deque<size_t> sent_ ABSL_GUARDED_BY(mu_);  // sizes of what is not acknowledged
  size_t unacknowledged_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t movements_ ABSL_GUARDED_BY(mu_) = 0;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ = false;
  absl::Status final_;
  std::thread reader_;
  std::thread watchdog_;
};

class GrpcSession : public VaultSession {
 public:
  // `known` may be empty.
  GrpcSession(std::shared_ptr<v1::VaultService::Stub> stub, std::string vault,
              std::string session_id, v1::OpenSessionReply reply, std::optional<IdFilter> known)
      : stub_(std::move(stub)),
        vault_(std::move(vault)),
        session_id_(std::move(session_id)),
        reply_(std::move(reply)),
        known_(std::move(known)) {}

  bool domain_empty() const override { return reply_.domain_empty(); }
  bool parent_present() const override { return reply_.parent_present(); }
  const IdFilter* known() const override { return known_ ? &*known_ : nullptr; }

  absl::StatusOr<std::vector<bool>> Absent(const std::vector<std::string>& ids) override {
    v1::HaveRequest request;
    Address(&request);
    for (const std::string& id : ids) request.add_ids(id);
    grpc::ClientContext context;
    SetDeadline(&context, kVaultCallSeconds);
    v1::HaveReply reply;
    EMBER_RETURN_IF_ERROR(FromGrpc(stub_->Have(&context, request, &reply)));
    if (reply.absent().size() != ids.size()) {
      return absl::InternalError("the vault answered about another number of records");
    }
    std::vector<bool> absent;
    absent.reserve(ids.size());
    for (const char byte : reply.absent()) absent.push_back(byte != 0);
    return absent;
  }

  absl::Status Upload(v1::Record record) override {
    pending_bytes_ += record.payload().size();
    *pending_.add_records() = std::move(record);
    return pending_bytes_ < kUploadMessageBytes ? absl::OkStatus() : SendPending();
  }

  absl::Status Flush() override {
    pending_.set_flush(true);
    EMBER_RETURN_IF_ERROR(SendPending());
    return upload_->Settle();
  }

  absl::StatusOr<v1::CommitReply> Commit(const v1::CommitHeader& header,
                                         const Pieces& ids) override {
    EMBER_RETURN_IF_ERROR(Flush());
    EMBER_RETURN_IF_ERROR(std::exchange(upload_, nullptr)->Close());
    grpc::ClientContext context;
    SetDeadline(&context, kVaultCommitSeconds);
    v1::CommitReply reply;
    const std::unique_ptr<grpc::ClientWriter<v1::CommitRequest>> stream =
        stub_->Commit(&context, &reply);
    v1::CommitRequest request;
    Address(&request);
    *request.mutable_header() = header;
    // The vault may have heard enough; why, its status says.
    bool open = stream->Write(request);
    const absl::Status sent = ids([&](absl::string_view piece) {
      request.clear_header();
      request.clear_ids();
      for (const absl::string_view id : SplitIds(piece)) request.add_ids(std::string(id));
      open = open && stream->Write(request);
      return absl::OkStatus();
    });
    if (!sent.ok()) context.TryCancel();
    stream->WritesDone();
    const absl::Status finished = FromGrpc(stream->Finish());
    EMBER_RETURN_IF_ERROR(sent);
    EMBER_RETURN_IF_ERROR(finished);
    return reply;
  }

 private:
  template <typename Request>
  void Address(Request* request) const {
    request->set_vault(vault_);
    request->set_session_id(session_id_);
    request->set_token(reply_.token());
  }

  absl::Status SendPending() {
    if (upload_ == nullptr) upload_ = std::make_unique<UploadStream>(stub_.get());
    Address(&pending_);
    const absl::Status sent = upload_->Send(pending_);
    pending_.Clear();
    pending_bytes_ = 0;
    return sent;
  }

  const std::shared_ptr<v1::VaultService::Stub> stub_;
  const std::string vault_;
  const std::string session_id_;
  const v1::OpenSessionReply reply_;
  const std::optional<IdFilter> known_;
  v1::UploadRequest pending_;
  size_t pending_bytes_ = 0;
  std::unique_ptr<UploadStream> upload_;
};

class GrpcVault : public VaultPort {
 public:
  GrpcVault(std::shared_ptr<grpc::Channel> channel, std::string vault, v1::Signed read_grant)
      : channel_(channel),
        stub_(v1::VaultService::NewStub(std::move(channel))),
        vault_(std::move(vault)),
        read_grant_(std::move(read_grant)) {}

  absl::StatusOr<std::unique_ptr<VaultSession>> OpenSession(
      v1::OpenSessionRequest request) override {
    request.set_vault(vault_);
    grpc::ClientContext context;
    SetDeadline(&context, kVaultCallSeconds);
    v1::OpenSessionReply reply;
    EMBER_RETURN_IF_ERROR(FromGrpc(stub_->OpenSession(&context, request, &reply)));
    std::optional<IdFilter> known;
    if (!reply.known().empty()) {
      EMBER_ASSIGN_OR_RETURN(known, IdFilter::Parse(std::move(*reply.mutable_known())));
    }
    return std::make_unique<GrpcSession>(stub_, vault_, request.session_id(), std::move(reply),
                                         std::move(known));
  }

  absl::StatusOr<v1::StoredBackup> GetBackup(const std::string& backup_id) override {
    v1::GetStoredBackupRequest request;
    request.set_vault(vault_);
    request.set_backup_id(backup_id);
    *request.mutable_read_grant() = read_grant_;
    grpc::ClientContext context;
    SetDeadline(&context, kVaultCallSeconds);
    v1::StoredBackup reply;
    EMBER_RETURN_IF_ERROR(FromGrpc(stub_->GetBackup(&context, request, &reply)));
    return reply;
  }

  absl::StatusOr<v1::ListStoredBackupsReply> ListBackups(const std::string& workload) override {
    v1::ListStoredBackupsRequest request;
    request.set_vault(vault_);
    request.set_workload(workload);
    *request.mutable_read_grant() = read_grant_;
    grpc::ClientContext context;
    SetDeadline(&context, kVaultCallSeconds);
    v1::ListStoredBackupsReply reply;
    EMBER_RETURN_IF_ERROR(FromGrpc(stub_->ListBackups(&context, request, &reply)));
    return reply;
  }

  // A connection lost in the middle is waited for, and only what has not come is asked for again: a
  // restore of hours must not begin anew for a cable. Not so a session's records, which have no
  // known end.
  absl::Status Read(v1::ReadRequest request,
                    const std::function<absl::Status(v1::ReadReply&&)>& sink) override {
    request.set_vault(vault_);
    *request.mutable_read_grant() = read_grant_;
    absl::flat_hash_set<std::string> left(request.ids().begin(), request.ids().end());
    bool sunk = true;
    bool in_vain = false;
    while (true) {
      const size_t before = left.size();
      const absl::Status read = ReadOnce(request, [&](v1::ReadReply&& reply) {
        for (const v1::Record& record : reply.records()) left.erase(record.id());
        for (const v1::ReadProblem& problem : reply.problems()) left.erase(problem.id());
        const absl::Status status = sink(std::move(reply));
        sunk = status.ok();
        return status;
      });
      if (!absl::IsUnavailable(read) || !sunk || request.ids().empty()) return read;
      if (left.empty()) return absl::OkStatus();
      const bool came = left.size() < before;
      if ((!came && in_vain) || !Connected()) return read;
      in_vain = !came;
      *request.mutable_ids() = {left.begin(), left.end()};
    }
  }

 private:
  bool Connected() const {
    return channel_->WaitForConnected(gpr_time_from_seconds(kVaultCallSeconds, GPR_TIMESPAN));
  }

  // No deadline: a read-back has no size known beforehand. The channel's keepalive ends a dead
  // connection.
  absl::Status ReadOnce(const v1::ReadRequest& request,
                        const std::function<absl::Status(v1::ReadReply&&)>& sink) {
    grpc::ClientContext context;
    const std::unique_ptr<grpc::ClientReader<v1::ReadReply>> stream =
        stub_->Read(&context, request);
    return rpc::ReadAll(context, *stream, sink, FromGrpc);
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<v1::VaultService::Stub> stub_;
  const std::string vault_;
  const v1::Signed read_grant_;
};

}  // namespace

std::unique_ptr<VaultPort> OpenGrpcVault(std::shared_ptr<grpc::Channel> channel, std::string vault,
                                         v1::Signed read_grant) {
  return std::make_unique<GrpcVault>(std::move(channel), std::move(vault), std::move(read_grant));
}

}  // namespace ember::backup
