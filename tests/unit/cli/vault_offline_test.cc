// ember vault ls, ember vault restore: on vaults that the real writer filled through the real
// engine.
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/backup/backup_writer.h"
#include "common/crypto/keybox.h"
#include "node-agent/source/source.h"
#include "tests/support/nasty_tree.h"
#include "tests/support/served_vault.h"
#include "tests/support/tree_compare.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kBackup[] = "web/20260101-000000";

class OfflineVerbs : public Session {
 protected:
  OfflineVerbs() {
    WriteKit("kit.txt", recovery_, "home");
    format::v1::DomainSecrets secrets;
    secrets.set_version(1);
    secrets.set_id_key(std::string(32, 'i'));
    secrets.set_cut_key(std::string(32, 'c'));
    secrets.set_private_key(domain_.private_key);
    keys_.set_id("node-host1");
    keys_.set_id_key(secrets.id_key());
    keys_.set_cut_key(secrets.cut_key());
    keys_.set_public_key(domain_.public_key);
    keys_.set_estate_id("home");
    keys_.add_recovery_boxes(
        *SealToPublicKey(recovery_.public_key, keys_.id(), secrets.SerializeAsString()));
  }
  ~OfflineVerbs() override {
    for (const char* name : {"tree", "target"}) testing::RemoveNastyTree(At(name));
  }

  std::string At(const std::string& name) const { return directory_.Join(name); }
  void Make(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(At(name)).parent_path());
    std::ofstream(At(name)) << content;
  }
  std::string Content(const std::string& name) const {
    const auto content = ReadFile(At(name));
    return content.ok() ? *content : std::string(content.status().message());
  }
  void WriteKit(const std::string& name, const X25519KeyPair& pair, const std::string& estate) {
    Make(name, absl::StrCat("EMBER RECOVERY KIT\n\nestate: ", estate, "\nrecovery-key:    ",
                            absl::AsciiStrToUpper(absl::BytesToHexString(pair.private_key)), "\n"));
  }
  void BackUp(const std::string& id = kBackup) {
    v1::WorkloadSpec spec;
    spec.set_name("web");
    spec.add_sources()->mutable_files()->add_paths(At("tree"));
    ASSERT_OK_AND_ASSIGN(const auto source, agent::OpenSource(spec));
    backup::BackupOptions options;
    options.backup_id = id;
    options.workload = "web";
    options.node = "host1";
    options.epoch = 1;
    options.reason = "nightly";
    options.domain = keys_;
    options.roots = source->Roots();
    options.clock = SystemClock();
    ASSERT_OK_AND_ASSIGN(const auto writer, backup::BackupWriter::Open(options, vault_.port()));
    ASSERT_OK(source->Read(writer.get()));
    ASSERT_OK_AND_ASSIGN(const v1::BackupResult result, writer->Commit());
    EXPECT_EQ(result.outcome(), v1::Outcome::OK);
  }
  // The agent that served the vault is gone, with all that can be made again.
  void Bury() {
    vault_.Stop();
    std::filesystem::remove_all(vault_.directory() + "/index");
    std::filesystem::remove_all(vault_.directory() + "/LOCK");
  }
  int Ls(std::vector<std::string> more = {}, const std::string& kit = "kit.txt") {
    more.insert(more.begin(), {"vault", "ls", vault_.directory(), "--kit", At(kit)});
    return Ember(more);
  }
  int Restore(std::vector<std::string> more = {}, const std::string& id = kBackup,
              const std::string& kit = "kit.txt") {
    more.insert(more.begin(), {"vault", "restore", vault_.directory(), id, "--kit", At(kit), "--to",
                               At("target")});
    return Ember(more);
  }
  // A byte of every pack in which no parity can help: the vault is made without.
  void DamageTheLargestRecord() {
    std::filesystem::path largest;
    for (const auto& file :
         std::filesystem::recursive_directory_iterator(vault_.directory() + "/packs")) {
      if (file.is_regular_file() &&
          (largest.empty() || file.file_size() > std::filesystem::file_size(largest)))
        largest = file.path();
    }
    std::fstream pack(largest, std::ios::in | std::ios::out | std::ios::binary);
    pack.seekp(static_cast<std::streamoff>(std::filesystem::file_size(largest) / 2));
    pack.put('\x5a').put('\xa5').put('\x5a');
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(directory_.path()))
      names.push_back(file.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  const X25519KeyPair recovery_ = NewX25519KeyPair();
  const X25519KeyPair domain_ = NewX25519KeyPair();
  v1::DomainKeys keys_;
  testing::ServedVault vault_{/*parity=*/false};
};

