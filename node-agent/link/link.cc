#include "node-agent/link/link.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace ember::agent {

Link::Link(Ports ports) : ports_(std::move(ports)) {}

Link::~Link() { Stop(); }

void Link::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void Link::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (held_ != nullptr) held_->TryCancel();
    if (!stop_.HasBeenNotified()) stop_.Notify();
    EndWait();
  }
  if (thread_.joinable()) thread_.join();
}

void Link::Urge() {
  absl::MutexLock lock(&mu_);
  urgent_ = true;
  if (held_ != nullptr) held_->TryCancel();
}

void Link::TryNow() {
  absl::MutexLock lock(&mu_);
  EndWait();
  // The controller answers within kBeat. What is silent for longer is a connection that waits for a
  // lost packet, or for a link that was cut, and it may wait for seconds more.
  const bool stuck =
      held_ != nullptr && ports_.clock->Monotonic() - held_since_ > absl::Seconds(kBeatSeconds + 1);
  if (!stuck) return ports_.em->DialNow();
  ports_.em->DialAnew();
  urgent_ = true;
  held_->TryCancel();
}

void Link::EndWait() {
  if (waiting_ != nullptr) waiting_->Notify();
  waiting_ = nullptr;
}

void Link::WaitToTryAgain() {
  const auto waiting = std::make_shared<absl::Notification>();
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    waiting_ = waiting;
  }
  ports_.clock->Sleep(Backoff(), *waiting);
  absl::MutexLock lock(&mu_);
  waiting_ = nullptr;
}

void Link::Loop() {
  while (!stop_.HasBeenNotified() && !rejected_) {
    const absl::Status beat = Beat();
    if (absl::IsCancelled(beat)) continue;
    Note(beat);
    if (beat.ok()) {
      const std::string before = ports_.em->identity().certificate_pem;
      if (const absl::Status renewed = ports_.em->RenewIfDue(); !renewed.ok()) {
        LogWarning("link", "the certificate could not be renewed", {{"error", renewed.ToString()}});
      }
      if (ports_.em->identity().certificate_pem != before) ports_.renewed();
    } else {
      if (absl::IsPermissionDenied(beat) && !ports_.em->HasExpired()) ports_.refused();
      ports_.unanswered();
      if (absl::IsDeadlineExceeded(beat)) ports_.em->DialAnew();
      WaitToTryAgain();
    }
  }
}

absl::Status Link::Beat() {
  bool urgent = false;
  {
    absl::MutexLock lock(&mu_);
    // Taken before the facts are gathered: what becomes urgent from here on sends another beat.
    urgent = std::exchange(urgent_, false);
  }
  v1::HeartbeatRequest request = ports_.facts();
  // After a beat that failed the lease may be short: what comes now is not to be held.
  request.set_urgent(urgent || failures_ > 0);
  const auto stub = v1::AgentService::NewStub(ports_.em->channel());
  grpc::ClientContext context;
  SetTimeout(&context, absl::Seconds(kBeatDeadlineSeconds));
  // Why a connection breaks is told at once; after that a beat leaves as soon as there is one
  // again.
  context.set_wait_for_ready(failures_ > 0);
  {
    absl::MutexLock lock(&mu_);
    if (stopping_ || urgent_) return absl::CancelledError("stopping, or more is urgent");
    held_ = &context;
    held_since_ = ports_.clock->Monotonic();
  }
  v1::HeartbeatReply reply;
  const absl::Duration sent = ports_.clock->Monotonic();
  const absl::Status status = rpc::FromGrpc(stub->Heartbeat(&context, request, &reply));
  bool given_up = false;
  {
    absl::MutexLock lock(&mu_);
    held_ = nullptr;
    given_up = urgent_ || stopping_;
  }
  if (absl::IsCancelled(status) && given_up) return status;
  if (absl::IsCancelled(status)) return absl::UnavailableError(status.message());
  EMBER_RETURN_IF_ERROR(status);
  if (reply.rejected_duplicate()) {
    rejected_ = true;
    ports_.duplicate();
    return absl::OkStatus();
  }
  Handle(reply, sent);
  return absl::OkStatus();
}

// The controller answers at once while something it said is not done: that must not become a race
// of beats.
void Link::Handle(const v1::HeartbeatReply& reply, absl::Duration sent) {
  if (const absl::Status done = ports_.reply(reply, sent); !done.ok()) {
    LogError("link", "a reply could not be carried out", {{"error", done.ToString()}});
    ports_.clock->Sleep(absl::Milliseconds(kReplyRetryMillis), stop_);
    return;
  }
  const absl::Duration taken = ports_.clock->Monotonic() - sent;
  if (taken < absl::Milliseconds(kBeatMillisMin))
    ports_.clock->Sleep(absl::Milliseconds(kBeatMillisMin) - taken, stop_);
}

void Link::Note(const absl::Status& status) {
  const std::string& address = ports_.em->address();
  if (status.ok()) {
    if (!connected_) LogInfo("link", "the controller answers", {{"address", address}});
    connected_ = true;
    failures_ = 0;
    return;
  }
  ++failures_;
  if (connected_ || failures_ == 1) {
    LogWarning("link", "the controller does not answer",
               {{"address", address}, {"error", status.ToString()}, {"hint", HintOf(status)}});
  }
  connected_ = false;
}

// Full jitter: after a restart of the controller its agents come back spread out.
absl::Duration Link::Backoff() {
  const int64_t most =
      std::min(kReconnectMillisMax, kReconnectMillisMin << std::min(failures_, 10));
  return absl::Milliseconds(
      absl::Uniform(absl::IntervalClosed, random_, kReconnectMillisMin / 2, most));
}

}  // namespace ember::agent
