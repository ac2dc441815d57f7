#include "node-agent/link/link.h"

#include <algorithm>
#include <atomic>

#include "common/base/file.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "node-agent/link/join.h"
#include "node-agent/link/lease_keeper.h"
#include "node-agent/link/peers.h"
#include "node-agent/link/token.h"
#include "node-agent/orders/key_release.h"
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

class LinkTest : public ::testing::Test {
 protected:
  void Connect(absl::Duration lifetime = absl::Hours(24 * 90)) {
    em_channel_ =
        EmChannel::Open(em_.address(), em_.MakeIdentity("nas1", lifetime), SystemClock()).value();
    Link::Ports ports;
    ports.clock = SystemClock();
    ports.em = em_channel_.get();
    ports.facts = [this] {
      v1::HeartbeatRequest request;
      request.set_node("nas1");
      request.set_seq(++beats_);
      return request;
    };
    ports.reply = [this](const v1::HeartbeatReply& reply, absl::Duration sent) {
      absl::MutexLock lock(&mu_);
      replies_.push_back(reply);
      sent_ = sent;
      return absl::OkStatus();
    };
    ports.refused = [this] { ++refused_; };
    ports.unanswered = [this] { ++unanswered_; };
    ports.duplicate = [this] { duplicate_ = true; };
    ports.renewed = [this] { ++renewed_; };
    link_ = std::make_unique<Link>(std::move(ports));
    link_->Run();
  }
  size_t replies() {
    absl::MutexLock lock(&mu_);
    return replies_.size();
  }

  FakeEm em_;
  std::unique_ptr<EmChannel> em_channel_;
  absl::Mutex mu_;
  std::vector<v1::HeartbeatReply> replies_ ABSL_GUARDED_BY(mu_);
  absl::Duration sent_ ABSL_GUARDED_BY(mu_);
  std::atomic<int> beats_{0};
  std::atomic<int> refused_{0};
  std::atomic<int> unanswered_{0};
  std::atomic<bool> duplicate_{false};
  std::atomic<int> renewed_{0};
  std::unique_ptr<Link> link_;
};

TEST_F(LinkTest, KeepsOneBeatOutstandingAndHandsOverReplies) {
  Connect();
  v1::HeartbeatReply reply;
  reply.set_em_epoch(7);
  const absl::Duration before = SystemClock()->Monotonic();
  em_.Say(reply);
  ASSERT_TRUE(Eventually([&] { return replies() >= 1; }));
  {
    absl::MutexLock lock(&mu_);
    EXPECT_EQ(replies_[0].em_epoch(), 7u);
    EXPECT_GE(sent_, before - absl::Seconds(5));
    EXPECT_LE(sent_, SystemClock()->Monotonic());
  }
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() >= 2; }));
  EXPECT_FALSE(em_.last().urgent());
}

TEST_F(LinkTest, AnUrgentFactReleasesTheHeldBeatAtOnce) {
  Connect();
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() == 1; }));
  const absl::Duration urged = SystemClock()->Monotonic();
  link_->Urge();
  ASSERT_TRUE(Eventually([&] {
    const std::vector<v1::HeartbeatRequest> beats = em_.beats();
    return std::any_of(beats.begin(), beats.end(), [](const auto& beat) { return beat.urgent(); });
  }));
  EXPECT_LT(SystemClock()->Monotonic() - urged, absl::Seconds(2)) << "the held beat lasts three";
  ASSERT_TRUE(Eventually([&] { return replies() >= 1; }));
}

TEST_F(LinkTest, ComesBackAfterTheControllerWasDown) {
  Connect();
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() == 1; }));
  em_.Down();
  const size_t before = em_.beats().size();
  ASSERT_TRUE(Eventually([&] { return unanswered_ >= 1; }));
  em_.Up();
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() > before; }));
  const size_t replied = replies();
  em_.Say({});
  EXPECT_TRUE(Eventually([&] { return replies() > replied; }));
}

