// The whole agent against a controller of the test.
#include "node-agent/agent.h"

#include <signal.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/rpc/signed.h"
#include "node-agent/link/join.h"
#include "node-agent/supervise/supervisor.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/agent/fake_em.h"

namespace ember::agent {
namespace {

using testing::Eventually;
using testing::FakeEm;
using testing::HasCode;
using testing::TempDir;

class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Join(em_.Token("nas1"), StateDirectory(state()), SystemClock()));
    ASSERT_OK(MakeDirectories(data()));
    StartAgent();
  }
  void TearDown() override {
    agent_ = nullptr;
    EXPECT_OK(StopAll(HostEnvironment(StateDirectory(state()).workloads(), EMBER_AGENT_BINARY,
                                      SystemClock(), [] {})));
  }

  std::string state() const { return dir_.Join("state"); }
  std::string data() const { return dir_.Join("data"); }
  AgentOptions Options() {
    AgentOptions options;
    options.state_directory = state();
    options.node = "nas1";
    options.listen = "127.0.0.1:0";
    options.agent_binary = EMBER_AGENT_BINARY;
    options.clock = SystemClock();
    options.duplicate = [this] { duplicate_ = true; };
    return options;
  }
  void StartAgent() {
    agent_ = nullptr;
    absl::StatusOr<std::unique_ptr<Agent>> started = Agent::Start(Options());
    ASSERT_OK(started);
    agent_ = *std::move(started);
  }

  v1::WorkloadSpec Notes() const {
    v1::WorkloadSpec spec;
    spec.set_name("notes");
    spec.add_sources()->mutable_files()->add_paths(data());
    spec.mutable_service()->mutable_none();
    return spec;
  }
  v1::WorkloadSpec Sleeper() const {
    v1::WorkloadSpec spec;
    spec.set_name("sleeper");
    for (const char* word : {"/bin/sleep", "1000"})
      spec.mutable_service()->mutable_exec()->add_command(word);
    spec.mutable_health()->set_every_millis(200);
    return spec;
  }
  v1::HeartbeatReply Config(uint64_t version) const {
    v1::HeartbeatReply reply;
    reply.set_em_epoch(1);
    v1::NodeConfig& config = *reply.mutable_config();
    config.set_version(version);
    for (const v1::WorkloadSpec& spec : {Notes(), Sleeper()}) {
      v1::Assignment* assignment = config.add_workloads();
      *assignment->mutable_spec() = spec;
      assignment->set_epoch(1);
      assignment->set_run(v1::Assignment::RUN);
    }
    v1::VaultSpec* vault = config.add_vaults();
    vault->set_name("nas");
    vault->set_node("nas1");
    vault->set_path(dir_.Join("vault"));
    return reply;
  }
  v1::VaultAddress Vault() const {
    v1::VaultAddress address;
    address.set_name("nas");
    address.set_node("nas1");
    address.set_address(absl::StrCat("127.0.0.1:", agent_->port()));
    return address;
  }
  v1::Order Make(const std::string& id) const {
    v1::Order order;
    order.set_id(id);
    order.set_workload("notes");
    order.set_epoch(1);
    return order;
  }
  v1::OrderUpdate Outcome(const v1::Order& order) {
    em_.GiveOrder(order);
    EXPECT_TRUE(Eventually([&] {
      return em_.UpdateOf(order.id()).state() >= v1::OrderUpdate::DONE;
    })) << order.id();
    return em_.UpdateOf(order.id());
  }
  v1::OrderUpdate BackUp(const std::string& id, const std::string& stamp) {
    v1::Order order = Make(id);
    order.mutable_backup()->set_backup_id("notes/" + stamp);
    *order.mutable_backup()->mutable_spec() = Notes();
    *order.mutable_backup()->mutable_vault() = Vault();
    *order.mutable_backup()->mutable_domain() = em_.domain();
    v1::Grant grant;
    grant.set_node("nas1");
    grant.set_workload("notes");
    grant.set_epoch(1);
    grant.set_vault("nas");
    grant.set_backup_id(order.backup().backup_id());
    *order.mutable_backup()->mutable_grant() = em_.Grant(grant);
    return Outcome(order);
  }
  v1::WorkloadFact Fact(const std::string& workload) {
    const v1::HeartbeatRequest last = em_.last();
    for (const v1::WorkloadFact& fact : last.workloads()) {
      if (fact.workload() == workload) return fact;
    }
    return v1::WorkloadFact();
  }
  v1::Order VaultOrder(const std::string& id) const {
    v1::Order order;
    order.set_id(id);
    order.mutable_vault()->set_vault("nas");
    return order;
  }
  v1::OrderUpdate Delete(const std::string& id, const std::string& stamp) {
    v1::Order order = VaultOrder(id);
    v1::DeleteBackupsJob& job = *order.mutable_vault()->mutable_delete_();
    job.add_backup_ids("notes/" + stamp);
    job.set_by_person(true);
    return Outcome(order);
  }
  bool VaultServes() {
    return em_.last().vaults_size() == 1 && em_.last().vaults(0).problem().empty();
  }

  FakeEm em_;
  TempDir dir_;
  std::atomic<bool> duplicate_{false};
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentTest, BacksUpVerifiesAndRestoresOverARealVault) {
  ASSERT_OK(WriteFileAtomic(JoinPath(data(), "a.txt"), "first words"));
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] { return VaultServes(); }));
  EXPECT_EQ(em_.last().config_version(), 1u);
  EXPECT_EQ(em_.last().data_address(), absl::StrCat(":", agent_->port()));

  const v1::OrderUpdate backup = BackUp("run/1", "20260101-000000");
  ASSERT_EQ(backup.state(), v1::OrderUpdate::DONE) << backup.error();
  EXPECT_EQ(backup.backup().outcome(), v1::Outcome::OK);
  EXPECT_EQ(backup.backup().files(), 1);
  EXPECT_TRUE(backup.backup().read_back_ok()) << backup.backup().read_back_error();

  const v1::OrderUpdate again = BackUp("run/1-again", "20260101-000000");
  ASSERT_EQ(again.state(), v1::OrderUpdate::DONE) << again.error();
  EXPECT_EQ(again.backup().outcome(), v1::Outcome::PARTIAL)
      << "committed by an order whose result is not known here";
  EXPECT_EQ(again.backup().receipt().statement(), backup.backup().receipt().statement());
  for (const v1::OrderUpdate& update : {backup, again})
    EXPECT_OK(
        rpc::OpenReceipt(em_.ca_pem(), update.backup().receipt(), "nas1", SystemClock()->Now()));

  v1::Order verify = Make("run/2");
  verify.mutable_verify()->set_backup_id("notes/20260101-000000");
  *verify.mutable_verify()->mutable_vault() = Vault();
  verify.mutable_verify()->set_domain_id("node-nas1");
  const v1::OrderUpdate verified = Outcome(verify);
  ASSERT_EQ(verified.state(), v1::OrderUpdate::DONE) << verified.error();
  EXPECT_EQ(verified.verify().files(), 1);

  ASSERT_OK(RemoveFile(JoinPath(data(), "a.txt")));
  v1::Order restore = Make("run/3");
  restore.mutable_restore()->set_backup_id("notes/20260101-000000");
  *restore.mutable_restore()->mutable_vault() = Vault();
  restore.mutable_restore()->set_domain_id("node-nas1");
  *restore.mutable_restore()->mutable_spec() = Notes();
  const v1::OrderUpdate restored = Outcome(restore);
  ASSERT_EQ(restored.state(), v1::OrderUpdate::DONE) << restored.error();
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(JoinPath(data(), "a.txt")));
  EXPECT_EQ(text, "first words");

  v1::Order missing = verify;
  missing.set_id("run/4");
  missing.mutable_verify()->set_backup_id("notes/20200101-000000");
  EXPECT_EQ(Outcome(missing).code(), static_cast<int>(absl::StatusCode::kNotFound));
}

