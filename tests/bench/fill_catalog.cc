// Fills the catalog of a controller that does not run with workloads and backups that never were,
// to measure how it bears their number: ember-bench-fill-catalog STATE_DIR WORKLOADS BACKUPS
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/ids.h"
#include "common/rpc/convert.h"
#include "controller/catalog/catalog.h"

namespace ember::controller {
namespace {

constexpr int kRecordsPerBatch = 2000;

absl::Status Fill(const std::string& state, int workloads, int backups) {
  auto catalog = Catalog::Open(JoinPath(state, "catalog"));
  if (!catalog.ok()) return catalog.status();
  const absl::Time now = SystemClock()->Now();
  record::v1::EstateRecord estate = (*catalog)->estate();
  Batch batch;
  int in_batch = 0;
  const auto put = [&](Record record) -> absl::Status {
    batch.Put(std::move(record));
    if (++in_batch < kRecordsPerBatch) return absl::OkStatus();
    in_batch = 0;
    return (*catalog)->Commit(std::exchange(batch, Batch()), now);
  };
  v1::PolicySpec* policy = estate.mutable_estate()->add_policies();
  policy->set_name("daily");
  policy->set_schedule("*-*-* 03:00");
  policy->add_vaults("main");
  v1::VaultSpec* vault = estate.mutable_estate()->add_vaults();
  vault->set_name("main");
  vault->set_node("n0");
  for (int i = 0; i < workloads; ++i) {
    v1::WorkloadSpec* spec = estate.mutable_estate()->add_workloads();
    spec->set_name(absl::StrCat("w", i));
    spec->set_node(absl::StrCat("n", i % 20));
    spec->add_policies("daily");
    spec->add_sources()->mutable_files()->add_paths(absl::StrCat("/srv/w", i));
    if (i % 4 != 0) spec->add_depends_on(absl::StrCat("w", i - 1));
    record::v1::WorkloadRecord workload;
    workload.set_name(spec->name());
    workload.set_node(spec->node());
    workload.set_epoch(1);
    workload.set_state(v1::WorkloadState::RUNNING);
    (*workload.mutable_policy_last_due())["daily"] = rpc::ToTimestamp(now);
    if (absl::Status status = put(workload); !status.ok()) return status;
  }
  for (int i = 0; i < backups; ++i) {
    const absl::Time created = now - absl::Minutes(i);
    record::v1::BackupRecord backup;
    v1::Backup& wire = *backup.mutable_backup();
    wire.set_workload(absl::StrCat("w", i % workloads));
    wire.set_id(BackupId(wire.workload(), created));
    wire.set_outcome(v1::Outcome::OK);
    wire.set_verified(true);
    wire.set_files(1000);
    wire.set_size_bytes(1 << 30);
    *wire.mutable_created() = rpc::ToTimestamp(created);
    *backup.mutable_vault_received() = wire.created();
    backup.set_vault("main");
    backup.set_domain_id(DomainOfNode(absl::StrCat("n", i % 20)));
    if (absl::Status status = put(backup); !status.ok()) return status;
  }
  estate.set_version(estate.version() + 1);
  batch.Put(estate);
  return (*catalog)->Commit(batch, now);
}

}  // namespace
}  // namespace ember::controller

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s STATE_DIR WORKLOADS BACKUPS\n", argv[0]);
    return 2;
  }
  const absl::Status filled =
      ember::controller::Fill(argv[1], std::atoi(argv[2]), std::atoi(argv[3]));
  if (filled.ok()) return 0;
  std::fprintf(stderr, "%s\n", filled.ToString().c_str());
  return 1;
}
