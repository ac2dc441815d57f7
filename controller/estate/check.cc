#include "controller/estate/check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/limits.h"
#include "controller/estate/tiers.h"

namespace ember::controller {
namespace {

using IndexByName = absl::flat_hash_map<std::string, int>;

// Whether absolute path `inner` is `outer` or lies below it.
bool IsInside(absl::string_view inner, absl::string_view outer) {
  if (outer == "/" || inner == outer) return true;
  return absl::StartsWith(inner, outer) && inner[outer.size()] == '/';
}

class Checker {
 public:
  Checker(const v1::Estate& estate, const Positions& positions, Problems* problems)
      : estate_(estate), positions_(positions), problems_(problems) {}

  void Run() {
    vaults_ = Index("vault", "vaults", kVaultsMax, estate_.vaults());
    policies_ = Index("policy", "policies", kPoliciesMax, estate_.policies());
    workloads_ = Index("workload", "workloads", kWorkloadsMax, estate_.workloads());
    CollectNodes();
    CheckNodes();
    CheckVaults();
    CheckBandwidth();
    for (int i = 0; i < estate_.policies_size(); ++i) {
      const v1::PolicySpec& policy = estate_.policies(i);
      CheckNames("vault", policy.vaults(), vaults_, absl::StrCat("policy '", policy.name(), "'"),
                 absl::StrCat("policies/", i, "/vaults"));
    }
    for (int i = 0; i < estate_.workloads_size(); ++i)
      CheckWorkload(estate_.workloads(i), absl::StrCat("workloads/", i));
    CheckCycles();
  }

 private:
  void Error(absl::string_view path, absl::string_view message) {
    problems_->Error(positions_.Of(path), message);
  }

  template <typename Parts>
  IndexByName Index(absl::string_view kind, absl::string_view section, size_t max,
                    const Parts& parts) {
    IndexByName index;
    for (int i = 0; i < parts.size(); ++i) {
      if (parts[i].name().empty()) continue;  // reported when read
      if (!index.try_emplace(parts[i].name(), i).second) {
        Error(absl::StrCat(section, "/", i, "/name"),
              absl::StrCat(kind, " name '", parts[i].name(), "' is repeated"));
      }
    }
    if (static_cast<size_t>(parts.size()) > max) {
      Error(section,
            absl::StrCat("the estate has ", parts.size(), " ", section, ", more than ", max));
    }
    return index;
  }

  void CollectNodes() {
    for (const v1::VaultSpec& vault : estate_.vaults()) nodes_.insert(vault.node());
    for (const v1::WorkloadSpec& workload : estate_.workloads()) {
      nodes_.insert(workload.node());
      nodes_.insert(workload.recovery().standby().begin(), workload.recovery().standby().end());
    }
    nodes_.erase("");
    if (nodes_.size() > kNodesMax) {
      Error("workloads",
            absl::StrCat("the estate has ", nodes_.size(), " nodes, more than ", kNodesMax));
    }
  }

  template <typename Names>
  void CheckNames(absl::string_view kind, const Names& names, const IndexByName& known,
                  absl::string_view owner, absl::string_view path) {
    for (int i = 0; i < names.size(); ++i) {
      if (known.contains(names[i])) continue;
      std::vector<std::string> candidates;
      if (problems_->errors() < kEstateErrorsMax) {
        for (const auto& [name, index] : known) candidates.push_back(name);
        std::sort(candidates.begin(), candidates.end());
      }
      Error(absl::StrCat(path, "/", i),
            absl::StrCat(kind, " '", names[i], "' of ", owner, " is not known",
                         problems_->Suggestion(names[i], candidates, "it is one of")));
    }
  }

  void CheckBandwidth() {
    for (int i = 0; i < estate_.settings().bandwidth_size(); ++i) {
      CheckNode(estate_.settings().bandwidth(i).node(),
                absl::StrCat("settings/bandwidth/", i, "/node"), "bandwidth");
    }
  }

