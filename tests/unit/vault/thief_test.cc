// A test plays the thief: with a genuine agent's certificate it tries what a vault offers over the
// wire, and must neither read what another node stored, nor take anything away, nor move time.
#include <filesystem>
#include <functional>
#include <set>
#include <tuple>

#include "common/backup/record.h"
#include "ember/v1/agent.pb.h"
#include "ember/v1/control.grpc.pb.h"
#include "tests/unit/vault/thief_fixture.h"

namespace ember::testing {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class Thief : public ThiefFixture {};

Ids MethodsOf(const google::protobuf::FileDescriptor* file, const std::string& service) {
  const auto* found = file->FindServiceByName(service);
  Ids methods;
  for (int i = 0; found != nullptr && i < found->method_count(); ++i)
    methods.push_back(found->method(i)->name());
  return methods;
}

// Whoever adds a method judges it here: what can a stolen certificate do with it?
TEST(StolenCertificate, HasTheseVerbsAndNoneTakesAnythingAway) {
  EXPECT_THAT(MethodsOf(v1::OpenSessionRequest::descriptor()->file(), "VaultService"),
              UnorderedElementsAre("OpenSession", "Have", "Upload", "Commit", "GetBackup",
                                   "ListBackups", "Read", "ReadRefs"));
  EXPECT_THAT(MethodsOf(v1::HeartbeatRequest::descriptor()->file(), "AgentService"),
              UnorderedElementsAre("Heartbeat", "RenewCertificate", "ReleaseKeys",
                                   // Sealed to the recovery kit.
                                   "FetchCatalogExport"));
  Ids others;
  for (const std::string& method : rpc::MethodsWithRoles()) {
    const auto roles = rpc::RolesFor(method);
    const bool allowed = std::count(roles.begin(), roles.end(), v1::Role::AGENT) > 0;
    if (allowed && method.find("/ember.v1.VaultService/") != 0 &&
        method.find("/ember.v1.AgentService/") != 0)
      others.push_back(method);
  }
  EXPECT_THAT(others, UnorderedElementsAre(
                          "/ember.v1.EnrolService/Join", "/ember.v1.PeerService/HasLease",
                          "/ember.v1.FleetService/Beat",
                          // For the workloads of its own node.
                          "/ember.v1.MessageService/Send", "/ember.v1.MessageService/Receive",
                          "/ember.v1.MessageService/Confirm"));
}

// The vault numbers and dates what it receives; nobody tells it.
void ExpectNoTime(const google::protobuf::Descriptor* message, std::set<std::string>* seen) {
  if (!seen->insert(message->full_name()).second) return;
  EXPECT_NE(message->full_name(), "google.protobuf.Timestamp");
  for (int i = 0; i < message->field_count(); ++i) {
    const std::string& name = message->field(i)->name();
    EXPECT_THAT(name, Not(::testing::AnyOf("sequence", "received", "retain_until")));
    if (message->field(i)->message_type() != nullptr)
      ExpectNoTime(message->field(i)->message_type(), seen);
  }
}

TEST(StolenCertificate, HasNoFieldThatCarriesATimeToAVault) {
  std::set<std::string> seen;
  const auto* service =
      v1::OpenSessionRequest::descriptor()->file()->FindServiceByName("VaultService");
  ASSERT_NE(service, nullptr);
  for (int i = 0; i < service->method_count(); ++i)
    ExpectNoTime(service->method(i)->input_type(), &seen);
  EXPECT_TRUE(seen.contains("ember.v1.CommitHeader"));
}

TEST_F(Thief, OrdersNothing) {
  const auto channel = Dial("host2");
  const auto protection = v1::ProtectionService::NewStub(channel);
  v1::DeleteBackupRequest deletion;
  deletion.set_id(kFirst);
  v1::Run run;
  Deadline delete_context, job_context;
  EXPECT_THAT(rpc::FromGrpc(protection->DeleteBackup(&delete_context, deletion, &run)),
              HasCode(StatusCode::kPermissionDenied));
  EXPECT_THAT(rpc::FromGrpc(protection->RunVaultJob(&job_context, v1::VaultJobRequest(), &run)),
              HasCode(StatusCode::kPermissionDenied));
}

// Neither records nor backups of another node, nor the ids of what it stored.
TEST_F(Thief, ReadsNothingThatItWasNotGranted) {
  const auto expect_nothing = [&](const std::string& with) {
    SCOPED_TRACE(with);
    for (const auto& [id, tree] : trees_) {
      EXPECT_FALSE(host2_->Get(id).ok());
      EXPECT_THAT(host2_->RefsOrNone(id), IsEmpty());
      EXPECT_THAT(host2_->ReadOrNone(refs_[id]), IsEmpty());
      EXPECT_THAT(host2_->ReadSessionOrNone(stored_[id].session_id()), IsEmpty());
    }
  };
  EXPECT_THAT(host2_->List(), IsEmpty());
  expect_nothing("no grant");
  v1::ReadGrant grant;
  grant.set_node("host2");
  grant.set_vault("nas");
  grant.set_domain_id("node-host3");
  host2_->Show(rpc::SignReadGrant(ca_.key_pem, grant).value());
  expect_nothing("a grant for another domain");
  grant.set_domain_id("node-host1");
  grant.set_vault("usb");
  host2_->Show(rpc::SignReadGrant(ca_.key_pem, grant).value());
  expect_nothing("a grant for another vault");
  grant.set_vault("nas");
  host2_->Show(rpc::SignReadGrant(NewPrivateKeyPem(), grant).value());
  expect_nothing("a grant of its own");
  grant.set_node("host3");
  host2_->Show(rpc::SignReadGrant(ca_.key_pem, grant).value());
  expect_nothing("the grant of another node");
  v1::Signed session_grant =
      Granted(ca_, "host2", RequestOf("host2", "loot", "20260103-000000")).grant();
  host2_->Show(session_grant);
  expect_nothing("a grant to make a backup");
}

// All bytes that a standby's certificate can make the vault say.
TEST_F(Thief, ReadsOnlyWhatIsSealed) {
  host2_->MayRead("node-host1");
  Records records;
  std::vector<v1::Keybox> boxes;
  std::string said;
  for (const auto& [id, tree] : trees_) {
    ASSERT_OK_AND_ASSIGN(const v1::StoredBackup stored, host2_->Get(id));
    said += stored.SerializeAsString();
    boxes.insert(boxes.end(), stored.keyboxes().begin(), stored.keyboxes().end());
    for (const Records& part :
         {host2_->Read(host2_->Refs(id)), host2_->ReadSession(stored.session_id())})
      records.insert(records.end(), part.begin(), part.end());
    ASSERT_EQ(stored.recovery_boxes_size(), 1);
    EXPECT_FALSE(
        OpenWithPrivateKey(NewX25519KeyPair().private_key, "node-host1", stored.recovery_boxes(0))
            .ok());
    EXPECT_OK(OpenWithPrivateKey(recovery_.private_key, "node-host1", stored.recovery_boxes(0)));
  }
  for (const v1::Record& record : records) said += record.SerializeAsString();
  ASSERT_GT(said.size(), 1000000u);
  for (const std::string& secret :
       {std::string(kText), std::string("a-name-to-hide"), Noise(1, 64), Noise(103, 64),
        host1_keys_.domain.id_key(), host1_keys_.domain.cut_key(), std::string("secrets of host1")})
    EXPECT_EQ(said.find(secret), std::string::npos) << secret;

  // The same bytes mean something to host1.
  ASSERT_OK_AND_ASSIGN(const backup::RestoreKeys keys, host1_keys_.Keys()("node-host1", boxes));
  const HmacSha256Key id_key(keys.id_key);
  const HmacSha256Key host2_id_key(host2_keys_.domain.id_key());
  std::string opened;
  for (const v1::Record& record : records) {
    const std::string& session_key = keys.session_keys.at(record.session_id());
    EXPECT_EQ(said.find(session_key), std::string::npos);
    ASSERT_OK_AND_ASSIGN(const std::string plain,
                         backup::OpenRecord("node-host1", id_key, session_key, record));
    opened += plain;
    // One secret alone opens nothing, and nothing opens as another domain's.
    for (const auto& [domain, key, session] :
         {std::tuple("node-host1", &id_key, std::string(32, '2')),
          std::tuple("node-host1", &host2_id_key, session_key),
          std::tuple("node-host2", &id_key, session_key)}) {
      EXPECT_THAT(backup::OpenRecord(domain, *key, session, record),
                  HasCode(StatusCode::kDataLoss));
    }
  }
  EXPECT_THAT(opened, HasSubstr(kText));
  EXPECT_THAT(opened, HasSubstr(Noise(103, 64)));
}

TEST_F(Thief, OpensNothingWithTheKeysOfAnotherDomain) {
  v1::ReadGrant grant;
  grant.set_node("host2");
  grant.set_vault("nas");
  grant.set_domain_id("node-host1");
  const auto as_host2 =
      backup::OpenGrpcVault(Dial("host2"), "nas", rpc::SignReadGrant(ca_.key_pem, grant).value());
  for (const auto& [id, tree] : trees_) {
    EXPECT_THAT(host2_keys_.Open(as_host2.get(), id), HasCode(StatusCode::kDataLoss));
    const v1::StoredBackup& stored = stored_.at(id);
    EXPECT_THAT(
        host2_keys_.Keys()("node-host1", {stored.keyboxes().begin(), stored.keyboxes().end()}),
        HasCode(StatusCode::kDataLoss));
  }
}

TEST_F(Thief, OpensNoSessionInTheDomainOfAnother) {
  const Ids before = host1_->List();
  auto request = RequestOf("host1", "web", "20260103-000000");
  request.set_epoch(UINT64_MAX);
  for (const char* domain :
       {"node-host1", "NODE-HOST1", "node-host1/", "node-host2/../node-host1", "node-", ""}) {
    request.set_domain_id(domain);
    EXPECT_THAT(host2_->Open(request), HasCode(StatusCode::kPermissionDenied)) << domain;
  }
  for (const auto& [id, tree] : trees_)
    EXPECT_THAT(host2_->Open(RepeatOf(id)), HasCode(StatusCode::kPermissionDenied));
  EXPECT_EQ(host1_->List(), before);
  EXPECT_OK(host1_->Open(RequestOf("host1", "web", "20260103-000000")))
      << "what was refused has not raised the epoch";
}

// What it asks for is of its own making: neither a record nor a word about one comes of it.
TEST_F(Thief, SpreadsNoTaleOfDamageByAsking) {
  host2_->MayRead("node-host1");
  Ids alike;
  for (const std::string& id : refs_[kFirst]) alike.push_back(id.substr(0, 16) + Noise(7, 16));
  EXPECT_THAT(host2_->ReadOrNone(alike), IsEmpty());
  EXPECT_EQ(vault_->Facts().damaged_records(), 0);
}

// Its own domain is no way in either: a session of the victim's workload would end the victim's.
TEST_F(Thief, OpensNoSessionThatItWasNotGranted) {
  const auto victims = RequestOf("host1", "web", "20260103-000000");
  ASSERT_OK_AND_ASSIGN(const SessionView session, host1_->Open(victims));
  auto request = victims;
  request.set_domain_id(DomainOfNode("host2"));
  request.set_session_id(SessionIdOf("the thief's"));
  request.set_vault("nas");
  const auto denied = HasCode(StatusCode::kPermissionDenied);
  for (const uint64_t epoch : {uint64_t{0}, UINT64_MAX}) {
    request.set_epoch(epoch);
    request.clear_grant();
    EXPECT_THAT(host2_->OpenBy(request), denied) << "none at all";
    EXPECT_THAT(host2_->OpenBy(Granted(ca_, "host1", request)), denied) << "the victim's";
    KeyAndCertificate self;
    self.key_pem = NewPrivateKeyPem();
    EXPECT_THAT(host2_->OpenBy(Granted(self, "host2", request)), denied) << "its own";
    auto of_loot = RequestOf("host2", "loot", "20260103-000000");
    of_loot.set_vault("nas");
    *request.mutable_grant() = Granted(ca_, "host2", of_loot).grant();
    EXPECT_THAT(host2_->OpenBy(request), denied) << "one for something else";
  }
  ASSERT_OK(host1_->Upload(session, {Loot(1)}));
  EXPECT_OK(host1_->Commit(session, LootHeader({Loot(1).id()}), {Loot(1).id()}));
}

// Also after a restart, when the vault has only what it wrote down; also with the node's own
// certificate.
TEST_F(Thief, TakesNoNameThatIsInUse) {
  for (const bool restarted : {false, true}) {
    if (restarted) Reopen();
    for (const auto& [node, wire] : {std::pair("host1", host1_.get()), {"host2", host2_.get()}}) {
      for (const auto& [id, tree] : trees_) {
        auto same_backup = RequestOf(node, "web", "20260103-000000");
        same_backup.set_backup_id(id);
        EXPECT_THAT(wire->Open(same_backup), HasCode(StatusCode::kAlreadyExists)) << node;
        auto same_session = RequestOf(node, "web", "20260103-000000");
        same_session.set_session_id(stored_[id].session_id());
        EXPECT_FALSE(wire->Open(same_session).ok()) << node;
        auto other_key = RepeatOf(id);
        other_key.set_domain_id(DomainOfNode(node));
        other_key.set_keybox("a key that the thief knows");
        EXPECT_FALSE(wire->Open(other_key).ok()) << node;
        other_key.set_workload("loot");
        other_key.set_backup_id("loot/20260103-000000");
        EXPECT_FALSE(wire->Open(other_key).ok()) << node;
      }
    }
  }
}

TEST_F(Thief, UsesNoOpenSessionOfAnother) {
  const auto request = RequestOf("host1", "web", "20260103-000000");
  ASSERT_OK_AND_ASSIGN(const SessionView session, host1_->Open(request));
  ASSERT_OK(host1_->Upload(session, {Loot(1), Loot(2)}));
  Ids ids = {Loot(1).id(), Loot(2).id()};
  std::sort(ids.begin(), ids.end());
  const auto denied = HasCode(StatusCode::kPermissionDenied);
  for (const uint64_t token : {session.token, uint64_t{0}, session.token + 1, UINT64_MAX}) {
    const SessionView stolen{session.id, token};
    EXPECT_THAT(host2_->Absent(stolen, ids), denied);
    EXPECT_THAT(host2_->Upload(stolen, {Loot(3)}), denied);
    EXPECT_THAT(host2_->Upload(stolen, {}), denied) << "not even a flush";
    EXPECT_THAT(host2_->Commit(stolen, LootHeader({ids[0]}), {ids[0]}), denied);
  }
  for (const char* domain : {"node-host1", "node-host2"}) {
    auto again = request;
    again.set_domain_id(domain);
    again.set_epoch(UINT64_MAX);
    EXPECT_FALSE(host2_->Open(again).ok()) << domain;
  }
  // It is still host1's, and holds what host1 put in.
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply reply, host1_->Commit(session, LootHeader(ids), ids));
  EXPECT_EQ(reply.need_size(), 0);
  EXPECT_EQ(host1_->Refs(request.backup_id()), ids);
  EXPECT_EQ(host1_->ReadSession(session.id).size(), 2u);
}