TEST_F(LinkTest, ToldThatTheControllerIsUpItWaitsNoLonger) {
  Connect();
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() == 1; }));
  em_.Down();
  ASSERT_TRUE(Eventually([&] { return unanswered_ >= 1; }));
  em_.Up();
  const size_t before = em_.beats().size();
  ASSERT_TRUE(Eventually([&] {
    link_->TryNow();
    return em_.beats().size() > before;
  }));
}

TEST_F(LinkTest, ADuplicateIsToldOnceAndBeatsNoMore) {
  Connect();
  v1::HeartbeatReply reply;
  reply.set_rejected_duplicate(true);
  em_.Say(reply);
  ASSERT_TRUE(Eventually([&] { return duplicate_.load(); }));
  link_->Stop();
  EXPECT_EQ(replies(), 0u) << "nothing of such a reply is used";
}

TEST_F(LinkTest, ARemovedNodeIsToldAndGoesOnAsking) {
  em_.Remove();
  Connect();
  EXPECT_TRUE(Eventually([&] { return refused_ >= 2; }));
}

TEST_F(LinkTest, StopEndsAHeldBeat) {
  Connect();
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() == 1; }));
  const absl::Duration before = SystemClock()->Monotonic();
  link_->Stop();
  EXPECT_LT(SystemClock()->Monotonic() - before, absl::Seconds(2));
}

TEST_F(LinkTest, ACertificateThatEndsSoonIsRenewedWithANewKey) {
  Connect(absl::Hours(24 * 5));
  const std::string old_key = em_channel_->identity().key_pem;
  em_.Say({});
  ASSERT_TRUE(Eventually([&] { return renewed_ == 1; }));
  EXPECT_NE(em_channel_->identity().key_pem, old_key);
  const size_t before = em_.beats().size();
  ASSERT_TRUE(Eventually([&] { return em_.beats().size() > before; }))
      << "beats go on with the new one";
  EXPECT_EQ(em_.renewals(), 1);
}

TEST_F(LinkTest, KeysAreReleasedToAKeyOfThisCall) {
  Connect();
  const std::string session(16, 's');
  v1::Keybox box;
  box.set_session_id(session);
  box.set_sealed(SealToPublicKey(em_.domain().public_key(), session, "session key").value());
  const backup::KeySource keys =
      KeysFromController([this] { return em_channel_->channel(); }, "order");
  ASSERT_OK_AND_ASSIGN(const backup::RestoreKeys released, keys("home", {box}));
  EXPECT_EQ(released.id_key, em_.domain().id_key());
  EXPECT_EQ(released.session_keys.at(session), "session key");
}

TEST(KeyRelease, AMissingSessionOrAForeignBoxIsAnError) {
  const X25519KeyPair pair = NewX25519KeyPair();
  v1::ReleaseKeysReply reply;
  reply.set_id_key_box(SealToPublicKey(pair.public_key, std::string(16, '\0'), "id key").value());
  EXPECT_OK(OpenReleasedKeys(pair, {}, reply));
  v1::Keybox asked;
  asked.set_session_id(std::string(16, 's'));
  EXPECT_THAT(OpenReleasedKeys(pair, {asked}, reply), HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(OpenReleasedKeys(NewX25519KeyPair(), {}, reply),
              HasCode(absl::StatusCode::kDataLoss));
}

TEST(Join, ATokenBecomesAnIdentity) {
  FakeEm em;
  TempDir dir;
  const StateDirectory state(dir.Join("state"));
  ASSERT_OK_AND_ASSIGN(const Joined joined, Join(em.Token("nas1"), state, SystemClock()));
  EXPECT_EQ(joined.node, "nas1");
  EXPECT_EQ(joined.estate_id, "home");
  ASSERT_OK_AND_ASSIGN(const std::string address, state.LoadEm());
  EXPECT_EQ(address, em.address());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<EmChannel> channel,
                       EmChannel::Open(address, state.identity(), SystemClock()));
  EXPECT_EQ(channel->node(), "nas1");
}

