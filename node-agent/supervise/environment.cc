#include "node-agent/supervise/environment.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/disk_space.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "node-agent/probe/probe.h"
#include "node-agent/source/source.h"

namespace ember::agent {
namespace {

absl::Status CheckData(const v1::WorkloadSpec& spec) {
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<Source> source, OpenSource(spec));
  if (!source->DataMissing()) return absl::OkStatus();
  std::string where;
  for (const std::string& root : source->Roots()) {
    const std::string path = absl::StrCat("/", root);
    if (where.empty() || !FileExists(path)) where = path;
    if (!FileExists(path)) break;
  }
  return absl::NotFoundError(absl::StrCat("data is missing: ", where));
}

// The least of its places.
int64_t FreeBytes(const v1::WorkloadSpec& spec) {
  const absl::StatusOr<std::unique_ptr<Source>> source = OpenSource(spec);
  if (!source.ok() || spec.sources().empty()) return 0;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const std::string& root : (*source)->Roots())
    least = std::min(least, FreeBytesAt(absl::StrCat("/", root)));
  return least == std::numeric_limits<int64_t>::max() ? 0 : least;
}

}  // namespace

Environment HostEnvironment(std::string directory, std::string agent_binary, Clock* clock,
                            std::function<void()> urgent) {
  Environment host;
  host.clock = clock;
  host.directory = std::move(directory);
  host.open_service = [agent_binary = std::move(agent_binary), clock](
                          const v1::WorkloadSpec& spec, const std::string& state_directory) {
    ServiceOptions options;
    options.workload = spec.name();
    options.state_directory = state_directory;
    options.agent_binary = agent_binary;
    options.clock = clock;
    return OpenService(spec.service(), options);
  };
  host.probe = [](const v1::WorkloadSpec& spec, Service* service) { return Probe(spec, service); };
  host.check_data = CheckData;
  host.free_bytes = FreeBytes;
  host.urgent = std::move(urgent);
  return host;
}

}  // namespace ember::agent
