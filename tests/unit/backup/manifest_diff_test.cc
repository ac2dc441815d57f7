#include "common/backup/manifest_diff.h"

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/backup/manifest.h"
#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::backup {
namespace {

using ember::testing::HasCode;
using format::v1::Entry;
using format::v1::EntryType;

const std::string kKey(32, 'k');

struct Before {
  bool operator()(const std::pair<std::string, uint32_t>& a,
                  const std::pair<std::string, uint32_t>& b) const {
    if (a.first != b.first) return PathLess(a.first, b.first);
    return a.second < b.second;
  }
};
// By path and part.
using Entries = std::map<std::pair<std::string, uint32_t>, Entry, Before>;

class ManifestDiff : public ::testing::Test {
 protected:
  static void Set(Entries* entries, const std::string& path, int64_t size, uint32_t parts = 1) {
    for (uint32_t part = 0; part < parts; ++part) {
      Entry entry;
      entry.set_path(path);
      entry.set_type(EntryType::FILE);
      if (part == 0) entry.set_size(size);
      if (part > 0) entry.set_part(part);
      if (part + 1 < parts) entry.set_more_parts(true);
      // Large enough for a leaf of its own.
      if (parts > 1)
        entry.set_symlink(std::string(kLeafBytesMax / 2, static_cast<char>('a' + part)));
      (*entries)[{path, part}] = entry;
    }
  }
  static void Remove(Entries* entries, const std::string& path) {
    std::erase_if(*entries, [&](const auto& each) { return each.first.first == path; });
  }

  ManifestSide Build(const Entries& entries) {
    ManifestBuilder builder(
        kKey, [this](RecordType::Value type, std::string bytes) -> absl::StatusOr<RecordId> {
          const RecordId id = MakeRecordId(HmacSha256Key(kKey), type, bytes);
          records_[id] = {type, std::move(bytes)};
          return id;
        });
    for (const auto& [key, entry] : entries) EXPECT_OK(builder.Add(entry, EncodeInLeaf(entry)));
    return {.root = *builder.Finish(), .fetch = [this](const std::vector<RecordId>& ids) {
              std::vector<absl::StatusOr<PlainRecord>> found;
              for (const RecordId& id : ids) {
                ++fetched_;
                const auto at = records_.find(id);
                if (at == records_.end()) {
                  found.push_back(absl::DataLossError("absent"));
                } else {
                  found.push_back(at->second);
                }
              }
              return found;
            }};
  }

  // `entries` with what differs done to them, and what was said checked against them.
  absl::Status Apply(const ManifestSide& before, const ManifestSide& after, const std::string& from,
                     Entries* entries) {
    std::pair<std::string, uint32_t> last;
    bool first = true;
    changes_ = 0;
    return DiffManifests(before, after, from, [&](const Entry* old_entry, const Entry* new_entry) {
      ++changes_;
      const Entry& any = old_entry != nullptr ? *old_entry : *new_entry;
      const std::pair<std::string, uint32_t> key(any.path(), any.part());
      EXPECT_TRUE(first || Before()(last, key)) << key.first << " after " << last.first;
      EXPECT_FALSE(PathLess(key.first, from));
      first = false;
      last = key;
      const auto at = entries->find(key);
      EXPECT_EQ(at != entries->end(), old_entry != nullptr) << key.first;
      if (at != entries->end() && old_entry != nullptr) {
        EXPECT_EQ(at->second.SerializeAsString(), old_entry->SerializeAsString());
      }
      if (new_entry == nullptr) {
        entries->erase(key);
      } else {
        (*entries)[key] = *new_entry;
      }
      return absl::OkStatus();
    });
  }
  static void ExpectSame(const Entries& a, const Entries& b) {
    ASSERT_EQ(a.size(), b.size());
    for (auto x = a.begin(), y = b.begin(); x != a.end(); ++x, ++y) {
      ASSERT_EQ(x->first, y->first);
      ASSERT_EQ(x->second.SerializeAsString(), y->second.SerializeAsString()) << x->first.first;
    }
  }

