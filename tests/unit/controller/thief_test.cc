// The thief of tests/unit/vault/thief_test.cc before the controller: with a genuine agent's
// certificate it asks for keys and tells about what is not its own.
#include "common/base/ids.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "common/rpc/signed.h"
#include "controller/service/services.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpc/support/time.h"
#include "grpcpp/grpcpp.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using Code = absl::StatusCode;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr char kBackup[] = "web/20260101-000000";

// Behind mutual TLS; the certificates are checked by the clock of the machine.
class KeyThief : public EmFixture {
 protected:
  void SetUp() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    clock_.JumpWall(SystemClock()->Now() - clock_.Now());
    ASSERT_OK(controller::KeyVault::Create(dir_.path(), "estate", SystemClock()->Now()));
    ASSERT_OK_AND_ASSIGN(em_->keys, controller::KeyVault::Open(dir_.path(), SystemClock()->Now()));
    for (const char* node : {"host1", "host2"}) {
      AddNode(node);
      ASSERT_OK_AND_ASSIGN(const rec::DomainRecord domain,
                           em_->keys->NewDomain(DomainOfNode(node)));
      Put(domain);
    }
    beats_ = controller::NewAgentService(em_.get());
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.identity_directory = dir_.Join("identity");
    options.clock = SystemClock();
    ASSERT_OK_AND_ASSIGN(server_, rpc::Server::Start(options, {beats_->service()}));
    host1_ = Stub("host1");
    host2_ = Stub("host2");
  }
  void TearDown() override {
    beats_->ReleaseAll();
    server_->Stop(absl::ZeroDuration());
  }

  std::unique_ptr<v1::AgentService::Stub> Stub(const std::string& name)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rpc::Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.ca_pem = em_->keys->ca_pem();
    identity.certificate_pem =
        *em_->keys->Sign(*CreateCsr(identity.key_pem), "agent", name, SystemClock()->Now());
    return v1::AgentService::NewStub(
        rpc::Dial(absl::StrCat("127.0.0.1:", server_->port()), identity, "controller", "em"));
  }
  void Put(controller::Record record) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    controller::Batch batch;
    batch.Put(std::move(record));
    ASSERT_OK(em_->Commit(batch));
  }
  // An open order of `node` to restore a backup of `domain`.
  static rec::OrderRecord RestoreOrder(const std::string& node, const std::string& domain) {
    rec::OrderRecord record;
    record.set_node(node);
    record.mutable_order()->set_id(absl::StrCat("run1/web/restore/", node, "-", domain));
    record.mutable_order()->set_workload("web");
    record.mutable_order()->mutable_restore()->set_backup_id(kBackup);
    record.mutable_order()->mutable_restore()->set_domain_id(domain);
    return record;
  }
  // As a vault tells everybody: the key of a session of host1.
  v1::Keybox BoxOfHost1() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    v1::Keybox box;
    box.set_session_id(Sha256("a session").substr(0, 16));
    box.set_sealed(*SealToPublicKey(em_->catalog->domains().at("node-host1").public_key(),
                                    box.session_id(), std::string(32, 's')));
    return box;
  }
  absl::StatusOr<v1::ReleaseKeysReply> Release(v1::AgentService::Stub& stub,
                                               const std::string& order,
                                               const std::string& domain) {
    v1::ReleaseKeysRequest request;
    request.set_order_id(order);
    request.set_domain_id(domain);
    request.set_public_key(mine_.public_key);
    *request.add_keyboxes() = BoxOfHost1();
    v1::ReleaseKeysReply reply;
    Deadline context;
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc(stub.ReleaseKeys(&context, request, &reply)));
    return reply;
  }
  absl::Status Beat(v1::AgentService::Stub& stub, v1::HeartbeatRequest request) {
    request.set_boot_id("boot");
    request.set_urgent(true);  // answered at once
    v1::HeartbeatReply reply;
    Deadline context;
    return rpc::FromGrpc(stub.Heartbeat(&context, request, &reply));
  }
  std::vector<std::string> Refusals() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::string> refusals;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const rec::EventRecord& record) {
      if (record.event().type() == "peer.refused") refusals.push_back(record.event().message());
      return true;
    }));
    return refusals;
  }

  struct Deadline : grpc::ClientContext {
    Deadline() { set_deadline(gpr_time_from_seconds(20, GPR_TIMESPAN)); }
  };

  TempDir dir_;
  const X25519KeyPair mine_ = NewX25519KeyPair();
  std::unique_ptr<controller::HeldBeats> beats_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::AgentService::Stub> host1_, host2_;
};

