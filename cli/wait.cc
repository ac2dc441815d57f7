#include "cli/wait.h"

#include <algorithm>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/output.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

bool Ended(const v1::Run& run) {
  return run.outcome() != v1::Outcome::PENDING && run.outcome() != v1::Outcome::RUNNING;
}

absl::Status Cancelled(Context& context, Client& client, const v1::Run& run,
                       const std::string& what) {
  *context.err << "cancelling " << Escape(what) << "\n" << std::flush;
  const std::string look =
      run.vault().empty() ? "ember backup list" : absl::StrCat("ember vault show ", run.vault());
  v1::GetRunRequest request;
  request.set_id(run.id());
  const auto reply = client.Call(&Protection::CancelRun, request);
  if (!reply.ok()) {
    return WithHint(absl::CancelledError(absl::StrCat(
                        "stopped waiting for ", what,
                        ": the EM could not be told to cancel it: ", reply.status().message())),
                    absl::StrCat("it may still be running: ", look));
  }
  if (reply->outcome() == v1::Outcome::OK || reply->outcome() == v1::Outcome::PARTIAL) {
    return WithHint(absl::CancelledError(absl::StrCat("interrupted: ", what, " had already ended")),
                    look);
  }
  return WithHint(absl::CancelledError(absl::StrCat("cancelled ", what, ": Ctrl-C was pressed")),
                  "nothing acknowledged before is lost; run it again when you want it");
}

std::string WaitingFor(const v1::Run& run) {
  return run.error().empty() ? "waiting for the node" : absl::StrCat("waiting: ", run.error());
}

}  // namespace

absl::StatusOr<v1::Run> WaitForRun(Context& context, Client& client, v1::Run run,
                                   const std::string& what) {
  ProgressLine progress(context);
  context.interrupt->armed = true;
  absl::Duration last_contact = context.clock->Monotonic();
  bool lost = false;
  while (!Ended(run)) {
    progress.Update(run);
    if (context.clock->Sleep(absl::Milliseconds(kRunPollMillis), context.interrupt->pressed)) {
      progress.Clear();
      return Cancelled(context, client, run, what);
    }
    v1::GetRunRequest request;
    request.set_id(run.id());
    auto reply = client.Call(&Protection::GetRun, request);
    const absl::Duration now = context.clock->Monotonic();
    if (reply.ok()) {
      last_contact = now;
      lost = false;
      run = *std::move(reply);
    } else if (!absl::IsUnavailable(reply.status()) || now - last_contact > context.timeout()) {
      progress.Clear();
      return Annotate(reply.status(), absl::StrCat("stopped waiting for ", what));
    } else if (!lost) {
      lost = true;
      progress.Say("the EM does not answer; trying again");
    }
  }
  progress.Clear();
  return run;
}

absl::Status FailureOf(const v1::Run& run, const std::string& what) {
  if (run.outcome() == v1::Outcome::OK || run.outcome() == v1::Outcome::PARTIAL)
    return absl::OkStatus();
  auto code = static_cast<absl::StatusCode>(run.code());
  const bool known =
      run.code() > 0 && run.code() <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  if (!known) code = absl::StatusCode::kInternal;
  if (code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded) {
    code = absl::StatusCode::kAborted;
  }
  return absl::Status(
      code,
      absl::StrCat(what, " failed: ", run.error().empty() ? "no reason was given" : run.error()));
}

absl::StatusOr<v1::Run> RestoreToEnd(Context& context, Client& client,
                                     const v1::RestoreRequest& request) {
  const std::string what = absl::StrCat(
      request.dry_run() ? "the comparison with '" : "the restore of '", request.backup(), "'");
  EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::Restore, request));
  EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
  EMBER_RETURN_IF_ERROR(FailureOf(run, what));
  return run;
}

void PrintProblems(Context& context,
                   const google::protobuf::RepeatedPtrField<v1::PathProblem>& problems,
                   int64_t total, const std::string& title) {
  total = std::max<int64_t>(total, problems.size());
  *context.err << title << ": " << Counted(total, "path") << "\n";
  for (const v1::PathProblem& problem : problems) {
    *context.err << "  " << Escape(problem.path()) << (problem.path().empty() ? "" : ": ")
                 << Escape(problem.problem()) << "\n";
  }
  if (total > problems.size()) *context.err << "  and " << total - problems.size() << " more\n";
  context.err->flush();
}

std::string ProgressLine::Text(const v1::Run& run, absl::Duration now) {
  const v1::Progress& p = run.progress();
  std::vector<std::string> parts;
  parts.push_back(!p.phase().empty()                      ? p.phase()
                  : run.outcome() == v1::Outcome::PENDING ? WaitingFor(run)
                                                          : "running");
  if (p.bytes_read() > 0) parts.push_back(absl::StrCat(FormatBytes(p.bytes_read()), " read"));
  if (p.bytes_sent() > 0) parts.push_back(absl::StrCat(FormatBytes(p.bytes_sent()), " sent"));
  if (p.files() > 0) parts.push_back(Counted(p.files(), "file"));

  while (samples_.size() > 1 &&
         now - samples_.front().first > absl::Seconds(kProgressRateSeconds)) {
    samples_.pop_front();
  }
  // A new phase may count from zero again.
  if (!samples_.empty() && p.bytes_read() < samples_.back().second) samples_.clear();
  samples_.emplace_back(now, p.bytes_read());
  const double seconds = absl::ToDoubleSeconds(now - samples_.front().first);
  const double rate = seconds > 0 ? (p.bytes_read() - samples_.front().second) / seconds : 0;
  if (seconds >= 1 && p.bytes_read() > 0)
    parts.push_back(absl::StrCat(FormatBytes(static_cast<int64_t>(rate)), "/s"));
  if (p.bytes_total() > 0) {
    const double done = std::min(1.0, static_cast<double>(p.bytes_read()) / p.bytes_total());
    parts.push_back(absl::StrCat(static_cast<int>(done * 100), " %"));
    if (seconds >= 1 && rate > 0 && done < 1) {
      parts.push_back(absl::StrCat(
          "ETA ", FormatRough(absl::Seconds((p.bytes_total() - p.bytes_read()) / rate))));
    }
  }
  return Escape(absl::StrJoin(parts, ", "));
}

void ProgressLine::Update(const v1::Run& run) {
  const absl::Duration now = context_.clock->Monotonic();
  const std::string text = Text(run, now);
  if (context_.err_terminal) {
    *context_.err << "\r\x1b[K" << text << std::flush;
    drawn_ = true;
    return;
  }
  // The first line after the first period: what ends before needs no progress.
  if (last_line_ == -absl::InfiniteDuration()) last_line_ = now;
  if (now - last_line_ < absl::Seconds(kProgressLineSeconds)) return;
  last_line_ = now;
  *context_.err << text << "\n" << std::flush;
}

void ProgressLine::Say(const std::string& text) {
  Clear();
  *context_.err << text << "\n" << std::flush;
}

void ProgressLine::Clear() {
  if (drawn_) *context_.err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace ember::cli
