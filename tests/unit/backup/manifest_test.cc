#include "common/backup/manifest.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/backup/backup_writer.h"
#include "common/backup/manifest_reader.h"
#include "common/base/limits.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace ember::backup {
namespace {

using ember::testing::HasCode;
using format::v1::Entry;
using format::v1::EntryType;

const std::string kKey(32, 'k');

class Manifest : public ::testing::Test {
 protected:
  static Entry File(const std::string& path, int64_t size = 0) {
    Entry entry;
    entry.set_path(path);
    entry.set_type(EntryType::FILE);
    entry.set_size(size);
    return entry;
  }
  RecordId Build(const std::vector<Entry>& entries) {
    ManifestBuilder builder(
        kKey, [this](RecordType::Value type, std::string bytes) -> absl::StatusOr<RecordId> {
          return Store(type, std::move(bytes));
        });
    for (const Entry& entry : entries) EXPECT_OK(builder.Add(entry, EncodeInLeaf(entry)));
    auto root = builder.Finish();
    EXPECT_OK(root);
    return *root;
  }
  RecordId Store(RecordType::Value type, std::string bytes) {
    const RecordId id = MakeRecordId(HmacSha256Key(kKey), type, bytes);
    fresh_ += records_.count(id) == 0;
    records_[id] = {type, std::move(bytes)};
    return id;
  }
  ManifestReader Reader(const RecordId& root, std::vector<std::string> paths = {}) {
    return ManifestReader(
        root, PathFilter(std::move(paths)),
        [this](const std::vector<RecordId>& ids) {
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
        },
        nullptr);
  }
  static absl::StatusOr<std::vector<std::string>> Paths(ManifestReader reader) {
    std::vector<std::string> paths;
    Entry entry;
    while (true) {
      auto more = reader.Next(&entry);
      if (!more.ok()) return more.status();
      if (!*more) return paths;
      paths.push_back(entry.path());
    }
  }
  static std::vector<Entry> Random(int count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::set<std::string> paths;
    while (static_cast<int>(paths.size()) < count) {
      std::string path;
      for (int depth = 1 + static_cast<int>(random() % 3); depth > 0; --depth) {
        absl::StrAppend(&path, path.empty() ? "" : "/", random() % 2 ? "d-" : "d", random() % 500);
      }
      paths.insert(path);
    }
    std::vector<Entry> entries;
    for (const std::string& path : paths)
      entries.push_back(File(path, static_cast<int64_t>(random() % 1000)));
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return PathLess(a.path(), b.path()); });
    return entries;
  }
  std::map<RecordId, PlainRecord> records_;
  int fresh_ = 0;
  int fetched_ = 0;
};

TEST(PathOrder, IsThatOfADepthFirstWalk) {
  const std::vector<std::string> sorted = {"",      "a",   "a/b", "a/b/c", "a/\x01", "a/\xff",
                                           "a\x01", "a-b", "a.b", "ab",    "b"};
  std::vector<std::string> expected = {"",      "a",   "a/\x01", "a/b", "a/b/c", "a/\xff",
                                       "a\x01", "a-b", "a.b",    "ab",  "b"};
  std::vector<std::string> got = sorted;
  std::sort(got.begin(), got.end(),
            [](const std::string& a, const std::string& b) { return PathLess(a, b); });
  EXPECT_EQ(got, expected);
  for (const std::string& path : sorted) EXPECT_FALSE(PathLess(path, path));
}

TEST_F(Manifest, ReadsWhatWasBuilt) {
  for (const int count : {0, 1, 2, 300, 5000}) {
    const std::vector<Entry> entries = Random(count, 7);
    ManifestReader reader = Reader(Build(entries));
    Entry entry;
    for (const Entry& expected : entries) {
      ASSERT_OK_AND_ASSIGN(const bool more, reader.Next(&entry));
      ASSERT_TRUE(more);
      ASSERT_EQ(entry.SerializeAsString(), expected.SerializeAsString());
    }
    ASSERT_OK_AND_ASSIGN(const bool more, reader.Next(&entry));
    EXPECT_FALSE(more);
  }
}

TEST_F(Manifest, AOneLeafTreeHasTheLeafAsRoot) {
  for (const int count : {0, 1, 5}) {
    records_.clear();
    const RecordId root = Build(Random(count, 3));
    if (records_.size() == 1) {
      EXPECT_EQ(records_.at(root).type, RecordType::LEAF);
    }
  }
  records_.clear();
  Build({File("only")});
  EXPECT_EQ(records_.size(), 1u);
}

