#include "tests/crash/history.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/limits.h"

namespace ember::testing {

History FirstBackups() {
  return {.name = "first backups", .prepare = {}, .run = [](VaultDriver& vault, FakeClock& clock) {
            // What fails is noted; later steps meet what it left.
            vault.BackUp({"web-0", 1}).IgnoreError();
            vault.BackUp({"db-1", 2}, {.careless = true}, 2).IgnoreError();
            vault.Abandon({"web-0", 2}).IgnoreError();
            clock.Advance(absl::Minutes(5));
            vault.Close();
            vault.Open().IgnoreError();
            vault.BackUp({"web-0", 2}, {.sync_every = 4}).IgnoreError();
          }};
}

History Deletion() {
  return {.name = "deletion",
          .prepare =
              [](VaultDriver& vault, FakeClock&) {
                for (int n = 1; n <= 3; ++n) vault.BackUp({"web-0", n}).IgnoreError();
                vault.BackUp({"db-1", 2}).IgnoreError();
              },
          .run =
              [](VaultDriver& vault, FakeClock& clock) {
                vault.Delete({{"web-0", 1}, {"db-1", 2}}).IgnoreError();
                vault.Undelete({{"web-0", 1}, {"db-1", 2}}).IgnoreError();
                vault.Delete({{"web-0", 1}, {"web-0", 2}}).IgnoreError();
                // As after an answer that was lost.
                vault.Delete({{"web-0", 1}, {"web-0", 2}}).IgnoreError();
                clock.Advance(absl::Hours(24) * (kTrashDays + 1));
                vault.Gc().IgnoreError();
                vault.BackUp({"web-0", 4}).IgnoreError();
              }};
}

History Collection() {
  return {.name = "collection",
          .prepare =
              [](VaultDriver& vault, FakeClock& clock) {
                for (int n = 1; n <= 5; ++n) vault.BackUp({"web-0", n}).IgnoreError();
                vault.BackUp({"db-1", 3}).IgnoreError();
                vault.Delete({{"web-0", 1}, {"web-0", 2}, {"web-0", 4}}).IgnoreError();
                clock.Advance(absl::Hours(24) * (kTrashDays + 1));
                vault.Gc().IgnoreError();
                clock.Advance(absl::Hours(24) * 2);
                vault.Delete({{"web-0", 5}}).IgnoreError();
                clock.Advance(absl::Hours(24) * (kTrashDays + 1));
              },
          .run =
              [](VaultDriver& vault, FakeClock& clock) {
                vault.Gc().IgnoreError();
                vault.BackUp({"web-0", 6}).IgnoreError();
                clock.Advance(absl::Hours(24) * (kTrashDays + 1));
                vault.Gc().IgnoreError();
              }};
}

namespace {

// Without the damage there is nothing to be proved.
void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "no damage could be done: %s\n", status.ToString().c_str());
  std::abort();
}

const std::vector<PlannedBackup>& BackupsOfTheOther() {
  static const auto* backups =
      new std::vector<PlannedBackup>{{"web-0", 1}, {"db-1", 2}, {"web-0", 2}, {"web-0", 3}};
  return *backups;
}

void BackUpAll(VaultDriver& vault) {
  for (const PlannedBackup& backup : BackupsOfTheOther()) vault.BackUp(backup).IgnoreError();
}

// Each in a pack of another backup.
void SpoilBeyondParity(VaultDriver& vault) {
  Must(vault.Spoil(24, Damage::kRuin));
  Must(vault.Spoil(200007, Damage::kLose));
}

void RepairAndGoOn(VaultDriver& vault, SourceVault& other) {
  vault.Repair(other.source()).IgnoreError();
  // Whatever failed is tried again.
  vault.Open().IgnoreError();
  vault.Repair(other.source()).IgnoreError();
  vault.BackUp({"web-0", 4}).IgnoreError();
}

}  // namespace

History Repair() {
  const std::shared_ptr<SourceVault> other = SourceVault::Make(BackupsOfTheOther());
  return {.name = "repair",
          .prepare =
              [](VaultDriver& vault, FakeClock&) {
                BackUpAll(vault);
                SpoilBeyondParity(vault);
                Must(vault.Spoil(8, Damage::kFlip));
              },
          .run =
              [other](VaultDriver& vault, FakeClock& clock) {
                vault.Repair(other->source()).IgnoreError();
                vault.BackUp({"web-0", 4}).IgnoreError();
                clock.Advance(absl::Hours(24) * (kTrashDays + 1));
                vault.Gc().IgnoreError();
              },
          .other = other};
}

