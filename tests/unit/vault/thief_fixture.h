// A vault behind mutual TLS, two backups of a victim in it, and what a thief with a genuine agent's
// certificate can say to it.
#ifndef EMBER_TESTS_UNIT_VAULT_THIEF_FIXTURE_H_
#define EMBER_TESTS_UNIT_VAULT_THIEF_FIXTURE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/vault_port.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/server.h"
#include "common/rpc/signed.h"
#include "common/vault/vault.h"
#include "common/vault/vault_service.h"
#include "ember/v1/vault.grpc.pb.h"
#include "grpc/support/time.h"
#include "grpcpp/grpcpp.h"
#include "tests/support/grants.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {

using Ids = std::vector<std::string>;
using Records = std::vector<v1::Record>;

inline constexpr char kFirst[] = "web/20260101-000000";
inline constexpr char kSecond[] = "web/20260102-000000";
inline constexpr char kText[] = "a text that only host1 may read";

// A client context that fails rather than hangs.
struct Deadline : grpc::ClientContext {
  Deadline() { set_deadline(gpr_time_from_seconds(20, GPR_TIMESPAN)); }
};

// One side's view of an open session; a thief may make it up.
struct SessionView {
  std::string id;
  uint64_t token = 0;
};

// What can be said to the vault "nas" with one certificate, message by message.
class Wire {
 public:
  Wire(std::shared_ptr<grpc::Channel> channel, const KeyAndCertificate& ca, std::string node)
      : stub_(v1::VaultService::NewStub(std::move(channel))), ca_(ca), node_(std::move(node)) {}

  // From now on it shows a grant to read `domain`, as a standby of host1's workloads has one.
  void MayRead(const std::string& domain) {
    v1::ReadGrant grant;
    grant.set_node(node_);
    grant.set_vault("nas");
    grant.set_domain_id(domain);
    Show(rpc::SignReadGrant(ca_.key_pem, grant).value());
  }
  void Show(v1::Signed read_grant) { read_grant_ = std::move(read_grant); }

