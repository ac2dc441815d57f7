// ember backup cat: the content of one file in a backup, part by part.
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/utf8.h"
#include "cli/wait.h"
#include "common/base/status.h"
#include "common/rpc/reader_key.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

struct CatArguments {
  std::string backup;
  std::string path;
};

// Text as it is; what is no UTF-8 in base64, as JSON has no bytes.
ExitCode PrintContent(Context& context, const v1::ReadFileRequest& request,
                      const std::string& content) {
  const bool text = IsUtf8(content);
  const nlohmann::ordered_json json = {{"backup", request.backup()},
                                       {"path", Escape(request.path())},
                                       {"size_bytes", content.size()},
                                       {"encoding", text ? "utf-8" : "base64"},
                                       {"content", text ? content : absl::Base64Escape(content)}};
  *context.out << JsonText(json);
  return kExitDone;
}

absl::StatusOr<ExitCode> Cat(Context& context, const CatArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  EMBER_ASSIGN_OR_RETURN(const v1::Backup backup, FindBackup(client, arguments.backup));
  const rpc::ReaderKey key;
  v1::ReadFileRequest request;
  request.set_backup(backup.id());
  request.set_path(arguments.path);
  request.set_reader_key(key.public_key());
  const std::string what = absl::StrCat("reading '", arguments.path, "' of '", backup.id(), "'");
  std::string all;  // with --json: one object at the end, or an error
  int64_t offset = 0;
  int64_t size = 1;
  while (offset < size) {
    request.set_offset(offset);
    EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::ReadFile, request));
    EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
    EMBER_RETURN_IF_ERROR(FailureOf(run, what));
    EMBER_ASSIGN_OR_RETURN(const std::string bytes,
                           key.Open(backup.id(), arguments.path, offset, run.part().sealed()));
    size = run.part().size();
    offset += static_cast<int64_t>(bytes.size());
    if (bytes.empty() && offset < size)
      return absl::InternalError(
          absl::StrCat(what, ": the node sent ", offset, " of ", size, " bytes"));
    if (context.options.json) {
      all += bytes;
    } else {
      context.out->write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
  }
  return context.options.json ? PrintContent(context, request, all) : kExitDone;
}

}  // namespace

Action DeclareBackupCat(CLI::App& app) {
  auto arguments = std::make_shared<CatArguments>();
  app.add_option("BACKUP", arguments->backup,
                 "Id, name, WORKLOAD@latest, WORKLOAD@TIME or a unique prefix")
      ->type_name("")
      ->required();
  app.add_option("PATH", arguments->path, "The file, as it was on the machine")
      ->type_name("")
      ->required();
  return [arguments](Context& context) { return Cat(context, *arguments); };
}

}  // namespace ember::cli
