#include "common/vault/object_store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace ember::vault {
namespace {

constexpr size_t kComponentBytesMax = 255;

bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-'; }

}  // namespace

absl::Status ValidateObjectName(absl::string_view name) {
  for (absl::string_view component : absl::StrSplit(name, '/')) {
    if (component.empty() || component.size() > kComponentBytesMax || component[0] == '.' ||
        !std::all_of(component.begin(), component.end(), IsNameByte)) {
      return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not an object name"));
    }
  }
  return absl::OkStatus();
}

absl::Status PutObject(ObjectStore& store, absl::string_view name, absl::string_view data) {
  EMBER_ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> writer, store.Create());
  EMBER_RETURN_IF_ERROR(writer->Append(data));
  return writer->Publish(name);
}

}  // namespace ember::vault