// Neither by naming them nor by storing the sealed bytes again: a backup of host2 that had them
// would be one whose keys host2 could ask for.
TEST_F(Thief, MakesNoBackupOfWhatBelongsToAnother) {
  const Ids ids = refs_[kSecond];
  auto request = RequestOf("host2", "loot", "20260103-000000");
  request.set_parent_root(stored_[kSecond].manifest_root());
  ASSERT_OK_AND_ASSIGN(const SessionView session, host2_->Open(request));
  v1::CommitHeader header = LootHeader(ids);
  header.set_manifest_root(stored_[kSecond].manifest_root());
  header.set_sealed_summary(stored_[kSecond].sealed_summary());
  header.set_summary_nonce(stored_[kSecond].summary_nonce());
  for (const bool copied : {false, true}) {
    if (copied) host2_->Upload(session, host1_->Read(ids)).IgnoreError();  // stored or refused
    ASSERT_OK_AND_ASSIGN(const Ids absent, host2_->Absent(session, ids));
    EXPECT_EQ(absent, ids);
    ASSERT_OK_AND_ASSIGN(const v1::CommitReply reply, host2_->Commit(session, header, ids));
    EXPECT_THAT(Ids(reply.need().begin(), reply.need().end()), ElementsAreArray(ids));
    EXPECT_EQ(reply.sequence(), 0u);
  }
  EXPECT_THAT(host1_->List(), ElementsAre(kFirst, kSecond));
}

