#include "node-agent/supervise/supervisor.h"

#include <atomic>
#include <map>
#include <set>

#include "common/base/file.h"
#include "node-agent/supervise/record.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::agent {
namespace {

using testing::Eventually;
using testing::FakeProcess;
using testing::HasCode;
using testing::HasCodeAndText;

// Counts the looks at a process, and remembers its last deadline.
struct Watched {
  std::atomic<int> looks{0};
  std::atomic<bool> without_deadline{false};
  std::function<void()> before_start;  // once
};
class WatchedService : public testing::FakeService {
 public:
  WatchedService(std::shared_ptr<FakeProcess> process, Watched* watched)
      : FakeService(std::move(process)), watched_(*watched) {}
  absl::StatusOr<ServiceStatus> Status() override {
    ++watched_.looks;
    return FakeService::Status();
  }
  absl::Status Start() override {
    if (auto before = std::exchange(watched_.before_start, nullptr)) before();
    return FakeService::Start();
  }
  absl::Status SetDeadline(absl::Duration deadline) override {
    watched_.without_deadline = deadline == absl::InfiniteDuration();
    return FakeService::SetDeadline(deadline);
  }

 private:
  Watched& watched_;
};

// A node whose processes outlive its agents.
class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }

  void Restart() {
    supervisor_ = nullptr;
    epochs_ = Epochs::Open(dir_.Join("epochs")).value();
    Environment environment;
    environment.clock = SystemClock();
    environment.directory = dir_.Join("workloads");
    environment.open_service = [this](
                                   const v1::WorkloadSpec& spec,
                                   const std::string&) -> absl::StatusOr<std::unique_ptr<Service>> {
      absl::MutexLock lock(&mu_);
      return std::make_unique<WatchedService>(ProcessLocked(spec.name()), &watched_[spec.name()]);
    };
    environment.probe = [this](const v1::WorkloadSpec& spec, Service* service) -> absl::Status {
      if (Has(sick_, spec.name())) return absl::UnavailableError("connection refused");
      return service->Status()->running ? absl::OkStatus()
                                        : absl::UnavailableError("it does not run");
    };
    environment.free_bytes = [](const v1::WorkloadSpec&) { return int64_t{1} << 30; };
    environment.check_data = [this](const v1::WorkloadSpec& spec) -> absl::Status {
      if (Has(lost_, spec.name())) return absl::NotFoundError("data is missing: /srv/db");
      return absl::OkStatus();
    };
    environment.urgent = [this] { ++urges_; };
    environment_ = environment;
    supervisor_ = std::make_unique<Supervisor>(environment, epochs_.get());
    supervisor_->SetFence({.controller_had_its_say = true});
  }

  std::shared_ptr<FakeProcess> Process(const std::string& name) {
    absl::MutexLock lock(&mu_);
    return ProcessLocked(name);
  }
  std::shared_ptr<FakeProcess> ProcessLocked(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::shared_ptr<FakeProcess>& process = processes_[name];
    if (process == nullptr) process = std::make_shared<FakeProcess>(SystemClock());
    return process;
  }
  bool Has(const std::set<std::string>& names, const std::string& name) {
    absl::MutexLock lock(&mu_);
    return names.contains(name);
  }
  void Put(std::set<std::string>& names, const std::string& name, bool in) {
    absl::MutexLock lock(&mu_);
    in ? void(names.insert(name)) : void(names.erase(name));
  }

  static v1::Assignment Assigned(const std::string& name,
                                 v1::Assignment::Run run = v1::Assignment::RUN,
                                 uint64_t epoch = 1) {
    v1::Assignment assignment;
    assignment.mutable_spec()->set_name(name);
    assignment.mutable_spec()->mutable_service()->mutable_exec()->add_command("/bin/" + name);
    assignment.mutable_spec()->mutable_service()->set_restart_limit(2);
    assignment.mutable_spec()->mutable_health()->set_every_millis(100);
    assignment.mutable_spec()->mutable_health()->set_failures(2);
    assignment.set_run(run);
    assignment.set_epoch(epoch);
    return assignment;
  }
  std::vector<absl::Status> Apply(const std::vector<v1::Assignment>& assignments) {
    v1::NodeConfig config;
    for (const v1::Assignment& assignment : assignments) *config.add_workloads() = assignment;
    return supervisor_->Apply(config.workloads());
  }
  v1::WorkloadFact Fact(const std::string& name) {
    for (const v1::WorkloadFact& fact : supervisor_->Facts()) {
      if (fact.workload() == name) return fact;
    }
    return v1::WorkloadFact();
  }
  bool Runs(const std::string& name) { return Process(name)->Status().running; }
  // Keeper and prober have looked a few times since: whatever would be done, is done.
  void LetItLook(const std::string& name) {
    const std::atomic<int>& looks = WatchedOf(name).looks;
    const int before = looks;
    ASSERT_TRUE(Eventually([&] { return looks > before + 3; }));
  }
  Watched& WatchedOf(const std::string& name) {
    absl::MutexLock lock(&mu_);
    return watched_[name];
  }
  static FenceState Leased() {
    return {SystemClock()->Monotonic() + absl::Seconds(25), false, true, true};
  }

  testing::TempDir dir_;
  absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<FakeProcess>> processes_;
  std::map<std::string, Watched> watched_;
  std::set<std::string> sick_;
  std::set<std::string> lost_;
  std::atomic<int> urges_{0};
  Environment environment_;
  std::unique_ptr<Epochs> epochs_;
  std::unique_ptr<Supervisor> supervisor_;
};

