#include "node-agent/vault_host/export_keeper.h"

#include <utility>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "node-agent/link/em_channel.h"

namespace ember::agent {

ExportKeeper::ExportKeeper(Ports ports) : ports_(std::move(ports)) {}

ExportKeeper::~ExportKeeper() { Stop(); }

void ExportKeeper::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void ExportKeeper::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

void ExportKeeper::Want(uint64_t number) {
  absl::MutexLock lock(&mu_);
  wanted_ = number;
}

void ExportKeeper::Loop() {
  absl::Duration next = -absl::InfiniteDuration();
  std::string told;
  do {
    uint64_t wanted = 0;
    {
      absl::MutexLock lock(&mu_);
      wanted = wanted_;
    }
    if (wanted == 0 || ports_.clock->Monotonic() < next) continue;
    std::vector<std::shared_ptr<vault::Vault>> behind;
    for (std::shared_ptr<vault::Vault>& vault : ports_.vaults()) {
      if (vault->Facts().export_number() < wanted) behind.push_back(std::move(vault));
    }
    if (behind.empty()) continue;
    const absl::Status brought = BringTo(behind);
    if (!brought.ok()) {
      next = ports_.clock->Monotonic() + absl::Seconds(kVaultRetrySeconds);
      if (brought.message() != told)
        LogWarning("vault", "no new catalog export", {{"error", brought.message()}});
    }
    told = std::string(brought.message());
  } while (!ports_.clock->Sleep(absl::Milliseconds(kVaultLookMillis), stop_));
}

absl::Status ExportKeeper::BringTo(const std::vector<std::shared_ptr<vault::Vault>>& vaults) {
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ports_.fetch());
  absl::Status first;
  for (const std::shared_ptr<vault::Vault>& vault : vaults)
    first.Update(vault->TakeCatalogExport(bytes));
  return first;
}

absl::StatusOr<std::string> FetchCatalogExport(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  SetTimeout(&context, absl::Seconds(kExportFetchSeconds));
  const auto reader = v1::AgentService::NewStub(channel)->FetchCatalogExport(
      &context, v1::FetchCatalogExportRequest());
  std::string bytes;
  v1::CatalogExportPiece piece;
  while (reader->Read(&piece)) {
    bytes += piece.bytes();
    if (bytes.size() <= kExportBytesMax) continue;
    context.TryCancel();
    (void)reader->Finish();
    return absl::ResourceExhaustedError("the catalog export is too large");
  }
  EMBER_RETURN_IF_ERROR(rpc::FromGrpc(reader->Finish()));
  return bytes;
}

}  // namespace ember::agent
