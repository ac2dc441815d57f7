// What applying an estate would change, in words.
#ifndef EMBER_CONTROLLER_ESTATE_DIFFER_H_
#define EMBER_CONTROLLER_ESTATE_DIFFER_H_

#include <vector>

#include "ember/v1/control.pb.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

// The plan from `from` to `to`: a line per vault, policy, workload and the settings that is
// created, updated or removed; empty when nothing changes. The order of parts does not count.
// `*needs_confirmation` becomes true when protection gets less: something is removed (a part; a
// source, a policy or a vault of one), retention shrinks, a workload changes its node, or a vault
// moves. Both estates as ParseEstate makes them; one without settings has the default ones.
std::vector<v1::PlanLine> DiffEstates(const v1::Estate& from, const v1::Estate& to,
                                      bool* needs_confirmation);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_DIFFER_H_
