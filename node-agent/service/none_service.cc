#include "node-agent/service/service_kinds.h"

namespace ember::agent {
namespace {

class NoneService : public Service {
 public:
  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Stop() override { return absl::OkStatus(); }
  absl::StatusOr<ServiceStatus> Status() override {
    ServiceStatus status;
    status.running = true;
    return status;
  }
  absl::Status SetDeadline(absl::Duration) override { return absl::OkStatus(); }
};

}  // namespace

std::unique_ptr<Service> OpenNoService() { return std::make_unique<NoneService>(); }

}  // namespace ember::agent
