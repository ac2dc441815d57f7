// Writes the seeds of the corpora with the writers of Ember itself; run by hand when a format
// grows:
//   build/tests/fuzz/make_corpus tests/fuzz/corpus
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/backup/manifest.h"
#include "common/backup/record.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/crypto/aead.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/rpc/convert.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"
#include "common/vault/pack_table.h"
#include "controller/identity/catalog_export.h"
#include "ember/v1/vault.pb.h"
#include "node-agent/link/message_log.h"
#include "node-agent/link/token.h"
#include "tests/fuzz/frame_kinds.h"
#include "tests/fuzz/message_kinds.h"
#include "tests/fuzz/pieces.h"
#include "tests/support/memory_store.h"
#include "tests/support/temp_dir.h"

namespace ember::fuzz {
namespace {

using backup::RecordId;
using backup::RecordType;
using format::v1::Entry;
using format::v1::EntryType;

// As in record_fuzz.cc and keybox_fuzz.cc.
constexpr char kDomain[] = "node-host1";
constexpr uint64_t kNonce = 7;
const std::string kSessionKey(32, 's');
const std::string kRecipientKey(32, 'r');

const absl::Time kNow = absl::FromUnixSeconds(1767225600);
constexpr char kBackupId[] = "web/20260101-000000";

std::string corpus;  // the directory

void Save(const std::string& name, absl::string_view bytes) {
  const std::string path = JoinPath(corpus, name);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const absl::Status status = WriteFileAtomic(path, bytes, 0644);
  if (!status.ok()) std::cerr << status << "\n";
}

std::string Text(size_t bytes) {
  std::string text;
  for (int line = 0; text.size() < bytes; ++line)
    absl::StrAppend(&text, "line ", line * line, " of something that compresses\n");
  text.resize(bytes);
  return text;
}

RecordId IdOf(RecordType::Value type, absl::string_view plaintext) {
  static const HmacSha256Key key(std::string(32, 'i'));
  return backup::MakeRecordId(key, type, plaintext);
}

std::string Sealed(RecordType::Value type, absl::string_view plaintext) {
  return backup::SealRecord(kDomain, kSessionKey, kNonce, IdOf(type, plaintext), type, plaintext);
}

std::string Box(absl::string_view context, absl::string_view secret) {
  return SealToPublicKey(X25519PublicKey(kRecipientKey).value(), context, secret).value();
}

std::vector<format::v1::PackSession> Sessions(int count) {
  std::vector<format::v1::PackSession> sessions;
  for (int i = 0; i < count; ++i) {
    format::v1::PackSession& session = sessions.emplace_back();
    session.set_session_id(std::string(vault::kSessionIdBytes, static_cast<char>('A' + i)));
    session.set_keybox(Box(session.session_id(), kSessionKey));
    session.set_domain_id(kDomain);
  }
  return sessions;
}

struct WrittenPack {
  std::string bytes;
  format::v1::PackFooter footer;
};

// Records of 300 to 2100 bytes, by turns of each session.
WrittenPack WritePack(int session_count, int records, vault::PackParityMode parity) {
  testing::MemoryStore store;
  const auto sessions = Sessions(session_count);
  const auto writer = vault::PackWriter::Create(store, sessions, parity).value();
  for (int i = 0; i < records; ++i) {
    const std::string plaintext = Text(300 + 300 * (i % 7));
    const RecordId id = IdOf(RecordType::DATA, plaintext);
    const std::string payload = Sealed(RecordType::DATA, plaintext);
    const absl::Status appended =
        writer->Append({.type = RecordType::DATA,
                        .id = backup::BytesOf(id),
                        .session_id = sessions[i % session_count].session_id(),
                        .nonce = static_cast<uint64_t>(i),
                        .payload = payload});
    if (!appended.ok()) std::cerr << appended << "\n";
  }
  const auto pack = writer->Publish().value();
  const std::string object = vault::PackObject(pack.name);
  return {store.Read(object, 0, pack.size).value(), pack.footer};
}

void SavePacks() {
  const WrittenPack plain = WritePack(2, 5, vault::PackParityMode::kOff);
  const WrittenPack parity = WritePack(1, 24, vault::PackParityMode::kOn);
  const WrittenPack empty = WritePack(1, 0, vault::PackParityMode::kOff);
  Save("pack/plain", plain.bytes);
  Save("pack/parity", parity.bytes);
  Save("pack/empty", empty.bytes);
  Save("pack/torn", plain.bytes.substr(0, plain.bytes.size() / 2));
  std::string damaged = parity.bytes;
  damaged[damaged.size() / 3] ^= 0x20;
  Save("pack/damaged", damaged);
  Save("footer/plain", plain.footer.SerializeAsString());
  Save("footer/parity", parity.footer.SerializeAsString());
  Save("footer/table", parity.footer.parity().SerializeAsString());
  Save("footer/whole-pack", plain.bytes);
  const size_t first = plain.footer.records(0).offset();
  Save("record/record", plain.bytes.substr(first, plain.footer.records(1).offset() - first));
}

// What lies within the seal of a payload.
std::string Unsealed(const RecordId& id, RecordType::Value type, absl::string_view payload) {
  const char type_byte = static_cast<char>(type);
  const std::string aad =
      absl::StrCat("EMBR\1", std::string(1, static_cast<char>(sizeof(kDomain) - 1)), kDomain,
                   backup::BytesOf(id), absl::string_view(&type_byte, 1));
  return Open(kSessionKey, kNonce, aad, payload).value();
}

void SaveInner() {
  for (const size_t size : {0, 9, 3000}) {
    const std::string text = Text(size);
    Save(absl::StrCat("record/inner-", size),
         Unsealed(IdOf(RecordType::DATA, text), RecordType::DATA, Sealed(RecordType::DATA, text)));
  }
  const RecordId root = IdOf(RecordType::NODE, "root");
  format::v1::BackupSummary summary;
  summary.set_version(1);
  summary.set_backup_id(kBackupId);
  summary.set_manifest_root(root.data(), root.size());
  summary.set_node("host1");
  summary.add_roots("srv");
  Save("record/inner-summary",
       Unsealed(root, RecordType::SUMMARY,
                backup::SealSummary(kDomain, kSessionKey, kNonce, root, summary)));
}

Entry File(const std::string& path, int64_t size) {
  Entry entry;
  entry.set_path(path);
  entry.set_type(EntryType::FILE);
  entry.set_mode(0644);
  entry.set_size(size);
  return entry;
}

void AddExtent(Entry& entry, int64_t offset, int64_t length) {
  format::v1::Extent* extent = entry.add_extents();
  extent->set_offset(offset);
  extent->set_length(length);
  extent->set_id(Sha256(absl::StrCat(entry.path(), offset)));
}

// Of every kind, in path order.
std::vector<Entry> SomeEntries() {
  std::vector<Entry> entries;
  entries.push_back(File("srv", 0));
  entries.back().set_type(EntryType::DIRECTORY);
  entries.push_back(File("srv/inline", 5));
  entries.back().set_inline_content("12345");
  entries.back().set_user("www-data");
  auto* xattr = entries.back().add_xattrs();
  xattr->set_name("user.x");
  xattr->set_value("1");
  entries.push_back(File("srv/large", 900000));
  AddExtent(entries.back(), 0, 300000);
  AddExtent(entries.back(), 400000, 500000);
  // To the very end of the largest record that there can be.
  entries.back().mutable_extents(1)->set_start(static_cast<int64_t>(kRecordBytesMax) - 500000);
  entries.push_back(File("srv/link", 0));
  entries.back().set_type(EntryType::SYMLINK);
  entries.back().set_symlink("../etc");
  entries.push_back(File("srv/m", 900000));
  entries.back().set_hardlink_to("srv/large");
  for (uint32_t part = 0; part < 3; ++part) {
    Entry entry = File("srv/parts", part == 0 ? 3000 : 0);
    entry.set_part(part);
    entry.set_more_parts(part < 2);
    AddExtent(entry, part * 1000, 1000);
    entries.push_back(entry);
  }
  entries.push_back(File("srv/z", 0));
  return entries;
}

// Pieces as manifest_leaf_fuzz.cc wants them: the root, then all records, each with an id that
// begins with its number.
std::string BuildManifest(const std::vector<Entry>& entries) {
  std::vector<std::string> pieces;
  backup::ManifestBuilder builder(
      std::string(32, 'c'), [&](RecordType::Value type, const std::string& bytes) {
        pieces.push_back(EncodePiece(type == RecordType::LEAF ? 0 : 1, bytes));
        RecordId id{};
        id[0] = static_cast<char>(pieces.size());
        return absl::StatusOr<RecordId>(id);
      });
  for (const Entry& entry : entries) {
    if (!builder.Add(entry, backup::EncodeInLeaf(entry)).ok())
      std::cerr << entry.path() << " does not fit\n";
  }
  const RecordId root = builder.Finish().value();
  std::string input = pieces[static_cast<unsigned char>(root[0]) - 1];
  for (const std::string& piece : pieces) absl::StrAppend(&input, piece);
  return input;
}

void SaveManifests() {
  Save("manifest_leaf/kinds", BuildManifest(SomeEntries()));
  Save("manifest_leaf/empty", BuildManifest({}));
  std::vector<Entry> gap = SomeEntries();
  gap.erase(gap.end() - 2);  // the last part of the one before
  Save("manifest_leaf/gap", BuildManifest(gap));
  std::vector<Entry> many;
  for (int i = 100; i < 800; ++i) many.push_back(File(absl::StrCat("srv/", i), 0));
  Save("manifest_leaf/tree", BuildManifest(many));
}

void SaveKeyboxes() {
  Save("keybox/box", Box(kDomain, kSessionKey));
  const std::string key = absl::AsciiStrToUpper(absl::BytesToHexString(kRecipientKey));
  Save("keybox/kit", absl::StrCat("EMBER RECOVERY KIT\n\nestate: home\nrecovery-key: ", key, "\n"));
  Save("keybox/kit-from-paper", absl::StrCat("Recovery-Key : ", key.substr(0, 32), "-\n  ",
                                             key.substr(32), "\nESTATE: my home\n"));
  format::v1::DomainSecrets secrets;
  secrets.set_version(1);
  secrets.set_id_key(std::string(32, 'i'));
  secrets.set_cut_key(std::string(32, 'c'));
  secrets.set_private_key(kRecipientKey);
  Save("keybox/secrets", secrets.SerializeAsString());
  format::v1::DomainBoxes boxes;
  boxes.set_version(1);
  boxes.set_domain_id(kDomain);
  boxes.set_estate_id("home");
  boxes.add_boxes("of another recipient");
  boxes.add_boxes(Box(kDomain, secrets.SerializeAsString()));
  Save("keybox/boxes", boxes.SerializeAsString());
  Save("keybox/boxes-file", vault::Frame(vault::kKeysMagic, boxes.SerializeAsString()));
}

format::v1::StoredBackupRecord BackupNumber(int number, absl::string_view previous_file) {
  format::v1::StoredBackupRecord record;
  record.set_version(1);
  record.set_backup_id(absl::StrCat("web/2026010", number, "-000000"));
  record.set_domain_id(kDomain);
  record.set_workload("web");
  record.set_sequence(static_cast<uint64_t>(number));
  *record.mutable_received() = rpc::ToTimestamp(kNow + absl::Hours(24 * number));
  record.set_session_id(std::string(vault::kSessionIdBytes, static_cast<char>('A' + number)));
  record.set_manifest_root(Sha256("root"));
  record.set_sealed_summary("sealed");
  record.set_refs_sha256(Sha256("refs"));
  if (!previous_file.empty()) record.set_previous_sha256(Sha256(previous_file));
  return record;
}

std::string FileOf(const format::v1::StoredBackupRecord& record) {
  return vault::Frame(vault::kBackupMagic, record.SerializeAsString());
}

// A purged, a deleted and two committed backups of one domain.
void SaveFrames() {
  const auto first = BackupNumber(1, "");
  const auto second = BackupNumber(2, FileOf(first));
  const auto third = BackupNumber(3, FileOf(second));
  const auto fourth = BackupNumber(4, FileOf(third));
  format::v1::Tombstone tombstone;
  tombstone.set_version(1);
  tombstone.set_backup_id(first.backup_id());
  tombstone.set_sequence(1);
  tombstone.set_record_sha256(Sha256(FileOf(first)));
  tombstone.set_who("anna");
  format::v1::TrashedBackup trashed;
  trashed.set_version(1);
  trashed.set_record(FileOf(second));
  *trashed.mutable_deleted() = rpc::ToTimestamp(kNow);
  format::v1::VaultHeader header;
  header.set_version(1);
  header.set_vault_id(std::string(32, 'a'));
  format::v1::ChainHead head;
  head.set_version(1);
  head.set_domain_id(kDomain);
  head.set_sequence(4);
  head.set_record_sha256(Sha256(FileOf(fourth)));
  Save("frame/vault", absl::StrCat(EncodePiece(kHeaderFile, header.SerializeAsString()),
                                   EncodePiece(kTombstoneFile, tombstone.SerializeAsString()),
                                   EncodePiece(kTrashedFile, trashed.SerializeAsString()),
                                   EncodePiece(kBackupFile, third.SerializeAsString()),
                                   EncodePiece(kBackupFile, fourth.SerializeAsString()),
                                   EncodePiece(kHeadFile, head.SerializeAsString())));
  Save("frame/hole", absl::StrCat(EncodePiece(kBackupFile, first.SerializeAsString()),
                                  EncodePiece(kRawFile, FileOf(third))));
  Save("frame/later-version", [&] {
    header.add_must_understand("something new");
    return EncodePiece(kHeaderFile, header.SerializeAsString());
  }());
  Save("frame/file", FileOf(first));
  Save("frame/pack-row",
       vault::PackRow{.name = Sha256Hex("pack"), .size = 99, .sessions = {1, 7}}.Encode());
}

void SaveMessage(const std::string& name, MessageKind kind, absl::string_view bytes) {
  Save(absl::StrCat("control_message/", name),
       absl::StrCat(std::string(1, static_cast<char>(kind)), bytes));
}

std::string DerOf(const std::string& pem) {
  std::string text;
  for (absl::string_view line : absl::StrSplit(pem, '\n')) {
    if (!absl::StartsWith(line, "-")) absl::StrAppend(&text, line);
  }
  std::string der;
  if (!absl::Base64Unescape(text, &der)) std::cerr << "not PEM: " << pem << "\n";
  return der;
}

void SaveVaultRequests() {
  v1::OpenSessionRequest open;
  open.set_vault("main");
  open.set_domain_id(kDomain);
  open.set_workload("web");
  open.set_backup_id(kBackupId);
  open.set_session_id(std::string(16, 's'));
  open.set_keybox(Box(open.session_id(), kSessionKey));
  open.set_epoch(3);
  open.set_parent_root(Sha256("root"));
  open.add_recovery_boxes("a box");
  open.set_estate_id("home");
  SaveMessage("open-session", kOpenSessionMessage, open.SerializeAsString());
  v1::CommitRequest commit;
  // One byte apart, so that one change makes two the same.
  for (int i = 0; i < 5; ++i) commit.add_ids(std::string(31, 'i') + static_cast<char>('a' + i));
  commit.mutable_header()->set_manifest_root(commit.ids(2));
  commit.mutable_header()->set_ids_total(5);
  commit.mutable_header()->set_sealed_summary("sealed");
  SaveMessage("commit", kCommitMessage, commit.SerializeAsString());
  v1::HaveRequest have;
  *have.mutable_ids() = commit.ids();
  SaveMessage("have", kHaveMessage, have.SerializeAsString());
  v1::ReadRequest read;
  *read.mutable_ids() = commit.ids();
  SaveMessage("read", kReadMessage, read.SerializeAsString());
  v1::ReadRequest read_back;
  read_back.set_only_session(std::string(16, 's'));
  SaveMessage("read-session", kReadMessage, read_back.SerializeAsString());
  v1::Record record;
  record.set_id(Sha256("x"));
  record.set_type(1);
  record.set_payload("sealed");
  SaveMessage("record", kRecordMessage, record.SerializeAsString());
}

void SaveOtherMessages() {
  v1::JoinToken token;
  token.set_em_address("em.lan:7443");
  token.set_ca_fingerprint(std::string(64, 'a'));
  token.set_node("nas1");
  token.set_secret("s3cret");
  SaveMessage("join-token", kJoinTokenMessage, token.SerializeAsString());
  SaveMessage("join-token-text", kJoinTokenText, absl::StrCat(" ", agent::TokenText(token), "\n"));
  SaveMessage("name", kNameText, "nas1.lan_2");
  SaveMessage("backup-id", kNameText, "web/20260101-000000-2");
  SaveMessage("pack-object", kNameText, vault::PackObject(Sha256Hex("pack")));
  SaveMessage("time", kTimeMessage,
              rpc::ToTimestamp(kNow + absl::Nanoseconds(5)).SerializeAsString());
  const KeyAndCertificate ca = CreateCa("home", kNow).value();
  const std::string csr = CreateCsr(NewPrivateKeyPem()).value();
  SaveMessage("csr", kCsrDer, DerOf(csr));
  SaveMessage("csr-pem", kPemText, csr);
  SaveMessage("certificate", kCertificateDer,
              DerOf(SignCsr(ca, csr, "agent", "nas1", kNow, absl::Hours(1)).value()));
}

void SaveCatalogExport() {
  const KeyAndCertificate ca = CreateCa("estate", kNow).value();
  record::v1::CatalogContents contents;
  contents.mutable_meta()->set_estate_id("estate");
  contents.mutable_estate()->mutable_estate()->add_workloads()->set_name("web");
  contents.add_nodes()->set_name("host1");
  contents.add_workloads()->set_name("web");
  contents.set_recovery_public_key(X25519PublicKey(kRecipientKey).value());
  contents.set_ca_key_pem(ca.key_pem);
  contents.set_ca_certificate_pem(ca.certificate_pem);
  Save("catalog_export/small", controller::SealCatalogExport(contents, 1, kNow).value());
}

void SaveMessageLog() {
  const testing::TempDir dir;
  const auto log = agent::MessageLog::Open(dir.path(), [](absl::string_view) {});
  for (const char* id : {"a", "b"}) {
    v1::Message message;
    message.set_id(id);
    message.set_to("db");
    message.set_body("text");
    if (!(*log)->Append(message).ok()) std::cerr << "no message log\n";
  }
  Save("message_log/two", ReadFile(dir.Join("0000000000000001.log")).value());
}

}  // namespace
}  // namespace ember::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " CORPUS\n";
    return 2;
  }
  using namespace ember::fuzz;
  corpus = argv[1];
  SavePacks();
  SaveInner();
  SaveManifests();
  SaveKeyboxes();
  SaveFrames();
  SaveVaultRequests();
  SaveOtherMessages();
  SaveCatalogExport();
  SaveMessageLog();
  return 0;
}
