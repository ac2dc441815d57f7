#include "node-agent/link/message_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/crc32c.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "ember/v1/control.grpc.pb.h"

namespace ember::agent {
namespace {

constexpr absl::string_view kMagic = "EMBMSG1\n";
constexpr size_t kIdDigits = 32;
constexpr size_t kHeaderBytes = kMagic.size() + kIdDigits;
constexpr size_t kFrameBytes = 8;
constexpr char kSuffix[] = ".log";

void PutU32(std::string* out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift));
}
uint32_t TakeU32(absl::string_view bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string FrameOf(const v1::SpooledMessage& message) {
  const std::string body = message.SerializeAsString();
  std::string frame;
  PutU32(&frame, static_cast<uint32_t>(body.size()));
  PutU32(&frame, Crc32c(body));
  return frame + body;
}

// The message that `bytes` begin with, and the size of its frame. False: it is torn or damaged.
bool ParseFrame(absl::string_view bytes, v1::SpooledMessage* message, size_t* size) {
  if (bytes.size() < kFrameBytes) return false;
  const size_t body_size = TakeU32(bytes);
  if (bytes.size() - kFrameBytes < body_size) return false;
  const absl::string_view body = bytes.substr(kFrameBytes, body_size);
  if (Crc32c(body) != TakeU32(bytes.substr(4))) return false;
  *size = kFrameBytes + body_size;
  return message->ParseFromArray(body.data(), static_cast<int>(body.size()));
}

absl::StatusOr<std::string> ReadAt(const std::string& path, uint64_t offset, size_t size) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes(size, '\0');
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  const ssize_t got = pread(fd.get(), bytes.data(), size, static_cast<off_t>(offset));
  if (got < 0) return ErrnoToStatus(errno, absl::StrCat("read ", path));
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MessageLog>> MessageLog::Open(const std::string& directory,
                                                             const Lost& lost) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(directory));
  std::unique_ptr<MessageLog> log(new MessageLog(directory));
  absl::MutexLock lock(&log->mu_);
  EMBER_RETURN_IF_ERROR(log->Load(lost));
  return log;
}

absl::Status MessageLog::Load(const Lost& lost) {
  EMBER_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(directory_));
  std::erase_if(names, [](const std::string& name) { return !absl::EndsWith(name, kSuffix); });
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    EMBER_RETURN_IF_ERROR(LoadSegment(JoinPath(directory_, name), name == names.back(), lost));
  if (id_.empty()) id_ = absl::BytesToHexString(RandomBytes(kIdDigits / 2));
  return newest_.valid() ? absl::OkStatus() : BeginSegment();
}

absl::Status MessageLog::LoadSegment(const std::string& path, bool newest, const Lost& lost) {
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  // A new file of which not even the beginning was written holds nothing.
  if (newest && bytes.size() < kHeaderBytes) return RemoveFile(path);
  size_t good = 0;
  const absl::string_view id = absl::string_view(bytes).substr(0, kHeaderBytes);
  if (id.size() == kHeaderBytes && absl::StartsWith(id, kMagic) &&
      (id_.empty() || absl::EndsWith(id, id_))) {
    id_ = std::string(id.substr(kMagic.size()));
    good = kHeaderBytes;
  }
  v1::SpooledMessage message;
  for (size_t size = 0; good > 0; good += size) {
    if (!ParseFrame(absl::string_view(bytes).substr(good), &message, &size)) break;
    if (message.seq() <= last_) break;
    last_ = message.seq();
    waiting_bytes_ += size;
    waiting_.push_back({last_, message.message().id(), path, good, size});
  }
  // Torn by a crash while it was written: its sender was not told that it is kept.
  const bool torn = newest && good > 0;
  if (good < bytes.size() && !torn) {
    const std::string aside = absl::StrCat(path, ".damaged");
    EMBER_RETURN_IF_ERROR(WriteFileAtomic(aside, bytes));
    lost(absl::StrCat("a damaged segment of messages to the controller is set aside as ", aside,
                      "; those before the damage are kept"));
    if (good == 0) return RemoveFile(path);
    EMBER_RETURN_IF_ERROR(WriteFileAtomic(path, absl::string_view(bytes).substr(0, good)));
  }
  segments_.push_back({path, last_, good});
  if (!newest) return absl::OkStatus();
  newest_ = Fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!newest_.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  if (ftruncate(newest_.get(), static_cast<off_t>(good)) != 0 || fdatasync(newest_.get()) != 0)
    return ErrnoToStatus(errno, absl::StrCat("truncate ", path));
  return absl::OkStatus();
}

