// ember events, ember log verify.
#include <deque>
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/event_pages.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

struct EventsArguments {
  bool follow = false;
  std::string since;
  std::string workload;
  std::string type;
};

void PrintEvent(Context& context, const v1::Event& event) {
  if (context.options.json) {
    *context.out << JsonText(ToJson(event), false);
    return;
  }
  *context.out << absl::StreamFormat("%s  %-20s  %-16s  %s\n", FormatInstant(context, event.time()),
                                     Escape(event.type()), Escape(event.subject()),
                                     Escape(event.message()));
}

absl::StatusOr<ExitCode> Follow(Context& context, Client& client, v1::ListEventsRequest request) {
  request.set_wait_millis(kFollowWaitSeconds * 1000);
  absl::Duration last_contact = context.clock->Monotonic();
  bool lost = false;
  while (!context.interrupt->pressed.HasBeenNotified()) {
    bool end = false;
    const auto page = NextEvents(client, request, end);
    const absl::Duration now = context.clock->Monotonic();
    if (page.ok()) {
      last_contact = now;
      lost = false;
      for (const v1::Event& event : page->items()) PrintEvent(context, event);
      context.out->flush();
      continue;
    }
    if (!absl::IsUnavailable(page.status()) || now - last_contact > context.timeout())
      return page.status();
    if (!lost) *context.err << "the EM does not answer; trying again\n" << std::flush;
    lost = true;
    context.clock->Sleep(absl::Milliseconds(kRunPollMillis), context.interrupt->pressed);
  }
  return kExitDone;
}

absl::StatusOr<ExitCode> ShowEvents(Context& context, const EventsArguments& arguments) {
  v1::ListEventsRequest request;
  request.set_workload(arguments.workload);
  request.set_type(arguments.type);
  request.set_limit(kEventsPerReplyMax);
  if (!arguments.since.empty()) {
    EMBER_ASSIGN_OR_RETURN(const absl::Time since, ParseSince(context, arguments.since));
    *request.mutable_since() = rpc::ToTimestamp(since);
  }
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  const bool recent_only = arguments.follow && arguments.since.empty();
  EMBER_ASSIGN_OR_RETURN(
      const v1::ListEventsReply past,
      CollectEvents(client, request, recent_only ? kFollowPastEvents : SIZE_MAX));
  if (context.options.json && !arguments.follow) return PrintJson(context, past);
  for (const v1::Event& event : past.items()) PrintEvent(context, event);
  context.out->flush();
  return arguments.follow ? Follow(context, client, std::move(request)) : kExitDone;
}

}  // namespace

Action DeclareEvents(CLI::App& app) {
  auto arguments = std::make_shared<EventsArguments>();
  app.add_flag("--follow", arguments->follow, "Go on printing as things happen, until Ctrl-C");
  app.add_option("--since", arguments->since, "A time (RFC 3339) or how long ago, such as 2h")
      ->type_name("TIME");
  app.add_option("--workload", arguments->workload, "Only about this workload")
      ->type_name("WORKLOAD");
  app.add_option("--type", arguments->type, "Only of this type")->type_name("TYPE");
  return [arguments](Context& context) { return ShowEvents(context, *arguments); };
}

Action DeclareLogVerify(CLI::App&) {
  return [](Context& context) -> absl::StatusOr<ExitCode> {
    EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
    EMBER_ASSIGN_OR_RETURN(const v1::VerifyLogReply reply,
                           client.Call(&Events::VerifyLog, v1::VerifyLogRequest()));
    if (context.options.json) {
      PrintJson(context, reply);
      return reply.intact() ? kExitDone : kExitDamaged;
    }
    if (!reply.intact()) {
      return WithHint(
          Damaged("the event log", absl::StrCat("the chain of hashes breaks at event ",
                                                reply.first_bad_seq(), " of ", reply.events())),
          "someone or something changed the EM's catalog: compare it with your copies of `ember "
          "events`");
    }
    *context.out << "intact: " << Counted(static_cast<int64_t>(reply.events()), "event")
                 << ", head " << Escape(reply.head_hash()) << "\n";
    return kExitDone;
  };
}

}  // namespace ember::cli
