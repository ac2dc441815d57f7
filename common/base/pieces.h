// Bytes too many for memory, handed over piece by piece.
#ifndef EMBER_COMMON_BASE_PIECES_H_
#define EMBER_COMMON_BASE_PIECES_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ember {

using PieceSink = std::function<absl::Status(absl::string_view piece)>;
// Calls the sink with all pieces in order; ends with its first error, or with one of their source.
// Each call begins anew, unless said otherwise.
using Pieces = std::function<absl::Status(const PieceSink& sink)>;

}  // namespace ember

#endif  // EMBER_COMMON_BASE_PIECES_H_
