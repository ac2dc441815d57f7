// ember backup diff.
#include "absl/strings/str_cat.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::FileRow FileOf(const std::string& path, const std::string& type, int64_t size) {
  v1::FileRow row;
  row.set_path(path);
  row.set_type(type);
  row.set_size(size);
  return row;
}

class BackupDiffVerb : public Session {
 protected:
  static void Add(v1::Run* run, const std::string& change, const std::string& path, int64_t before,
                  int64_t after, const std::string& type = "file") {
    v1::FileDifference* difference = run->mutable_diff()->add_items();
    difference->set_change(change);
    if (before >= 0) *difference->mutable_before() = FileOf(path, type, before);
    if (after >= 0) *difference->mutable_after() = FileOf(path, type, after);
  }
  static v1::Run Ended() {
    v1::Run run;
    run.set_id("run-1");
    run.set_outcome(v1::Outcome::OK);
    return run;
  }
};

TEST_F(BackupDiffVerb, SaysWhatChanged) {
  v1::Run run = Ended();
  Add(&run, "added", "/srv/new\n", -1, 2048);
  Add(&run, "removed", "/srv/old", 10, -1);
  Add(&run, "changed", "/srv/grown", 1024, 2048);
  Add(&run, "changed", "/srv/dir", 0, 0, "directory");
  Add(&run, "attributes", "/srv/mode", 5, 5);
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "diff", "db@2026-01-01", "db@latest", "/srv"}), 0);
  EXPECT_EQ(out_,
            "+ /srv/new\\n  (2.0 KiB)\n"
            "- /srv/old  (10 B)\n"
            "~ /srv/grown  (1.0 KiB -> 2.0 KiB)\n"
            "~ /srv/dir/\n");
  EXPECT_THAT(err_, HasSubstr("1 more only owner"));
  EXPECT_EQ(script_.diffs[0].path(), "/srv");
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "diff", "a", "b", "--attributes"}), 0);
  EXPECT_THAT(out_, HasSubstr("a /srv/mode\n"));
  EXPECT_THAT(err_, Not(HasSubstr("more only")));
}

TEST_F(BackupDiffVerb, AsksForPageAfterPage) {
  v1::Run first = Ended(), second = Ended();
  Add(&first, "removed", "/a", 1, -1);
  first.mutable_diff()->set_more(true);
  Add(&second, "added", "/b", -1, 1);
  script_.starts = {first, second};
  EXPECT_EQ(Ember({"backup", "diff", "db/1", "db/2", "--json"}), 0);
  ASSERT_EQ(Json()["items"].size(), 2u);
  EXPECT_EQ(Json()["items"][0]["change"], "removed");
  EXPECT_EQ(Json()["items"][1]["after"]["path"], "/b");
  ASSERT_EQ(script_.diffs.size(), 2u);
  EXPECT_EQ(script_.diffs[0].backup(), "db/1");
  EXPECT_EQ(script_.diffs[0].other(), "db/2");
  EXPECT_EQ(script_.diffs[1].after(), "/a");
}

TEST_F(BackupDiffVerb, NothingIsSaidToBeNothing) {
  script_.starts = {Ended()};
  EXPECT_EQ(Ember({"backup", "diff", "db/1", "db/2"}), 0);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("no file was added, removed or changed"));
}

}  // namespace
}  // namespace ember::cli
