// One `ember` invocation after another, without a terminal, against a fake EM, in a time that
// passes by itself.
#ifndef EMBER_TESTS_UNIT_CLI_SESSION_H_
#define EMBER_TESTS_UNIT_CLI_SESSION_H_

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/program.h"
#include "common/base/file.h"
#include "nlohmann/json.hpp"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/cli/fake_em.h"

namespace ember::cli {

// Sleeping takes no time at all, and all the time it was asked for.
class QuickClock : public Clock {
 public:
  absl::Time Now() override { return clock_.Now(); }
  absl::Duration Monotonic() override { return clock_.Monotonic(); }
  bool Sleep(absl::Duration duration, const absl::Notification& stop) override {
    clock_.Advance(duration);
    if (on_sleep) on_sleep();
    return stop.HasBeenNotified();
  }
  std::function<void()> on_sleep;

 private:
  testing::FakeClock clock_;
};

class Session : public ::testing::Test {
 protected:
  Session() {
    EXPECT_OK(MakeDirectories(directory_.Join("identity")));
    EXPECT_OK(WriteFileAtomic(directory_.Join("identity/cert.pem"), "a certificate"));
    environment_["EMBER_IDENTITY"] = directory_.Join("identity");
    environment_["EMBER_EM"] = "em.lan:7443";
  }

  // The exit code; what was printed is in out_ and err_.
  int Ember(const std::vector<std::string>& arguments) {
    std::istringstream in(input_);
    std::ostringstream out, err;
    Context context;
    context.in = &in;
    context.out = &out;
    context.err = &err;
    context.in_terminal = context.out_terminal = context.err_terminal = terminal_;
    context.environment = [this](const char* name) { return environment_[name]; };
    context.system_directory = directory_.Join("etc");
    context.zone = absl::UTCTimeZone();
    context.clock = &clock_;
    context.interrupt = &interrupt_;
    context.dial =
        [this](const std::string& address, const std::string& identity,
               const std::string& agent) -> absl::StatusOr<std::shared_ptr<grpc::Channel>> {
      dialled_ = agent.empty() ? address : absl::StrCat(agent, "@", address);
      identity_ = identity;
      return em_.Channel();
    };
    const ExitCode code = cli::Run(arguments, context);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  // stdout as JSON; "discarded" when it is not JSON.
  nlohmann::json Json() const { return nlohmann::json::parse(out_, nullptr, false); }

  testing::TempDir directory_;
  std::map<std::string, std::string> environment_;
  QuickClock clock_;
  Interrupt interrupt_;
  FakeEm em_;
  Script& script_ = em_.script();
  std::string input_;
  bool terminal_ = false;
  std::string out_;
  std::string err_;
  std::string dialled_;
  std::string identity_;
};

}  // namespace ember::cli

#endif  // EMBER_TESTS_UNIT_CLI_SESSION_H_