  // A command that ran on the silent node itself would prove nothing.
  void CheckNodes() {
    const IndexByName fenced = Index("node", "nodes", kNodesMax, estate_.nodes());
    for (const auto& [name, index] : fenced) fenced_.insert(name);
    for (int i = 0; i < estate_.nodes_size(); ++i) {
      const v1::NodeSpec& node = estate_.nodes(i);
      const std::string path = absl::StrCat("nodes/", i);
      CheckNode(node.name(), absl::StrCat(path, "/name"), "nodes");
      for (int f = 0; f < node.fence().from_size(); ++f) {
        const std::string& from = node.fence().from(f);
        const std::string place = absl::StrCat(path, "/fence/from/", f);
        CheckNode(from, place, absl::StrCat("from of node '", node.name(), "'"));
        if (from == node.name() && !from.empty())
          Error(place, absl::StrCat("node '", from, "' cannot run its own fence command"));
      }
    }
  }

  // Vaults and workloads say which nodes there are.
  void CheckNode(const std::string& node, const std::string& path, absl::string_view where) {
    if (node.empty() || nodes_.contains(node)) return;
    std::vector<std::string> candidates(nodes_.begin(), nodes_.end());
    std::sort(candidates.begin(), candidates.end());
    Error(path, absl::StrCat("node '", node, "' of ", where, " is not known",
                             problems_->Suggestion(node, candidates, "it is one of")));
  }

  // Two vaults in one directory would take each other's objects for garbage.
  void CheckVaults() {
    for (int i = 0; i < estate_.vaults_size(); ++i) {
      const v1::VaultSpec& vault = estate_.vaults(i);
      CheckReplication(vault, absl::StrCat("vaults/", i, "/replicate_from"));
      if (vault.path().empty() || vault.node().empty()) continue;
      for (const int other_index : vaults_on_[vault.node()]) {
        const v1::VaultSpec& other = estate_.vaults(other_index);
        if (!IsInside(vault.path(), other.path()) && !IsInside(other.path(), vault.path()))
          continue;
        Error(absl::StrCat("vaults/", i, "/path"),
              absl::StrCat("vault '", vault.name(), "' (", vault.path(), ") and vault '",
                           other.name(), "' (", other.path(), ") share a directory of node '",
                           vault.node(), "'"));
      }
      vaults_on_[vault.node()].push_back(i);
    }
  }

  void CheckReplication(const v1::VaultSpec& vault, const std::string& path) {
    CheckNames("vault", vault.replicate_from(), vaults_,
               absl::StrCat("replicate_from of vault '", vault.name(), "'"), path);
    for (int i = 0; i < vault.replicate_from_size(); ++i) {
      if (vault.replicate_from(i) != vault.name() || vault.name().empty()) continue;
      Error(absl::StrCat(path, "/", i),
            absl::StrCat("vault '", vault.name(), "' would be a copy of itself"));
    }
  }

  void CheckWorkload(const v1::WorkloadSpec& workload, const std::string& path) {
    const std::string owner = absl::StrCat("workload '", workload.name(), "'");
    CheckNames("policy", workload.policies(), policies_, owner, absl::StrCat(path, "/policies"));
    CheckNames("workload", workload.depends_on(), workloads_, owner,
               absl::StrCat(path, "/depends_on"));
    if (!workload.policies().empty() && workload.sources().empty()) {
      Error(absl::StrCat(path, "/policies/0"),
            absl::StrCat(owner, " has policies but no sources: nothing to back up"));
    }
    if (workload.policies().empty() && !workload.sources().empty()) {
      problems_->Warn(positions_.Of(path),
                      absl::StrCat(owner, " has no policy: it is backed up only by hand"));
    }
    CheckSourcesAgainstVaults(workload, owner, path);
    CheckCompany(workload, owner, path);
    CheckFailover(workload, owner, path);
    WarnAboutSharedFate(workload, owner, path);
    WarnAboutRpo(workload, owner, path);
  }

  void CheckSourcesAgainstVaults(const v1::WorkloadSpec& workload, absl::string_view owner,
                                 const std::string& path) {
    std::vector<std::string> nodes(workload.recovery().standby().begin(),
                                   workload.recovery().standby().end());
    nodes.insert(nodes.begin(), workload.node());
    for (int s = 0; s < workload.sources_size(); ++s) {
      const v1::FilesSource& files = workload.sources(s).files();
      for (int p = 0; p < files.paths_size(); ++p) {
        for (const std::string& node : nodes) {
          CheckSourcePath(files.paths(p), node, node != workload.node(), owner,
                          absl::StrCat(path, "/sources/", s, "/paths/", p));
        }
      }
    }
  }

