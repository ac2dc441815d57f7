#include "tests/unit/backup/fake_tree.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/backup/entry_path.h"
#include "common/base/status.h"

namespace ember::testing {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

class Content : public backup::FileContent {
 public:
  explicit Content(FakeFile* file) : file_(file) { ++file_->opened; }

  absl::StatusOr<Piece> Next(absl::Span<char> buffer) override {
    if (file_->on_read) file_->on_read();
    const auto at = std::prev(file_->data.upper_bound(position_), file_->data.empty() ? 0 : 1);
    auto run = file_->data.empty() ? file_->data.end() : at;
    if (run != file_->data.end() &&
        run->first + static_cast<int64_t>(run->second.size()) <= position_)
      ++run;
    if (run == file_->data.end())
      return file_->read_error.ok() ? absl::StatusOr<Piece>(Piece{}) : file_->read_error;
    const int64_t offset = std::max(position_, run->first);
    const size_t skip = static_cast<size_t>(offset - run->first);
    const size_t size = std::min({buffer.size(), run->second.size() - skip, file_->piece_max});
    std::memcpy(buffer.data(), run->second.data() + skip, size);
    position_ = offset + static_cast<int64_t>(size);
    return Piece{offset, size};
  }

  absl::StatusOr<bool> Settled(Entry* entry, backup::SourceStamp*) override {
    ++file_->read;
    if (file_->read > file_->unsettled) return true;
    entry->set_mtime_nanos(static_cast<uint32_t>(file_->read));
    position_ = 0;
    return false;
  }

 private:
  FakeFile* const file_;
  int64_t position_ = 0;
};

}  // namespace

std::string Noise(uint64_t seed, size_t bytes) {
  std::mt19937_64 random(seed);
  std::string noise(bytes, '\0');
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(noise.data() + i, &word, std::min<size_t>(8, bytes - i));
  }
  return noise;
}

FakeFile& FakeTree::AddSparse(const std::string& path, int64_t size,
                              std::map<int64_t, std::string> data) {
  FakeFile& file = files_[path];
  file.entry.set_path(path);
  file.entry.set_type(EntryType::FILE);
  file.entry.set_mode(0644);
  file.entry.set_size(size);
  file.data = std::move(data);
  file.version = ++versions_;
  return file;
}
FakeFile& FakeTree::Add(const std::string& path, const std::string& content) {
  std::map<int64_t, std::string> data;
  if (!content.empty()) data[0] = content;
  return AddSparse(path, static_cast<int64_t>(content.size()), std::move(data));
}
void FakeTree::AddDirectory(const std::string& path) {
  files_[path].entry.set_path(path);
  files_[path].entry.set_type(EntryType::DIRECTORY);
}
void FakeTree::AddLink(const std::string& path, const std::string& first) {
  Entry& entry = files_[path].entry;
  entry = files_.at(first).entry;
  entry.set_path(path);
  entry.set_hardlink_to(first);
}
void FakeTree::Change(const std::string& path, const std::string& content) { Add(path, content); }

// As a walk does: what has one name and is no directory is shown before it is opened.
absl::Status FakeTree::Walk(backup::BackupWriter* writer) {
  for (auto& [path, file] : files_) {
    backup::SourceStamp stamp;
    stamp.file_system = file.file_system;
    stamp.inode = static_cast<uint64_t>(file.version);
    stamp.size = file.entry.size();
    stamp.mtime_seconds = file.mtime_seconds;
    stamp.ctime_seconds = file.mtime_seconds;
    stamp.covers_metadata = file.covers_metadata;
    file.read = 0;
    if (file.entry.type() != EntryType::DIRECTORY && file.entry.hardlink_to().empty()) {
      Entry seen = file.entry;
      seen.clear_xattrs();
      seen.clear_symlink();
      seen.clear_inode_flags();
      EMBER_ASSIGN_OR_RETURN(const bool unchanged, writer->AddUnchanged(seen, stamp));
      if (unchanged) continue;
    }
    ++file.described;
    EMBER_RETURN_IF_ERROR(
        writer->Add(file.entry, stamp,
                    [file = &file]() -> absl::StatusOr<std::unique_ptr<backup::FileContent>> {
                      EMBER_RETURN_IF_ERROR(file->open_error);
                      return std::make_unique<Content>(file);
                    }));
  }
  return absl::OkStatus();
}
int FakeTree::opened() const {
  int opened = 0;
  for (const auto& [path, file] : files_) opened += file.opened;
  return opened;
}
int FakeTree::described() const {
  int described = 0;
  for (const auto& [path, file] : files_) described += file.described;
  return described;
}
void FakeTree::ForgetOpened() {
  for (auto& [path, file] : files_) file.opened = file.described = 0;
}
int64_t FakeTree::bytes() const {
  int64_t bytes = 0;
  for (const auto& [path, file] : files_)
    bytes += file.entry.hardlink_to().empty() ? file.entry.size() : 0;
  return bytes;
}

