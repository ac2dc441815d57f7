// A source that is backed up into a vault in memory, the whole way, and restored from there.
#ifndef EMBER_TESTS_UNIT_SOURCE_VAULT_RIG_H_
#define EMBER_TESTS_UNIT_SOURCE_VAULT_RIG_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/crypto/keybox.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_vault.h"
#include "tests/unit/source/source_rig.h"

namespace ember::testing {

// Notes which paths go which way.
class WatchedWriter : public backup::BackupWriter {
 public:
  explicit WatchedWriter(backup::BackupWriter* writer) : writer_(writer) {}

  absl::StatusOr<bool> AddUnchanged(const format::v1::Entry& seen,
                                    const backup::SourceStamp& stamp) override {
    EMBER_ASSIGN_OR_RETURN(const bool unchanged, writer_->AddUnchanged(seen, stamp));
    if (unchanged) unchanged_.push_back(seen.path());
    return unchanged;
  }
  absl::Status Add(
      format::v1::Entry entry, const backup::SourceStamp& stamp,
      const std::function<absl::StatusOr<std::unique_ptr<backup::FileContent>>()>& open) override {
    return writer_->Add(entry, stamp, [this, &open, path = entry.path()] {
      opened_.push_back(path);
      return open();
    });
  }
  void AddProblem(absl::string_view path, absl::string_view problem) override {
    writer_->AddProblem(path, problem);
  }
  absl::StatusOr<v1::BackupResult> Commit() override { return writer_->Commit(); }

  const std::vector<std::string>& unchanged() const { return unchanged_; }
  const std::vector<std::string>& opened() const { return opened_; }

 private:
  backup::BackupWriter* const writer_;
  std::vector<std::string> unchanged_;
  std::vector<std::string> opened_;
};

class VaultRig : public SourceRig {
 protected:
  absl::StatusOr<v1::BackupResult> BackUpToVault(agent::Source* source, const std::string& id) {
    backup::BackupOptions options;
    options.backup_id = id;
    options.workload = "web";
    options.node = "node";
    options.epoch = 1;
    options.domain.set_id("domain");
    options.domain.set_id_key(id_key_);
    options.domain.set_cut_key(std::string(32, 'c'));
    options.domain.set_public_key(pair_.public_key);
    options.roots = source->Roots();
    options.cache_path = At("cache");
    options.clock = &clock_;
    EMBER_ASSIGN_OR_RETURN(const auto writer, backup::BackupWriter::Open(options, &vault_));
    WatchedWriter watched(writer.get());
    EMBER_RETURN_IF_ERROR(source->Read(&watched));
    unchanged_ = watched.unchanged();
    opened_ = watched.opened();
    return writer->Commit();
  }

  absl::StatusOr<v1::RestoreResult> RestoreFromVault(agent::Source* source, const std::string& id,
                                                     agent::RestorePlan plan) {
    const auto keys =
        [this](const std::string&,
               const std::vector<v1::Keybox>& boxes) -> absl::StatusOr<backup::RestoreKeys> {
      backup::RestoreKeys keys{.id_key = id_key_};
      for (const v1::Keybox& box : boxes) {
        EMBER_ASSIGN_OR_RETURN(
            keys.session_keys[box.session_id()],
            OpenWithPrivateKey(pair_.private_key, box.session_id(), box.sealed()));
      }
      return keys;
    };
    EMBER_ASSIGN_OR_RETURN(const auto reader, backup::RestoreReader::Open(&vault_, id, keys));
    plan.order_id = "plan/web/restore/1";
    plan.now = clock_.Now();
    return source->Restore(reader.get(), plan);
  }

  const X25519KeyPair pair_ = NewX25519KeyPair();
  const std::string id_key_ = std::string(32, 'i');
  FakeClock clock_;
  MemoryVault vault_;
  // Of the last backup.
  std::vector<std::string> unchanged_;  // taken as they were, without a look inside
  std::vector<std::string> opened_;     // their content was read
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_SOURCE_VAULT_RIG_H_
