// What gRPC only lets a process decide once, before its first channel or server.
#ifndef EMBER_COMMON_RPC_GRPC_SETUP_H_
#define EMBER_COMMON_RPC_GRPC_SETUP_H_

namespace ember::rpc {

// Makes every TLS connection of this process's gRPC use TLS 1.3, and sends gRPC's messages to our
// log. Idempotent and safe for concurrent use; the first call must not race with getenv elsewhere.
void SetUpGrpc();

}  // namespace ember::rpc

#endif  // EMBER_COMMON_RPC_GRPC_SETUP_H_
