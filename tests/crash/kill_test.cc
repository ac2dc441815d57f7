// A process that works on a vault is killed, again and again; what it had acknowledged is there.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "gtest/gtest.h"
#include "tests/crash/source_vault.h"
#include "tests/crash/vault_driver.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {
namespace {

constexpr int kKills = 200;
constexpr int kKillsLong = 5000;
// What dies is a matter of timing: of copies and of repairs one in kShare of the kills at least,
// and rounds are added until it is so.
constexpr int kShare = 20;
constexpr int kMostRoundsPerKill = 3;
// Rounds on one directory, so that a vault is killed many times, yet stays small.
constexpr int kRoundsPerVault = 8;
// Of the vault that is copied from; more than the rounds on one directory are likely to copy.
constexpr char kSourcePrefix[] = "s-";
constexpr int kSourceWorkloads = 8;
constexpr int kBackupsEach = 3;
constexpr int kFirstSourceNumber = 500;
// A worker says something long before this, or hangs.
constexpr int kSilenceMillis = 20000;

// A vault_worker and the pipe it tells its events into.
class WorkerProcess {
 public:
  WorkerProcess(const std::string& directory, unsigned seed, int first, absl::Duration ahead,
                const std::string& source, bool repairs) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    output_ = Fd(ends[0]);
    const Fd input(ends[1]);
    const std::string words[] = {EMBER_VAULT_WORKER,
                                 directory,
                                 absl::StrCat(seed),
                                 absl::StrCat(first),
                                 absl::StrCat(absl::ToInt64Seconds(ahead)),
                                 source};
    pid_ = fork();
    if (pid_ != 0) return;
    dup2(input.get(), STDOUT_FILENO);
    execl(words[0].c_str(), words[0].c_str(), words[1].c_str(), words[2].c_str(), words[3].c_str(),
          words[4].c_str(), words[5].c_str(), repairs ? "repair" : nullptr, nullptr);
    _exit(127);
  }
  ~WorkerProcess() { Kill(); }

  // Reads until `lines` lines have come; false at the end of output, or of patience.
  bool ReadLines(int lines) {
    for (int seen = 0; seen < lines;) {
      pollfd ready{.fd = output_.get(), .events = POLLIN};
      if (poll(&ready, 1, kSilenceMillis) <= 0) return false;
      char buffer[256];
      const ssize_t size = read(output_.get(), buffer, sizeof buffer);
      if (size <= 0) return false;
      told_.append(buffer, static_cast<size_t>(size));
      seen += static_cast<int>(std::count(buffer, buffer + size, '\n'));
    }
    return true;
  }

  // How it ended; what it told before is in told().
  int Kill() {
    if (pid_ <= 0) return status_;
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    pid_ = -1;
    char buffer[4096];
    for (ssize_t size; (size = read(output_.get(), buffer, sizeof buffer)) > 0;)
      told_.append(buffer, static_cast<size_t>(size));
    return status_;
  }

  const std::string& told() const { return told_; }

 private:
  Fd output_;
  pid_t pid_ = -1;
  int status_ = 0;
  std::string told_;
};

struct Counts {
  int acknowledged = 0;
  int copies_killed = 0;
  int repairs_killed = 0;
  int repairs = 0;

  bool Suffice(int kills) const {
    return acknowledged > kills && repairs > 0 && copies_killed > kills / kShare &&
           repairs_killed > kills / kShare;
  }
};

