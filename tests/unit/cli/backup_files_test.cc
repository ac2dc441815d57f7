// ember backup files.
#include "absl/strings/str_cat.h"
#include "tests/unit/cli/session.h"

namespace ember::cli {
namespace {

using ::testing::HasSubstr;

v1::FileRow Row(const std::string& path, const std::string& type, uint32_t mode) {
  v1::FileRow row;
  row.set_path(path);
  row.set_type(type);
  row.set_mode(mode);
  row.set_user("root");
  row.set_group("adm");
  row.set_size(42);
  row.mutable_modified()->set_seconds(1767225600);
  return row;
}

class BackupFiles : public Session {
 protected:
  v1::Run Page(const std::vector<v1::FileRow>& rows, bool more) {
    v1::Run run;
    run.set_id("run-1");
    run.set_backup_id("db/20260101-000000");
    run.set_outcome(v1::Outcome::OK);
    for (const v1::FileRow& row : rows) *run.mutable_files()->add_items() = row;
    run.mutable_files()->set_more(more);
    return run;
  }
};

TEST_F(BackupFiles, ReadsLikeLsWithOddNamesMadeHarmless) {
  v1::FileRow link = Row("/srv/to", "symlink", 0777);
  link.set_target("a\nb");
  v1::FileRow hard = Row("/srv/two", "file", 0644);
  hard.set_target("/srv/one");
  script_.starts = {Page({Row("/srv", "directory", 01777), Row("/srv/a\n\xff\x1b", "file", 04755),
                          Row("/srv/f", "fifo", 02640), link, hard},
                         false)};
  EXPECT_EQ(Ember({"backup", "files", "db@latest", "/srv"}), 0);
  EXPECT_EQ(out_,
            "drwxrwxrwt root     adm                42 2026-01-01 00:00:00 /srv\n"
            "-rwsr-xr-x root     adm                42 2026-01-01 00:00:00 /srv/a\\n\\xff\\x1b\n"
            "prw-r-S--- root     adm                42 2026-01-01 00:00:00 /srv/f\n"
            "lrwxrwxrwx root     adm                42 2026-01-01 00:00:00 /srv/to -> a\\nb\n"
            "-rw-r--r-- root     adm                42 2026-01-01 00:00:00 /srv/two = /srv/one\n");
  EXPECT_EQ(script_.listings[0].backup(), "db@latest");
  EXPECT_EQ(script_.listings[0].path(), "/srv");
}

TEST_F(BackupFiles, AsksForPageAfterPageOfTheSameBackup) {
  script_.starts = {Page({Row("/a", "file", 0600)}, true), Page({Row("/b", "file", 0600)}, true),
                    Page({Row("/c", "file", 0600)}, false)};
  EXPECT_EQ(Ember({"backup", "files", "db@latest", "--json"}), 0);
  ASSERT_EQ(Json()["items"].size(), 3u);
  EXPECT_EQ(Json()["items"][2]["path"], "/c");
  EXPECT_EQ(Json()["items"][2]["modified"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(Json()["more"], false);
  ASSERT_EQ(script_.listings.size(), 3u);
  EXPECT_EQ(script_.listings[1].backup(), "db/20260101-000000");
  EXPECT_EQ(script_.listings[1].after(), "/a");
  EXPECT_EQ(script_.listings[2].after(), "/b");
}

TEST_F(BackupFiles, FailuresExitByTheirCode) {
  v1::Run run = Page({}, false);
  run.set_outcome(v1::Outcome::FAILED);
  run.set_code(static_cast<int>(absl::StatusCode::kNotFound));
  run.set_error("/x is not in this backup");
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "files", "db@latest", "/x"}), 5);
  EXPECT_THAT(err_, HasSubstr("/x is not in this backup"));
  run.set_code(static_cast<int>(absl::StatusCode::kDataLoss));
  script_.starts = {run};
  EXPECT_EQ(Ember({"backup", "files", "db@latest"}), 7);
}

}  // namespace
}  // namespace ember::cli