// Other bytes under the ids of the victim's records: what is there stays.
TEST_F(Thief, ReplacesNoRecord) {
  for (const auto& [node, wire] : {std::pair("host2", host2_.get()), {"host1", host1_.get()}}) {
    ASSERT_OK_AND_ASSIGN(const SessionView session,
                         wire->Open(RequestOf(node, "loot", "20260103-000000")));
    Records forged;
    for (const std::string& id : refs_[kSecond]) {
      forged.push_back(Loot(static_cast<int>(forged.size())));
      forged.back().set_id(id);
    }
    wire->Upload(session, forged).IgnoreError();  // stored beside them, or refused
    for (const v1::Record& record : host1_->Read(refs_[kSecond]))
      EXPECT_NE(record.session_id(), session.id);
  }
}

TEST_F(Thief, CommitsNoBackupASecondTime) {
  for (const auto& [id, tree] : trees_) {
    for (Wire* wire : {host1_.get(), host2_.get()}) {
      for (const uint64_t token : {0, 1, 2, 3}) {
        const SessionView session{stored_[id].session_id(), token};
        const Ids fewer = {refs_[id][0]};
        EXPECT_THAT(wire->Commit(session, LootHeader(fewer), fewer),
                    HasCode(StatusCode::kAlreadyExists));
        v1::CommitHeader header = LootHeader(refs_[id]);
        header.set_manifest_root(refs_[id].back());
        if (refs_[id].back() == stored_[id].manifest_root())
          header.set_manifest_root(refs_[id].front());
        EXPECT_THAT(wire->Commit(session, header, refs_[id]), HasCode(StatusCode::kAlreadyExists));
      }
    }
  }
  EXPECT_THAT(host1_->List(), ElementsAre(kFirst, kSecond));
}

