#include "common/vault/read_replies.h"

#include <utility>

#include "common/base/limits.h"

namespace ember::vault {

absl::Status ReadReplies::Add(const RecordView& from) {
  v1::Record* record = reply_.add_records();
  record->set_id(std::string(from.id));
  record->set_type(from.type);
  record->set_nonce(from.nonce);
  record->set_session_id(std::string(from.session_id));
  record->set_payload(from.payload.data(), from.payload.size());
  bytes_ += kRecordHeaderBytes + from.payload.size();
  return SendIfLarge();
}

absl::Status ReadReplies::AddProblem(const std::string& id, bool absent,
                                     absl::string_view problem) {
  v1::ReadProblem* row = reply_.add_problems();
  row->set_id(id);
  row->set_absent(absent);
  row->set_problem(std::string(problem));
  return SendIfLarge();
}

absl::Status ReadReplies::SendIfLarge() {
  const bool is_large = bytes_ >= kUploadMessageBytes ||
                        reply_.problems_size() >= static_cast<int>(kReadProblemsPerReply);
  return is_large ? Send() : absl::OkStatus();
}

absl::Status ReadReplies::Send() {
  if (reply_.records_size() == 0 && reply_.problems_size() == 0) return absl::OkStatus();
  bytes_ = 0;
  return sink_(std::exchange(reply_, v1::ReadReply()));
}

}  // namespace ember::vault
