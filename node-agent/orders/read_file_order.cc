#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backup/restore_reader.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/files/entry_path.h"
#include "common/rpc/reader_key.h"
#include "node-agent/orders/data_plane.h"

namespace ember::agent {
namespace {

using format::v1::Entry;
using format::v1::EntryType;

absl::Status NotAFile(const std::string& shown, const Entry& entry) {
  if (entry.type() == EntryType::SYMLINK) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat(shown, " is a symbolic link to ", entry.symlink())),
        "name the file that it points to");
  }
  return WithHint(
      absl::InvalidArgumentError(absl::StrCat(shown, entry.type() == EntryType::DIRECTORY
                                                         ? " is a directory"
                                                         : " is a device, a pipe or a socket")),
      "ember backup files lists what is in a backup");
}

// Takes the bytes in [from, from + kFilePartBytesMax) of one file.
class PartTarget : public backup::RestoreTarget {
 public:
  PartTarget(std::string path, int64_t from) : path_(std::move(path)), from_(from) {}

  absl::StatusOr<bool> Begin(const Entry& entry) override {
    // Of a directory also what is below comes.
    if (entry.path() != path_) return false;
    if (entry.type() != EntryType::FILE) return NotAFile(files::Shown(path_), entry);
    found_ = true;
    size_ = entry.size();
    bytes_.assign(std::clamp<int64_t>(size_ - from_, 0, kFilePartBytesMax), '\0');
    return true;
  }

  absl::Status Write(int64_t offset, absl::string_view bytes) override {
    const int64_t begin = std::max(offset, from_);
    const int64_t end = std::min<int64_t>(offset + static_cast<int64_t>(bytes.size()),
                                          from_ + static_cast<int64_t>(bytes_.size()));
    if (begin < end) {
      const absl::string_view wanted = bytes.substr(begin - offset, end - begin);
      bytes_.replace(begin - from_, wanted.size(), wanted.data(), wanted.size());
    }
    return absl::OkStatus();
  }

  absl::Status End(const Entry&, const absl::Status&) override { return absl::OkStatus(); }

  bool found() const { return found_; }
  int64_t size() const { return size_; }
  const std::string& bytes() const { return bytes_; }

 private:
  const std::string path_;
  const int64_t from_;
  bool found_ = false;
  int64_t size_ = 0;
  std::string bytes_;  // holes are zeros
};

}  // namespace

absl::StatusOr<v1::FilePart> RunReadFile(const v1::Order& order, const DataPlane& plane,
                                         const OrderContext& context) {
  const v1::ReadFileOrder& read = order.read_file();
  EMBER_ASSIGN_OR_RETURN(const std::string path, files::EntryPath(read.path()));
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<backup::VaultPort> vault,
                         plane.open_vault(read.vault()));
  EMBER_ASSIGN_OR_RETURN(
      const std::unique_ptr<backup::RestoreReader> reader,
      backup::RestoreReader::Open(vault.get(), read.backup_id(), plane.keys(order.id())));
  backup::RestoreOptions options;
  options.cancelled = context.cancelled;
  options.paths = {path};
  options.from = read.offset();
  options.until = read.offset() + kFilePartBytesMax;
  PartTarget target(path, read.offset());
  EMBER_RETURN_IF_ERROR(reader->Restore(options, &target, nullptr));
  if (!target.found()) {
    return WithHint(absl::NotFoundError(absl::StrCat(files::Shown(path), " is not in this backup")),
                    absl::StrCat("ember backup files ", read.backup_id()));
  }
  v1::FilePart part;
  part.set_size(target.size());
  EMBER_ASSIGN_OR_RETURN(*part.mutable_sealed(),
                         rpc::SealForReader(read.reader_key(), read.backup_id(), read.path(),
                                            read.offset(), target.bytes()));
  return part;
}

}  // namespace ember::agent