  std::map<RecordId, PlainRecord> records_;
  int fetched_ = 0;
  int changes_ = 0;
};

// Trees of many forms: from nothing to three levels, with files of several parts.
TEST_F(ManifestDiff, DiffThenApplyIsIdentity) {
  for (uint64_t seed = 0; seed < 120; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    Entries before;
    const size_t count = seed % 7 == 0 ? below(3) : below(4000);
    for (size_t i = 0; i < count; ++i)
      Set(&before, absl::StrCat("srv/", below(40), "/", below(200)), 1 + below(5),
          below(400) == 0 ? 2 + below(3) : 1);
    // A path is a file or a directory above files, never both: the names say which.
    Entries after = before;
    std::vector<std::string> paths;
    for (const auto& [key, entry] : before) paths.push_back(key.first);
    const size_t edits = seed % 5 == 0 ? below(2000) : below(8);
    for (size_t i = 0; i < edits; ++i) {
      const std::string path = paths.empty() || below(2) == 0
                                   ? absl::StrCat("srv/", below(40), "/", below(200))
                                   : paths[below(paths.size())];
      Remove(&after, path);
      if (below(3) != 0) Set(&after, path, 1 + below(5), below(50) == 0 ? 1 + below(4) : 1);
    }
    const ManifestSide a = Build(before), b = Build(after);
    Entries result = before;
    ASSERT_OK(Apply(a, b, "", &result)) << "seed " << seed;
    ExpectSame(result, after);
    ASSERT_OK(Apply(b, a, "", &result)) << "seed " << seed;
    ExpectSame(result, before);
    // From somewhere on: what lies before it stays as it was.
    const std::string from = absl::StrCat("srv/", below(40), "/", below(200));
    Entries half = before;
    ASSERT_OK(Apply(a, b, from, &half)) << "seed " << seed;
    Entries wanted = before;
    std::erase_if(wanted, [&](const auto& each) { return !PathLess(each.first.first, from); });
    for (const auto& [key, entry] : after)
      if (!PathLess(key.first, from)) wanted[key] = entry;
    ExpectSame(half, wanted);
    if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "seed " << seed;
  }
}

TEST_F(ManifestDiff, ReadsWhatDiffersAndNotTheRest) {
  Entries before;
  for (int i = 0; i < 200000; ++i) Set(&before, absl::StrCat("srv/", i % 300, "/", i), 1);
  const ManifestSide a = Build(before);
  const size_t records = records_.size();
  ASSERT_GT(records, 500u);
  Entries after = before;
  for (int i = 0; i < 10; ++i) {
    const int n = i * 19997;
    Set(&after, absl::StrCat("srv/", n % 300, "/", n), 2);
  }
  Remove(&after, "srv/150/150");
  Set(&after, "srv/77/new", 5);
  const ManifestSide b = Build(after);
  fetched_ = 0;
  Entries result = before;
  ASSERT_OK(Apply(a, b, "", &result));
  ExpectSame(result, after);
  EXPECT_EQ(changes_, 12);
  // A leaf and its spine per change and side; a new or lost boundary costs a neighbour.
  EXPECT_LE(fetched_, 12 * 2 * 5);
  fetched_ = 0;
  ASSERT_OK(Apply(a, a, "", &result));
  EXPECT_EQ(fetched_, 0);
}

TEST_F(ManifestDiff, DamageEndsIt) {
  Entries before;
  for (int i = 0; i < 20000; ++i) Set(&before, absl::StrCat("srv/", i), 1);
  Entries after = before;
  Set(&after, "srv/777", 2);
  const ManifestSide a = Build(before), b = Build(after);
  const std::map<RecordId, PlainRecord> whole = records_;
  int failed = 0;
  for (const auto& [id, record] : whole) {
    records_ = whole;
    records_.erase(id);
    Entries result = before;
    const absl::Status status = Apply(a, b, "", &result);
    if (status.ok()) {
      ExpectSame(result, after);  // it was not needed
    } else {
      EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
      ++failed;
    }
    records_ = whole;
    records_[id].bytes = "x";
    Entries other = before;
    EXPECT_EQ(Apply(a, b, "", &other).ok(), status.ok());
  }
  EXPECT_GE(failed, 4);
}

}  // namespace
}  // namespace ember::backup
