// What the controller has heard since it started: receipt times and the newest facts. In RAM only;
// after a restart the agents say it all again.
#ifndef EMBER_CONTROLLER_FLEET_BOARD_H_
#define EMBER_CONTROLLER_FLEET_BOARD_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ember/v1/agent.pb.h"

namespace ember::controller {

// A workload as its agent last told it.
struct HeardWorkload {
  v1::WorkloadFact fact;
  int restarts_while_running = 0;  // of the newest fact that said it runs
  absl::Duration heard;            // monotonic
  absl::Duration started;          // monotonic: when this start of it was first heard of
  // It ran well before this controller, or its agent's process, began: its beats then are not
  // known.
  bool taken_over = false;
  absl::Time healthy_at = absl::InfinitePast();  // wall clock of the last healthy fact
};

struct HeardNode {
  absl::Duration last_beat = -absl::InfiniteDuration();
  absl::Time last_beat_wall = absl::InfinitePast();
  std::string boot_id;
  std::string host_boot_id;
  std::string address;
  std::string version;
  double clock_skew_seconds = 0;
  double clock_skew_told_seconds = 0;  // as of the last event about it
  // Receipt of the newest beat that was answered: the lease it granted counts from before then.
  absl::Duration leased_beat = -absl::InfiniteDuration();
  absl::Duration leased_since = -absl::InfiniteDuration();  // without a gap since, in this term
  uint64_t config_version = 0;    // that it has stored; 0: none, or another one is on its way
  uint64_t told_version = 0;      // of which the catalog knows that it has stored it
  uint64_t controller_epoch = 0;  // the highest that it has seen
  std::map<std::string, HeardWorkload> workloads;
  std::map<std::string, v1::VaultFact> vaults;
  std::map<std::string, v1::PeerSight> sights;  // what it sees of silent nodes
  int64_t memory_available_bytes = 0;           // 0: not known
  std::set<std::string> accepted_orders;        // by the agent process `boot_id`
};

// The catalog export that every vault should have (protect/catalog_exports.h).
struct WantedExport {
  uint64_t number = 0;        // 0: none yet in this term
  absl::Duration since;       // monotonic: when it was first wanted
  std::string contents;       // digest of what makes a new one due
  std::string seen;           // the same digest as of the last tick
  absl::Duration seen_since;  // monotonic
};

// Of what each node should have stored, as of a generation of the catalog.
struct ConfigVersions {
  uint64_t generation = 0;
  std::map<std::string, uint64_t> by_node;
  // The same for all.
  std::vector<std::string> revoked;
  std::vector<std::string> superseded_serials;
};

struct Board {
  std::map<std::string, HeardNode> nodes;
  std::set<std::string> silent;  // nodes, as of the last tick: not ALIVE, and not given up
  std::map<std::string, v1::Progress> progress;             // by order id
  std::map<std::string, absl::Duration> commits_noted;      // by vault; monotonic: the last receipt
  std::map<std::string, absl::Duration> application_beats;  // by workload; monotonic
  absl::Duration trusted_from;                              // see FleetView
  absl::Duration last_tick;
  absl::Time started;
  int64_t tick_millis_max = 0;
  WantedExport wanted_export;
  ConfigVersions config_versions;
};

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_FLEET_BOARD_H_
