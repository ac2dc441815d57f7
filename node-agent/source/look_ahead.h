// Looks at the names of a tree before the walk comes to them, on threads of its own: on a cold
// cache or over a network the walk would wait for the disk at each of them.
#ifndef EMBER_NODE_AGENT_SOURCE_LOOK_AHEAD_H_
#define EMBER_NODE_AGENT_SOURCE_LOOK_AHEAD_H_

#include <sys/stat.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/file.h"
#include "common/files/directory.h"

namespace ember::agent {

// What was found under a name. Regular files and directories are open unless `problem` says why
// not.
struct Found {
  std::shared_ptr<Fd> fd;
  struct statx info = {};
  std::string problem;
  bool known = false;  // info is valid
  // Of a directory that was looked at ahead, and is on the device of the one above it: its names,
  // and what was seen of the first of them (stx_mask 0: nothing).
  std::optional<std::vector<files::Name>> names;
  std::vector<struct statx> seen;
};

// The metadata of an open object is read through its descriptor, so that all of it belongs to one
// inode.
Found Find(int directory, const files::Name& name);

// One thread walks; listings must not outlive this. What is seen is as old as the look: as if the
// walk had passed then.
class LookAhead {
 public:
  class Listing;

  LookAhead();
  ~LookAhead();
  LookAhead(const LookAhead&) = delete;
  LookAhead& operator=(const LookAhead&) = delete;

  // Of a directory that the walk enters, with its names. `descends`: will it go into the directory of
  // that name? Asked by the walking thread, when it comes near.
  std::unique_ptr<Listing> Enter(const Found& directory, std::vector<files::Name> names,
                                 std::vector<struct statx> seen,
                                 std::function<bool(const files::Name&)> descends);

 private:
  // A directory whose names are looked at.
  struct Directory {
    Fd fd;
    uint64_t device = 0;
    std::vector<files::Name> names;
  };
  // At a piece of the names of a directory, or into the directory that has one of them.
  struct Look {
    enum State { kWaiting, kBegun, kDone, kDropped };
    State state = kWaiting;
    std::shared_ptr<const Directory> at;
    size_t first = 0;
    bool inside = false;
    std::vector<struct statx> seen;
    Found found;
  };
  using LookPtr = std::shared_ptr<Look>;

  static void Do(Look* look);
  void Work();
  // In the order in which the walk will come to them, and before all that it comes to later. False:
  // enough is under way.
  bool Ask(const std::vector<LookPtr>& looks);
  // Waits for the end of what was begun; what was not is dropped, and the answer false.
  bool Await(const LookPtr& look);

  absl::Mutex mu_;
  absl::CondVar looks_cv_;
  absl::CondVar done_cv_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<LookPtr> looks_ ABSL_GUARDED_BY(mu_);
  size_t under_way_ ABSL_GUARDED_BY(mu_) = 0;  // asked for, and neither used nor dropped
  std::vector<std::thread> threads_;
};

// The names of a directory, and what was seen of them. Used by the walking thread, which goes
// through them in order.
class LookAhead::Listing {
 public:
  ~Listing();
  const std::vector<files::Name>& names() const { return directory_->names; }
  // What was seen of name `i`, which is no directory as far as its type tells; null: look yourself.
  const struct statx* Seen(size_t i);
  // The directory with name `i`, open; nullopt: look yourself.
  std::optional<Found> TakeDirectory(size_t i);

 private:
  friend class LookAhead;
  Listing(LookAhead* ahead, std::shared_ptr<const Directory> directory,
          std::vector<struct statx> seen, std::function<bool(const files::Name&)> descends);
  // Asks for what follows name `i`.
  void LookPast(size_t i);

  LookAhead* const ahead_;
  const std::shared_ptr<const Directory> directory_;
  const std::function<bool(const files::Name&)> descends_;
  size_t asked_ = 0;  // up to this name
  size_t seen_first_ = 0;
  std::vector<struct statx> seen_;    // of the names from seen_first_ on
  std::map<size_t, LookPtr> pieces_;  // by their first name
  std::map<size_t, LookPtr> inside_;  // by name
};

}  // namespace ember::agent

#endif  // EMBER_NODE_AGENT_SOURCE_LOOK_AHEAD_H_
