#include "node-agent/service/service.h"

#include "absl/strings/str_cat.h"
#include "node-agent/service/service_kinds.h"

namespace ember::agent {

absl::StatusOr<std::unique_ptr<Service>> OpenService(const v1::ServiceSpec& spec,
                                                     const ServiceOptions& options) {
  switch (spec.kind_case()) {
    case v1::ServiceSpec::kExec: return OpenExecService(spec, options);
    case v1::ServiceSpec::kSystemd: return OpenSystemdService(spec, options);
    case v1::ServiceSpec::kNone: return OpenNoService();
    case v1::ServiceSpec::KIND_NOT_SET: break;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "workload ", options.workload, ": a kind of service that this agent does not know"));
}

}  // namespace ember::agent
