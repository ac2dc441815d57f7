#include "node-agent/service/output_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "node-agent/service/guard_record.h"

namespace ember::agent {

absl::StatusOr<OutputLog> OutputLog::Open(const std::string& state_directory) {
  OutputLog log(state_directory);
  EMBER_RETURN_IF_ERROR(log.Reopen());
  return log;
}

absl::Status OutputLog::Reopen() {
  const std::string path = JoinPath(state_directory_, kOutputFile);
  file_ = Fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file_.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  struct stat info;
  if (fstat(file_.get(), &info) != 0) return ErrnoToStatus(errno, absl::StrCat("stat ", path));
  size_bytes_ = info.st_size;
  return absl::OkStatus();
}

void OutputLog::Append(absl::string_view data) {
  if (size_bytes_ > 0 && size_bytes_ + data.size() > kServiceLogBytesMax) {
    const std::string path = JoinPath(state_directory_, kOutputFile);
    const std::string older = JoinPath(state_directory_, kOlderOutputFile);
    // When the file cannot be put aside, dropping output keeps the bound.
    if (rename(path.c_str(), older.c_str()) != 0 && errno != ENOENT) return;
    if (!Reopen().ok()) return;
  }
  if (WriteAll(file_.get(), data, "output log").ok()) size_bytes_ += data.size();
}

}  // namespace ember::agent
