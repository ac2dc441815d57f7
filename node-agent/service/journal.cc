#include "node-agent/service/journal.h"

#include <systemd/sd-journal.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/limits.h"
#include "node-agent/service/log_tail.h"

namespace ember::agent {
namespace {

struct JournalCloser {
  void operator()(sd_journal* journal) const { sd_journal_close(journal); }
};

}  // namespace

std::vector<std::string> JournalTail(const std::string& unit) {
  sd_journal* raw = nullptr;
  if (sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY) < 0) return {};
  const std::unique_ptr<sd_journal, JournalCloser> journal(raw);
  const std::string match =
      absl::StrCat(geteuid() == 0 ? "_SYSTEMD_UNIT=" : "_SYSTEMD_USER_UNIT=", unit);
  if (sd_journal_add_match(journal.get(), match.data(), match.size()) < 0) return {};
  if (sd_journal_seek_tail(journal.get()) < 0) return {};
  std::vector<std::string> lines;
  if (sd_journal_previous_skip(journal.get(), kLogTailLines) <= 0) return lines;
  do {
    const void* data;
    size_t size_bytes;
    if (sd_journal_get_data(journal.get(), "MESSAGE", &data, &size_bytes) < 0) continue;
    absl::string_view message(static_cast<const char*>(data), size_bytes);
    absl::ConsumePrefix(&message, "MESSAGE=");
    lines.push_back(PrintableLine(message));
  } while (sd_journal_next(journal.get()) > 0);
  return lines;
}

}  // namespace ember::agent