TEST_F(Manifest, OneChangeRewritesItsLeafAndSpine) {
  std::vector<Entry> entries = Random(20000, 11);
  Build(entries);
  for (int i = 0; i < 20; ++i) {
    fresh_ = 0;
    std::vector<Entry> changed = entries;
    const size_t at = static_cast<size_t>(i) * 997;
    if (i % 3 == 0) changed[at].set_mode(0600);
    if (i % 3 == 1) changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));
    if (i % 3 == 2)
      changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                     File(entries[at].path() + "/new"));
    Build(changed);
    EXPECT_LE(fresh_, 6) << i;
    EXPECT_GE(fresh_, 2) << i;
  }
}

TEST_F(Manifest, HoldsAHundredThousandEntriesInSmallRecords) {
  std::vector<Entry> entries;
  for (int i = 0; i < 100000; ++i) entries.push_back(File(absl::StrCat("dir/", 1000000 + i), i));
  const RecordId root = Build(entries);
  for (const auto& [id, record] : records_) ASSERT_LE(record.bytes.size(), kRecordBytesMax);
  EXPECT_GT(records_.size(), 100u);
  ASSERT_OK_AND_ASSIGN(const auto paths, Paths(Reader(root)));
  EXPECT_EQ(paths.size(), entries.size());
  fetched_ = 0;
  ASSERT_OK_AND_ASSIGN(const auto one, Paths(Reader(root, {"dir/1050000"})));
  EXPECT_EQ(one, std::vector<std::string>{"dir/1050000"});
  EXPECT_LT(fetched_, 8);
}

TEST_F(Manifest, LargeEntriesStayWithinRecords) {
  std::vector<Entry> entries;
  for (int i = 0; i < 200; ++i) {
    entries.push_back(File(absl::StrCat("f", 1000 + i)));
    auto& xattr = *entries.back().add_xattrs();
    xattr.set_name("user.big");
    xattr.set_value(std::string(60000, 'x'));
  }
  const RecordId root = Build(entries);
  for (const auto& [id, record] : records_) ASSERT_LE(record.bytes.size(), kRecordBytesMax);
  ASSERT_OK_AND_ASSIGN(const auto paths, Paths(Reader(root)));
  EXPECT_EQ(paths.size(), 200u);
}

TEST_F(Manifest, FiltersGiveWhatASearchWouldGive) {
  const std::vector<Entry> entries = Random(8000, 5);
  const RecordId root = Build(entries);
  std::mt19937_64 random(9);
  for (int i = 0; i < 60; ++i) {
    std::vector<std::string> wanted;
    for (uint64_t n = 1 + random() % 3; n > 0; --n) {
      std::string path = entries[random() % entries.size()].path();
      if (random() % 2) path = path.substr(0, path.find('/'));
      if (random() % 8 == 0) path += "-absent";
      wanted.push_back(path);
    }
    std::vector<std::string> expected;
    for (const Entry& entry : entries) {
      if (std::any_of(wanted.begin(), wanted.end(),
                      [&](const std::string& w) { return IsWithin(entry.path(), w); })) {
        expected.push_back(entry.path());
      }
    }
    ASSERT_OK_AND_ASSIGN(const auto got, Paths(Reader(root, wanted)));
    EXPECT_EQ(got, expected);
  }
}

TEST_F(Manifest, DamagedBytesAreDataLossOrReadTheSame) {
  const RecordId root = Build(Random(2000, 21));
  const auto whole = records_;
  std::mt19937_64 random(1);
  for (int i = 0; i < 400; ++i) {
    records_ = whole;
    auto at = records_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random() % records_.size()));
    std::string& bytes = at->second.bytes;
    if (i % 5 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << (random() % 8));
    }
    const auto paths =
        Paths(Reader(root));  // must not crash; the id check comes before in real life
    if (!paths.ok()) {
      EXPECT_THAT(paths, HasCode(absl::StatusCode::kDataLoss));
    }
  }
}

