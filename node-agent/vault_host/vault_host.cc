#include "node-agent/vault_host/vault_host.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "google/protobuf/util/message_differencer.h"

namespace ember::agent {

namespace {

constexpr char kOpening[] = "it is being opened";

}  // namespace

using google::protobuf::util::MessageDifferencer;

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
    const bool same =
        known != hosted_.end() && MessageDifferencer::Equals(known->second.spec, spec);
    Hosted& hosted = next[spec.name()];
    if (same) {
      hosted = std::exchange(known->second, {});
    } else {
      hosted.spec = spec;
      hosted.fact.set_vault(spec.name());
      hosted.fact.set_problem(kOpening);
      hosted.opened = absl::UnavailableError(
          absl::StrCat("vault '", spec.name(), "' cannot be used yet: ", kOpening));
      look_now_ = true;
    }
  }
  for (auto& [name, hosted] : hosted_) {
    if (hosted.vault != nullptr) dropped_.push_back(std::move(hosted.vault));
  }
  hosted_ = std::move(next);
}

absl::StatusOr<std::shared_ptr<vault::Vault>> VaultHost::Find(const std::string& name) const {
  absl::MutexLock lock(&mu_);
  // A backup right after an apply comes while the vault is being opened.
  const auto decided = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    const auto found = hosted_.find(name);
    return found == hosted_.end() || found->second.fact.problem() != kOpening;
  };
  mu_.AwaitWithTimeout(absl::Condition(&decided), absl::Seconds(kVaultRetrySeconds));
  const auto found = hosted_.find(name);
  if (found == hosted_.end()) return std::shared_ptr<vault::Vault>();
  EMBER_RETURN_IF_ERROR(found->second.opened);
  return found->second.vault;
}

std::vector<v1::VaultFact> VaultHost::Facts() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::VaultFact> facts;
  for (const auto& [name, hosted] : hosted_) facts.push_back(hosted.fact);
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
  for (const auto& [name, hosted] : hosted_) due.push_back(hosted);
  return due;
}

void VaultHost::LookAt(const Hosted& hosted) {
  Hosted looked = hosted;
  if (looked.vault == nullptr) {
    absl::StatusOr<std::unique_ptr<vault::Vault>> opened = open_(hosted.spec);
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
  if (known == hosted_.end() || !MessageDifferencer::Equals(known->second.spec, looked.spec))
    return;
  const bool news = known->second.fact.problem() != looked.fact.problem();
  known->second = looked;
  if (!news) return;
  if (looked.fact.problem().empty()) {
    LogInfo("vault", "serving", {{"vault", looked.spec.name()}, {"path", looked.spec.path()}});
  } else {
    LogError("vault", "it cannot be served",
             {{"vault", looked.spec.name()}, {"error", looked.fact.problem()}});
  }
  changed_();
}

VaultHost::Opener DirectoryVaults(Clock* clock) {
  return [clock](const v1::VaultSpec& spec) -> absl::StatusOr<std::unique_ptr<vault::Vault>> {
    if (!absl::StartsWith(spec.path(), "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat("vault '", spec.name(), "' has no absolute path"));
    }
    vault::VaultOptions options;
    options.name = spec.name();
    options.directory = spec.path();
    options.clock = clock;
    return vault::Vault::Open(options);
  };
}

}  // namespace ember::agent
