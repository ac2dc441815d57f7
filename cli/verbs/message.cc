// ember message ...
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/convert.h"

namespace ember::cli {
namespace {

// A message is shown in a table up to here.
constexpr size_t kShownBytes = 40;

struct SendArguments {
  std::string to;
  std::string text;
  std::string file;
  std::string from;
  std::string id;
  std::string agent;
};

// Nobody else sends under it.
std::string NewId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&id, absl::Hex(random(), absl::kZeroPad8));
  return id;
}

absl::StatusOr<std::string> BodyOf(const Context& context, const SendArguments& arguments) {
  if (arguments.file.empty() == arguments.text.empty()) {
    return WithHint(absl::InvalidArgumentError("a message is either TEXT or a file"),
                    "ember message send WORKLOAD TEXT, or -f FILE (- reads stdin)");
  }
  if (arguments.file.empty()) return arguments.text;
  std::string body;
  if (arguments.file != "-") {
    auto read = ReadFile(arguments.file, kMessageBytesMax);
    if (!read.ok()) return WithHint(read.status(), "give the path of a file, or - for stdin");
    return read;
  }
  for (char c = 0; body.size() <= kMessageBytesMax && context.in->get(c);) body.push_back(c);
  return body;
}

absl::StatusOr<ExitCode> Send(Context& context, const SendArguments& arguments) {
  v1::SendMessageRequest request;
  v1::Message& message = *request.mutable_message();
  message.set_to(arguments.to);
  message.set_from(arguments.from);
  message.set_id(arguments.id.empty() ? NewId() : arguments.id);
  EMBER_ASSIGN_OR_RETURN(*message.mutable_body(), BodyOf(context, arguments));
  *message.mutable_sent() = rpc::ToTimestamp(context.clock->Now());
  const std::string agent =
      arguments.agent.empty() ? context.environment("EMBER_AGENT") : arguments.agent;
  // What a node sends goes one way, so that it arrives in its order.
  EMBER_ASSIGN_OR_RETURN(Client client, agent.empty() ? Client::Connect(context)
                                                      : Client::ConnectToAgent(context, agent));
  EMBER_ASSIGN_OR_RETURN(const v1::SendMessageReply reply, client.Call(&Messages::Send, request));
  if (context.options.json) return PrintJson(context, reply);
  *context.out << reply.message().id() << "\n";
  return kExitDone;
}

struct ReceiveArguments {
  std::string workload;
  bool wait = false;
  bool keep = false;
};

// The oldest message; with `wait` the first that comes, whether or not the EM is there meanwhile.
absl::StatusOr<v1::Message> Oldest(Context& context, Client& client,
                                   const ReceiveArguments& arguments) {
  v1::ReceiveMessageRequest request;
  request.set_workload(arguments.workload);
  request.set_wait_millis(arguments.wait ? kFollowWaitSeconds * 1000 : 0);
  bool lost = false;
  while (true) {
    absl::StatusOr<v1::Message> message =
        client.Call(&Messages::Receive, request, absl::Milliseconds(request.wait_millis()));
    const bool none = message.ok() && message->seq() == 0;
    const bool away = absl::IsUnavailable(message.status());
    if (none && !arguments.wait) {
      return WithHint(
          absl::NotFoundError(absl::StrCat("no message waits for '", arguments.workload, "'")),
          "--wait waits for one");
    }
    if (!none && !(away && arguments.wait)) return message;
    if (away && !lost) *context.err << "ember: the EM does not answer; waiting for it\n";
    lost = away;
    const bool pressed = away ? context.clock->Sleep(absl::Seconds(1), context.interrupt->pressed)
                              : context.interrupt->pressed.HasBeenNotified();
    if (pressed) return absl::CancelledError("interrupted: no message was taken");
  }
}

absl::StatusOr<ExitCode> Receive(Context& context, const ReceiveArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  context.interrupt->armed = arguments.wait;
  EMBER_ASSIGN_OR_RETURN(const v1::Message message, Oldest(context, client, arguments));
  if (context.options.json) {
    PrintJson(context, message);
  } else {
    *context.out << message.body();
    if (message.body().empty() || message.body().back() != '\n') *context.out << "\n";
  }
  // Not before somebody has it: a message may come twice, and is never lost.
  if (!context.out->flush())
    return absl::InternalError("the message could not be written; it stays");
  if (arguments.keep) return kExitDone;
  v1::ConfirmMessageRequest confirm;
  confirm.set_workload(arguments.workload);
  confirm.set_seq(message.seq());
  EMBER_RETURN_IF_ERROR(
      Annotate(client.Call(&Messages::Confirm, confirm).status(), "the message will come again"));
  return kExitDone;
}

absl::StatusOr<ExitCode> List(Context& context, const std::string& workload) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::ListMessagesRequest request;
  request.set_workload(workload);
  EMBER_ASSIGN_OR_RETURN(const v1::ListMessagesReply reply,
                         client.Call(&Messages::ListMessages, request));
  if (context.options.json) return PrintJson(context, reply);
  if (reply.items().empty()) {
    *context.out << "no messages\n";
    return kExitDone;
  }
  Table table({{"TO"}, {"FROM"}, {"AGE", true}, {"ID", false, true}, {"MESSAGE"}});
  for (const v1::Message& message : reply.items()) {
    const absl::string_view body = message.body();
    table.Add({message.to(), message.from(), FormatAge(context, message.sent()), message.id(),
               absl::StrCat(absl::CEscape(body.substr(0, kShownBytes)),
                            body.size() > kShownBytes ? "..." : "")});
  }
  *context.out << table.Format(ColorsWelcome(context));
  return kExitDone;
}

}  // namespace

Action DeclareMessageSend(CLI::App& app) {
  auto arguments = std::make_shared<SendArguments>();
  app.add_option("WORKLOAD", arguments->to, "The receiver")->type_name("")->required();
  app.add_option("TEXT", arguments->text, "The message")->type_name("");
  app.add_option("-f,--file", arguments->file, "Send a file's bytes; - reads stdin")
      ->type_name("FILE");
  app.add_option("--from", arguments->from, "The workload that sends it")->type_name("WORKLOAD");
  app.add_option("--id", arguments->id, "What is sent twice under one id arrives once")
      ->type_name("ID");
  app.add_option("--agent", arguments->agent,
                 "By this agent, which keeps it while the EM is away (EMBER_AGENT)")
      ->type_name("NODE@HOST:PORT");
  return [arguments](Context& context) { return Send(context, *arguments); };
}

Action DeclareMessageReceive(CLI::App& app) {
  auto arguments = std::make_shared<ReceiveArguments>();
  app.add_option("WORKLOAD", arguments->workload, "The receiver")->type_name("")->required();
  app.add_flag("--wait", arguments->wait, "Wait until there is one");
  app.add_flag("--keep", arguments->keep, "Only look: it stays the oldest");
  return [arguments](Context& context) { return Receive(context, *arguments); };
}

Action DeclareMessageList(CLI::App& app) {
  auto workload = std::make_shared<std::string>();
  app.add_option("WORKLOAD", *workload, "Only this receiver's")->type_name("");
  return [workload](Context& context) { return List(context, *workload); };
}

}  // namespace ember::cli
