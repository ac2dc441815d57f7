// Makes a golden vault with the Ember that it is built of; never replaces one.
//   build/tests/golden/make_golden tests/golden vault-2
// Run it once for a release that changes what is written, and commit the three files. What is
// random (session keys, ids of sessions and of the vault) differs each time.
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/backup/domain_keys.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/vault/vault.h"
#include "tests/golden/golden_vault.h"
#include "tests/golden/listing.h"
#include "tests/golden/local_vault.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/backup/fake_tree.h"

namespace ember::testing {
namespace {

constexpr char kEstate[] = "golden";
constexpr uint32_t kOwner = 1000;

// Words that compress about six to one: `bytes` of them.
std::string Words(uint64_t seed, size_t bytes) {
  static constexpr const char* kWords[] = {"ember ",   "glows ", "under ", "the ash ",
                                           "a spark ", "of an ", "old ",   "fire, "};
  const std::string noise = Noise(seed, bytes);
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i)
    absl::StrAppend(&text, kWords[static_cast<unsigned char>(noise[i]) % std::size(kWords)]);
  text.resize(bytes);
  return text;
}

X25519KeyPair PairOf(absl::string_view name) {
  const std::string key = Sha256(absl::StrCat("golden key of ", name));
  return {.public_key = X25519PublicKey(key).value(), .private_key = key};
}

format::v1::DomainSecrets SecretsOf(const std::string& domain_id) {
  format::v1::DomainSecrets secrets;
  secrets.set_version(1);
  secrets.set_id_key(Sha256(absl::StrCat("golden K_id of ", domain_id)));
  secrets.set_cut_key(Sha256(absl::StrCat("golden K_cut of ", domain_id)));
  secrets.set_private_key(PairOf(domain_id).private_key);
  return secrets;
}

v1::DomainKeys KeysOf(const std::string& domain_id) {
  const format::v1::DomainSecrets secrets = SecretsOf(domain_id);
  v1::DomainKeys keys;
  keys.set_id(domain_id);
  keys.set_id_key(secrets.id_key());
  keys.set_cut_key(secrets.cut_key());
  keys.set_public_key(PairOf(domain_id).public_key);
  keys.set_estate_id(kEstate);
  keys.add_recovery_boxes(
      SealToPublicKey(PairOf("recovery").public_key, domain_id, secrets.SerializeAsString())
          .value());
  return keys;
}

std::string KitText() {
  const std::string key = absl::BytesToHexString(PairOf("recovery").private_key);
  return absl::StrCat("EMBER RECOVERY KIT of a test: this key protects nothing\n\nestate: ",
                      kEstate, "\nrecovery-key: ", absl::AsciiStrToUpper(key), "\n");
}

// What a file system would have said.
void SetMetadata(FakeTree& tree) {
  for (auto& [path, file] : tree.files()) {
    format::v1::Entry& entry = file.entry;
    const bool is_directory = entry.type() == format::v1::EntryType::DIRECTORY;
    entry.set_mode(is_directory ? 0755 : entry.mode() == 0 ? 0640 : entry.mode());
    entry.set_uid(kOwner);
    entry.set_gid(kOwner);
    entry.set_user("ember");
    entry.set_mtime_seconds(file.mtime_seconds);
    entry.set_mtime_nanos(123456789);
  }
}

// Every kind of content: none, in the manifest, in a group, cut, with holes; links; odd names.
FakeTree WebTree() {
  FakeTree tree;
  tree.AddDirectory("srv");
  tree.AddDirectory("srv/pages");
  tree.Add("srv/config.yaml", "listen: 80\n");
  tree.Add("srv/empty", "");
  for (int i = 0; i < 12; ++i)
    tree.Add(absl::StrCat("srv/pages/", i, ".html"), Words(10 + i, 600 + 400 * i));
  tree.Add("srv/large", Words(2, 900000));
  tree.AddSparse("srv/sparse", 3 << 20, {{1 << 20, Words(3, 50000)}, {2 << 20, Words(4, 70000)}});
  tree.AddSparse("srv/hole", 1 << 20, {});
  tree.AddLink("srv/pages/large", "srv/large");
  tree.Add(std::string("srv/\xff\xfe odd\n\"name\"\x01"), "odd");
  format::v1::Entry& link = tree.files()["srv/current"].entry;
  link.set_path("srv/current");
  link.set_type(format::v1::EntryType::SYMLINK);
  link.set_symlink("pages/0.html");
  tree.files()["srv/pipe"].entry.set_path("srv/pipe");
  tree.files()["srv/pipe"].entry.set_type(format::v1::EntryType::FIFO);
  auto* xattr = tree.at("srv/config.yaml").entry.add_xattrs();
  xattr->set_name("user.note");
  xattr->set_value("kept for ever");
  return tree;
}

class Maker {
 public:
  explicit Maker(std::string directory) : directory_(std::move(directory)) {}

  absl::Status Make() {
    vault::VaultOptions options{.name = "golden", .directory = directory_, .clock = &clock_};
    options.rules.parity = false;
    EMBER_ASSIGN_OR_RETURN(vault_, vault::Vault::Open(options));
    EMBER_RETURN_IF_ERROR(BackUpAll(options.rules));
    vault_.reset();
    return absl::OkStatus();
  }
  const GoldenTree& tree() const { return tree_; }