TEST_F(Thief, WithTheNodesOwnCertificateOnlyAdds) {
  // Its own session once more: records come to what is there, and the backup is what it was.
  ASSERT_OK_AND_ASSIGN(const SessionView again, host1_->Open(RepeatOf(kSecond)));
  Records forged = {Loot(1), Loot(2)};
  forged[0].set_id(refs_[kSecond][0]);
  EXPECT_OK(host1_->Upload(again, forged));
  EXPECT_THAT(host1_->Commit(again, LootHeader({Loot(2).id()}), {Loot(2).id()}),
              HasCode(StatusCode::kAlreadyExists));
  v1::CommitHeader other_summary = LootHeader(refs_[kSecond]);
  other_summary.set_manifest_root(stored_[kSecond].manifest_root());
  EXPECT_OK(host1_->Commit(again, other_summary, refs_[kSecond])) << "a repeat is answered";
  ASSERT_OK_AND_ASSIGN(const v1::CommitReply added,
                       Add(*host1_, RequestOf("host1", "web", "20260103-000000"), 3));
  EXPECT_EQ(added.sequence(), stored_[kSecond].sequence() + 1);
  EXPECT_THAT(host1_->List(), ElementsAre(kFirst, kSecond, "web/20260103-000000"));
}

TEST_F(Thief, MovesNoTime) {
  uint64_t sequence = stored_[kSecond].sequence();
  absl::Time received = rpc::FromTimestamp(stored_[kSecond].received());
  constexpr absl::Duration kYear = absl::Hours(24 * 365);
  struct Attempt {
    absl::Duration jump;  // of the vault's clock
    std::string stamp;
    uint64_t epoch = 0;
    bool restarted = false;
  };
  int n = 0;
  for (const Attempt& attempt :
       {Attempt{absl::ZeroDuration(), "19700101-000000"},
        Attempt{absl::Hours(1), "99991231-235959", UINT64_MAX},
        Attempt{-30 * kYear, "20260101-000001"}, Attempt{-kYear, "99991231-235959-1", 1, true},
        Attempt{50 * kYear, "19991231-235959", UINT64_MAX},
        Attempt{-50 * kYear, "20000101-000000", 0, true},
        Attempt{absl::Hours(1), "20000101-000000-7"}}) {
    clock_.JumpWall(attempt.jump);
    if (attempt.restarted) Reopen();
    for (const auto& [node, wire] : {std::pair("host1", host1_.get()), {"host2", host2_.get()}}) {
      auto request = RequestOf(node, absl::StrCat("loot", ++n), attempt.stamp);
      request.set_epoch(attempt.epoch);
      ASSERT_OK_AND_ASSIGN(const v1::CommitReply reply, Add(*wire, request, n));
      EXPECT_EQ(reply.sequence(), sequence + 1) << attempt.stamp;
      const absl::Time now = rpc::FromTimestamp(reply.received());
      EXPECT_GT(now, received) << attempt.stamp;
      EXPECT_EQ(now, std::max(clock_.Now(), received + absl::Microseconds(1))) << attempt.stamp;
      sequence = reply.sequence();
      received = now;
    }
  }
}