  void CheckSourcePath(const std::string& source, const std::string& node, bool standby,
                       absl::string_view owner, const std::string& path) {
    const auto vaults = vaults_on_.find(node);
    if (vaults == vaults_on_.end()) return;
    for (const int index : vaults->second) {
      const v1::VaultSpec& vault = estate_.vaults(index);
      const bool holds_vault = IsInside(vault.path(), source);
      if (!holds_vault && !IsInside(source, vault.path())) continue;
      Error(path, absl::StrCat("path '", source, "' of ", owner,
                               holds_vault ? " holds vault '" : " lies in vault '", vault.name(),
                               "' (", vault.path(), ") on node '", node, "': ",
                               standby       ? "a restore there would replace the backups"
                               : holds_vault ? "it would back up itself"
                                             : "a restore would damage the vault"));
    }
  }

  // With whom it may, or must, share a node.
  void CheckCompany(const v1::WorkloadSpec& workload, const std::string& owner,
                    const std::string& path) {
    const v1::RecoverySpec& recovery = workload.recovery();
    CheckNames("workload", recovery.with(), workloads_, absl::StrCat("with of ", owner),
               absl::StrCat(path, "/recovery/with"));
    CheckNames("workload", recovery.apart(), workloads_, absl::StrCat("apart of ", owner),
               absl::StrCat(path, "/recovery/apart"));
    for (int i = 0; i < recovery.apart_size(); ++i) {
      const std::string& other = recovery.apart(i);
      const bool both =
          std::find(recovery.with().begin(), recovery.with().end(), other) != recovery.with().end();
      if (other != workload.name() && !both) continue;
      Error(absl::StrCat(path, "/recovery/apart/", i),
            absl::StrCat(owner, " cannot be apart from '", other, "'",
                         both ? " and with it" : ": that is itself"));
    }
  }

  void CheckFailover(const v1::WorkloadSpec& workload, absl::string_view owner,
                     const std::string& path) {
    const v1::RecoverySpec& recovery = workload.recovery();
    for (int i = 0; i < recovery.standby_size(); ++i) {
      if (recovery.standby(i) != workload.node()) continue;
      Error(absl::StrCat(path, "/recovery/standby/", i),
            absl::StrCat("standby '", recovery.standby(i), "' of ", owner, " is its own node"));
    }
    if (recovery.fail_back_seconds() > 0 && recovery.standby().empty()) {
      Error(absl::StrCat(path, "/recovery"),
            absl::StrCat(owner, " has fail_back and no standby: it is never moved away"));
    }
    if (recovery.mode() != v1::RecoverySpec::AUTOMATIC ||
        recovery.class_() != v1::RecoverySpec::EXCLUSIVE || recovery.standby().empty() ||
        nodes_.size() >= kFailoverNodesMin || fenced_.contains(workload.node())) {
      return;
    }
    Error(absl::StrCat(path, "/recovery"),
          absl::StrCat(owner, ": automatic fail-over of an exclusive workload needs at least ",
                       kFailoverNodesMin, " nodes and the estate has ", nodes_.size(),
                       ": a cut-off node could not be told from a dead one, ",
                       "and it might run twice; use mode: approve, or class: stateless if two at "
                       "once do no harm, or say under nodes how to fence '",
                       workload.node(), "'"));
  }

  void WarnAboutSharedFate(const v1::WorkloadSpec& workload, absl::string_view owner,
                           const std::string& path) {
    bool any = false;
    for (const std::string& name : workload.policies()) {
      const auto policy = policies_.find(name);
      if (policy == policies_.end()) continue;
      for (const std::string& vault : estate_.policies(policy->second).vaults()) {
        const auto found = vaults_.find(vault);
        if (found == vaults_.end() || estate_.vaults(found->second).node() != workload.node())
          return;
        any = true;
      }
    }
    if (!any) return;
    problems_->Warn(positions_.Of(path),
                    absl::StrCat("all vaults of ", owner, " are on its own node '", workload.node(),
                                 "': losing the node loses the backups too"));
  }

