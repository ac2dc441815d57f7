// What must hold between the parts of an estate.
#ifndef EMBER_CONTROLLER_ESTATE_CHECK_H_
#define EMBER_CONTROLLER_ESTATE_CHECK_H_

#include "controller/estate/problems.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

// Reports repeated and unknown names, cycles, data that a backup or restore would turn on itself,
// unsafe fail-over, and estates over their bounds. `positions` as recorded by the readers of
// sections.h; what it lacks has no place in the file.
void CheckEstate(const v1::Estate& estate, const Positions& positions, Problems* problems);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_CHECK_H_