// An epoch is not taken back either, nor does a huge one of a workload hold up another.
TEST_F(Thief, LowersNoEpoch) {
  auto request = RequestOf("host1", "web", "20260103-000000");
  request.set_epoch(7);
  ASSERT_OK(host1_->Open(request));
  request.set_epoch(6);
  EXPECT_THAT(host1_->Open(request), HasCode(StatusCode::kAborted));
  Reopen();
  EXPECT_THAT(host1_->Open(request), HasCode(StatusCode::kAborted));
  request = RequestOf("host2", "loot", "20260103-000000");
  request.set_epoch(UINT64_MAX);
  ASSERT_OK(host2_->Open(request));
  EXPECT_OK(host1_->Open(RequestOf("host1", "mail", "20260103-000000")));
}

// A backup's name is its maker's word: the engine counts from when it came.
TEST_F(Thief, MakesNoBackupOlderThanItIs) {
  vault_->SetRules({.min_retention = absl::Hours(24 * 30)});
  ASSERT_OK(Add(*host1_, RequestOf("host1", "web", "19700101-000000"), 1));
  v1::VaultOrder order;
  order.mutable_delete_()->set_by_person(true);
  for (const char* id : {"web/19700101-000000", kFirst, kSecond}) {
    *order.mutable_delete_()->mutable_backup_ids() = {};
    order.mutable_delete_()->add_backup_ids(id);
    EXPECT_THAT(vault_->Run(order, {}), HasCode(StatusCode::kFailedPrecondition)) << id;
  }
  EXPECT_THAT(host1_->List(), ElementsAre(kFirst, kSecond, "web/19700101-000000"));
}