  void WarnAboutRpo(const v1::WorkloadSpec& workload, absl::string_view owner,
                    const std::string& path) {
    if (workload.rpo_seconds() == 0 || workload.sources().empty() || workload.policies().empty())
      return;
    std::vector<const v1::PolicySpec*> policies;
    for (const std::string& name : workload.policies()) {
      const auto policy = policies_.find(name);
      if (policy == policies_.end()) return;  // an error already
      policies.push_back(&estate_.policies(policy->second));
    }
    const absl::Duration rpo = absl::Seconds(workload.rpo_seconds());
    const absl::Duration gap = LongestGap(policies);
    if (gap <= rpo) return;
    problems_->Warn(
        positions_.Of(path),
        absl::StrCat(owner, " has an rpo of ", absl::FormatDuration(rpo), " and ",
                     gap == absl::InfiniteDuration()
                         ? "no schedule: nothing backs it up by itself"
                         : absl::StrCat("backups that come up to ", absl::FormatDuration(gap),
                                        " apart: tighten a schedule, or allow more")));
  }

  // What it waits for when it is recovered: `number`th of what it depends on, then of what it must
  // be with.
  static const std::string& WaitsFor(const v1::WorkloadSpec& workload, int number) {
    return number < workload.depends_on_size()
               ? workload.depends_on(number)
               : workload.recovery().with(number - workload.depends_on_size());
  }
  static std::string PlaceOf(const v1::WorkloadSpec& workload, int number) {
    return number < workload.depends_on_size()
               ? absl::StrCat("depends_on/", number)
               : absl::StrCat("recovery/with/", number - workload.depends_on_size());
  }

  // Depth first with an explicit stack: a chain may be as long as the estate.
  void CheckCycles() {
    enum Colour { kWhite, kGrey, kBlack };
    struct Frame {
      int workload;
      int next = 0;  // number, see WaitsFor
    };
    std::vector<Colour> colours(estate_.workloads_size(), kWhite);
    for (int start = 0; start < estate_.workloads_size(); ++start) {
      if (colours[start] != kWhite) continue;
      std::vector<Frame> stack = {{start}};
      colours[start] = kGrey;
      while (!stack.empty()) {
        Frame& top = stack.back();
        const v1::WorkloadSpec& workload = estate_.workloads(top.workload);
        if (top.next == workload.depends_on_size() + workload.recovery().with_size()) {
          colours[top.workload] = kBlack;
          stack.pop_back();
          continue;
        }
        const int edge = top.next++;
        const auto dependency = workloads_.find(WaitsFor(workload, edge));
        if (dependency == workloads_.end() || colours[dependency->second] == kBlack) continue;
        if (colours[dependency->second] == kWhite) {
          colours[dependency->second] = kGrey;
          stack.push_back({dependency->second});
          continue;
        }
        std::vector<std::string> cycle;
        bool in_cycle = false;
        for (const Frame& frame : stack) {
          in_cycle = in_cycle || frame.workload == dependency->second;
          if (in_cycle) cycle.push_back(estate_.workloads(frame.workload).name());
        }
        cycle.push_back(WaitsFor(workload, edge));
        Error(absl::StrCat("workloads/", top.workload, "/", PlaceOf(workload, edge)),
              absl::StrCat("workloads depend on each other in a circle: ",
                           absl::StrJoin(cycle, " -> ")));
      }
    }
  }

  const v1::Estate& estate_;
  const Positions& positions_;
  Problems* const problems_;
  IndexByName vaults_;
  IndexByName policies_;
  IndexByName workloads_;
  absl::flat_hash_map<std::string, std::vector<int>> vaults_on_;  // by node; those with a path
  absl::flat_hash_set<std::string> nodes_;
  absl::flat_hash_set<std::string> fenced_;  // by a command
};

}  // namespace

void CheckEstate(const v1::Estate& estate, const Positions& positions, Problems* problems) {
  Checker(estate, positions, problems).Run();
}

}  // namespace ember::controller
