// Which runs the schedules ask for.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "controller/protect/runs.h"
#include "controller/protect/schedule.h"
#include "controller/protect/vault_jobs.h"

namespace ember::controller {

namespace rec = record::v1;

namespace {

absl::StatusOr<Calendar> CalendarOf(const v1::PolicySpec& policy) {
  return policy.cron().empty() ? ParseCalendar(policy.schedule()) : ParseCron(policy.cron());
}

absl::TimeZone ZoneOf(const v1::PolicySpec& policy) {
  absl::TimeZone zone = absl::UTCTimeZone();
  if (!policy.timezone().empty()) (void)absl::LoadTimeZone(policy.timezone(), &zone);
  return zone;
}

bool HasSchedule(const v1::PolicySpec& policy) {
  return !policy.schedule().empty() || !policy.cron().empty();
}

absl::Status AddDueRun(EmState& em, const v1::WorkloadSpec& spec, const v1::PolicySpec& policy)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const auto it = em.catalog->workloads().find(spec.name());
  if (it == em.catalog->workloads().end()) return absl::OkStatus();
  auto calendar = CalendarOf(policy);
  if (!calendar.ok()) return calendar.status();
  const auto last = it->second.policy_last_due().find(policy.name());
  rec::WorkloadRecord workload = it->second;
  const absl::Time now = em.clock->Now();
  const absl::Time after = last == it->second.policy_last_due().end()
                               ? absl::InfinitePast()
                               : rpc::FromTimestamp(last->second);
  Batch batch;
  if (after == absl::InfinitePast() || after > now) {
    // New here, or the clock went back: the schedule counts from now.
    (*workload.mutable_policy_last_due())[policy.name()] = rpc::ToTimestamp(now);
    batch.Put(workload);
    return em.Commit(batch);
  }
  const auto due = LatestDue(*calendar, after, now, ZoneOf(policy));
  if (!due) return absl::OkStatus();
  (*workload.mutable_policy_last_due())[policy.name()] = rpc::ToTimestamp(*due);
  batch.Put(workload);
  const bool already =
      std::any_of(em.catalog->runs().begin(), em.catalog->runs().end(), [&](const auto& entry) {
        return entry.second.policy() == policy.name() && entry.second.run().kind() == "backup" &&
               entry.second.run().workload() == spec.name() && IsOpenRun(entry.second);
      });
  if (!already) {
    rec::RunRecord run = NewRun(em, "backup", spec.name());
    run.set_policy(policy.name());
    run.mutable_backup_request()->set_reason(absl::StrCat("schedule ", policy.name()));
    batch.Put(run);
  }
  return em.Commit(batch);
}

// The good backup that was verified longest ago: so all get their turn.
const rec::BackupRecord* LeastRecentlyVerified(const EmState& em, const std::string& workload)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const rec::BackupRecord* oldest = nullptr;
  const auto verified = [](const rec::BackupRecord& record) {
    return rpc::FromTimestamp(record.backup().verified_at());
  };
  for (const rec::BackupRecord* good : GoodBackups(em, workload)) {
    if (oldest == nullptr || verified(*good) < verified(*oldest)) oldest = good;
  }
  return oldest;
}

// One verification per workload and `verify: {every}`, however many policies ask.
absl::Status AddDueVerification(EmState& em, const v1::WorkloadSpec& spec)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(em.mu) {
  const v1::PolicySpec* asks = nullptr;
  for (const std::string& name : spec.policies()) {
    const v1::PolicySpec* policy = FindPolicy(em.catalog->estate().estate(), name);
    if (policy == nullptr || policy->verify_every_seconds() == 0) continue;
    if (asks == nullptr || policy->verify_every_seconds() < asks->verify_every_seconds())
      asks = policy;
  }
  const auto it = em.catalog->workloads().find(spec.name());
  if (asks == nullptr || it == em.catalog->workloads().end()) return absl::OkStatus();
  const absl::Time now = em.clock->Now();
  const absl::Time last = rpc::FromTimestamp(it->second.last_verify_due());
  // New here, or the clock went back: it counts from now.
  const bool begin = !it->second.has_last_verify_due() || last > now;
  if (!begin && now - last < absl::Seconds(asks->verify_every_seconds())) return absl::OkStatus();
  Batch batch;
  rec::WorkloadRecord workload = it->second;
  *workload.mutable_last_verify_due() = rpc::ToTimestamp(now);
  batch.Put(workload);
  const rec::BackupRecord* backup = LeastRecentlyVerified(em, spec.name());
  if (!begin && backup != nullptr) {
    rec::RunRecord run = NewRun(em, "verify", spec.name());
    run.set_policy(asks->name());
    run.mutable_run()->set_backup_id(backup->backup().id());
    run.set_sample_percent(asks->verify_sample_percent());
    batch.Put(run);
  }
  return em.Commit(batch);
}

}  // namespace

absl::Status AddDueRuns(EmState& em) {
  const v1::Estate& estate = em.catalog->estate().estate();
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    for (const std::string& name : spec.policies()) {
      const v1::PolicySpec* policy = FindPolicy(estate, name);
      if (policy != nullptr && HasSchedule(*policy))
        EMBER_RETURN_IF_ERROR(AddDueRun(em, spec, *policy));
    }
    EMBER_RETURN_IF_ERROR(AddDueVerification(em, spec));
  }
  return AddDueVaultJobs(em);
}

absl::Time NextDue(const v1::PolicySpec& policy, absl::Time after) {
  if (!HasSchedule(policy)) return absl::InfiniteFuture();
  const auto calendar = CalendarOf(policy);
  return calendar.ok() ? NextAfter(*calendar, after, ZoneOf(policy)) : absl::InfiniteFuture();
}

absl::StatusOr<v1::ListNextRunsReply> NextRuns(const EmState& em,
                                               const v1::ListNextRunsRequest& request) {
  const int count = std::max(1, request.count());
  if (count > kNextRunsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kNextRunsMax, " runs of each policy are not listed"));
  }
  if (!request.workload().empty() && em.catalog->FindWorkload(request.workload()) == nullptr)
    return WorkloadNotFound(request.workload());
  v1::ListNextRunsReply reply;
  const v1::Estate& estate = em.catalog->estate().estate();
  for (const v1::WorkloadSpec& spec : estate.workloads()) {
    if (!request.workload().empty() && spec.name() != request.workload()) continue;
    for (const std::string& name : spec.policies()) {
      const v1::PolicySpec* policy = FindPolicy(estate, name);
      absl::Time time = em.clock->Now();
      for (int n = 0; policy != nullptr && n < count; ++n) {
        time = NextDue(*policy, time);
        if (time == absl::InfiniteFuture()) break;
        v1::NextRun* run = reply.add_items();
        *run->mutable_time() = rpc::ToTimestamp(time);
        run->set_workload(spec.name());
        run->set_policy(name);
      }
    }
  }
  std::stable_sort(reply.mutable_items()->begin(), reply.mutable_items()->end(),
                   [](const v1::NextRun& a, const v1::NextRun& b) {
                     return rpc::FromTimestamp(a.time()) < rpc::FromTimestamp(b.time());
                   });
  return reply;
}

absl::Time NextBackup(const EmState& em, const v1::WorkloadSpec& spec) {
  absl::Time next = absl::InfiniteFuture();
  for (const std::string& name : spec.policies()) {
    const v1::PolicySpec* policy = FindPolicy(em.catalog->estate().estate(), name);
    if (policy != nullptr) next = std::min(next, NextDue(*policy, em.clock->Now()));
  }
  return next;
}

}  // namespace ember::controller
