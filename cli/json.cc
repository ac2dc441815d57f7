#include "cli/json.h"

#include <ostream>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "cli/utf8.h"
#include "common/rpc/convert.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/timestamp.pb.h"
#include "nlohmann/json.hpp"

namespace ember::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;

ordered_json BytesToJson(const std::string& bytes) {
  return IsUtf8(bytes) ? bytes : absl::Base64Escape(bytes);
}

ordered_json TimestampToJson(const google::protobuf::Timestamp& timestamp) {
  const absl::Time time = rpc::FromTimestamp(timestamp);
  if (time == absl::InfinitePast()) return nullptr;
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

ordered_json MessageToJson(const Message& message) {
  if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
    return TimestampToJson(static_cast<const google::protobuf::Timestamp&>(message));
  }
  return ToJson(message);
}

// Name of an enum value; a number when a newer EM sent one that this build does not know.
ordered_json EnumToJson(const FieldDescriptor* field, int number) {
  const auto* value = field->enum_type()->FindValueByNumber(number);
  return value != nullptr ? ordered_json(value->name()) : ordered_json(number);
}

// The value of `field`, or its element `i` when i >= 0.
ordered_json ValueToJson(const Message& m, const Reflection* r, const FieldDescriptor* f, int i) {
  const bool one = i < 0;
  std::string scratch;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? r->GetInt32(m, f) : r->GetRepeatedInt32(m, f, i);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? r->GetInt64(m, f) : r->GetRepeatedInt64(m, f, i);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? r->GetUInt32(m, f) : r->GetRepeatedUInt32(m, f, i);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? r->GetUInt64(m, f) : r->GetRepeatedUInt64(m, f, i);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? r->GetDouble(m, f) : r->GetRepeatedDouble(m, f, i);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? r->GetFloat(m, f) : r->GetRepeatedFloat(m, f, i);
    case FieldDescriptor::CPPTYPE_BOOL: return one ? r->GetBool(m, f) : r->GetRepeatedBool(m, f, i);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumToJson(f, one ? r->GetEnumValue(m, f) : r->GetRepeatedEnumValue(m, f, i));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string& text = one ? r->GetStringReference(m, f, &scratch)
                                    : r->GetRepeatedStringReference(m, f, i, &scratch);
      return f->type() == FieldDescriptor::TYPE_BYTES ? BytesToJson(text) : ordered_json(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageToJson(one ? r->GetMessage(m, f) : r->GetRepeatedMessage(m, f, i));
  }
  return nullptr;
}

ordered_json MapToJson(const Message& message, const Reflection* reflection,
                       const FieldDescriptor* field) {
  ordered_json object = ordered_json::object();
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    const auto* type = entry.GetDescriptor();
    const ordered_json key = ValueToJson(entry, entry.GetReflection(), type->map_key(), -1);
    object[key.is_string() ? key.get<std::string>() : key.dump()] =
        ValueToJson(entry, entry.GetReflection(), type->map_value(), -1);
  }
  return object;
}

}  // namespace

ordered_json ToJson(const Message& message) {
  ordered_json object = ordered_json::object();
  const Reflection* reflection = message.GetReflection();
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    ordered_json& value = object[field->name()];
    if (field->is_map()) {
      value = MapToJson(message, reflection, field);
    } else if (field->is_repeated()) {
      value = ordered_json::array();
      for (int n = 0; n < reflection->FieldSize(message, field); ++n) {
        value.push_back(ValueToJson(message, reflection, field, n));
      }
    } else if (field->has_presence() && !reflection->HasField(message, field)) {
      value = nullptr;
    } else {
      value = ValueToJson(message, reflection, field, -1);
    }
  }
  return object;
}

ordered_json ErrorToJson(const absl::Status& status, const std::string& hint) {
  ordered_json error = ordered_json::object();
  error["code"] = absl::StatusCodeToString(status.code());
  error["message"] = std::string(status.message());
  error["hint"] = hint;
  return {{"error", error}};
}

std::string JsonText(const ordered_json& json, bool pretty) {
  return json.dump(pretty ? 2 : -1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ExitCode PrintJson(Context& context, const Message& message) {
  *context.out << JsonText(ToJson(message)) << std::flush;
  return kExitDone;
}

}  // namespace ember::cli
