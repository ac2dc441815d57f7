#include "node-agent/vault_host/vault_host.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace ember::agent {

namespace {

constexpr char kOpening[] = "it is being opened";

constexpr char kRebuilding[] = "its index is being made anew";

// A change of anything else must not close a vault that a backup or a job is using.
bool SameVault(const v1::VaultSpec& a, const v1::VaultSpec& b) {
  return a.name() == b.name() && a.path() == b.path();
}

vault::VaultRules RulesOf(const v1::VaultSpec& spec) {
  vault::VaultRules rules;
  if (spec.trash_seconds() > 0) rules.trash = absl::Seconds(spec.trash_seconds());
  rules.min_retention = absl::Seconds(spec.min_retention_seconds());
  if (spec.deletion_budget_percent() > 0)
    rules.deletion_budget_percent = spec.deletion_budget_percent();
  rules.parity = !spec.no_parity();
  return rules;
}

absl::Status NotYet(const std::string& name, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("vault '", name, "' cannot be used yet: ", why));
}

}  // namespace

VaultHost::VaultHost(Opener open, Clock* clock, std::function<void()> changed)
    : open_(std::move(open)), clock_(clock), changed_(std::move(changed)) {}

VaultHost::~VaultHost() { Stop(); }

void VaultHost::Run() {
  thread_ = std::thread([this] { Loop(); });
}

void VaultHost::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
  std::map<std::string, Hosted> hosted;
  {
    absl::MutexLock lock(&mu_);
    hosted.swap(hosted_);
  }
  CloseDropped();
}

void VaultHost::Set(const google::protobuf::RepeatedPtrField<v1::VaultSpec>& vaults) {
  absl::MutexLock lock(&mu_);
  std::map<std::string, Hosted> next;
  for (const v1::VaultSpec& spec : vaults) {
    const auto known = hosted_.find(spec.name());
    Hosted& hosted = next[spec.name()];
    if (known != hosted_.end() && SameVault(known->second.spec, spec)) {
      hosted = std::exchange(known->second, {});
      if (hosted.vault != nullptr) hosted.vault->SetRules(RulesOf(spec));
    } else {
      hosted.fact.set_vault(spec.name());
      hosted.fact.set_problem(kOpening);
      hosted.opened = NotYet(spec.name(), kOpening);
      look_now_ = true;
    }
    hosted.spec = spec;
  }
  for (auto& [name, hosted] : hosted_) {
    if (hosted.vault != nullptr) dropped_.push_back(std::move(hosted.vault));
  }
  hosted_ = std::move(next);
}

absl::StatusOr<std::shared_ptr<vault::Vault>> VaultHost::Find(const std::string& name) const {
  absl::MutexLock lock(&mu_);
  // A backup right after an apply comes while the vault is being opened; an index is soon made.
  const auto decided = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    const auto found = hosted_.find(name);
    if (found == hosted_.end()) return true;
    const std::string& problem = found->second.fact.problem();
    return problem != kOpening && problem != kRebuilding;
  };
  mu_.AwaitWithTimeout(absl::Condition(&decided), absl::Seconds(kVaultRetrySeconds));
  const auto found = hosted_.find(name);
  if (found == hosted_.end()) return std::shared_ptr<vault::Vault>();
  EMBER_RETURN_IF_ERROR(found->second.opened);
  return found->second.vault;
}

std::vector<std::shared_ptr<vault::Vault>> VaultHost::Open() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<vault::Vault>> open;
  for (const auto& [name, hosted] : hosted_) {
    if (hosted.vault != nullptr) open.push_back(hosted.vault);
  }
  return open;
}

std::vector<v1::VaultFact> VaultHost::Facts() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::VaultFact> facts;
  for (const auto& [name, hosted] : hosted_) {
    facts.push_back(hosted.fact);
    // What was looked at seconds ago may be older than a receipt that the controller has by now.
    if (hosted.vault != nullptr) facts.back().set_sequence(hosted.vault->sequence());
  }
  return facts;
}

// --- the thread
// ------------------------------------------------------------------------------------------------------

void VaultHost::Loop() {
  do {
    CloseDropped();
    for (const Hosted& hosted : Due()) LookAt(hosted);
  } while (!clock_->Sleep(absl::Milliseconds(kVaultLookMillis), stop_));
}

void VaultHost::CloseDropped() {
  std::vector<std::shared_ptr<vault::Vault>> dropped;
  absl::MutexLock lock(&mu_);
  dropped.swap(dropped_);
}

std::vector<VaultHost::Hosted> VaultHost::Due() {
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_->Monotonic();
  if (!look_now_ && now - looked_ < absl::Seconds(kVaultRetrySeconds)) return {};
  look_now_ = false;
  looked_ = now;
  std::vector<Hosted> due;
  for (const auto& [name, hosted] : hosted_) {
    if (!hosted.rebuilding) due.push_back(hosted);
  }
  return due;
}

