// Any bytes as the newest segment of an agent's message log.
#include "common/base/file.h"
#include "node-agent/link/message_log.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/temp_dir.h"

namespace ember::fuzz {
namespace {

absl::StatusOr<std::unique_ptr<agent::MessageLog>> Open(const std::string& directory) {
  return agent::MessageLog::Open(directory, [](absl::string_view) {});
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  static const testing::TempDir* const dir = new testing::TempDir(testing::FastDirectory());
  const std::string directory = dir->Join("messages");
  const std::string segment = JoinPath(directory, "0000000000000001.log");
  Require(MakeDirectories(directory).ok());
  const auto names = ListDirectory(directory);
  Require(names.ok());
  for (const std::string& name : *names) Require(RemoveFile(JoinPath(directory, name)).ok());
  Require(WriteFileAtomic(segment, bytes).ok());

  auto log = Open(directory);
  Require(log.ok());
  uint64_t last = 0;
  for (const v1::SpooledMessage& each : (*log)->Head()) {
    Require(each.seq() > last);
    last = each.seq();
  }
  v1::Message message;
  message.set_id("the one that follows");
  message.set_to("db");
  Require((*log)->Append(message).ok());
  const size_t count = (*log)->Head().size();
  log = Open(directory);
  Require(log.ok() && (*log)->Head().size() == count);
}

}  // namespace ember::fuzz
