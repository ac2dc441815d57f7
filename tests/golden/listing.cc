#include "tests/golden/listing.h"

#include <filesystem>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"

namespace ember::testing {
namespace {

using format::v1::Entry;
using format::v1::EntryType;
using Listing = std::map<std::string, ListedEntry>;

std::string Shown(absl::string_view bytes) {
  return absl::StrReplaceAll(absl::CEscape(bytes), {{" ", "\\x20"}});
}

class ListingTarget : public backup::RestoreTarget {
 public:
  explicit ListingTarget(Listing* listing) : listing_(listing) {}

  absl::StatusOr<bool> Begin(const Entry& entry) override {
    content_.assign(static_cast<size_t>(entry.size()), '\0');
    return true;
  }
  absl::Status Write(int64_t offset, absl::string_view bytes) override {
    if (static_cast<size_t>(offset) + bytes.size() > content_.size())
      return absl::InternalError("bytes beyond the end of a file");
    content_.replace(static_cast<size_t>(offset), bytes.size(), bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  absl::Status End(const Entry& entry, const absl::Status& content) override {
    EMBER_RETURN_IF_ERROR(content);
    ListedEntry& listed = (*listing_)[entry.path()];
    listed.entry = entry;
    if (entry.type() == EntryType::FILE && entry.hardlink_to().empty())
      listed.content_sha256 = Sha256Hex(content_);
    return absl::OkStatus();
  }

 private:
  Listing* const listing_;
  std::string content_;
};

std::string LineOf(const ListedEntry& listed) {
  const Entry& entry = listed.entry;
  std::string line =
      absl::StrFormat("%s %s %04o %d:%d %d.%09d %d", Shown(entry.path()),
                      EntryType::Value_Name(entry.type()), entry.mode(), entry.uid(), entry.gid(),
                      entry.mtime_seconds(), entry.mtime_nanos(), entry.size());
  if (!listed.content_sha256.empty()) absl::StrAppend(&line, " sha256=", listed.content_sha256);
  if (!entry.symlink().empty()) absl::StrAppend(&line, " symlink=", Shown(entry.symlink()));
  if (!entry.hardlink_to().empty()) absl::StrAppend(&line, " link=", Shown(entry.hardlink_to()));
  for (const format::v1::Xattr& xattr : entry.xattrs())
    absl::StrAppend(&line, " ", Shown(xattr.name()), "=", Shown(xattr.value()));
  return line;
}

std::string DifferenceOnDisk(const Listing& listing, const Entry& entry, const std::string& path) {
  std::error_code error;
  if (entry.type() == EntryType::SYMLINK) {
    return std::filesystem::read_symlink(path, error).string() == entry.symlink()
               ? ""
               : "another symbolic link";
  }
  if (entry.type() == EntryType::DIRECTORY)
    return std::filesystem::is_directory(path, error) ? "" : "not a directory";
  if (entry.type() != EntryType::FILE)
    return std::filesystem::exists(std::filesystem::symlink_status(path, error)) ? "" : "missing";
  const auto content = ReadFile(path);
  if (!content.ok()) return content.status().ToString();
  const std::string& first = entry.hardlink_to().empty() ? entry.path() : entry.hardlink_to();
  return Sha256Hex(*content) == listing.at(first).content_sha256 ? "" : "other content";
}

}  // namespace

absl::StatusOr<Listing> ReadListing(backup::RestoreReader& reader) {
  Listing listing;
  ListingTarget target(&listing);
  EMBER_RETURN_IF_ERROR(reader.Restore({}, &target, nullptr));
  return listing;
}

std::vector<std::string> LinesOf(const Listing& listing) {
  std::vector<std::string> lines;
  for (const auto& [path, listed] : listing) lines.push_back(LineOf(listed));
  return lines;
}

std::vector<std::string> DifferencesOnDisk(const Listing& listing, const std::string& root,
                                           const std::string& directory) {
  std::vector<std::string> differences;
  for (const auto& [path, listed] : listing) {
    const std::string difference =
        DifferenceOnDisk(listing, listed.entry, absl::StrCat(directory, path.substr(root.size())));
    if (!difference.empty()) differences.push_back(absl::StrCat(Shown(path), ": ", difference));
  }
  return differences;
}

}  // namespace ember::testing