History RepairWithASpoiltIndex() {
  const std::shared_ptr<SourceVault> other = SourceVault::Make(BackupsOfTheOther());
  return {.name = "repair with a spoilt index",
          .prepare =
              [](VaultDriver& vault, FakeClock&) {
                BackUpAll(vault);
                SpoilBeyondParity(vault);
                Must(vault.Spoil(8, Damage::kTear));
                Must(vault.SpoilIndex(IndexDamage::kSpoil));
              },
          .run = [other](VaultDriver& vault, FakeClock&) { RepairAndGoOn(vault, *other); },
          .other = other};
}

History RepairWithoutAnIndex() {
  const std::shared_ptr<SourceVault> other = SourceVault::Make(BackupsOfTheOther());
  return {.name = "repair without an index",
          .prepare =
              [](VaultDriver& vault, FakeClock&) {
                BackUpAll(vault);
                // Nothing else, whose repair would sync the index.
                Must(vault.Spoil(8, Damage::kTear));
                Must(vault.SpoilIndex(IndexDamage::kLose));
              },
          .run =
              [other](VaultDriver& vault, FakeClock&) {
                // Opened once more, so that the new index is on the disk before the repair.
                vault.Open().IgnoreError();
                RepairAndGoOn(vault, *other);
              },
          .other = other};
}

History Replication() {
  const std::shared_ptr<SourceVault> other = SourceVault::Make(BackupsOfTheOther());
  return {.name = "replication",
          .prepare =
              [other](VaultDriver& vault, FakeClock&) {
                // Some of the records are there already, and one of the copies is unwanted.
                vault.BackUp({"own-2", 1}).IgnoreError();
                vault.Replicate(other->source(), {"db-1"}).status().IgnoreError();
                vault.Delete({{"db-1", 2}}).IgnoreError();
              },
          .run =
              [other](VaultDriver& vault, FakeClock& clock) {
                other->CutAfter(8);
                vault.Replicate(other->source()).status().IgnoreError();
                other->CutAfter(-1);
                clock.Advance(absl::Minutes(5));
                vault.Replicate(other->source(), {"web-0"}).status().IgnoreError();
                vault.BackUp({"web-0", 4}).IgnoreError();
                vault.Replicate(other->source()).status().IgnoreError();
              },
          .other = other};
}

HistoryRun::HistoryRun(const History& history, Fault fault, ReadFault read_fault)
    : fault_(std::move(fault)),
      read_fault_(std::move(read_fault)),
      other_(history.other),
      parent_(FastDirectory()),
      place_(parent_.Join("vault")) {
  SetRealSync(false);
  VaultDriver driver(place_, clock_, [this](const VaultEvent& event) { Note(event); });
  if (history.prepare) {
    driver.Open().IgnoreError();
    history.prepare(driver, clock_);
  } else {
    MakeDirectories(place_).IgnoreError();
  }
  before_ = DiskModel::Of(place_);
  {
    const std::lock_guard<std::mutex> lock(mu_);
    watched_ = true;
  }
  WatchFiles(place_, this);
  if (driver.vault() == nullptr) driver.Open().IgnoreError();
  history.run(driver, clock_);
  WatchFiles(place_, nullptr);
  driver.Close();
}

void HistoryRun::Note(const VaultEvent& event) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (watched_) {
    steps_.push_back({.is_event = true, .event = event});
  } else {
    ledger_before_.Apply(event);
  }
}

int HistoryRun::Before(const FileOp& op, size_t* size) {
  ++calls_;
  return fault_ ? fault_(calls_, op, size) : 0;
}

int HistoryRun::BeforeRead(const std::string& path) {
  ++reads_;
  return read_fault_ ? read_fault_(reads_, path) : 0;
}

void HistoryRun::After(const FileOp& op) {
  const std::lock_guard<std::mutex> lock(mu_);
  steps_.push_back({.op = op});
}

std::string Describe(const std::vector<HistoryRun::Step>& steps, size_t end) {
  std::string text;
  for (size_t i = end < 12 ? 0 : end - 12; i < end; ++i) {
    absl::StrAppend(
        &text, "  ", i, " ",
        steps[i].is_event ? absl::StrCat("note ", steps[i].event.ToLine()) : ToString(steps[i].op),
        "\n");
  }
  return text;
}

int StrideOr(int usual) { return std::getenv("EMBER_LONG") != nullptr ? 1 : usual; }

}  // namespace ember::testing
