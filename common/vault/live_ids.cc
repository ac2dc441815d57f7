#include "common/vault/live_ids.h"

#include <algorithm>
#include <map>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"
#include "common/vault/ref_set.h"

namespace ember::vault {
namespace {

std::string PrefixBytes(absl::uint128 prefix) {
  std::string bytes(16, '\0');
  for (int i = 15; i >= 0; --i) {
    bytes[static_cast<size_t>(i)] = static_cast<char>(absl::Uint128Low64(prefix) & 0xff);
    prefix >>= 8;
  }
  return bytes;
}

}  // namespace

absl::uint128 PrefixOf(absl::string_view id) {
  uint64_t high = 0;
  uint64_t low = 0;
  for (size_t i = 0; i < 8; ++i) {
    high = high << 8 | static_cast<unsigned char>(id[i]);
    low = low << 8 | static_cast<unsigned char>(id[i + 8]);
  }
  return absl::MakeUint128(high, low);
}

absl::StatusOr<std::unique_ptr<LiveIds>> LiveIds::Open(ObjectStore& store, StoredBackups& backups,
                                                       const JobContext& context,
                                                       size_t bytes_max) {
  std::unique_ptr<LiveIds> live(new LiveIds(store, bytes_max));
  // Backups first: the ids of one that is committed meanwhile are then among the sets in any case.
  std::map<std::string, std::string> expected;  // tail to SHA-256
  for (const auto& [id, entry] : backups.All()) expected[entry.tail] = entry.refs_sha256;
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> tails, ListTails(store, kRefs));
  for (const auto& [tail, sha256] : expected) {
    if (std::binary_search(tails.begin(), tails.end(), tail)) continue;
    live->unknown_domains_.insert(PartsOfTail(tail).domain_id);
    live->problems_.push_back(absl::StrCat(BackupObject(kRefs, tail), ": it is missing"));
  }
  for (const std::string& tail : tails) {
    EMBER_RETURN_IF_ERROR(CheckCancelled(context));
    const auto known = expected.find(tail);
    const absl::Status added = live->Add(tail, known == expected.end() ? "" : known->second);
    if (added.ok()) continue;
    live->unknown_domains_.insert(PartsOfTail(tail).domain_id);
    live->problems_.push_back(std::string(added.message()));
    LogError("vault", "a reference set cannot be used: nothing of its domain is collected",
             {{"why", added.message()}});
  }
  return live;
}

absl::Status LiveIds::Add(const std::string& tail, const std::string& refs_sha256) {
  uint64_t bytes = 0;
  EMBER_RETURN_IF_ERROR(ReadRefSet(store_, tail, refs_sha256, [&bytes](absl::string_view joined) {
    bytes += joined.size();
    return absl::OkStatus();
  }));
  sets_.push_back({.object = BackupObject(kRefs, tail), .count = bytes / kRecordIdBytes});
  return absl::OkStatus();
}

std::optional<absl::uint128> LiveIds::PlanEnd() const {
  uint64_t left = 0;
  for (const RefSet& set : sets_) left += set.count - set.next;
  // Half full on average, so that chance does not fill it.
  const uint64_t wanted = std::max<uint64_t>(1, ids_max_ / 2);
  if (left <= wanted) return std::nullopt;
  const absl::uint128 width = (absl::Uint128Max() - from_) / left * wanted;
  if (width == 0 || absl::Uint128Max() - from_ <= width) return std::nullopt;
  return from_ + width;
}

absl::StatusOr<bool> LiveIds::Collect(RefSet& set, const std::optional<absl::uint128>& end) {
  constexpr uint64_t kIdsPerRead = kIdsReadBytes / kRecordIdBytes;
  while (set.next < set.count) {
    const uint64_t ids = std::min(kIdsPerRead, set.count - set.next);
    EMBER_ASSIGN_OR_RETURN(const std::string bytes,
                           store_.Read(set.object, kFrameHeaderBytes + set.next * kRecordIdBytes,
                                       ids * kRecordIdBytes));
    for (size_t at = 0; at < bytes.size(); at += kRecordIdBytes) {
      const absl::uint128 prefix = PrefixOf(absl::string_view(bytes).substr(at));
      if (end && prefix >= *end) return true;
      if (ids_.size() >= ids_max_) {
        SortIds();
        if (ids_.size() > ids_max_ / 2) return false;
      }
      ids_.push_back(prefix);
      ++set.next;
    }
  }
  return true;
}

absl::StatusOr<bool> LiveIds::CollectAll(const std::optional<absl::uint128>& end) {
  for (RefSet& set : sets_) {
    EMBER_ASSIGN_OR_RETURN(const bool fits, Collect(set, end));
    if (!fits) return false;
  }
  return true;
}

void LiveIds::SortIds() {
  if (!std::is_sorted(ids_.begin(), ids_.end())) std::sort(ids_.begin(), ids_.end());
  ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
}

absl::StatusOr<std::optional<LiveIds::Range>> LiveIds::Next() {
  if (done_) return std::nullopt;
  ids_.reserve(ids_max_);
  std::optional<absl::uint128> end = PlanEnd();
  std::vector<uint64_t> start;
  for (const RefSet& set : sets_) start.push_back(set.next);
  while (true) {
    ids_.clear();
    EMBER_ASSIGN_OR_RETURN(const bool fits, CollectAll(end));
    if (fits) break;
    // Too many: the ids found so far are sorted; the range ends in their middle, and starts again.
    end = ids_[ids_.size() / 2];
    for (size_t i = 0; i < sets_.size(); ++i) sets_[i].next = start[i];
  }
  SortIds();
  const Range range{.from = PrefixBytes(from_), .to = end ? PrefixBytes(*end) : ""};
  if (end) {
    from_ = *end;
  } else {
    done_ = true;
  }
  return range;
}

}  // namespace ember::vault
