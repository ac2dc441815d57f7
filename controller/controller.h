// The controller process: owns everything, in order.
#ifndef EMBER_CONTROLLER_CONTROLLER_H_
#define EMBER_CONTROLLER_CONTROLLER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace ember::controller {

struct ControllerOptions {
  std::string state_directory;
  std::string listen;
  std::string advertise;  // HOST:PORT for join tokens; empty: as it was dialled
  Clock* clock = nullptr;
};

// Makes a new estate in an empty (or absent) state directory. ALREADY_EXISTS when there is one.
absl::Status InitEstate(const std::string& state_directory, Clock* clock);

class Controller {
 public:
  // Serving when OK.
  static absl::StatusOr<std::unique_ptr<Controller>> Start(const ControllerOptions& options);
  virtual ~Controller() = default;
  virtual int port() const = 0;
  // As ControllerOptions::advertise, from the next token on. Safe at any time.
  virtual void SetAdvertise(const std::string& advertise) = 0;
  // Ends within 10 s; what is durable stays so. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_CONTROLLER_H_
