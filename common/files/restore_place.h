// Where a part of a backup goes: a name in a directory, swapped as one.
#ifndef EMBER_COMMON_FILES_RESTORE_PLACE_H_
#define EMBER_COMMON_FILES_RESTORE_PLACE_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/file.h"
#include "ember/format/v1/format.pb.h"

namespace ember::files {

// Restored objects stand below STAGING/data until they are swapped in. STAGING is on the
// destination's file system: beside it, or inside when the destination is a mount point or has one
// below; those cannot be renamed without taking the mount along, so their children are moved
// instead.
struct Place {
  std::string path;         // Entry.path of what goes here
  std::string destination;  // absolute, without links
  Fd parent;         // the directory that holds it; not valid in a dry run when that is missing
  std::string name;  // in `parent`
  bool inside = false;
  Fd directory;                // inside: the destination
  std::set<std::string> kept;  // inside: names that are or hold mount points
  std::string staging_name;
  Fd staging;
  std::optional<format::v1::Entry> attributes;  // inside: of the destination itself
  std::string safety_copy;                      // set by the swap: what was there

  int host() const { return inside ? directory.get() : parent.get(); }
};

inline constexpr char kStagedName[] = "data";

// A destination before it is looked at: `below` is resolved from `anchor` without following links.
struct Destination {
  std::string path;    // as Place.path
  std::string root;    // the backup's root that holds it
  std::string anchor;  // absolute
  std::string below;   // "": the anchor itself
};

// A directory made to hold a place, and the entry that tells its attributes, if there is one.
struct MadeDirectory {
  std::shared_ptr<Fd> parent;
  std::string name;
  std::optional<std::string> entry_path;
};

// Opens the way to `destination`; what is missing is made and added to `made`, or, when that is
// null, left: the place then has no parent. FAILED_PRECONDITION when something on the way is not a
// directory.
absl::StatusOr<Place> OpenPlace(const Destination& destination, std::vector<MadeDirectory>* made);

// A mount point below a place.
struct NestedMount {
  std::string path;         // as Entry.path
  std::string destination;  // absolute
  bool restorable = false;  // a directory of a real file system
  bool used = false;        // set by the caller: the backup has something below it
  bool seen = false;        // set by the caller: the backup has an entry for it
};
absl::StatusOr<std::vector<NestedMount>> MountsBelow(const Place& place);

// Turns `place` into an inside place where mounts demand it, with a further place for every
// directory above a mount and every mount that is used. Mounts that are not used stay untouched.
// FAILED_PRECONDITION when a used mount cannot hold files.
absl::StatusOr<std::vector<Place>> SplitAtMounts(Place place,
                                                 const std::vector<NestedMount>& mounts);

// The place among `places` that holds `path`: the deepest one at or above it. -1: none.
class PlaceFinder {
 public:
  explicit PlaceFinder(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  int Find(absl::string_view path) const;

 private:
  const std::vector<std::string> paths_;
};

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_RESTORE_PLACE_H_
