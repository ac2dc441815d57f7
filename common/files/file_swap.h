// Puts restored trees in place and what was there aside.
#ifndef EMBER_COMMON_FILES_FILE_SWAP_H_
#define EMBER_COMMON_FILES_FILE_SWAP_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/files/restore_place.h"

namespace ember::files {

// At every instant, also of a crash, each object is under its own name, in a safety copy or in
// staging; nothing that was there before is ever in a staging directory, because a repeat of the
// order empties those.
class FileSwap {
 public:
  // `now` names the safety copies, in UTC.
  explicit FileSwap(absl::Time now);
  // Swaps one place. After an error this place is as it was; undo the others with RollBack.
  absl::Status Swap(Place* place);
  // Puts everything back as it was, last first. An error says what stayed swapped.
  absl::Status RollBack();

 private:
  absl::Status SwapWhole(Place* place);
  absl::Status SwapInside(Place* place);
  absl::Status Exchange(Place* place, const std::string& safety);
  absl::Status MoveAside(Place* place);
  absl::Status Move(int from_directory, const std::string& from, int to_directory,
                    const std::string& to);
  // Undoes back to `mark`.
  absl::Status UndoTo(size_t mark);
  std::string SafetyName(int directory, const std::string& name) const;

  const std::string stamp_;
  std::vector<std::function<absl::Status()>> undo_;
};

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_FILE_SWAP_H_