absl::StatusOr<bool> FakeTarget::Begin(const Entry& entry) {
  if (open_) order_error = "an object begins within another";
  if (!files.empty() && !backup::PathLess(files.rbegin()->first, entry.path()))
    order_error = "not in path order";
  current_ = entry.path();
  open_ = true;
  files[current_].entry = entry;
  return !takes || takes(current_);
}
absl::Status FakeTarget::Write(int64_t offset, absl::string_view bytes) {
  if (!write_error.ok()) return write_error;
  auto& data = files[current_].data;
  if (!data.empty()) {
    auto& [last_offset, last] = *data.rbegin();
    const int64_t end = last_offset + static_cast<int64_t>(last.size());
    if (offset < end) order_error = "bytes are not ascending";
    if (offset == end) {
      last.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    }
  }
  data[offset] = std::string(bytes);
  return absl::OkStatus();
}
absl::Status FakeTarget::End(const Entry& entry, const absl::Status& content) {
  if (!open_ || entry.path() != current_) order_error = "another object ends";
  open_ = false;
  files[current_].content = content;
  files[current_].ended = true;
  return absl::OkStatus();
}

BackupBench::BackupBench() : pair_(NewX25519KeyPair()) {
  domain.set_id("node-host1");
  domain.set_id_key(std::string(32, 'i'));
  domain.set_cut_key(std::string(32, 'c'));
  domain.set_public_key(pair_.public_key);
}

backup::BackupOptions BackupBench::Options(const std::string& backup_id) {
  backup::BackupOptions options;
  options.backup_id = backup_id;
  options.workload = "web";
  options.node = "nas1";
  options.reason = "schedule";
  options.domain = domain;
  options.roots = {"srv"};
  options.cache_path = directory.Join("web.cache");
  options.clock = &clock;
  return options;
}

backup::KeySource BackupBench::Keys() const {
  return [this](const std::string&,
                const std::vector<v1::Keybox>& boxes) -> absl::StatusOr<backup::RestoreKeys> {
    backup::RestoreKeys keys;
    keys.id_key = domain.id_key();
    for (const v1::Keybox& box : boxes) {
      EMBER_ASSIGN_OR_RETURN(keys.session_keys[box.session_id()],
                             OpenWithPrivateKey(pair_.private_key, box.session_id(), box.sealed()));
    }
    return keys;
  };
}

absl::StatusOr<v1::BackupResult> BackupBench::Backup(FakeTree& tree, backup::VaultPort* vault,
                                                     backup::BackupOptions options) {
  EMBER_ASSIGN_OR_RETURN(const auto writer, backup::BackupWriter::Open(std::move(options), vault));
  EMBER_RETURN_IF_ERROR(tree.Walk(writer.get()));
  return writer->Commit();
}

std::string Difference(FakeTree& tree, const FakeTarget& restored) {
  if (!restored.order_error.empty()) return restored.order_error;
  if (tree.files().size() != restored.files.size()) {
    return absl::StrCat(tree.files().size(), " entries became ", restored.files.size());
  }
  for (const auto& [path, file] : tree.files()) {
    const auto at = restored.files.find(path);
    if (at == restored.files.end()) return absl::StrCat(path, " is missing");
    const Restored& got = at->second;
    if (got.entry.SerializeAsString() != file.entry.SerializeAsString())
      return absl::StrCat(path, ": other metadata");
    if (!got.content.ok() || !got.ended) return absl::StrCat(path, ": ", got.content.ToString());
    // Pieces that touch are one run on both sides.
    std::map<int64_t, std::string> expected;
    for (const auto& [offset, bytes] : file.data) {
      if (!expected.empty() &&
          expected.rbegin()->first + static_cast<int64_t>(expected.rbegin()->second.size()) ==
              offset) {
        expected.rbegin()->second += bytes;
      } else {
        expected[offset] = bytes;
      }
    }
    if (file.entry.hardlink_to().empty() && got.data != expected)
      return absl::StrCat(path, ": other bytes");
  }
  return "";
}

}  // namespace ember::testing
