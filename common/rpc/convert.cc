#include "common/rpc/convert.h"

#include <string>

#include "common/base/errors.h"
#include "common/base/limits.h"

namespace ember::rpc {
namespace {

// RFC 3339 years 1 to 9999, as google/protobuf/timestamp.proto demands.
constexpr int64_t kSecondsMin = -62135596800;
constexpr int64_t kSecondsMax = 253402300799;

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message().substr(0, kStatusMessageBytesMax)),
                      HintOf(status).substr(0, kStatusMessageBytesMax));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  // A code that no absl::StatusCode has reads back as UNKNOWN.
  const absl::Status converted(static_cast<absl::StatusCode>(status.error_code()),
                               status.error_message());
  return status.error_details().empty() ? converted : WithHint(converted, status.error_details());
}

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  if (time == absl::InfinitePast()) return timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);  // rounds down, also before 1970
  if (seconds > kSecondsMax) {
    timestamp.set_seconds(kSecondsMax);
    timestamp.set_nanos(999999999);
  } else if (seconds < kSecondsMin) {
    timestamp.set_seconds(kSecondsMin);
  } else {
    timestamp.set_seconds(seconds);
    timestamp.set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  }
  return timestamp;
}

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  if (timestamp.seconds() == 0 && timestamp.nanos() == 0) return absl::InfinitePast();
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

}  // namespace ember::rpc