TEST_F(Thief, GetsNoAbsurdMessageThrough) {
  const auto invalid = HasCode(StatusCode::kInvalidArgument);
  const v1::OpenSessionRequest sound = RequestOf("host2", "loot", "20260103-000000");
  const std::function<void(v1::OpenSessionRequest&)> spoil_request[] = {
      [](auto& request) { request.set_backup_id(kFirst); },  // of another workload
      [](auto& request) { request.set_backup_id("loot/../../snaps/node-host1/1"); },
      [](auto& request) {
        request.set_backup_id("loot/20260103-000000-" + std::string(kNameBytesMax, '9'));
      },
      [](auto& request) { request.set_backup_id(""); },
      [](auto& request) { request.set_workload("../web"); },
      [](auto& request) { request.set_session_id(""); },
      [](auto& request) { request.set_session_id(std::string(17, 's')); },
      [](auto& request) { request.set_keybox(""); },
      [](auto& request) { request.set_keybox(std::string(kKeyboxBytesMax + 1, 'k')); },
      [](auto& request) { request.set_parent_root("short"); },
      [](auto& request) {
        for (size_t i = 0; i <= kRecoveryBoxesMax; ++i) request.add_recovery_boxes("box");
      },
  };
  for (size_t i = 0; i < std::size(spoil_request); ++i) {
    v1::OpenSessionRequest request = sound;
    spoil_request[i](request);
    EXPECT_THAT(host2_->Open(request), invalid) << i;
  }
  ASSERT_OK_AND_ASSIGN(const SessionView session, host2_->Open(sound));
  const std::function<void(v1::Record&)> spoil_record[] = {
      [](auto& record) { record.set_id("short"); },
      [](auto& record) { record.set_type(0); },
      [](auto& record) { record.set_type(UINT32_MAX); },
      [](auto& record) { record.set_payload(""); },
      [](auto& record) { record.set_payload(std::string(kRecordBytesMax + 1, 'p')); },
  };
  for (size_t i = 0; i < std::size(spoil_record); ++i) {
    v1::Record record = Loot(1);
    spoil_record[i](record);
    EXPECT_THAT(host2_->Upload(session, {record}), invalid) << i;
  }
  ASSERT_OK(host2_->Upload(session, {Loot(1), Loot(2)}));
  Ids ids = {Loot(1).id(), Loot(2).id()};
  std::sort(ids.begin(), ids.end());
  const std::function<void(v1::CommitHeader&, Ids&)> spoil_commit[] = {
      [](auto& header, auto&) { header.set_ids_total(UINT64_MAX); },
      [](auto& header, auto&) { header.set_manifest_root(Loot(3).id()); },
      [](auto& header, auto&) {
        header.set_sealed_summary(std::string(kSummaryBytesMax + 1, 's'));
      },
      [](auto&, Ids& named) { std::swap(named[0], named[1]); },
      [](auto&, Ids& named) { named[1] = named[0]; },
      [](auto&, Ids& named) { named[1].pop_back(); },
      [](auto&, Ids& named) { named.clear(); },
  };
  for (size_t i = 0; i < std::size(spoil_commit); ++i) {
    v1::CommitHeader header = LootHeader(ids);
    Ids named = ids;
    spoil_commit[i](header, named);
    EXPECT_THAT(host2_->Commit(session, header, named), invalid) << i;
  }
  EXPECT_THAT(host1_->List(), ElementsAre(kFirst, kSecond));
}