TEST_F(AgentTest, LooksAfterTheVaultThatItHosts) {
  ASSERT_OK(WriteFileAtomic(JoinPath(data(), "a.txt"), "first words"));
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] { return VaultServes(); }));
  ASSERT_EQ(BackUp("run/1", "20260101-000000").state(), v1::OrderUpdate::DONE);

  const v1::OrderUpdate deleted = Delete("run/2", "20260101-000000");
  ASSERT_EQ(deleted.state(), v1::OrderUpdate::DONE) << deleted.error();
  ASSERT_EQ(deleted.vault().backups_size(), 1);
  EXPECT_EQ(deleted.vault().backups(0), "notes/20260101-000000");

  v1::Order undelete = VaultOrder("run/3");
  undelete.mutable_vault()->mutable_undelete()->add_backup_ids("notes/20260101-000000");
  EXPECT_EQ(Outcome(undelete).state(), v1::OrderUpdate::DONE);

  ASSERT_EQ(Delete("run/4", "20260101-000000").state(), v1::OrderUpdate::DONE);
  v1::Order gc = VaultOrder("run/5");
  gc.mutable_vault()->mutable_gc()->set_empty_trash(true);
  const v1::OrderUpdate collected = Outcome(gc);
  ASSERT_EQ(collected.state(), v1::OrderUpdate::DONE) << collected.error();
  ASSERT_EQ(collected.vault().backups_size(), 1) << "purged";
  EXPECT_GT(collected.vault().records_condemned(), 0);
  EXPECT_EQ(Delete("run/6", "20200101-000000").code(),
            static_cast<int>(absl::StatusCode::kNotFound));
}

