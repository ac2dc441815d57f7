// The answers of a read, in messages of a bounded size.
#ifndef EMBER_COMMON_VAULT_READ_REPLIES_H_
#define EMBER_COMMON_VAULT_READ_REPLIES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/vault/pack.h"
#include "ember/v1/vault.pb.h"

namespace ember::vault {

using ReadSink = std::function<absl::Status(v1::ReadReply&&)>;

// Not thread-safe. Errors are the sink's.
class ReadReplies {
 public:
  explicit ReadReplies(ReadSink sink) : sink_(std::move(sink)) {}
  absl::Status Add(const RecordView& record);
  absl::Status AddProblem(const std::string& id, bool absent, absl::string_view problem);
  // What was added and not sent. Call at the end.
  absl::Status Send();

 private:
  absl::Status SendIfLarge();

  const ReadSink sink_;
  v1::ReadReply reply_;
  size_t bytes_ = 0;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_READ_REPLIES_H_