TEST_F(Manifest, MaliciousLeavesAreRefused) {
  const auto refused = [&](std::vector<Entry> entries) {
    format::v1::ManifestLeaf leaf;
    leaf.set_version(1);
    for (Entry& entry : entries) *leaf.add_entries() = std::move(entry);
    return Paths(Reader(Store(RecordType::LEAF, leaf.SerializeAsString()))).status();
  };
  const auto with = [&](int64_t size, std::vector<std::array<int64_t, 3>> extents) {
    Entry entry = File("f", size);
    for (const auto& [offset, length, start] : extents) {
      auto& extent = *entry.add_extents();
      extent.set_offset(offset);
      extent.set_length(length);
      extent.set_start(start);
      extent.set_id(std::string(32, 'x'));
    }
    return entry;
  };
  constexpr int64_t kBig = std::numeric_limits<int64_t>::max();
  EXPECT_OK(refused({with(10, {{0, 5, 0}, {5, 5, 7}})}));
  for (const Entry& bad : {
           with(10, {{0, 11, 0}}),
           with(10, {{5, 5, 0}, {0, 5, 0}}),
           with(10, {{0, 5, 0}, {4, 5, 0}}),
           with(10, {{-1, 5, 0}}),
           with(10, {{0, -5, 0}}),
           with(10, {{0, 0, 0}}),
           with(10, {{0, 5, -1}}),
           with(10, {{0, 5, kBig}}),
           with(kBig, {{kBig, 5, 0}}),
           with(kBig, {{0, kBig, 0}}),
           with(-1, {}),
           with(-kBig, {{0, 5, 0}}),
           File("../up"),
           File("/abs"),
           File("a//b"),
           File(std::string("nul\0x", 5)),
           File(std::string(kPathBytesMax + 1, 'x')),
       }) {
    EXPECT_THAT(refused({bad}), HasCode(absl::StatusCode::kDataLoss))
        << bad.ShortDebugString().substr(0, 200);
  }
  EXPECT_THAT(refused({File("b"), File("a")}), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(refused({File("a"), File("a")}), HasCode(absl::StatusCode::kDataLoss));
  Entry entry = with(10, {{0, 10, 0}});
  entry.mutable_extents(0)->set_id("short");
  EXPECT_THAT(refused({entry}), HasCode(absl::StatusCode::kDataLoss));
  entry = with(10, {{0, 10, 0}});
  entry.set_type(EntryType::DIRECTORY);
  EXPECT_THAT(refused({entry}), HasCode(absl::StatusCode::kDataLoss));
  entry = File("f", 10);
  entry.set_inline_content("nine byte");
  EXPECT_THAT(refused({entry}), HasCode(absl::StatusCode::kDataLoss));
  entry = File("f");
  entry.set_hardlink_to("g");
  EXPECT_THAT(refused({entry}), HasCode(absl::StatusCode::kDataLoss));
  entry = File("f");
  entry.set_part(1);
  EXPECT_THAT(refused({entry}), HasCode(absl::StatusCode::kDataLoss));
  entry = File("f");
  entry.set_more_parts(true);
  EXPECT_THAT(refused({entry}), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(refused({entry, File("g")}), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(Manifest, MaliciousNodesAreRefused) {
  const RecordId leaf = Build({File("a", 3)});
  format::v1::ManifestNode good;
  good.set_version(1);
  good.set_level(1);
  auto& child = *good.add_children();
  child.set_id(leaf.data(), leaf.size());
  child.set_first_path("a");
  child.set_files(1);
  child.set_bytes(3);
  child.set_entries(1);
  const auto read = [&](const format::v1::ManifestNode& node) {
    return Paths(Reader(Store(RecordType::NODE, node.SerializeAsString())));
  };
  EXPECT_OK(read(good));
  using Node = format::v1::ManifestNode;
  const std::vector<std::function<void(Node*)>> changes = {
      [](Node* n) { n->set_version(2); },
      [](Node* n) { n->set_level(0); },
      [](Node* n) { n->set_level(2); },
      [](Node* n) { n->set_level(1000); },
      [](Node* n) { n->clear_children(); },
      [](Node* n) { n->mutable_children(0)->set_id("x"); },
      [](Node* n) { n->mutable_children(0)->set_first_path("b"); },
      [](Node* n) { n->mutable_children(0)->set_entries(2); },
      [](Node* n) { n->mutable_children(0)->set_bytes(-1); },
      [](Node* n) { *n->add_children() = format::v1::Child(n->children(0)); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Node node = good;
    changes[i](&node);
    EXPECT_THAT(read(node), HasCode(absl::StatusCode::kDataLoss)) << i;
  }
  EXPECT_THAT(Paths(Reader(Store(RecordType::DATA, "bytes"))),
              HasCode(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace ember::backup