TEST_F(SupervisorTest, StartsWhatIsAssignedAndReportsItHealthy) {
  EXPECT_TRUE(Apply({Assigned("db")}).empty());
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  EXPECT_TRUE(Fact("db").running());
  EXPECT_TRUE(Fact("db").probed());
  EXPECT_FALSE(Fact("db").held());
  EXPECT_EQ(Fact("db").epoch(), 1u);
}

TEST_F(SupervisorTest, AHoldStopsIt) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  Apply({Assigned("db", v1::Assignment::HOLD)});
  ASSERT_TRUE(Eventually([&] { return !Runs("db"); }));
  EXPECT_TRUE(Fact("db").held());
  EXPECT_FALSE(Fact("db").restarts_exhausted());
}

TEST_F(SupervisorTest, ACrashIsRestartedInPlaceUntilTheLimitThenReported) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  for (int crash = 1; crash <= 2; ++crash) {
    Process("db")->End(1, "panic");
    ASSERT_TRUE(Eventually([&] { return Process("db")->starts() == crash + 1; })) << crash;
    EXPECT_EQ(Fact("db").restarts(), crash);
  }
  Process("db")->End(137, "last words");
  ASSERT_TRUE(Eventually([&] { return Fact("db").restarts_exhausted(); }));
  EXPECT_EQ(Process("db")->starts(), 3);
  EXPECT_EQ(Fact("db").exit_status(), 137);
  ASSERT_EQ(Fact("db").log_tail_size(), 1);
  EXPECT_EQ(Fact("db").log_tail(0), "last words");
  EXPECT_GE(urges_, 4);

  ASSERT_OK(supervisor_->Start("db", 1, v1::StartOrder()));
  EXPECT_TRUE(Runs("db"));
  EXPECT_FALSE(Fact("db").restarts_exhausted());
}

TEST_F(SupervisorTest, AFailingProbeIsUrgentWhenItCrossesTheThreshold) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  const int before = urges_;
  Put(sick_, "db", true);
  ASSERT_TRUE(Eventually([&] { return Fact("db").consecutive_failures() >= 2; }));
  EXPECT_FALSE(Fact("db").healthy());
  EXPECT_EQ(Fact("db").probe_message(), "connection refused");
  EXPECT_GT(urges_, before);
  EXPECT_TRUE(Runs("db")) << "what runs but does not answer is the controller's to judge";
  Put(sick_, "db", false);
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  EXPECT_EQ(Fact("db").consecutive_failures(), 0);
}

TEST_F(SupervisorTest, NeverStartsOnLostData) {
  Put(lost_, "db", true);
  v1::Assignment assignment = Assigned("db");
  assignment.set_expect_data(true);
  Apply({assignment});
  ASSERT_TRUE(Eventually([&] { return Fact("db").data_missing(); }));
  EXPECT_TRUE(Eventually([&] { return urges_ >= 1; }));
  EXPECT_THAT(supervisor_->Start("db", 1, v1::StartOrder()),
              HasCodeAndText(absl::StatusCode::kFailedPrecondition, "data is missing: /srv/db"));
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 0);
  Put(lost_, "db", false);
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

