// Joining, joining again, and what becomes of the certificates of an earlier enrolment.
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "controller/fleet/beats.h"
#include "controller/fleet/nodes.h"
#include "controller/service/refusals.h"
#include "controller/service/services.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/controller/em_fixture.h"

namespace ember::testing {
namespace {

namespace rec = record::v1;
using ::testing::ElementsAre;

class Enrolment : public EmFixture {
 protected:
  Enrolment() : service_(controller::NewEnrolService(em_.get())) {
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::EnrolService::NewStub(server_->InProcessChannel({}));
  }

  void SetUp() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    ASSERT_OK(controller::KeyVault::Create(directory_.path(), "estate", clock_.Now()));
    ASSERT_OK_AND_ASSIGN(em_->keys, controller::KeyVault::Open(directory_.path(), clock_.Now()));
  }

  void AddToken(const std::string& secret, const std::string& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    rec::TokenRecord token;
    token.set_secret_sha256(Sha256Hex(secret));
    token.set_node(node);
    *token.mutable_expires() = rpc::ToTimestamp(clock_.Now() + absl::Hours(1));
    controller::Batch batch;
    batch.Put(token);
    ASSERT_OK(em_->Commit(batch));
  }
  absl::Status Join(const std::string& secret, const std::string& node) {
    v1::JoinRequest request;
    request.set_secret(secret);
    request.set_node(node);
    request.set_csr_pem(*CreateCsr(NewPrivateKeyPem()));
    v1::JoinReply reply;
    grpc::ClientContext context;
    return rpc::FromGrpc(stub_->Join(&context, request, &reply));
  }
  rec::NodeRecord Node(const std::string& name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return em_->catalog->nodes().at(name);
  }
  int Refusals() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    int refusals = 0;
    EXPECT_OK(em_->catalog->ScanEvents(0, [&](const rec::EventRecord& record) {
      refusals += record.event().type() == "peer.refused" ? 1 : 0;
      return true;
    }));
    return refusals;
  }

  TempDir directory_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::EnrolService::Stub> stub_;
};

TEST_F(Enrolment, JoiningAgainEndsTheEarlierCertificateEverywhere) {
  AddToken("one", "n1");
  AddToken("two", "n1");
  ASSERT_OK(Join("one", "n1"));
  ASSERT_EQ(Node("n1").valid_serials_size(), 1);
  const std::string first = Node("n1").valid_serials(0);
  EXPECT_EQ(Node("n1").superseded_serials_size(), 0);
  ASSERT_OK(Join("two", "n1"));
  EXPECT_THAT(Node("n1").superseded_serials(), ElementsAre(first));
  ASSERT_EQ(Node("n1").valid_serials_size(), 1);
  EXPECT_NE(Node("n1").valid_serials(0), first);
  AddNode("n2");
  em_->mu.Lock();
  EXPECT_THAT(controller::ConfigFor(*em_, "n2").superseded_serials(), ElementsAre(first));
  em_->mu.Unlock();
}

TEST(SupersedeCertificates, RemembersTheNewestOnly) {
  rec::NodeRecord node;
  for (size_t n = 0; n < kSupersededSerialsKept + 2; ++n) {
    node.add_valid_serials(absl::StrCat(n));
    controller::SupersedeCertificates(node);
  }
  EXPECT_EQ(node.valid_serials_size(), 0);
  EXPECT_EQ(node.superseded_serials_size(), static_cast<int>(kSupersededSerialsKept));
  EXPECT_EQ(node.superseded_serials(0), "2");
}

TEST_F(Enrolment, ARefusedTokenIsAnEventOnceInAWhile) {
  for (int n = 0; n < 5; ++n)
    EXPECT_THAT(Join("guessed", "n1"), HasCode(absl::StatusCode::kUnauthenticated));
  EXPECT_EQ(Refusals(), 1);
  clock_.Advance(absl::Seconds(11));
  EXPECT_THAT(Join("guessed", "n1"), HasCode(absl::StatusCode::kUnauthenticated));
  EXPECT_EQ(Refusals(), 2);
}

TEST_F(Enrolment, AScannerDoesNotFillTheLog) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (int n = 0; n < 3000; ++n)
    controller::NoteRefusal(*em_, absl::StrCat("peer ", n), "no certificate");
  EXPECT_EQ(Refusals(), 1000);
}

}  // namespace
}  // namespace ember::testing
