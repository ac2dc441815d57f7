#include "tests/crash/disk_model.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"

namespace ember::testing {
namespace {

namespace fs = std::filesystem;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

absl::Status WriteFile(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  return file ? absl::OkStatus() : absl::InternalError("cannot write " + path);
}

}  // namespace

std::string DiskImage::Digest() const {
  Sha256Stream digest;
  for (const std::string& directory : directories) digest.Update(absl::StrCat(directory, "\n"));
  for (const auto& [path, content] : files) {
    digest.Update(absl::StrCat(path, "\n", content.size(), "\n"));
    digest.Update(content);
  }
  return digest.Finish();
}

absl::Status DiskImage::WriteTo(const std::string& root) const {
  EMBER_RETURN_IF_ERROR(MakeDirectories(root));
  for (const std::string& directory : directories) {
    EMBER_RETURN_IF_ERROR(MakeDirectories(JoinPath(root, directory)));
  }
  for (const auto& [path, content] : files) {
    EMBER_RETURN_IF_ERROR(WriteFile(JoinPath(root, path), content));
  }
  return absl::OkStatus();
}

void DiskModel::Change::ApplyTo(std::string& content) const {
  if (is_resize) {
    content.resize(offset, '\0');
    return;
  }
  if (content.size() < offset + data.size()) content.resize(offset + data.size(), '\0');
  content.replace(offset, data.size(), data);
}

DiskModel DiskModel::Of(const std::string& root) {
  DiskModel model;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string path = fs::relative(entry.path(), root).string();
    if (entry.is_directory()) model.cached_[path] = kDirectory;
    if (!entry.is_regular_file() || entry.path().filename().string().rfind("LOG", 0) == 0) continue;
    model.cached_[path] = 0;
  }
  int last = 0;
  for (auto& [path, number] : model.cached_) {
    if (number == kDirectory) continue;
    number = ++last;
    std::ifstream file(JoinPath(root, path), std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    model.files_[number] = {.durable = content.str(), .cached = content.str(), .pending = {}};
  }
  model.durable_ = model.cached_;
  return model;
}

void DiskModel::ApplyName(const FileOp& op, Names& names) {
  switch (op.kind) {
    case FileOp::kCreate: names[op.path] = op.file; break;
    case FileOp::kMakeDirectory: names[op.path] = kDirectory; break;
    case FileOp::kLink: names[op.to] = op.file; break;
    case FileOp::kRename: names[op.to] = op.file; [[fallthrough]];
    case FileOp::kUnlink: {
      // When operations reach the disk out of order the name may belong to another file by now.
      const auto old = names.find(op.path);
      if (old != names.end() && old->second == op.file) names.erase(old);
      break;
    }
    case FileOp::kRemoveDirectory: names.erase(op.path); break;
    case FileOp::kWrite:
    case FileOp::kResize:
    case FileOp::kSyncFile:
    case FileOp::kSyncDirectory: break;
  }
}

void DiskModel::Apply(const FileOp& op) {
  switch (op.kind) {
    case FileOp::kWrite:
    case FileOp::kResize: {
      File& file = files_[op.file];
      file.pending.push_back(
          {.is_resize = op.kind == FileOp::kResize, .offset = op.offset, .data = op.data});
      file.pending.back().ApplyTo(file.cached);
      return;
    }
    case FileOp::kSyncFile: {
      File& file = files_[op.file];
      // After a failed sync the kernel takes the pages for clean: a later sync says OK and writes
      // nothing of them (Rebello et al., USENIX ATC 2020).
      if (!op.failed) {
        for (const Change& change : file.pending) change.ApplyTo(file.durable);
      }
      file.pending.clear();
      return;
    }
    case FileOp::kSyncDirectory: {
      const auto synced = [&op](const FileOp& name) {
        return ParentOf(name.path) == op.path || (!name.to.empty() && ParentOf(name.to) == op.path);
      };
      for (const FileOp& name : pending_) {
        if (synced(name)) ApplyName(name, durable_);
      }
      pending_.erase(std::remove_if(pending_.begin(), pending_.end(), synced), pending_.end());
      return;
    }
    default:
      if (op.kind == FileOp::kCreate) files_.try_emplace(op.file);
      ApplyName(op, cached_);
      pending_.push_back(op);
  }
}

template <typename Content>
DiskImage DiskModel::Image(const Names& names, const Content& content) const {
  DiskImage image;
  std::map<std::string, bool> reachable = {{"", true}};
  for (const auto& [path, number] : names) {  // parents sort before what is in them
    const auto parent = reachable.find(ParentOf(path));
    if (parent == reachable.end()) continue;
    if (number == kDirectory) {
      reachable[path] = true;
      image.directories.push_back(path);
    } else {
      image.files[path] = content(files_.at(number));
    }
  }
  return image;
}

DiskImage DiskModel::Everything() const {
  return Image(cached_, [](const File& file) { return file.cached; });
}

DiskImage DiskModel::DurableOnly() const {
  return Image(durable_, [](const File& file) { return file.durable; });
}

DiskImage DiskModel::Torn(const FileOp& last) const {
  DiskImage image = Everything();
  const File& file = files_.at(last.file);
  if (last.kind != FileOp::kWrite || file.pending.empty()) return image;
  std::string torn = file.durable;
  for (size_t i = 0; i + 1 < file.pending.size(); ++i) file.pending[i].ApplyTo(torn);
  Change half = file.pending.back();
  half.data.resize(half.data.size() / 2);
  half.ApplyTo(torn);
  for (auto& [path, number] : cached_) {
    if (number == last.file && image.files.contains(path)) image.files[path] = torn;
  }
  return image;
}

std::string DiskModel::SampleContent(const File& file, std::mt19937& random) {
  std::string content = file.durable;
  switch (random() % 5) {
    case 0: return content;
    case 1: return file.cached;
    case 2:  // the new size came through, the new bytes did not
      content.resize(file.cached.size(), '\0');
      return content;
    default:  // some of the writes, the last of them perhaps torn
      for (const Change& change : file.pending) {
        if (random() % 3 == 0) continue;
        Change applied = change;
        if (!applied.is_resize && random() % 4 == 0)
          applied.data.resize(random() % (applied.data.size() + 1));
        applied.ApplyTo(content);
      }
      return content;
  }
}

DiskImage DiskModel::Sample(std::mt19937& random) const {
  Names names = durable_;
  const unsigned keep = 1 + random() % 3;  // of four
  // Half of the samples lose the newest names only, as journalling file systems do.
  const bool in_order = random() % 2 == 0;
  const size_t end = pending_.empty() ? 0 : random() % (pending_.size() + 1);
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (in_order ? i < end : random() % 4 < keep) ApplyName(pending_[i], names);
  }
  return Image(names, [&random](const File& file) {
    return file.pending.empty() ? file.durable : SampleContent(file, random);
  });
}

bool DiskModel::HasVolatile() const {
  return !pending_.empty() || std::any_of(files_.begin(), files_.end(), [](const auto& row) {
    return !row.second.pending.empty();
  });
}

}  // namespace ember::testing
