// What is wrong with a file: all of it at once, each with its place.
#ifndef EMBER_CONTROLLER_ESTATE_PROBLEMS_H_
#define EMBER_CONTROLLER_ESTATE_PROBLEMS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "controller/estate/document.h"

namespace ember::controller {

class Problems {
 public:
  explicit Problems(absl::string_view file) : file_(file) {}

  void Error(Position position, absl::string_view message);
  void Warn(Position position, absl::string_view message);

  size_t errors() const { return errors_.size() + errors_not_kept_; }
  // "; did you mean 'x'?" or, when nothing is near, "; `known_are`: a, b, c". "" when there is
  // nothing to say, or when an error would not be shown any more.
  std::string Suggestion(absl::string_view word, const std::vector<std::string>& known,
                         absl::string_view known_are) const;
  // OK, or INVALID_ARGUMENT with the first kEstateErrorsMax errors found, a line each in the order
  // of the file, and a hint.
  absl::Status ToStatus() const;
  // In the order of the file, each once.
  std::vector<std::string> Warnings() const;

 private:
  struct Problem {
    Position position;
    std::string message;
  };
  static std::vector<Problem> Sorted(std::vector<Problem> problems);

  std::string file_;
  std::vector<Problem> errors_;
  size_t errors_not_kept_ = 0;
  std::vector<Problem> warnings_;
};

// Where the parts of an estate were written, by path ("workloads/3/depends_on/0").
class Positions {
 public:
  void Set(absl::string_view path, Position position) { positions_[path] = position; }
  // Of the part, or of the smallest recorded part that holds it.
  Position Of(absl::string_view path) const;

 private:
  absl::flat_hash_map<std::string, Position> positions_;
};

}  // namespace ember::controller

#endif  // EMBER_CONTROLLER_ESTATE_PROBLEMS_H_