void VaultHost::LookAt(const Hosted& hosted) {
  Hosted looked = hosted;
  if (looked.vault == nullptr) {
    absl::StatusOr<std::unique_ptr<vault::Vault>> opened = open_(hosted.spec, false);
    looked.opened = opened.status();
    if (opened.ok()) {
      looked.vault = *std::move(opened);
    } else {
      looked.fact.Clear();
      looked.fact.set_problem(std::string(opened.status().message()));
    }
  }
  if (looked.vault != nullptr) looked.fact = looked.vault->Facts();
  looked.fact.set_vault(hosted.spec.name());
  Note(looked);
}

void VaultHost::Note(const Hosted& looked) {
  absl::MutexLock lock(&mu_);
  const auto known = hosted_.find(looked.spec.name());
  if (known == hosted_.end() || !SameVault(known->second.spec, looked.spec)) return;
  if (known->second.rebuilding && !looked.rebuilding) return;  // looked at before
  const bool news = known->second.fact.problem() != looked.fact.problem();
  // The rules may have changed while it was being opened.
  const v1::VaultSpec spec = known->second.spec;
  known->second = looked;
  known->second.spec = spec;
  known->second.rebuilding = false;
  if (looked.vault != nullptr) looked.vault->SetRules(RulesOf(spec));
  if (!news) return;
  if (looked.fact.problem().empty()) {
    LogInfo("vault", "serving", {{"vault", looked.spec.name()}, {"path", looked.spec.path()}});
  } else {
    LogError("vault", "it cannot be served",
             {{"vault", looked.spec.name()}, {"error", looked.fact.problem()}});
  }
  changed_();
}

// Nobody else holds the vault, and nobody opens it, once this returns OK.
absl::StatusOr<v1::VaultSpec> VaultHost::TakeForRebuild(const std::string& name) {
  std::shared_ptr<vault::Vault> closed;  // outside the lock: it may wait for a disk
  absl::MutexLock lock(&mu_);
  const auto found = hosted_.find(name);
  if (found == hosted_.end())
    return absl::NotFoundError(absl::StrCat("vault '", name, "' is not served here"));
  Hosted& hosted = found->second;
  if (hosted.rebuilding || hosted.vault.use_count() > 1) {
    return WithHint(absl::UnavailableError(absl::StrCat(
                        "vault '", name, "' is in use by a backup, a restore or another job")),
                    "try again when that has ended");
  }
  closed = std::move(hosted.vault);
  hosted.vault = nullptr;
  hosted.rebuilding = true;
  hosted.opened = NotYet(name, kRebuilding);
  hosted.fact.set_problem(kRebuilding);
  return hosted.spec;
}

absl::StatusOr<std::string> VaultHost::RebuildIndex(const std::string& name) {
  absl::StatusOr<v1::VaultSpec> spec = TakeForRebuild(name);
  // A look at it, or a call that is about to end, holds it for a moment.
  const absl::Duration until = clock_->Monotonic() + absl::Seconds(kVaultRetrySeconds);
  while (absl::IsUnavailable(spec.status()) && clock_->Monotonic() < until) {
    if (clock_->Sleep(absl::Milliseconds(kVaultLookMillis), stop_)) break;
    spec = TakeForRebuild(name);
  }
  EMBER_RETURN_IF_ERROR(spec.status());
  Hosted looked;
  looked.spec = *spec;
  looked.rebuilding = true;
  absl::StatusOr<std::unique_ptr<vault::Vault>> opened = open_(*spec, true);
  looked.opened = opened.status();
  looked.fact.set_problem(std::string(opened.status().message()));
  if (opened.ok()) {
    looked.vault = *std::move(opened);
    looked.fact = looked.vault->Facts();
  }
  looked.fact.set_vault(name);
  Note(looked);
  EMBER_RETURN_IF_ERROR(looked.opened);
  return looked.fact.problem();
}

VaultHost::Opener DirectoryVaults(Clock* clock) {
  return [clock](const v1::VaultSpec& spec,
                 bool rebuild_index) -> absl::StatusOr<std::unique_ptr<vault::Vault>> {
    if (!absl::StartsWith(spec.path(), "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("vault '", spec.name(), "' has no absolute path"));
    }
    vault::VaultOptions options;
    options.name = spec.name();
    options.directory = spec.path();
    options.clock = clock;
    options.rules = RulesOf(spec);
    options.rebuild_index = rebuild_index;
    return vault::Vault::Open(options);
  };
}

}  // namespace ember::agent
