#include "tests/support/memory_backup.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::testing {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

class Writer : public backup::BackupWriter {
 public:
  Writer(MemoryBackup* backup, std::function<void(const std::string&)> before_end)
      : backup_(backup), before_end_(std::move(before_end)) {}

  absl::StatusOr<bool> AddUnchanged(const Entry&, const backup::SourceStamp&) override {
    return false;
  }
  absl::Status Add(
      Entry entry, const backup::SourceStamp& given_stamp,
      const std::function<absl::StatusOr<std::unique_ptr<backup::FileContent>>()>& open) override {
    if (!backup_->entries.empty() &&
        !backup::PathLess(backup_->entries.back().entry.path(), entry.path())) {
      return absl::InternalError("out of order: " + entry.path());
    }
    MemoryEntry added{std::move(entry), {}};
    backup::SourceStamp stamp = given_stamp;
    if (added.entry.type() == EntryType::FILE && added.entry.hardlink_to().empty()) {
      auto content = open();
      const absl::Status status =
          content.ok() ? ReadAll(content->get(), &stamp, &added) : content.status();
      if (!status.ok()) {
        AddProblem(added.entry.path(), status.message());
        return absl::OkStatus();
      }
    }
    backup_->entries.push_back(std::move(added));
    return absl::OkStatus();
  }

  void AddProblem(absl::string_view path, absl::string_view problem) override {
    backup_->problems.emplace_back(std::string(path), std::string(problem));
  }

  absl::StatusOr<v1::BackupResult> Commit() override { return v1::BackupResult(); }

 private:
  absl::Status ReadAll(backup::FileContent* content, backup::SourceStamp* stamp,
                       MemoryEntry* added) {
    std::string buffer(100000, '\0');
    for (int attempt = 0; attempt < kUnstableReadsMax; ++attempt) {
      added->content.clear();
      while (true) {
        EMBER_ASSIGN_OR_RETURN(const auto piece,
                               content->Next(absl::MakeSpan(buffer.data(), buffer.size())));
        if (piece.size == 0) break;
        added->content.emplace_back(piece.offset, buffer.substr(0, piece.size));
      }
      if (before_end_) before_end_(added->entry.path());
      EMBER_ASSIGN_OR_RETURN(const bool settled, content->Settled(&added->entry, stamp));
      if (settled) return absl::OkStatus();
    }
    AddProblem(added->entry.path(), "changed while it was read");
    return absl::OkStatus();
  }

  MemoryBackup* const backup_;
  const std::function<void(const std::string&)> before_end_;
};

class Reader : public backup::RestoreReader {
 public:
  Reader(const MemoryBackup* backup, std::function<absl::Status(const std::string&)> before_entry)
      : backup_(backup), before_entry_(std::move(before_entry)) {
    for (const std::string& root : backup->roots) summary_.add_roots(root);
  }

  const format::v1::BackupSummary& summary() const override { return summary_; }

  absl::Status ForEachEntry(const backup::RestoreOptions& options,
                            const std::function<absl::Status(const Entry&)>& visit) override {
    for (const MemoryEntry& each : backup_->entries) {
      if (Wanted(options, each.entry.path())) EMBER_RETURN_IF_ERROR(visit(each.entry));
    }
    return absl::OkStatus();
  }

  absl::Status Restore(const backup::RestoreOptions& options, backup::RestoreTarget* target,
                       std::vector<v1::PathProblem>*) override {
    for (const MemoryEntry& each : backup_->entries) {
      if (!Wanted(options, each.entry.path())) continue;
      if (before_entry_) EMBER_RETURN_IF_ERROR(before_entry_(each.entry.path()));
      EMBER_ASSIGN_OR_RETURN(const bool takes, target->Begin(each.entry));
      for (const auto& [offset, bytes] : each.content) {
        if (takes) EMBER_RETURN_IF_ERROR(target->Write(offset, bytes));
      }
      EMBER_RETURN_IF_ERROR(target->End(each.entry, absl::OkStatus()));
    }
    return absl::OkStatus();
  }

  // It has no records.
  backup::RecordId manifest_root() const override { return {}; }
  std::vector<absl::StatusOr<backup::PlainRecord>> Fetch(
      const std::vector<backup::RecordId>& ids) override {
    return {ids.size(), absl::DataLossError("a record is not in the vault")};
  }

  absl::Status Verify(const backup::RestoreOptions&, v1::VerifyResult*) override {
    return absl::OkStatus();
  }

 private:
  static bool Wanted(const backup::RestoreOptions& options, const std::string& path) {
    return options.paths.empty() ||
           std::any_of(options.paths.begin(), options.paths.end(), [&](const std::string& wanted) {
             return wanted.empty() || path == wanted || absl::StartsWith(path, wanted + "/");
           });
  }

  const MemoryBackup* const backup_;
  const std::function<absl::Status(const std::string&)> before_entry_;
  format::v1::BackupSummary summary_;
};

}  // namespace

const MemoryEntry* MemoryBackup::Find(const std::string& path) const {
  for (const MemoryEntry& each : entries) {
    if (each.entry.path() == path) return &each;
  }
  return nullptr;
}

std::vector<std::string> MemoryBackup::Paths() const {
  std::vector<std::string> paths;
  for (const MemoryEntry& each : entries) paths.push_back(each.entry.path());
  return paths;
}

std::unique_ptr<backup::BackupWriter> WriteTo(MemoryBackup* backup,
                                              std::function<void(const std::string&)> before_end) {
  return std::make_unique<Writer>(backup, std::move(before_end));
}

std::unique_ptr<backup::RestoreReader> ReadFrom(
    const MemoryBackup* backup, std::function<absl::Status(const std::string&)> before_entry) {
  return std::make_unique<Reader>(backup, std::move(before_entry));
}

}  // namespace ember::testing
