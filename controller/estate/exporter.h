// An estate as the file that declares it.
#ifndef EMBER_CONTROLLER_ESTATE_EXPORTER_H_
#define EMBER_CONTROLLER_ESTATE_EXPORTER_H_

#include <string>

#include "ember/v1/estate.pb.h"

namespace ember::controller {

// YAML without what is default. ParseEstate of it gives `estate` back, if ParseEstate made it.
std::string ExportEstate(const v1::Estate& estate);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_EXPORTER_H_