absl::Status ApplyLines(const std::string& told, VaultLedger* ledger, Counts* counts) {
  VaultEvent event;
  for (size_t begin = 0, end; (end = told.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    EMBER_ASSIGN_OR_RETURN(event, VaultEvent::FromLine(told.substr(begin, end - begin)));
    ledger->Apply(event);
    const bool is_done = event.outcome == VaultEvent::kDone;
    counts->acknowledged += is_done ? 1 : 0;
    counts->repairs += is_done && event.verb == VaultEvent::kRepair ? 1 : 0;
  }
  if (event.outcome != VaultEvent::kBegins) return absl::OkStatus();
  counts->copies_killed += event.verb == VaultEvent::kCopy ? 1 : 0;
  counts->repairs_killed += event.verb == VaultEvent::kRepair ? 1 : 0;
  return absl::OkStatus();
}

// A record of any backup that is there; what cannot be computed from parity any more is in the
// vault that is copied from, too. Now and then the index goes as well.
absl::Status DoDamage(VaultDriver& driver, const VaultLedger& ledger, std::mt19937& random) {
  std::vector<PlannedBackup> stored;
  for (const auto& [backup, row] : ledger.rows())
    if (row.fates == VaultLedger::kStored) stored.push_back(backup);
  if (stored.empty()) return absl::OkStatus();
  const PlannedBackup& victim = stored[random() % stored.size()];
  const std::vector<int> records = RecordsOf(victim);
  const bool is_elsewhere = victim.workload[0] == kSourcePrefix[0];
  EMBER_RETURN_IF_ERROR(driver.Spoil(records[random() % records.size()],
                                     is_elsewhere ? Damage::kRuin : Damage::kFlip));
  switch (random() % 4) {
    case 0: return driver.SpoilIndex(IndexDamage::kSpoil);
    case 1: return driver.SpoilIndex(IndexDamage::kLose);
    default: return absl::OkStatus();
  }
}

absl::Status MakeSource(const std::string& directory) {
  std::vector<PlannedBackup> backups;
  for (int i = 0; i < kSourceWorkloads * kBackupsEach; ++i)
    backups.push_back({absl::StrCat(kSourcePrefix, i / kBackupsEach), kFirstSourceNumber + i});
  return SourceVault::Open(directory, backups).status();
}

TEST(Kill, WhatWasAcknowledgedIsThereAfterEveryKill) {
  const int kills = std::getenv("EMBER_LONG") != nullptr ? kKillsLong : kKills;
  std::mt19937 random(20260101);
  Counts counts;
  TempDir beforehand(FastDirectory());
  const std::string source = beforehand.Join("source");
  ASSERT_OK(MakeSource(source));
  int round = 0;
  const auto goes_on = [&] {
    return round < kills || (round < kMostRoundsPerKill * kills && !counts.Suffice(kills));
  };
  while (goes_on()) {
    TempDir parent(FastDirectory());
    const std::string directory = parent.Join("vault");
    VaultLedger ledger;
    absl::Duration ahead;
    for (int i = 0; i < kRoundsPerVault && goes_on(); ++i, ++round) {
      // Until a repair ends, one process after the other begins with it, and dies at it.
      const bool repairs = ledger.is_damaged();
      WorkerProcess worker(directory, static_cast<unsigned>(round), 1 + i * 1000, ahead, source,
                           repairs);
      // Some die while they open the vault, some at once after an answer, some a little later.
      int lines = static_cast<int>(random() % 4 == 0 ? random() % 2 : random() % 30);
      if (repairs) lines = std::min(lines, 1);
      const bool running = worker.ReadLines(lines);
      // The instant of the kill, within whatever comes next.
      poll(nullptr, 0, static_cast<int>(random() % (repairs ? 10 : 5)));
      const int status = worker.Kill();
      ASSERT_TRUE(running && WIFSIGNALED(status))
          << "round " << round << ": the worker ended by itself: " << status;
      ASSERT_OK(ApplyLines(worker.told(), &ledger, &counts));
      ahead += absl::Hours(24);
      FakeClock clock;
      clock.Advance(ahead);
      VaultDriver driver(directory, clock, [&](const VaultEvent& event) { ledger.Apply(event); });
      ASSERT_OK(driver.Open()) << "round " << round;
      ASSERT_OK(ledger.CheckShown(*driver.vault())) << "round " << round;
      EXPECT_EQ(driver.vault()->Facts().problem(), "") << "round " << round;
      if (!ledger.is_damaged() && random() % 4 == 0) {
        ASSERT_OK(DoDamage(driver, ledger, random)) << "round " << round;
      }
    }
    FakeClock clock;
    clock.Advance(ahead);
    ASSERT_OK_AND_ASSIGN(const auto other, SourceVault::Open(source));
    ASSERT_OK(CheckRecovery(directory, ledger, clock.Now(), &other->source())) << "round " << round;
  }
  std::cout << round << " kills, " << counts.copies_killed << " of them while copying, "
            << counts.repairs_killed << " while repairing, " << counts.acknowledged
            << " acknowledgements, " << counts.repairs << " of them of repairs\n";
  EXPECT_GT(counts.acknowledged, kills);
  EXPECT_GT(counts.repairs_killed, kills / kShare);
  EXPECT_GT(counts.repairs, 0);
  EXPECT_GT(counts.copies_killed, kills / kShare);
}

}  // namespace
}  // namespace ember::testing
