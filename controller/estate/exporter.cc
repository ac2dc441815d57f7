#include "controller/estate/exporter.h"

#include "absl/strings/str_cat.h"
#include "controller/estate/fields.h"

namespace ember::controller {
namespace {

template <typename Specs>
void AppendSection(absl::string_view section, const Specs& specs, std::string* yaml) {
  if (specs.empty()) return;
  absl::StrAppend(yaml, section, ":\n");
  for (const auto& spec : specs) {
    absl::string_view indent = "  - ";
    for (const Field& field : FieldsOf(spec)) {
      absl::StrAppend(yaml, indent, field.key, ": ", field.value, "\n");
      indent = "    ";
    }
  }
}

}  // namespace

std::string ExportEstate(const v1::Estate& estate) {
  std::string yaml;
  AppendSection("vaults", estate.vaults(), &yaml);
  AppendSection("policies", estate.policies(), &yaml);
  AppendSection("workloads", estate.workloads(), &yaml);
  AppendSection("nodes", estate.nodes(), &yaml);
  const std::vector<Field> settings = FieldsOf(estate.settings());
  if (!settings.empty()) yaml += "settings:\n";
  for (const Field& field : settings)
    absl::StrAppend(&yaml, "  ", field.key, ": ", field.value, "\n");
  return yaml.empty() ? "{}\n" : yaml;
}

}  // namespace ember::controller
