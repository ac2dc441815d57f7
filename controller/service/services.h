// The controller's gRPC services: validate, record, answer. One file per service; none of them
// decides.
#ifndef EMBER_CONTROLLER_SERVICE_SERVICES_H_
#define EMBER_CONTROLLER_SERVICE_SERVICES_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "controller/em_state.h"
#include "grpcpp/impl/codegen/service_type.h"

namespace ember::controller {

std::unique_ptr<grpc::Service> NewEnrolService(EmState* em);
std::unique_ptr<grpc::Service> NewEstateService(EmState* em);
std::unique_ptr<grpc::Service> NewFleetService(EmState* em);
std::unique_ptr<grpc::Service> NewProtectionService(EmState* em);
std::unique_ptr<grpc::Service> NewRecoveryService(EmState* em);
std::unique_ptr<grpc::Service> NewMessageService(EmState* em);
std::unique_ptr<grpc::Service> NewEventService(EmState* em);

// AgentService: it also holds beats back until there is news.
class HeldBeats {
 public:
  virtual ~HeldBeats() = default;
  virtual grpc::Service* service() = 0;
  // Answers the held beats that have news or have waited kBeat. To be called after every tick.
  virtual void Release() = 0;
  // Answers all of them at once, for a stop.
  virtual void ReleaseAll() = 0;
};
std::unique_ptr<HeldBeats> NewAgentService(EmState* em);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_SERVICE_SERVICES_H_