absl::Status MessageLog::BeginSegment() {
  const std::string path =
      JoinPath(directory_, absl::StrCat(absl::Hex(last_ + 1, absl::kZeroPad16), kSuffix));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(path, absl::StrCat(kMagic, id_)));
  Fd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  newest_ = std::move(fd);
  segments_.push_back({path, last_, kHeaderBytes});
  return absl::OkStatus();
}

absl::Status MessageLog::Write(absl::string_view frame) {
  Segment& segment = segments_.back();
  absl::Status written = WriteAll(newest_.get(), frame, segment.path);
  if (written.ok() && fdatasync(newest_.get()) != 0)
    written = ErrnoToStatus(errno, absl::StrCat("fdatasync ", segment.path));
  if (written.ok()) return written;
  // Whatever of it is in the file must not be taken for kept, now or after a restart.
  if (ftruncate(newest_.get(), static_cast<off_t>(segment.bytes)) != 0) {
    LogError("messages", "a segment ends with what was not kept", {{"path", segment.path}});
    segment.bytes = kMessageSegmentBytes;  // nothing follows it
  }
  return written;
}

absl::Status MessageLog::Append(const v1::Message& message) {
  if (message.id().empty() || message.id().size() > kMessageIdBytesMax || message.to().empty() ||
      message.body().size() > kMessageBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a message needs a receiver, an id of 1 to ",
                                                   kMessageIdBytesMax, " bytes, and at most ",
                                                   kMessageBytesMax, " bytes of text"));
  }
  absl::MutexLock lock(&mu_);
  for (const Waiting& each : waiting_) {
    if (each.id == message.id()) return absl::OkStatus();
  }
  v1::SpooledMessage spooled;
  spooled.set_seq(last_ + 1);
  *spooled.mutable_message() = message;
  const std::string frame = FrameOf(spooled);
  if (waiting_bytes_ + frame.size() > kMessageSpoolBytesMax) {
    return WithHint(absl::ResourceExhaustedError(absl::StrCat(
                        waiting_.size(), " messages wait on this node for the controller")),
                    "try again when the controller is back, or has room for them");
  }
  if (segments_.back().bytes + frame.size() > kMessageSegmentBytes)
    EMBER_RETURN_IF_ERROR(BeginSegment());
  EMBER_RETURN_IF_ERROR(Write(frame));
  Segment& segment = segments_.back();
  waiting_.push_back({spooled.seq(), message.id(), segment.path, segment.bytes, frame.size()});
  waiting_bytes_ += frame.size();
  segment.bytes += frame.size();
  segment.last = last_ = spooled.seq();
  return absl::OkStatus();
}

std::vector<v1::SpooledMessage> MessageLog::Head() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::SpooledMessage> head;
  size_t total = 0;
  for (const Waiting& each : waiting_) {
    total += each.bytes;
    if (head.size() == kMessagesPerBeat || (total > kMessageBytesPerBeat && !head.empty())) break;
    const absl::StatusOr<std::string> bytes = ReadAt(each.path, each.offset, each.bytes);
    v1::SpooledMessage message;
    size_t size = 0;
    if (!bytes.ok() || !ParseFrame(*bytes, &message, &size)) {
      LogError("messages", "a message cannot be read", {{"path", each.path}, {"seq", each.seq}});
      break;
    }
    head.push_back(std::move(message));
  }
  return head;
}

void MessageLog::Acknowledge(uint64_t seq) {
  absl::MutexLock lock(&mu_);
  while (!waiting_.empty() && waiting_.front().seq <= seq) {
    waiting_bytes_ -= waiting_.front().bytes;
    waiting_.pop_front();
  }
  while (segments_.size() > 1 && segments_.front().last <= seq) {
    if (const absl::Status removed = RemoveFile(segments_.front().path); !removed.ok()) {
      LogError("messages", "a sent segment stays", {{"error", removed.message()}});
      return;
    }
    segments_.pop_front();
  }
}

namespace {

class MessageSpoolService : public v1::MessageService::Service {
 public:
  MessageSpoolService(MessageLog* log, std::string node, std::function<void()> kept)
      : log_(*log), node_(std::move(node)), kept_(std::move(kept)) {}

  grpc::Status Send(grpc::ServerContext*, const v1::SendMessageRequest* request,
                    v1::SendMessageReply* reply) override {
    const absl::Status appended = log_.Append(request->message());
    if (!appended.ok()) return rpc::ToGrpc(appended);
    *reply->mutable_message() = request->message();
    reply->mutable_message()->clear_body();
    reply->set_spooled_on(node_);
    kept_();
    return grpc::Status::OK;
  }

 private:
  MessageLog& log_;
  const std::string node_;
  const std::function<void()> kept_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewMessageSpoolService(MessageLog* log, std::string node,
                                                      std::function<void()> kept) {
  return std::make_unique<MessageSpoolService>(log, std::move(node), std::move(kept));
}

}  // namespace ember::agent
