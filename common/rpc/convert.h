// The only converters between our types and gRPC's and protobuf's.
#ifndef EMBER_COMMON_RPC_CONVERT_H_
#define EMBER_COMMON_RPC_CONVERT_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpcpp/support/status.h"

namespace ember::rpc {

// Code for code; the hint of common/base/errors.h travels in the details.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

google::protobuf::Timestamp ToTimestamp(absl::Time time);
// InfinitePast for an unset (zero) timestamp.
absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp);

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_CONVERT_H_