TEST_F(KeyThief, GetsNoKeysWithoutAnOpenOrderForThem) {
  const auto denied = HasCode(Code::kPermissionDenied);
  const rec::OrderRecord of_host1 = RestoreOrder("host1", "node-host1");
  const std::string order = of_host1.order().id();
  EXPECT_THAT(Release(*host2_, order, "node-host1"), denied) << "there is no order at all";
  EXPECT_THAT(Release(*host2_, "", "node-host1"), denied);
  Put(of_host1);
  EXPECT_THAT(Release(*host2_, order, "node-host1"), denied) << "it is another node's";
  EXPECT_THAT(Refusals(), Contains(HasSubstr("holds no open order")));

  const rec::OrderRecord own = RestoreOrder("host2", "node-host2");
  Put(own);
  EXPECT_THAT(Release(*host2_, own.order().id(), "node-host1"), denied) << "about another domain";
  rec::OrderRecord backup = RestoreOrder("host2", "node-host1");
  backup.mutable_order()->set_id("run1/web/backup/1");
  backup.mutable_order()->mutable_backup()->set_backup_id(kBackup);  // instead of the restore
  Put(backup);
  for (const char* domain : {"node-host1", ""})
    EXPECT_THAT(Release(*host2_, backup.order().id(), domain), denied) << "who backs up opens none";

  // Not even the right order, once it is over.
  rec::OrderRecord over = RestoreOrder("host2", "node-host1");
  over.set_finished(true);
  Put(over);
  EXPECT_THAT(Release(*host2_, over.order().id(), "node-host1"), denied);
  over.set_finished(false);
  over.set_cancelled(true);
  Put(over);
  EXPECT_THAT(Release(*host2_, over.order().id(), "node-host1"), denied);

  ASSERT_OK_AND_ASSIGN(const v1::ReleaseKeysReply reply, Release(*host1_, order, "node-host1"));
  ASSERT_EQ(reply.keyboxes_size(), 1);
  ASSERT_OK_AND_ASSIGN(const std::string key,
                       OpenWithPrivateKey(mine_.private_key, reply.keyboxes(0).session_id(),
                                          reply.keyboxes(0).sealed()));
  EXPECT_EQ(key, std::string(32, 's')) << "the order's holder can do its work";
}

// A copy of host1's records as a backup of one's own would not help either.
TEST_F(KeyThief, OpensNoBoxOfAnotherDomainWithAnOrderForItsOwn) {
  const rec::OrderRecord own = RestoreOrder("host2", "node-host2");
  Put(own);
  EXPECT_THAT(Release(*host2_, own.order().id(), "node-host2"), HasCode(Code::kDataLoss));
}

TEST_F(KeyThief, RenewsItsOwnNameOnly) {
  v1::RenewCertificateRequest request;
  request.set_csr_pem(*CreateCsr(NewPrivateKeyPem()));
  v1::RenewCertificateReply reply;
  Deadline context;
  ASSERT_OK(rpc::FromGrpc(host2_->RenewCertificate(&context, request, &reply)));
  ASSERT_OK_AND_ASSIGN(const CertificateInfo info, ParseCertificate(reply.certificate_pem()));
  EXPECT_EQ(info.role, "agent");
  EXPECT_EQ(info.name, "host2");
}

TEST_F(KeyThief, TellsNothingInAnothersName) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  rec::OrderRecord order = RestoreOrder("host1", "node-host1");
  order.mutable_order()->set_id("run1/web/backup/1");
  order.mutable_order()->mutable_backup()->set_backup_id(kBackup);
  Put(order);
  rec::BackupRecord backup;
  backup.mutable_backup()->set_id(kBackup);
  backup.mutable_backup()->set_workload("web");
  backup.mutable_backup()->set_node("host1");
  backup.mutable_backup()->set_outcome(v1::Outcome::FAILED);
  backup.set_vault("nas");
  backup.set_run_id("run2");
  Put(backup);
  rec::RunRecord run;  // its order is gone, so that a late word about it counts
  run.mutable_run()->set_id("run2");
  run.mutable_run()->set_backup_id(kBackup);
  run.set_attempt(1);
  Put(run);

  rec::EstateRecord estate;
  v1::VaultSpec& nas = *estate.mutable_estate()->add_vaults();
  nas.set_name("nas");
  nas.set_node("nas1");
  Put(estate);
  v1::Receipt receipt;
  receipt.set_backup_id(kBackup);
  receipt.set_workload("web");
  *receipt.mutable_received() = rpc::ToTimestamp(SystemClock()->Now());
  rpc::Identity host;
  host.key_pem = NewPrivateKeyPem();
  host.certificate_pem =
      *em_->keys->Sign(*CreateCsr(host.key_pem), "agent", "nas1", SystemClock()->Now());
  v1::Signed genuine;
  genuine.set_statement(receipt.SerializeAsString());
  ASSERT_OK(rpc::SignReceipt(host, &genuine));

  v1::HeartbeatRequest lie;
  for (const char* id : {"run1/web/backup/1", "run2/web/backup/1"}) {
    v1::OrderUpdate* update = lie.add_orders();
    update->set_order_id(id);
    update->set_state(v1::OrderUpdate::DONE);
    update->mutable_backup()->set_outcome(v1::Outcome::OK);
    *update->mutable_backup()->mutable_receipt() = genuine;
  }
  lie.set_node("host1");
  EXPECT_THAT(Beat(*host2_, lie), HasCode(Code::kPermissionDenied));
  EXPECT_THAT(Refusals(), Contains(HasSubstr("its beat says it is 'host1'")));
  lie.set_node("host2");
  EXPECT_OK(Beat(*host2_, lie));
  EXPECT_FALSE(em_->catalog->orders().at("run1/web/backup/1").finished());
  EXPECT_EQ(em_->catalog->backups().at(kBackup).SerializeAsString(), backup.SerializeAsString());
  lie.set_node("host1");
  EXPECT_OK(Beat(*host1_, lie)) << "the same words of the right node count";
  EXPECT_TRUE(em_->catalog->orders().at("run1/web/backup/1").finished());
  EXPECT_EQ(em_->catalog->backups().at(kBackup).backup().outcome(), v1::Outcome::OK);
}

}  // namespace
}  // namespace ember::testing
