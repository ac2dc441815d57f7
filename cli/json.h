// The JSON that scripts read: every message of ember/v1 by reflection, so that a new field needs no
// code.
#ifndef EMBER_CLI_JSON_H_
#define EMBER_CLI_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/exit_code.h"
#include "google/protobuf/message.h"
#include "nlohmann/json_fwd.hpp"

namespace ember::cli {

// Field names as in the proto, every field always present, 64-bit integers as numbers, enums by
// value name, Timestamp as RFC 3339 UTC or null when unset, other unset messages null, bytes as
// text when they are UTF-8 and base64 when not.
nlohmann::ordered_json ToJson(const google::protobuf::Message& message);

// {"error": {"code": "NOT_FOUND", "message": "...", "hint": "..."}}
nlohmann::ordered_json ErrorToJson(const absl::Status& status, const std::string& hint);

// Text with a newline at the end; `pretty`: indented, for one object; else one line, for streams of
// objects.
std::string JsonText(const nlohmann::ordered_json& json, bool pretty = true);

// One object, indented, on `context.out`; returns kExitDone.
ExitCode PrintJson(Context& context, const google::protobuf::Message& message);

}  // namespace ember::cli

#endif  // EMBER_CLI_JSON_H_