  // As if the controller had granted just this.
  absl::StatusOr<SessionView> Open(v1::OpenSessionRequest request) {
    request.set_vault("nas");
    return OpenBy(Granted(ca_, node_, std::move(request)));
  }
  // By the grant in the request.
  absl::StatusOr<SessionView> OpenBy(v1::OpenSessionRequest request) {
    request.set_vault("nas");
    EMBER_ASSIGN_OR_RETURN(const v1::OpenSessionReply reply, Call(&Stub::OpenSession, request));
    return SessionView{request.session_id(), reply.token()};
  }
  // Those that the vault says it lacks.
  absl::StatusOr<Ids> Absent(const SessionView& session, const Ids& ids) {
    auto request = In<v1::HaveRequest>(session);
    *request.mutable_ids() = {ids.begin(), ids.end()};
    EMBER_ASSIGN_OR_RETURN(const v1::HaveReply reply, Call(&Stub::Have, request));
    Ids absent;
    for (size_t i = 0; i < ids.size(); ++i)
      if (reply.absent().at(i) != 0) absent.push_back(ids[i]);
    return absent;
  }
  absl::Status Upload(const SessionView& session, const Records& records) {
    auto request = In<v1::UploadRequest>(session);
    *request.mutable_records() = {records.begin(), records.end()};
    request.set_flush(true);
    Deadline context;
    auto stream = stub_->Upload(&context);
    v1::UploadReply reply;
    stream->Write(request);
    stream->Read(&reply);
    stream->WritesDone();
    return rpc::FromGrpc(stream->Finish());
  }
  absl::StatusOr<v1::CommitReply> Commit(const SessionView& session, const v1::CommitHeader& header,
                                         const Ids& ids) {
    auto request = In<v1::CommitRequest>(session);
    *request.mutable_header() = header;
    *request.mutable_ids() = {ids.begin(), ids.end()};
    Deadline context;
    v1::CommitReply reply;
    auto stream = stub_->Commit(&context, &reply);
    stream->Write(request);
    stream->WritesDone();
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc(stream->Finish()));
    return reply;
  }
  absl::StatusOr<v1::StoredBackup> Get(const std::string& backup_id) {
    EMBER_ASSIGN_OR_RETURN(v1::StoredBackup backup, Call(&Stub::GetBackup, Of(backup_id)));
    EXPECT_FALSE(backup.receipt().signature().empty());
    backup.mutable_receipt()->clear_signature();  // another one each time
    return backup;
  }
  Ids List() {
    v1::ListStoredBackupsRequest request;
    request.set_vault("nas");
    *request.mutable_read_grant() = read_grant_;
    const auto reply = Call(&Stub::ListBackups, request);
    EXPECT_OK(reply);
    Ids names;
    for (const v1::StoredBackup& backup : reply->items()) names.push_back(backup.backup_id());
    return names;
  }
  Ids Refs(const std::string& backup_id) {
    absl::Status ended;
    const Ids ids = RefsOrNone(backup_id, &ended);
    EXPECT_OK(ended);
    return ids;
  }
  // None: refused, or not there for it.
  Ids RefsOrNone(const std::string& backup_id, absl::Status* ended = nullptr) {
    Deadline context;
    auto stream = stub_->ReadRefs(&context, Of(backup_id));
    Ids ids;
    for (v1::ReadRefsReply reply; stream->Read(&reply);)
      for (size_t at = 0; at < reply.ids().size(); at += 32)
        ids.push_back(reply.ids().substr(at, 32));
    const absl::Status status = rpc::FromGrpc(stream->Finish());
    if (ended != nullptr) *ended = status;
    return ids;
  }
  Records Read(const Ids& ids) {
    absl::Status ended;
    const Records records = ReadOrNone(ids, &ended);
    EXPECT_OK(ended);
    return records;
  }
  Records ReadSession(const std::string& session_id) {
    absl::Status ended;
    const Records records = ReadSessionOrNone(session_id, &ended);
    EXPECT_OK(ended);
    return records;
  }
  Records ReadOrNone(const Ids& ids, absl::Status* ended = nullptr) {
    v1::ReadRequest request;
    *request.mutable_ids() = {ids.begin(), ids.end()};
    return Read(request, ended);
  }
  Records ReadSessionOrNone(const std::string& session_id, absl::Status* ended = nullptr) {
    v1::ReadRequest request;
    request.set_only_session(session_id);
    return Read(request, ended);
  }

 private:
  using Stub = v1::VaultService::Stub;
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Reply*),
                             const Request& request) {
    Deadline context;
    Reply reply;
    EMBER_RETURN_IF_ERROR(rpc::FromGrpc((stub_.get()->*method)(&context, request, &reply)));
    return reply;
  }
  template <typename Request>
  static Request In(const SessionView& session) {
    Request request;
    request.set_vault("nas");
    request.set_session_id(session.id);
    request.set_token(session.token);
    return request;
  }
  v1::GetStoredBackupRequest Of(const std::string& backup_id) const {
    v1::GetStoredBackupRequest request;
    request.set_vault("nas");
    *request.mutable_read_grant() = read_grant_;
    request.set_backup_id(backup_id);
    return request;
  }
  Records Read(v1::ReadRequest request, absl::Status* ended) {
    request.set_vault("nas");
    *request.mutable_read_grant() = read_grant_;
    Deadline context;
    auto stream = stub_->Read(&context, request);
    Records records;
    for (v1::ReadReply reply; stream->Read(&reply);)
      records.insert(records.end(), reply.records().begin(), reply.records().end());
    const absl::Status status = rpc::FromGrpc(stream->Finish());
    if (ended != nullptr) *ended = status;
    return records;
  }

  std::unique_ptr<Stub> stub_;
  const KeyAndCertificate ca_;
  const std::string node_;
  v1::Signed read_grant_;
};

inline std::string SessionIdOf(const std::string& name) { return Sha256(name).substr(0, 16); }

