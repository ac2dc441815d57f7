// A service without a process.
#ifndef EMBER_TESTS_SUPPORT_FAKE_SERVICE_H_
#define EMBER_TESTS_SUPPORT_FAKE_SERVICE_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "node-agent/service/service.h"

namespace ember::testing {

// What lives on a node whatever becomes of the agent. Safe for concurrent use.
class FakeProcess {
 public:
  explicit FakeProcess(Clock* clock) : clock_(clock) {}

  absl::Status Start() {
    absl::MutexLock lock(&mu_);
    PassTime();
    if (clock_->Monotonic() >= deadline_)
      return absl::FailedPreconditionError("its deadline has passed");
    if (!start_error_.ok()) return start_error_;
    if (!status_.running) {
      status_ = {};
      status_.running = true;
      status_.pid = ++starts_;
    }
    return absl::OkStatus();
  }
  void End(int exit_status, const std::string& last_words = "") {
    absl::MutexLock lock(&mu_);
    EndLocked(exit_status);
    if (!last_words.empty()) status_.log_tail.push_back(last_words);
  }
  void Stop() {
    absl::MutexLock lock(&mu_);
    if (status_.running) EndLocked(143);
  }
  agent::ServiceStatus Status() {
    absl::MutexLock lock(&mu_);
    PassTime();
    return status_;
  }
  void SetDeadline(absl::Duration deadline) {
    absl::MutexLock lock(&mu_);
    PassTime();
    deadline_ = deadline;
  }
  // What Start answers from now on.
  void FailStarts(absl::Status error) {
    absl::MutexLock lock(&mu_);
    start_error_ = std::move(error);
  }
  int starts() {
    absl::MutexLock lock(&mu_);
    return starts_;
  }

 private:
  void EndLocked(int exit_status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    status_.running = false;
    status_.has_exit = true;
    status_.exit_status = exit_status;
    status_.pid = 0;
  }
  void PassTime() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (status_.running && clock_->Monotonic() >= deadline_) EndLocked(143);
  }

  Clock* const clock_;
  absl::Mutex mu_;
  agent::ServiceStatus status_ ABSL_GUARDED_BY(mu_);
  absl::Duration deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  absl::Status start_error_ ABSL_GUARDED_BY(mu_);
  int starts_ ABSL_GUARDED_BY(mu_) = 0;
};

class FakeService : public agent::Service {
 public:
  explicit FakeService(std::shared_ptr<FakeProcess> process) : process_(std::move(process)) {}
  absl::Status Start() override { return process_->Start(); }
  absl::Status Stop() override {
    process_->Stop();
    return absl::OkStatus();
  }
  absl::StatusOr<agent::ServiceStatus> Status() override { return process_->Status(); }
  absl::Status SetDeadline(absl::Duration deadline) override {
    process_->SetDeadline(deadline);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<FakeProcess> process_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_FAKE_SERVICE_H_
