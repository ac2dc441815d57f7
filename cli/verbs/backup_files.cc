// ember backup files: what is in a backup, page by page.
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "common/base/status.h"

namespace ember::cli {
namespace {

struct FilesArguments {
  std::string backup;
  std::string path;
};

char TypeLetter(const std::string& type) {
  if (type == "file") return '-';
  if (type == "fifo") return 'p';
  if (type == "symlink") return 'l';
  // d, s, c, b
  return type.empty() ? '?' : type[0];
}

// "drwxr-sr-x", as ls(1) writes it.
std::string ModeText(const v1::FileRow& row) {
  std::string text(1, TypeLetter(row.type()));
  const uint32_t mode = row.mode();
  for (int shift = 6; shift >= 0; shift -= 3) {
    const uint32_t bits = mode >> shift;
    text += (bits & 4) != 0 ? 'r' : '-';
    text += (bits & 2) != 0 ? 'w' : '-';
    text += (bits & 1) != 0 ? 'x' : '-';
  }
  const auto special = [&](uint32_t bit, size_t at, char letter) {
    if ((mode & bit) == 0) return;
    text[at] = text[at] == 'x' ? letter : static_cast<char>(letter - 'a' + 'A');
  };
  special(04000, 3, 's');
  special(02000, 6, 's');
  special(01000, 9, 't');
  return text;
}

std::string Line(const Context& context, const v1::FileRow& row) {
  std::string line = absl::StrFormat("%s %-8s %-8s %12d %s %s", ModeText(row), Escape(row.user()),
                                     Escape(row.group()), row.size(),
                                     FormatInstant(context, row.modified()), Escape(row.path()));
  if (!row.target().empty())
    absl::StrAppend(&line, row.type() == "symlink" ? " -> " : " = ", Escape(row.target()));
  return line;
}

absl::StatusOr<ExitCode> ListFiles(Context& context, const FilesArguments& arguments) {
  EMBER_ASSIGN_OR_RETURN(Client client, Client::Connect(context));
  v1::ListFilesRequest request;
  request.set_backup(arguments.backup);
  request.set_path(arguments.path);
  const std::string what = absl::StrCat("the listing of '", arguments.backup, "'");
  v1::FileList all;  // with --json: one object at the end, or an error
  bool more = true;
  while (more) {
    EMBER_ASSIGN_OR_RETURN(v1::Run run, client.Call(&Protection::ListFiles, request));
    EMBER_ASSIGN_OR_RETURN(run, WaitForRun(context, client, std::move(run), what));
    EMBER_RETURN_IF_ERROR(FailureOf(run, what));
    for (const v1::FileRow& row : run.files().items()) {
      if (!context.options.json) *context.out << Line(context, row) << "\n";
    }
    more = run.files().more() && run.files().items_size() > 0;
    if (more) {
      // "latest" and prefixes stand for one backup all the way.
      request.set_backup(run.backup_id());
      request.set_after(run.files().items(run.files().items_size() - 1).path());
    }
    if (context.options.json) all.mutable_items()->MergeFrom(run.files().items());
  }
  return context.options.json ? PrintJson(context, all) : kExitDone;
}

}  // namespace

Action DeclareBackupFiles(CLI::App& app) {
  auto arguments = std::make_shared<FilesArguments>();
  app.add_option("BACKUP", arguments->backup,
                 "Id, name, WORKLOAD@latest, WORKLOAD@TIME or a unique prefix")
      ->type_name("")
      ->required();
  app.add_option("PATH", arguments->path,
                 "Only this path and what is below, as it was on the machine")
      ->type_name("");
  return [arguments](Context& context) { return ListFiles(context, *arguments); };
}

}  // namespace ember::cli
