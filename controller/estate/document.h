// A YAML or JSON text as a tree that knows where each part was written. The one place that knows
// the YAML library.
#ifndef EMBER_CONTROLLER_ESTATE_DOCUMENT_H_
#define EMBER_CONTROLLER_ESTATE_DOCUMENT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember::controller {

// Counted from 1; 0 when not known.
struct Position {
  int line = 0;
  int column = 0;
};

struct DocumentNode {
  enum Kind { kNull, kScalar, kList, kMap };
  Kind kind = kNull;
  Position position;
  std::string text;                                        // of a scalar
  std::vector<std::shared_ptr<const DocumentNode>> items;  // of a list
  // Of a map: keys and values as written, repeated keys included.
  std::vector<std::pair<std::shared_ptr<const DocumentNode>, std::shared_ptr<const DocumentNode>>>
      entries;
};

// `file:line:column: message`, without what is not known of the position.
std::string AtPosition(absl::string_view file, Position position, absl::string_view message);

// INVALID_ARGUMENT with the position when `text` is too large, not printable UTF-8, not YAML, more
// than one document, or when it has more than kEstateDocumentNodesMax nodes (aliases written out)
// or kEstateDepthMax levels.
absl::StatusOr<std::shared_ptr<const DocumentNode>> ReadDocument(absl::string_view text,
                                                                 absl::string_view file);

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_DOCUMENT_H_
