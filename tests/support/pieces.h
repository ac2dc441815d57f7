// Ids as they are committed.
#ifndef EMBER_TESTS_SUPPORT_PIECES_H_
#define EMBER_TESTS_SUPPORT_PIECES_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/base/pieces.h"

namespace ember::testing {

// `ids` in pieces of a few, so that pieces end anywhere.
inline Pieces PiecesOf(std::vector<std::string> ids) {
  return [ids = std::move(ids)](const PieceSink& sink) {
    constexpr size_t kIdsPerPiece = 7;
    for (size_t at = 0; at < ids.size(); at += kIdsPerPiece) {
      const size_t end = std::min(ids.size(), at + kIdsPerPiece);
      const absl::Status taken = sink(absl::StrJoin(ids.begin() + static_cast<ptrdiff_t>(at),
                                                    ids.begin() + static_cast<ptrdiff_t>(end), ""));
      if (!taken.ok()) return taken;
    }
    return absl::OkStatus();
  };
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_PIECES_H_
