// The parts of an estate as keys and YAML values, defaults left out: what the exporter prints and
// the differ compares.
#ifndef EMBER_CONTROLLER_ESTATE_FIELDS_H_
#define EMBER_CONTROLLER_ESTATE_FIELDS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ember/v1/estate.pb.h"

namespace ember::controller {

struct Field {
  std::string key;
  std::string value;  // YAML in flow style, one line
};

// In the order in which a person reads them. Two parts have the same fields when they mean the
// same. Settings of 0 are default ones.
std::vector<Field> FieldsOf(const v1::VaultSpec& vault);
std::vector<Field> FieldsOf(const v1::PolicySpec& policy);
std::vector<Field> FieldsOf(const v1::WorkloadSpec& workload);
std::vector<Field> FieldsOf(const v1::NodeSpec& node);
std::vector<Field> FieldsOf(const v1::Settings& settings);

// What a policy keeps.
std::string KeepText(const v1::Keep& keep);

// `text` as a YAML scalar that any YAML reader takes for a text, quoted where needed.
std::string YamlText(absl::string_view text);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_FIELDS_H_