TEST_F(AgentTest, AVaultIsServedByTheRulesOfTheEstate) {
  ASSERT_OK(WriteFileAtomic(JoinPath(data(), "a.txt"), "first words"));
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] { return VaultServes(); }));
  ASSERT_EQ(BackUp("run/1", "20260101-000000").state(), v1::OrderUpdate::DONE);
  v1::HeartbeatReply stricter = Config(2);
  stricter.mutable_config()->mutable_vaults(0)->set_min_retention_seconds(3600);
  em_.Say(stricter);
  ASSERT_TRUE(Eventually([&] { return em_.last().config_version() == 2 && VaultServes(); }));
  const v1::OrderUpdate refused = Delete("run/2", "20260101-000000");
  EXPECT_EQ(refused.code(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(refused.error(), ::testing::HasSubstr("min_retention"));
}

TEST_F(AgentTest, WorkloadsAreRestartedSurviveTheAgentAndStopOnDown) {
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] { return Fact("sleeper").healthy(); }));
  const int64_t pid = Fact("sleeper").pid();
  ASSERT_GT(pid, 1);
  ASSERT_EQ(kill(static_cast<pid_t>(pid), SIGKILL), 0);
  ASSERT_TRUE(
      Eventually([&] { return Fact("sleeper").healthy() && Fact("sleeper").pid() != pid; }));
  EXPECT_EQ(Fact("sleeper").restarts(), 1);

  const int64_t second = Fact("sleeper").pid();
  em_.Down();
  StartAgent();  // without the controller, from the stored configuration
  EXPECT_EQ(kill(static_cast<pid_t>(second), 0), 0);
  em_.Up();
  ASSERT_TRUE(Eventually([&] { return Fact("sleeper").pid() == second; }));
  EXPECT_EQ(em_.last().config_version(), 1u);

  agent_ = nullptr;
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> stopped,
                       StopAll(HostEnvironment(StateDirectory(state()).workloads(),
                                               EMBER_AGENT_BINARY, SystemClock(), [] {})));
  EXPECT_EQ(stopped, std::vector<std::string>{"sleeper"});
  EXPECT_NE(kill(static_cast<pid_t>(second), 0), 0);
}

TEST_F(AgentTest, AnOlderControllerIsNotObeyed) {
  v1::HeartbeatReply reply = Config(1);
  reply.set_em_epoch(5);
  em_.Say(reply);
  ASSERT_TRUE(Eventually([&] { return em_.last().config_version() == 1; }));
  v1::HeartbeatReply older = Config(2);
  older.set_em_epoch(4);
  em_.Say(older);
  v1::HeartbeatReply newer = Config(3);
  newer.set_em_epoch(5);
  em_.Say(newer);
  ASSERT_TRUE(Eventually([&] { return em_.last().config_version() == 3; }));
  for (const v1::HeartbeatRequest& beat : em_.beats()) EXPECT_NE(beat.config_version(), 2u);
}

TEST_F(AgentTest, ADuplicateLeavesWorkloadsAlone) {
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] { return Fact("sleeper").healthy(); }));
  const int64_t pid = Fact("sleeper").pid();
  v1::HeartbeatReply reply;
  reply.set_em_epoch(1);
  reply.set_rejected_duplicate(true);
  em_.Say(reply);
  ASSERT_TRUE(Eventually([&] { return duplicate_.load(); }));
  agent_ = nullptr;
  EXPECT_EQ(kill(static_cast<pid_t>(pid), 0), 0);
}

TEST_F(AgentTest, AVaultThatCannotBeOpenedIsAProblemUntilItCan) {
  ASSERT_OK(WriteFileAtomic(dir_.Join("vault"), "a file in the way"));
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] {
    return em_.last().vaults_size() == 1 && !em_.last().vaults(0).problem().empty() &&
           em_.last().vaults(0).problem() != "it is being opened";
  }));
  EXPECT_EQ(BackUp("run/1", "20260101-000000").state(), v1::OrderUpdate::FAILED);
  ASSERT_OK(RemoveFile(dir_.Join("vault")));
  EXPECT_TRUE(Eventually([&] { return VaultServes(); }));
}

TEST_F(AgentTest, OnlyOneAgentRunsOnAStateDirectoryAndOnlyUnderItsName) {
  EXPECT_THAT(Agent::Start(Options()), HasCode(absl::StatusCode::kUnavailable));
  agent_ = nullptr;
  AgentOptions other = Options();
  other.node = "somebody";
  EXPECT_THAT(Agent::Start(other), HasCode(absl::StatusCode::kFailedPrecondition));
  AgentOptions fresh = Options();
  fresh.state_directory = dir_.Join("fresh");
  EXPECT_THAT(Agent::Start(fresh), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(AgentTest, StopsWithinItsTimeWhileABeatIsHeld) {
  em_.Say(Config(1));
  ASSERT_TRUE(Eventually([&] { return Fact("sleeper").healthy(); }));
  const absl::Duration before = SystemClock()->Monotonic();
  agent_ = nullptr;
  EXPECT_LT(SystemClock()->Monotonic() - before, absl::Seconds(5));
}

}  // namespace
}  // namespace ember::agent