// Whoever replaces all of it empties the directory for a moment: no reason to put a backup there.
TEST_F(SupervisorTest, DataThatIsAwayForAMomentIsNotLost) {
  v1::Assignment assignment = Assigned("db");
  assignment.mutable_spec()->mutable_health()->set_failures(1000);
  assignment.set_expect_data(true);
  Apply({assignment});
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  Put(lost_, "db", true);
  ASSERT_TRUE(Eventually([&] { return Fact("db").consecutive_failures() >= 2; }));
  EXPECT_FALSE(Fact("db").data_missing());
  EXPECT_THAT(supervisor_->Start("db", 1, v1::StartOrder()),
              HasCode(absl::StatusCode::kFailedPrecondition))
      << "but nothing is started on it";
  Put(lost_, "db", false);
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  EXPECT_FALSE(Fact("db").data_missing());
}

TEST_F(SupervisorTest, DataLostUnderARunningServiceFailsItsProbes) {
  v1::Assignment assignment = Assigned("db");
  assignment.set_expect_data(true);
  Apply({assignment});
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  Put(lost_, "db", true);
  ASSERT_TRUE(Eventually([&] { return Fact("db").consecutive_failures() >= 2; }));
  EXPECT_TRUE(Fact("db").data_missing());
  EXPECT_EQ(Fact("db").probe_message(), "data is missing: /srv/db");
  EXPECT_TRUE(Runs("db"));
  Process("db")->End(1);
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 1) << "a crash on lost data is not restarted";
}

TEST_F(SupervisorTest, AnOrderedStopHoldsUntilAStartOrAChangedAssignment) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  ASSERT_OK(supervisor_->Stop("db"));
  EXPECT_FALSE(Runs("db"));
  Apply({Assigned("db")});
  Restart();
  Apply({Assigned("db")});
  LetItLook("db");
  EXPECT_FALSE(Runs("db")) << "neither the same configuration nor a new agent undoes it";
  EXPECT_TRUE(Fact("db").held());
  ASSERT_OK(supervisor_->Start("db", 1, v1::StartOrder()));
  EXPECT_TRUE(Runs("db"));
  ASSERT_OK(supervisor_->Stop("db"));
  Apply({Assigned("db", v1::Assignment::RUN, 2)});
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

TEST_F(SupervisorTest, AFreshStartIsANewProcess) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  v1::StartOrder fresh;
  fresh.set_fresh(true);
  ASSERT_OK(supervisor_->Start("db", 1, v1::StartOrder()));
  EXPECT_EQ(Process("db")->starts(), 1);
  ASSERT_OK(supervisor_->Start("db", 4, fresh));
  EXPECT_EQ(Process("db")->starts(), 2);
  EXPECT_EQ(Fact("db").epoch(), 4u);
  EXPECT_EQ(Fact("db").restarts(), 0);
}

TEST_F(SupervisorTest, NothingStartsWhileARestoreIsPromisedAndNoneAfterIt) {
  supervisor_->Suspend("db");
  Apply({Assigned("db")});
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 0) << "promised before it was even assigned";
  EXPECT_THAT(supervisor_->Start("db", 1, v1::StartOrder()),
              HasCode(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(supervisor_->StopForRestore("db"));
  supervisor_->Resume("db", true);
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 0);
  ASSERT_OK(supervisor_->Start("db", 1, v1::StartOrder()));
  EXPECT_TRUE(Runs("db"));
}

TEST_F(SupervisorTest, ARestoreThatNeverBeganLeavesTheWorkloadAsItWas) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  supervisor_->Suspend("db");
  ASSERT_TRUE(Eventually([&] { return !Runs("db"); }));
  supervisor_->Resume("db", false);
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