// Number `n` of what the thief makes up, and stores.
inline v1::Record Loot(int n) {
  v1::Record record;
  record.set_id(Sha256(absl::StrCat("loot ", n)));
  record.set_type(format::v1::RecordType::DATA);
  record.set_nonce(static_cast<uint64_t>(n));
  record.set_payload(absl::StrCat("made up ", n));
  return record;
}

inline v1::CommitHeader LootHeader(const Ids& ids) {
  v1::CommitHeader header;
  header.set_manifest_root(ids.at(0));
  header.set_sealed_summary("made up");
  header.set_ids_total(ids.size());
  return header;
}

// Whatever a test tries, both backups are listed and restore as before when it ends: at once, after
// a restart of the vault, and after a collection and a check.
class ThiefFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(ca_, CreateCa("home", SystemClock()->Now()));
    nas1_ = Signed("nas1");
    ASSERT_OK(rpc::SaveIdentity(dir_.Join("identity"), nas1_));
    Serve();
    host2_keys_.domain.set_id("node-host2");
    host2_keys_.domain.set_id_key(std::string(32, '2'));
    recovery_ = NewX25519KeyPair();
    ASSERT_OK_AND_ASSIGN(*host1_keys_.domain.add_recovery_boxes(),
                         SealToPublicKey(recovery_.public_key, "node-host1", "secrets of host1"));
    tree_.Add("srv/a-name-to-hide", kText);
    for (int n = 0; n < 12; ++n)
      tree_.Add(absl::StrCat("srv/", n), absl::StrCat(kText, Noise(n, 100000)));
    ASSERT_OK(host1_keys_.Backup(tree_, victim_.get(), kFirst));
    trees_[kFirst] = tree_;
    clock_.Advance(absl::Hours(24));
    tree_.Change("srv/3", Noise(103, 200000));
    tree_.Remove("srv/4");
    ASSERT_OK(host1_keys_.Backup(tree_, victim_.get(), kSecond));
    trees_[kSecond] = tree_;
    for (const auto& [id, tree] : trees_) {
      ASSERT_OK_AND_ASSIGN(stored_[id], host1_->Get(id));
      refs_[id] = host1_->Refs(id);
      ASSERT_GT(refs_[id].size(), 10u);
    }
  }
  void TearDown() override {
    ExpectUnharmed("right after it");
    Reopen();
    ExpectUnharmed("when the vault was opened again");
    clock_.Advance(absl::Hours(2 * kSessionLeaseHours));
    v1::VaultOrder collection, check;
    collection.mutable_gc()->set_empty_trash(true);
    check.mutable_check()->set_read_data(true);
    EXPECT_OK(vault_->Run(collection, {}));
    const auto checked = vault_->Run(check, {});
    ASSERT_OK(checked);
    EXPECT_EQ(checked->damaged_backups_size(), 0);
    EXPECT_EQ(checked->problems_size(), 0);
    ExpectUnharmed("when the rubbish was collected");
    Stop();
  }

  rpc::Identity Signed(absl::string_view name) {
    rpc::Identity identity;
    identity.key_pem = NewPrivateKeyPem();
    identity.ca_pem = ca_.certificate_pem;
    identity.certificate_pem = *SignCsr(ca_, *CreateCsr(identity.key_pem), "agent", name,
                                        SystemClock()->Now(), absl::Hours(1));
    return identity;
  }
  std::shared_ptr<grpc::Channel> Dial(absl::string_view name) {
    return rpc::Dial(absl::StrCat("127.0.0.1:", server_->port()), Signed(name), "agent", "nas1");
  }
  void Serve() {
    ASSERT_OK_AND_ASSIGN(
        vault_,
        vault::Vault::Open({.name = "nas", .directory = dir_.Join("vault"), .clock = &clock_}));
    service_ = vault::NewVaultService(
        [this](const std::string&) { return vault_; }, [this] { return nas1_; },
        [](const rpc::Peer&, absl::string_view, const absl::Status&) {});
    rpc::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.identity_directory = dir_.Join("identity");
    options.clock = SystemClock();
    ASSERT_OK_AND_ASSIGN(server_, rpc::Server::Start(options, {service_.get()}));
    victim_ = std::make_unique<GrantedPort>(ca_, "host1", "nas",
                                            backup::OpenGrpcVault(Dial("host1"), "nas"));
    host1_ = std::make_unique<Wire>(Dial("host1"), ca_, "host1");
    host2_ = std::make_unique<Wire>(Dial("host2"), ca_, "host2");
  }
  void Stop() {
    server_->Stop(absl::ZeroDuration());
    server_.reset();
    vault_.reset();
  }
  void Reopen() {
    Stop();
    Serve();
  }

  // What the agent of `node` would ask for; `name` makes session and backup.
  static v1::OpenSessionRequest RequestOf(const std::string& node, const std::string& workload,
                                          const std::string& name) {
    v1::OpenSessionRequest request;
    request.set_domain_id(DomainOfNode(node));
    request.set_workload(workload);
    request.set_backup_id(absl::StrCat(workload, "/", name));
    request.set_session_id(SessionIdOf(absl::StrCat(node, workload, name)));
    request.set_keybox("the thief's keybox");
    if (node == "host2") request.add_recovery_boxes("the thief's recovery box");
    return request;
  }
  // What was asked for when `backup_id` was made, as the vault tells everybody.
  v1::OpenSessionRequest RepeatOf(const std::string& backup_id) {
    v1::OpenSessionRequest request;
    const v1::StoredBackup& stored = stored_.at(backup_id);
    request.set_domain_id(stored.domain_id());
    request.set_workload(stored.workload());
    request.set_backup_id(backup_id);
    request.set_session_id(stored.session_id());
    for (const v1::Keybox& box : stored.keyboxes())
      if (box.session_id() == stored.session_id()) request.set_keybox(box.sealed());
    return request;
  }
  // Stores one made-up record as a backup.
  absl::StatusOr<v1::CommitReply> Add(Wire& wire, const v1::OpenSessionRequest& request, int n) {
    EMBER_ASSIGN_OR_RETURN(const SessionView session, wire.Open(request));
    EMBER_RETURN_IF_ERROR(wire.Upload(session, {Loot(n)}));
    return wire.Commit(session, LootHeader({Loot(n).id()}), {Loot(n).id()});
  }

  void ExpectUnharmed(const std::string& when) {
    SCOPED_TRACE(when);
    const Ids listed = host1_->List();
    for (auto& [id, tree] : trees_) {
      EXPECT_EQ(std::count(listed.begin(), listed.end(), id), 1) << id;
      const auto stored = host1_->Get(id);
      ASSERT_OK(stored);
      EXPECT_EQ(stored->SerializeAsString(), stored_[id].SerializeAsString()) << id;
      EXPECT_EQ(host1_->Refs(id), refs_[id]) << id;
      const auto reader = host1_keys_.Open(victim_.get(), id);
      ASSERT_OK(reader);
      FakeTarget target;
      EXPECT_OK((*reader)->Restore({}, &target, nullptr)) << id;
      EXPECT_EQ(Difference(tree, target), "") << id;
    }
  }

  TempDir dir_;
  FakeClock clock_;
  KeyAndCertificate ca_;
  rpc::Identity nas1_;
  BackupBench host1_keys_, host2_keys_;
  X25519KeyPair recovery_;
  FakeTree tree_;
  std::map<std::string, FakeTree> trees_;  // the victim's, by backup
  std::map<std::string, v1::StoredBackup> stored_;
  std::map<std::string, Ids> refs_;
  std::shared_ptr<vault::Vault> vault_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<backup::VaultPort> victim_;
  std::unique_ptr<Wire> host1_;  // also whoever stole its certificate
  std::unique_ptr<Wire> host2_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_VAULT_THIEF_FIXTURE_H_
