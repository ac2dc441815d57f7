// The section `nodes`: what is to be said of a node besides its name.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "controller/estate/sections.h"
#include "controller/estate/units.h"

namespace ember::controller {
namespace {

void ReadFence(const DocumentNode& node, absl::string_view path, const std::string& owner,
               Reading* reading, v1::FenceSpec* fence) {
  Problems* const problems = &reading->problems;
  MapReader map(node, absl::StrCat("fence of ", owner), problems);
  if (const DocumentNode* command = map.Require("command")) {
    const std::vector<std::string> words = ReadCommand(*command, reading);
    fence->mutable_command()->Assign(words.begin(), words.end());
  }
  if (const DocumentNode* from = map.Require("from")) {
    const size_t errors_before = problems->errors();
    ReadNames("node", "from", path, &map, reading, fence->mutable_from());
    if (fence->from().empty() && problems->errors() == errors_before)
      problems->Error(from->position, "from is empty: it names the nodes that can run the command");
  }
  fence->set_timeout_seconds(kFenceSeconds);
  int64_t seconds = 0;
  if (map.Seconds("timeout", &seconds)) {
    fence->set_timeout_seconds(seconds);
    if (seconds > kFenceSecondsMax) {
      problems->Error(map.Of("timeout"),
                      absl::StrCat("timeout is longer than ", FormatSeconds(kFenceSecondsMax)));
    }
  }
  map.RejectUnknownKeys();
}

}  // namespace

void ReadNode(const DocumentNode& node, absl::string_view path, Reading* reading,
              v1::NodeSpec* spec) {
  reading->positions.Set(path, node.position);
  const std::string owner = LabelOf("node", node);
  MapReader map(node, owner, &reading->problems);
  spec->set_name(ReadName("node", "name", path, &map, reading));
  if (const DocumentNode* fence = map.Require("fence"))
    ReadFence(*fence, absl::StrCat(path, "/fence"), owner, reading, spec->mutable_fence());
  map.RejectUnknownKeys();
}

}  // namespace ember::controller