TEST_F(SupervisorTest, WhatIsNoLongerAssignedIsStoppedAndForgotten) {
  Apply({Assigned("db"), Assigned("web")});
  ASSERT_TRUE(Eventually([&] { return Runs("db") && Runs("web"); }));
  Apply({Assigned("web")});
  ASSERT_TRUE(Eventually([&] { return supervisor_->Facts().size() == 1; }));
  EXPECT_FALSE(Runs("db"));
  EXPECT_TRUE(Runs("web"));
  EXPECT_FALSE(FileExists(dir_.Join("workloads/db/record.pb")));
  Apply({Assigned("db"), Assigned("web")});
  EXPECT_TRUE(Eventually([&] { return Runs("db"); })) << "and may come back";
}

TEST_F(SupervisorTest, WhatWasUnassignedWhileTheAgentWasDownIsStillStopped) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  Restart();
  EXPECT_TRUE(Runs("db")) << "workloads outlive the agent";
  Apply({});
  EXPECT_TRUE(Eventually([&] { return !Runs("db"); }));
}

TEST_F(SupervisorTest, ANewAgentAdoptsWhatRuns) {
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  Restart();
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Fact("db").healthy(); }));
  EXPECT_EQ(Process("db")->starts(), 1);
}

TEST_F(SupervisorTest, ALowerEpochStartsNothing) {
  ASSERT_OK(epochs_->Raise("db", 5));
  const std::vector<absl::Status> refused = Apply({Assigned("db", v1::Assignment::RUN, 4)});
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_THAT(refused[0], HasCode(absl::StatusCode::kAborted));
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 0);
  EXPECT_TRUE(Apply({Assigned("db", v1::Assignment::RUN, 6)}).empty());
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