TEST_F(OfflineVerbs, ANastyTreeComesBackFromTheDirectoryAndTheKitAlone) {
  ASSERT_OK(testing::MakeNastyTree(At("tree")));
  BackUp();
  Bury();
  EXPECT_EQ(Restore(), 0) << err_;
  EXPECT_THAT(testing::CompareTrees(At("tree"), At("target")), IsEmpty());
  EXPECT_THAT(out_, HasSubstr("every checksum matched"));
  EXPECT_EQ(dialled_, "") << "nobody is asked";
  EXPECT_FALSE(std::filesystem::exists(vault_.directory() + "/LOCK"));
  EXPECT_FALSE(std::filesystem::exists(vault_.directory() + "/index"));
}

TEST_F(OfflineVerbs, LsTellsWhatIsThere) {
  Make("tree/a", "one");
  Make("tree/b", "three");
  BackUp();
  BackUp("web/20260102-000000");
  Bury();
  EXPECT_EQ(Ls(), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(kBackup));
  EXPECT_THAT(out_, HasSubstr("nightly"));
  EXPECT_THAT(out_, HasSubstr("2 backups"));
  EXPECT_EQ(Ls({"--json"}), 0);
  const auto item = Json()["items"][0];
  EXPECT_EQ(item["id"], kBackup);
  EXPECT_EQ(item["outcome"], "OK");
  EXPECT_EQ(item["files"], 2);
  EXPECT_EQ(item["size_bytes"], 8);
  EXPECT_EQ(item["node"], "host1");
  EXPECT_FALSE(item["created"].is_null());
}

TEST_F(OfflineVerbs, ABackupIsNamedByPrefixAndAsLatest) {
  Make("tree/a", "one");
  BackUp();
  Make("tree/a", "two");
  BackUp("web/20260102-000000");
  Bury();
  EXPECT_EQ(Restore({"--json"}, "web@latest"), 0) << err_;
  EXPECT_EQ(Json()["files"], 1);
  EXPECT_EQ(Content("target/a"), "two");
  EXPECT_EQ(Restore({"--yes"}, "web/20260101"), 0) << err_;
  EXPECT_EQ(Content("target/a"), "one");
  EXPECT_EQ(Restore({"--yes"}, "web/2026"), 2);
  EXPECT_THAT(err_, HasSubstr("is not unique"));
  EXPECT_EQ(Restore({}, "web/2027"), 5);
  EXPECT_THAT(err_, HasSubstr("next: ember vault ls "));
  EXPECT_EQ(Restore({}, "db@latest"), 5);
}

TEST_F(OfflineVerbs, AWrongKitIsExitTwoAndNamesBothEstates) {
  Make("tree/a", "one");
  BackUp();
  Bury();
  WriteKit("foreign.txt", NewX25519KeyPair(), "cottage");
  for (const int code : {Ls({}, "foreign.txt"), Restore({}, kBackup, "foreign.txt")}) {
    EXPECT_EQ(code, 2);
    EXPECT_EQ(err_,
              "error: the recovery kit does not open domain 'node-host1'\n"
              "  why: the kit is of estate cottage, the backups are of estate home\n"
              " next: give the recovery kit of the estate that made the backups\n");
    EXPECT_EQ(out_, "");
  }
  Make("no-kit.txt", "milk, eggs\n");
  EXPECT_EQ(Ls({}, "no-kit.txt"), 2);
  EXPECT_THAT(err_, HasSubstr("no line `recovery-key"));
  EXPECT_EQ(Ls({}, "none.txt"), 5);
  EXPECT_EQ(Ls({"--json"}, "foreign.txt"), 2);
  EXPECT_EQ(Json()["error"]["code"], "INVALID_ARGUMENT");
  EXPECT_FALSE(std::filesystem::exists(At("target")));
}

TEST_F(OfflineVerbs, ADirectoryThatIsNoVaultIsSaidSo) {
  EXPECT_EQ(Ember({"vault", "ls", At("nowhere"), "--kit", At("kit.txt")}), 5);
  EXPECT_EQ(Ember({"vault", "ls", At("identity"), "--kit", At("kit.txt")}), 5);
  EXPECT_THAT(err_, HasSubstr("no vault"));
  EXPECT_EQ(Ember({"vault", "ls", At("identity")}), 2) << "without a kit";
  EXPECT_EQ(Ember({"vault", "restore", vault_.directory(), kBackup, "--kit", At("kit.txt")}), 2)
      << "without a target";
}