TEST(Join, ARefusalLeavesNothingBehind) {
  FakeEm em;
  TempDir dir;
  const StateDirectory state(dir.Join("state"));
  ASSERT_OK_AND_ASSIGN(v1::JoinToken token, ParseToken(em.Token("nas1")));
  token.set_secret("used");
  EXPECT_THAT(Join(TokenText(token), state, SystemClock()),
              HasCode(absl::StatusCode::kUnauthenticated));
  token.set_ca_fingerprint(std::string(64, '0'));
  EXPECT_THAT(Join(TokenText(token), state, SystemClock()),
              HasCode(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(Join("nonsense", state, SystemClock()), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(FileExists(state.identity()));
  EXPECT_THAT(state.LoadEm(), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST(Join, AnUnreachableControllerIsSaidToBeOne) {
  FakeEm em;
  const std::string token = em.Token("nas1");
  em.Down();
  TempDir dir;
  EXPECT_THAT(Join(token, StateDirectory(dir.Join("state")), SystemClock()),
              HasCode(absl::StatusCode::kUnavailable));
}

// Two agents' peer services, and one that is not there.
TEST(Peers, CountOnlyAnswersWithoutLease) {
  FakeEm em;
  std::atomic<bool> leased{true};
  const std::unique_ptr<grpc::Service> service = NewPeerService([&] { return leased.load(); });
  rpc::ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.clock = SystemClock();
  options.identity_directory = em.MakeIdentity("host1");
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<rpc::Server> host1,
                       rpc::Server::Start(options, {service.get()}));

  const rpc::Identity self = rpc::LoadIdentity(em.MakeIdentity("nas1")).value();
  Peers peers("nas1", [&] { return self; });
  v1::NodeConfig config;
  for (const char* name : {"host1", "nas1", "gone"}) {
    v1::Peer* peer = config.add_peers();
    peer->set_node(name);
    peer->set_address(absl::StrCat("127.0.0.1:", std::string(name) == "host1" ? host1->port() : 1));
  }
  peers.Set(config);
  Vote vote = peers.Ask(absl::Seconds(2));
  EXPECT_EQ(vote.peers, 2) << "itself is no peer";
  EXPECT_EQ(vote.without_lease, 0);
  leased = false;
  vote = peers.Ask(absl::Seconds(2));
  EXPECT_EQ(vote.without_lease, 1);
  peers.Set({});
  EXPECT_EQ(peers.Ask(absl::Seconds(1)).peers, 0);
}

TEST(Peers, ARemovedNodeIsNotAdmitted) {
  Peers peers("nas1", [] { return rpc::Identity{}; });
  v1::NodeConfig config;
  config.add_revoked("host2");
  peers.Set(config);
  rpc::Peer peer;
  peer.role = v1::Role::AGENT;
  peer.name = "host1";
  EXPECT_OK(peers.Admit(peer));
  peer.name = "host2";
  EXPECT_THAT(peers.Admit(peer), HasCode(absl::StatusCode::kPermissionDenied));
  peers.Set({});
  EXPECT_OK(peers.Admit(peer)) << "enrolled again";
}

TEST(Peers, ACertificateOfAnEarlierEnrolmentIsNotAdmitted) {
  Peers peers("nas1", [] { return rpc::Identity{}; });
  v1::NodeConfig config;
  config.add_superseded_serials("01");
  peers.Set(config);
  rpc::Peer peer;
  peer.role = v1::Role::AGENT;
  peer.name = "host1";
  peer.serial = "02";
  EXPECT_OK(peers.Admit(peer));
  peer.serial = "01";
  EXPECT_THAT(peers.Admit(peer),
              testing::HasCodeAndText(absl::StatusCode::kPermissionDenied, "superseded"));
}

}  // namespace
}  // namespace ember::agent