 private:
  absl::Status BackUpAll(vault::VaultRules rules) {
    FakeTree tree = WebTree();
    FakeTree old;
    old.AddDirectory("srv");
    old.Add("srv/old", Words(77, 30000));
    FakeTree dump;
    dump.AddDirectory("srv");
    dump.Add("srv/dump.sql", Words(5, 120000));
    EMBER_RETURN_IF_ERROR(BackUp("old", "node-host1", old));
    EMBER_RETURN_IF_ERROR(BackUp("web", "node-host1", tree));
    rules.parity = true;
    vault_->SetRules(rules);
    EMBER_RETURN_IF_ERROR(BackUp("db", "node-host2", dump));
    tree.Change("srv/pages/3.html", Words(99, 9000));
    tree.Remove("srv/empty");
    EMBER_RETURN_IF_ERROR(BackUp("web", "node-host1", tree));
    tree.Add("srv/pages/new.html", Words(100, 3000));
    EMBER_RETURN_IF_ERROR(BackUp("web", "node-host1", tree));
    EMBER_RETURN_IF_ERROR(Delete(ids_[0]));
    EMBER_RETURN_IF_ERROR(CollectGarbage());
    EMBER_RETURN_IF_ERROR(Delete(ids_[3]));
    tree_[ids_[0]] = {.state = GoldenState::kPurged, .lines = {}};
    tree_[ids_[3]].state = GoldenState::kTrashed;
    return absl::OkStatus();
  }

  absl::Status BackUp(const std::string& workload, const std::string& domain_id, FakeTree& tree) {
    clock_.Advance(absl::Hours(26));  // beyond a session's lease
    SetMetadata(tree);
    backup::BackupOptions options;
    options.backup_id = BackupId(workload, clock_.Now());
    options.workload = workload;
    options.node = domain_id.substr(domain_id.find('-') + 1);
    options.epoch = 1;
    options.reason = "golden";
    options.domain = KeysOf(domain_id);
    options.roots = {"srv"};
    options.clock = &clock_;
    LocalVault port(*vault_, options.node);
    const std::string id = options.backup_id;
    EMBER_ASSIGN_OR_RETURN(const auto writer,
                           backup::BackupWriter::Open(std::move(options), &port));
    EMBER_RETURN_IF_ERROR(tree.Walk(writer.get()));
    EMBER_ASSIGN_OR_RETURN(const v1::BackupResult result, writer->Commit());
    if (result.outcome() != v1::Outcome::OK || !result.read_back_ok())
      return absl::InternalError(absl::StrCat(id, " is not a good backup"));
    ids_.push_back(id);
    return NoteListing(port, id, domain_id);
  }

  absl::Status NoteListing(LocalVault& port, const std::string& id, const std::string& domain_id) {
    EMBER_ASSIGN_OR_RETURN(
        const auto reader,
        backup::RestoreReader::Open(&port, id, backup::KeysOfDomain(SecretsOf(domain_id))));
    EMBER_ASSIGN_OR_RETURN(const auto listing, ReadListing(*reader));
    tree_[id].lines = LinesOf(listing);
    return absl::OkStatus();
  }

  absl::Status Delete(const std::string& id) {
    v1::VaultOrder order;
    order.mutable_delete_()->add_backup_ids(id);
    order.mutable_delete_()->set_by_person(true);
    order.mutable_delete_()->set_who("anna");
    order.mutable_delete_()->set_why("the golden vault has one of each");
    return vault_->Run(order, {}).status();
  }
  absl::Status CollectGarbage() {
    // What is in the trash is due; the packs that lose their records now are not yet.
    clock_.Advance(absl::Hours(24 * 8));
    v1::VaultOrder order;
    order.mutable_gc();
    return vault_->Run(order, {}).status();
  }

  const std::string directory_;
  FakeClock clock_;
  std::unique_ptr<vault::Vault> vault_;
  std::vector<std::string> ids_;
  GoldenTree tree_;
};

absl::Status MakeGolden(const std::string& to) {
  for (const char* end : {".tar", ".kit", ".tree"}) {
    if (FileExists(to + end))
      return absl::AlreadyExistsError(absl::StrCat(to, end, " is there, and is kept for ever"));
  }
  const TempDir scratch;
  Maker maker(scratch.Join("vault"));
  EMBER_RETURN_IF_ERROR(maker.Make());
  EMBER_RETURN_IF_ERROR(Pack(scratch.Join("vault"), to + ".tar"));
  EMBER_RETURN_IF_ERROR(WriteFileAtomic(to + ".kit", KitText(), 0644));
  return WriteFileAtomic(to + ".tree", ToText(maker.tree()), 0644);
}

}  // namespace
}  // namespace ember::testing

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " DIRECTORY NAME\n";
    return 2;
  }
  const auto directory = std::filesystem::absolute(argv[1]).string();
  const absl::Status status = ember::testing::MakeGolden(ember::JoinPath(directory, argv[2]));
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