// The index knows 16 bytes of an id; whoever stores decides the other 16.
TEST_F(Thief, HidesNoRecordBehindAnIdThatBeginsAlike) {
  for (const auto& [node, wire] : {std::pair("host2", host2_.get()), {"host1", host1_.get()}}) {
    ASSERT_OK_AND_ASSIGN(const SessionView session,
                         wire->Open(RequestOf(node, "loot", "20260103-000000")));
    Records alike;
    for (const std::string& id : refs_[kSecond]) {
      alike.push_back(Loot(static_cast<int>(alike.size())));
      alike.back().set_id(id.substr(0, 16) + std::string(16, '!'));
    }
    wire->Upload(session, alike).IgnoreError();  // stored beside them, or refused
    EXPECT_EQ(host1_->Read(refs_[kSecond]).size(), refs_[kSecond].size()) << node;
  }
}

// Packs come in the order of their names then, so that a forged one may be first.
TEST_F(Thief, ReplacesNoRecordWhenTheIndexIsMadeAnew) {
  for (const char* node : {"host2", "host1"}) {
    for (int n = 10; n < 22; ++n) {
      Wire& wire = node == std::string("host2") ? *host2_ : *host1_;
      ASSERT_OK_AND_ASSIGN(const SessionView session,
                           wire.Open(RequestOf(node, "loot", absl::StrCat("20260103-0000", n))));
      Records forged;
      for (const std::string& id : refs_[kSecond]) {
        forged.push_back(Loot(static_cast<int>(forged.size())));
        forged.back().set_id(id);
      }
      wire.Upload(session, forged).IgnoreError();
    }
    Stop();
    std::filesystem::remove_all(dir_.Join("vault/index"));
    Serve();
    ExpectUnharmed(absl::StrCat("when the index was made anew, after ", node));
  }
}

// A backup of what had not changed has no record that would hold its session's place.
TEST_F(Thief, TakesNoSessionThatStoredNothing) {
  constexpr char kThird[] = "web/20260103-000000";
  ASSERT_OK_AND_ASSIGN(const auto result, host1_keys_.Backup(tree_, victim_.get(), kThird));
  ASSERT_EQ(result.added_bytes(), 0);
  ASSERT_OK_AND_ASSIGN(const v1::StoredBackup third, host1_->Get(kThird));
  Reopen();
  auto request = RequestOf("host2", "web", "20260103-000000");
  request.set_session_id(third.session_id());
  EXPECT_THAT(host2_->Open(request), HasCode(StatusCode::kAlreadyExists));
}

}  // namespace
}  // namespace ember::testing
