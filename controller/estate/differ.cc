#include "controller/estate/differ.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "controller/estate/fields.h"

namespace ember::controller {
namespace {

v1::PlanLine Line(absl::string_view action, absl::string_view kind, absl::string_view name,
                  absl::string_view detail) {
  v1::PlanLine line;
  line.set_action(std::string(action));
  line.set_kind(std::string(kind));
  line.set_name(std::string(name));
  line.set_detail(std::string(detail));
  return line;
}

// "node: host1 → host2; rpo: 1d → 12h; rto: not set → 2h"; empty when nothing changed.
std::string ChangesBetween(const std::vector<Field>& from, const std::vector<Field>& to) {
  std::vector<std::string> changes;
  const auto find = [](const std::vector<Field>& fields, absl::string_view key) {
    return std::find_if(fields.begin(), fields.end(),
                        [&](const Field& field) { return field.key == key; });
  };
  for (const Field& field : to) {
    const auto old = find(from, field.key);
    if (old == from.end()) {
      changes.push_back(absl::StrCat(field.key, ": not set → ", field.value));
    } else if (old->value != field.value) {
      changes.push_back(absl::StrCat(field.key, ": ", old->value, " → ", field.value));
    }
  }
  for (const Field& field : from) {
    if (find(to, field.key) == to.end())
      changes.push_back(absl::StrCat(field.key, ": ", field.value, " → not set"));
  }
  return absl::StrJoin(changes, "; ");
}

// "node: nas1; path: /srv": what a new part is, its name left out.
std::string Summary(const std::vector<Field>& fields) {
  std::vector<std::string> parts;
  for (const Field& field : fields) {
    if (field.key != "name") parts.push_back(absl::StrCat(field.key, ": ", field.value));
  }
  return absl::StrJoin(parts, "; ");
}

template <typename Names>
bool LosesOne(const Names& from, const Names& to) {
  const absl::flat_hash_set<std::string> kept(to.begin(), to.end());
  return std::any_of(from.begin(), from.end(),
                     [&](const std::string& name) { return !kept.contains(name); });
}

// Without a `keep`, everything is kept.
bool RetentionShrinks(const v1::PolicySpec& from, const v1::PolicySpec& to) {
  if (!to.has_keep()) return false;
  if (!from.has_keep()) return true;
  const v1::Keep& a = from.keep();
  const v1::Keep& b = to.keep();
  return b.last() < a.last() || b.within_seconds() < a.within_seconds() ||
         b.hourly() < a.hourly() || b.daily() < a.daily() || b.weekly() < a.weekly() ||
         b.monthly() < a.monthly() || b.yearly() < a.yearly() ||
         b.min_verified() < a.min_verified();
}

// A deleted backup is gone sooner, or more of them may go.
bool DeletesMore(const v1::VaultSpec& from, const v1::VaultSpec& to) {
  const auto trash = [](const v1::VaultSpec& vault) {
    return vault.trash_seconds() > 0 ? vault.trash_seconds() : kTrashDays * 86400;
  };
  const auto budget = [](const v1::VaultSpec& vault) {
    return vault.deletion_budget_percent() > 0 ? vault.deletion_budget_percent()
                                               : kDeletionBudgetPercent;
  };
  return trash(to) < trash(from) || budget(to) > budget(from) ||
         to.min_retention_seconds() < from.min_retention_seconds();
}

bool IsCheckedLess(const v1::VaultSpec& from, const v1::VaultSpec& to) {
  const int64_t before = from.check_every_seconds();
  return before > 0 && (to.check_every_seconds() == 0 || to.check_every_seconds() > before);
}

bool GetsLess(const v1::VaultSpec& from, const v1::VaultSpec& to) {
  return DeletesMore(from, to) || IsCheckedLess(from, to) ||
         (to.no_parity() && !from.no_parity()) ||
         LosesOne(from.replicate_from(), to.replicate_from()) || from.node() != to.node() ||
         from.path() != to.path() || from.s3().SerializeAsString() != to.s3().SerializeAsString();
}

bool IsVerifiedLess(const v1::PolicySpec& from, const v1::PolicySpec& to) {
  const auto percent = [](const v1::PolicySpec& policy) {
    return policy.verify_sample_percent() == 0 ? 100 : policy.verify_sample_percent();
  };
  const int64_t before = from.verify_every_seconds();
  return before > 0 && (to.verify_every_seconds() == 0 || to.verify_every_seconds() > before ||
                        percent(to) < percent(from));
}

bool GetsLess(const v1::PolicySpec& from, const v1::PolicySpec& to) {
  return RetentionShrinks(from, to) || IsVerifiedLess(from, to) ||
         to.hold_seconds() < from.hold_seconds() || LosesOne(from.vaults(), to.vaults());
}

bool GetsLess(const v1::WorkloadSpec& from, const v1::WorkloadSpec& to) {
  const auto paths = [](const v1::WorkloadSpec& workload) {
    std::vector<std::string> all;
    for (const v1::SourceSpec& source : workload.sources()) {
      all.insert(all.end(), source.files().paths().begin(), source.files().paths().end());
    }
    return all;
  };
  return from.node() != to.node() || LosesOne(from.policies(), to.policies()) ||
         LosesOne(paths(from), paths(to));
}

bool GetsLess(const v1::NodeSpec&, const v1::NodeSpec&) { return false; }

template <typename Specs>
void DiffSection(absl::string_view kind, absl::string_view removal, const Specs& from,
                 const Specs& to, std::vector<v1::PlanLine>* plan, bool* needs_confirmation) {
  absl::flat_hash_map<std::string, const typename Specs::value_type*> old;
  for (const auto& spec : from) old[spec.name()] = &spec;
  for (const auto& spec : to) {
    const auto it = old.find(spec.name());
    if (it == old.end()) {
      plan->push_back(Line("create", kind, spec.name(), Summary(FieldsOf(spec))));
      continue;
    }
    const std::string changes = ChangesBetween(FieldsOf(*it->second), FieldsOf(spec));
    if (!changes.empty()) {
      plan->push_back(Line("update", kind, spec.name(), changes));
      if (GetsLess(*it->second, spec)) *needs_confirmation = true;
    }
    old.erase(it);
  }
  for (const auto& spec : from) {
    if (!old.contains(spec.name())) continue;
    plan->push_back(Line("remove", kind, spec.name(), removal));
    *needs_confirmation = true;
  }
}

}  // namespace

std::vector<v1::PlanLine> DiffEstates(const v1::Estate& from, const v1::Estate& to,
                                      bool* needs_confirmation) {
  *needs_confirmation = false;
  std::vector<v1::PlanLine> plan;
  DiffSection("vault", "its backups stay on disk, out of reach", from.vaults(), to.vaults(), &plan,
              needs_confirmation);
  DiffSection("policy", "its backups stay", from.policies(), to.policies(), &plan,
              needs_confirmation);
  DiffSection("workload", "its service is stopped; no more backups and recovery; its backups stay",
              from.workloads(), to.workloads(), &plan, needs_confirmation);
  DiffSection("node", "no fence command is run for it any more", from.nodes(), to.nodes(), &plan,
              needs_confirmation);
  const std::string changes = ChangesBetween(FieldsOf(from.settings()), FieldsOf(to.settings()));
  if (!changes.empty()) plan.push_back(Line("update", "settings", "settings", changes));
  return plan;
}

}  // namespace ember::controller