TEST_F(OfflineVerbs, ATargetThatHoldsSomethingIsRefusedAndKeptWithYes) {
  Make("tree/a", "one");
  BackUp();
  Bury();
  Make("target/mine", "do not lose me");
  EXPECT_EQ(Restore(), 4);
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_EQ(Content("target/mine"), "do not lose me");
  EXPECT_FALSE(std::filesystem::exists(At("target/a")));
  EXPECT_EQ(Restore({"--yes", "--json"}), 0) << err_;
  EXPECT_EQ(Content("target/a"), "one");
  EXPECT_FALSE(std::filesystem::exists(At("target/mine")));
  const std::string copy = Json()["safety_copies"][0];
  EXPECT_EQ(*ReadFile(copy + "/mine"), "do not lose me");
  std::filesystem::remove_all(copy);
}

TEST_F(OfflineVerbs, OnePathIsRestored) {
  Make("tree/a/x", "one");
  Make("tree/b/y", "two");
  BackUp();
  Bury();
  EXPECT_EQ(Restore({"--path", At("tree/b")}), 0) << err_;
  EXPECT_EQ(Content("target/b/y"), "two");
  EXPECT_FALSE(std::filesystem::exists(At("target/a")));
  EXPECT_EQ(Restore({"--yes", "--path", "/elsewhere"}), 5);
  EXPECT_THAT(err_, HasSubstr("/elsewhere is not in this backup"));
}

TEST_F(OfflineVerbs, DamageIsNamedWithItsFileAndLeavesNothingUnlessHolesAreWanted) {
  std::string content;
  std::mt19937 random(1);  // does not compress
  for (int i = 0; i < 200000; ++i) content.push_back(static_cast<char>(random()));
  Make("tree/big", content);
  Make("tree/small", "small");
  BackUp();
  Bury();
  DamageTheLargestRecord();
  const std::vector<std::string> before = Names();
  EXPECT_EQ(Restore(), 7);
  EXPECT_THAT(err_, HasSubstr(kBackup));
  EXPECT_THAT(err_, HasSubstr("'web'"));
  EXPECT_THAT(err_, HasSubstr(At("tree/big")));
  EXPECT_THAT(err_, HasSubstr("--anyway"));
  EXPECT_EQ(Names(), before) << "nothing is left behind";
  EXPECT_EQ(Restore({"--anyway"}), 3);
  EXPECT_THAT(out_, Not(HasSubstr("every checksum matched")));
  EXPECT_THAT(err_, HasSubstr("holes, not restored in full: 1 path"));
  EXPECT_EQ(Content("target/small"), "small");
  EXPECT_EQ(Content("target/big").size(), content.size());
}

TEST_F(OfflineVerbs, ADamagedBackupIsListedAsSuchAndTheOthersRestore) {
  Make("tree/a", "one");
  BackUp();
  BackUp("web/20260102-000000");
  Bury();
  const std::string snaps = vault_.directory() + "/snaps/node-host1";
  std::vector<std::filesystem::path> records;
  for (const auto& file : std::filesystem::directory_iterator(snaps))
    records.push_back(file.path());
  std::sort(records.begin(), records.end());
  std::filesystem::resize_file(records[0], 70);
  EXPECT_EQ(Ls(), 7);
  EXPECT_THAT(out_, HasSubstr("1 backup"));
  EXPECT_THAT(err_, HasSubstr("snaps/node-host1"));
  EXPECT_EQ(Restore(), 7);
  EXPECT_THAT(err_, HasSubstr(kBackup));
  EXPECT_EQ(Restore({}, "web@latest"), 0) << err_;
}

TEST_F(OfflineVerbs, WithoutTheBoxesOfItsDomainAVaultStaysShut) {
  Make("tree/a", "one");
  BackUp();
  Bury();
  const std::string keys = vault_.directory() + "/keys/node-host1";
  std::filesystem::resize_file(keys, std::filesystem::file_size(keys) - 1);
  EXPECT_EQ(Restore(), 7);
  EXPECT_THAT(err_, HasSubstr("keys/node-host1 is damaged"));
  std::filesystem::remove(keys);
  EXPECT_EQ(Restore(), 7);
  EXPECT_THAT(err_, HasSubstr("keys/node-host1"));
  EXPECT_THAT(err_, HasSubstr("restore through the EM"));
  EXPECT_EQ(Ls(), 7);
}

TEST_F(OfflineVerbs, CtrlCLeavesNothingBehind) {
  Make("tree/a", "one");
  BackUp();
  Bury();
  const std::vector<std::string> before = Names();
  interrupt_.pressed.Notify();
  EXPECT_EQ(Restore(), 1);
  EXPECT_TRUE(interrupt_.armed);
  EXPECT_THAT(err_, HasSubstr("cancelled the restore"));
  EXPECT_EQ(Names(), before);
}

}  // namespace
}  // namespace ember::cli