TEST_F(SupervisorTest, SelfFencingWorkloadsWaitForALeaseAndOthersDoNot) {
  v1::Assignment fenced = Assigned("db");
  fenced.set_self_fence(true);
  Apply({fenced, Assigned("web")});
  ASSERT_TRUE(Eventually([&] { return Runs("web"); }));
  EXPECT_EQ(Process("db")->starts(), 0);
  EXPECT_THAT(supervisor_->Start("db", 1, v1::StartOrder()),
              HasCode(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(supervisor_->HasSelfFencing());
  supervisor_->SetFence(Leased());
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

TEST_F(SupervisorTest, WhatIsExclusiveWaitsUntilTheControllerHadItsSay) {
  v1::Assignment stateless = Assigned("web");
  stateless.mutable_spec()->mutable_recovery()->set_class_(v1::RecoverySpec::STATELESS);
  supervisor_->SetFence({});
  Apply({Assigned("db"), stateless});
  ASSERT_TRUE(Eventually([&] { return Runs("web"); }));
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 0) << "it may have been moved while this node was away";
  supervisor_->SetFence({.controller_had_its_say = true});
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

TEST_F(SupervisorTest, FencingStopsOnlyWhatFencesItselfAndALeaseStartsItAgain) {
  v1::Assignment fenced = Assigned("db");
  fenced.set_self_fence(true);
  supervisor_->SetFence(Leased());
  Apply({fenced, Assigned("web")});
  ASSERT_TRUE(Eventually([&] { return Runs("db") && Runs("web"); }));
  FenceState lapsed = Leased();
  lapsed.fenced = true;
  lapsed.gate_open = false;
  supervisor_->SetFence(lapsed);
  ASSERT_TRUE(Eventually([&] { return !Runs("db"); }));
  LetItLook("db");
  EXPECT_FALSE(Runs("db"));
  EXPECT_TRUE(Runs("web"));
  EXPECT_EQ(Fact("db").restarts(), 0) << "a fencing is no crash";
  supervisor_->SetFence(Leased());
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

// The guard acts at the deadline; the verdict of the agent may be a moment behind it, or never come
// because the lease is back by then.
TEST_F(SupervisorTest, WhatItsDeadlineStoppedHasNotCrashed) {
  v1::Assignment fenced = Assigned("db");
  fenced.set_self_fence(true);
  for (int n = 1; n <= 4; ++n) {
    supervisor_->SetFence(Leased());
    if (n == 1) Apply({fenced});
    ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
    FenceState over = Leased();
    over.deadline = SystemClock()->Monotonic();
    supervisor_->SetFence(over);
    ASSERT_TRUE(Eventually([&] { return !Runs("db"); }));
    LetItLook("db");
    EXPECT_FALSE(Runs("db"));
    EXPECT_EQ(Fact("db").restarts(), 0);
    EXPECT_FALSE(Fact("db").restarts_exhausted());
  }
}

TEST_F(SupervisorTest, ADeadlineStopsItEvenWithoutTheAgent) {
  v1::Assignment fenced = Assigned("db");
  fenced.set_self_fence(true);
  supervisor_->SetFence({SystemClock()->Monotonic() + absl::Milliseconds(500), false, true, true});
  Apply({fenced});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  supervisor_ = nullptr;
  EXPECT_TRUE(Eventually([&] { return !Runs("db"); }));
}

TEST_F(SupervisorTest, AWorkloadThatNoLongerFencesItselfLosesItsDeadline) {
  v1::Assignment assignment = Assigned("db");
  assignment.set_self_fence(true);
  supervisor_->SetFence(Leased());
  Apply({assignment});
  ASSERT_TRUE(Eventually([&] { return Runs("db"); }));
  EXPECT_FALSE(WatchedOf("db").without_deadline);
  assignment.set_self_fence(false);
  Apply({assignment});
  EXPECT_TRUE(WatchedOf("db").without_deadline);
}

TEST_F(SupervisorTest, BadNamesAndTooManyAreRefusedAndTheRestIsInForce) {
  const std::vector<absl::Status> refused = Apply({Assigned("../etc"), Assigned("db")});
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_THAT(refused[0], HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(Eventually([&] { return Runs("db"); }));
}

TEST_F(SupervisorTest, DownStopsEverythingThatWasRecorded) {
  Apply({Assigned("db"), Assigned("web")});
  ASSERT_TRUE(Eventually([&] { return Runs("db") && Runs("web"); }));
  supervisor_ = nullptr;
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> stopped, StopAll(environment_));
  EXPECT_EQ(stopped, (std::vector<std::string>{"db", "web"}));
  EXPECT_FALSE(Runs("db"));
  EXPECT_FALSE(Runs("web"));
}

TEST_F(SupervisorTest, AnOrderToStartWhatIsNotHereNeedsItsSpec) {
  EXPECT_THAT(supervisor_->Start("db", 1, v1::StartOrder()), HasCode(absl::StatusCode::kNotFound));
  v1::StartOrder order;
  *order.mutable_spec() = Assigned("db").spec();
  EXPECT_OK(supervisor_->Start("db", 1, order));
  EXPECT_TRUE(Runs("db"));
  EXPECT_OK(supervisor_->Stop("unknown"));
}

// Found by a host that stood still: it decided to start by what it knew before, and what it heard
// then gave it a lease, and the workload to another host.
TEST_F(SupervisorTest, AStartThatIsOvertakenByItsPlacementElsewhereDoesNotHappen) {
  const absl::Duration soon = SystemClock()->Monotonic() + absl::Milliseconds(300);
  supervisor_->SetFence({.deadline = soon, .gate_open = true, .controller_had_its_say = true});
  WatchedOf("db").before_start = [this, soon] {
    EXPECT_TRUE(Eventually([&] { return SystemClock()->Monotonic() > soon; }));
    v1::Assignment elsewhere = Assigned("db", v1::Assignment::HOLD, 2);
    elsewhere.set_self_fence(true);
    EXPECT_THAT(Apply({elsewhere}), ::testing::IsEmpty());
    supervisor_->SetFence({.deadline = SystemClock()->Monotonic() + absl::Seconds(100),
                           .gate_open = true,
                           .controller_had_its_say = true});
  };
  v1::Assignment here = Assigned("db");
  here.set_self_fence(true);
  Apply({here});
  ASSERT_TRUE(Eventually([&] { return Fact("db").epoch() == 2; }));
  LetItLook("db");
  EXPECT_EQ(Process("db")->starts(), 0);
}

// Without a deadline nothing refuses it: it is stopped again.
TEST_F(SupervisorTest, AStartThatIsNotWantedAnyMoreIsUndone) {
  WatchedOf("db").before_start = [this] { Apply({Assigned("db", v1::Assignment::HOLD, 2)}); };
  Apply({Assigned("db")});
  ASSERT_TRUE(Eventually([&] { return Fact("db").epoch() == 2; }));
  LetItLook("db");
  EXPECT_FALSE(Runs("db"));
}

}  // namespace
}  // namespace ember::agent
