// Reading a server's stream to its end.
#ifndef EMBER_COMMON_RPC_STREAM_H_
#define EMBER_COMMON_RPC_STREAM_H_

#include <utility>

#include "absl/status/status.h"
#include "common/rpc/convert.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"

namespace ember::rpc {

// Hands every reply to `sink`. The sink's first error gives the call up and is returned; otherwise
// what `convert` makes of how the call ended.
template <typename Reply, typename Sink, typename Convert>
absl::Status ReadAll(grpc::ClientContext& context, grpc::ClientReader<Reply>& stream,
                     const Sink& sink, const Convert& convert) {
  Reply reply;
  absl::Status sunk;
  while (sunk.ok() && stream.Read(&reply)) {
    sunk = sink(std::move(reply));
    reply.Clear();
  }
  if (!sunk.ok()) {
    context.TryCancel();
    while (stream.Read(&reply)) {
    }
  }
  const absl::Status ended = convert(stream.Finish());
  return sunk.ok() ? ended : sunk;
}

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_STREAM_H_
