#include "node-agent/source/look_ahead.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/limits.h"
#include "common/files/file_metadata.h"

namespace ember::agent {
namespace {

using files::DeviceOf;
using files::Name;
using files::Object;
using files::Stat;

// Of one directory: so that those below it get their turn, too.
constexpr size_t kInsideAhead = 8;

std::vector<struct statx> SeeNames(int directory, const std::vector<Name>& names, size_t first) {
  const size_t count = std::min(kLookAheadNames, names.size() - first);
  std::vector<struct statx> seen(count);
  for (size_t i = 0; i < count; ++i) {
    const Name& name = names[first + i];
    seen[i].stx_mask = 0;
    // The walk opens it, and looks at it then.
    if (name.type == DT_DIR) continue;
    if (!Stat({.directory = directory, .name = name.name}, &seen[i])) seen[i].stx_mask = 0;
  }
  return seen;
}

}  // namespace

Found Find(int directory, const Name& name) {
  const auto why_not = [](int error) {
    return error == ENOENT ? "vanished while it was read" : strerror(error);
  };
  Found found;
  const Object by_name{.directory = directory, .name = name.name};
  bool openable = name.type == DT_REG || name.type == DT_DIR;
  if (!openable) {
    found.known = Stat(by_name, &found.info);
    if (!found.known) found.problem = why_not(errno);
    openable = found.known && (S_ISREG(found.info.stx_mode) || S_ISDIR(found.info.stx_mode));
    if (!openable) return found;
  }
  Fd fd = files::OpenQuietly(directory, name.name, 0);
  const int error = errno;
  if (fd.valid() && Stat({.fd = fd.get()}, &found.info)) {
    found.known = true;
    if (S_ISREG(found.info.stx_mode) || S_ISDIR(found.info.stx_mode))
      found.fd = std::make_shared<Fd>(std::move(fd));
    return found;
  }
  found.known = Stat(by_name, &found.info);
  if (!found.known) {
    found.problem = why_not(errno);
  } else if (S_ISREG(found.info.stx_mode) || S_ISDIR(found.info.stx_mode)) {
    found.problem = why_not(error);
  }
  return found;
}

LookAhead::LookAhead() {
  for (int i = 0; i < kLookAheadThreads; ++i) threads_.emplace_back([this] { Work(); });
}

LookAhead::~LookAhead() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    looks_cv_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void LookAhead::Do(Look* look) {
  const Directory& at = *look->at;
  if (!look->inside) {
    look->seen = SeeNames(at.fd.get(), at.names, look->first);
    return;
  }
  Found& found = look->found;
  found = Find(at.fd.get(), at.names[look->first]);
  // What is mounted there the walk may not want to touch.
  if (found.fd == nullptr || DeviceOf(found.info) != at.device) return;
  absl::StatusOr<std::vector<Name>> names = files::ListNames(found.fd->get());
  if (!names.ok()) return;
  found.seen = SeeNames(found.fd->get(), *names, 0);
  found.names = *std::move(names);
}

void LookAhead::Work() {
  mu_.Lock();
  while (true) {
    while (!stopping_ && looks_.empty()) looks_cv_.Wait(&mu_);
    if (stopping_) break;
    const LookPtr look = std::move(looks_.front());
    looks_.pop_front();
    if (look->state != Look::kWaiting) continue;
    look->state = Look::kBegun;
    mu_.Unlock();
    Do(look.get());
    mu_.Lock();
    look->state = Look::kDone;
    done_cv_.SignalAll();
  }
  mu_.Unlock();
}

bool LookAhead::Ask(const std::vector<LookPtr>& looks) {
  absl::MutexLock lock(&mu_);
  if (under_way_ + looks.size() > kLookAheadPieces) return false;
  under_way_ += looks.size();
  looks_.insert(looks_.begin(), looks.begin(), looks.end());
  looks_cv_.SignalAll();
  return true;
}

bool LookAhead::Await(const LookPtr& look) {
  absl::MutexLock lock(&mu_);
  --under_way_;
  if (look->state == Look::kWaiting) {
    look->state = Look::kDropped;
    return false;
  }
  while (look->state == Look::kBegun) done_cv_.Wait(&mu_);
  return true;
}

std::unique_ptr<LookAhead::Listing> LookAhead::Enter(const Found& directory,
                                                     std::vector<Name> names,
                                                     std::vector<struct statx> seen,
                                                     std::function<bool(const Name&)> descends) {
  auto at = std::make_shared<Directory>();
  at->device = DeviceOf(directory.info);
  at->names = std::move(names);
  // Where there is nothing to look at ahead nothing is opened for it.
  const bool worth = at->names.size() > kLookAheadNames ||
                     std::any_of(at->names.begin(), at->names.end(),
                                 [](const Name& name) { return name.type == DT_DIR; });
  if (worth) at->fd = Fd(fcntl(directory.fd->get(), F_DUPFD_CLOEXEC, 0));
  return std::unique_ptr<Listing>(
      new Listing(this, std::move(at), std::move(seen), std::move(descends)));
}

LookAhead::Listing::Listing(LookAhead* ahead, std::shared_ptr<const Directory> directory,
                            std::vector<struct statx> seen,
                            std::function<bool(const Name&)> descends)
    : ahead_(ahead),
      directory_(std::move(directory)),
      descends_(std::move(descends)),
      seen_(std::move(seen)) {
  LookPast(0);
}

LookAhead::Listing::~Listing() {
  for (const auto* looks : {&pieces_, &inside_}) {
    for (const auto& [at, look] : *looks) ahead_->Await(look);
  }
}

void LookAhead::Listing::LookPast(size_t i) {
  if (!directory_->fd.valid()) return;
  asked_ = std::max(asked_, i);
  const size_t end = std::min(names().size(), (i / kLookAheadNames + 2) * kLookAheadNames);
  for (; asked_ < end; ++asked_) {
    std::vector<LookPtr> looks;
    const auto add = [&](bool inside) {
      auto look = std::make_shared<Look>();
      look->at = directory_;
      look->first = asked_;
      look->inside = inside;
      looks.push_back(std::move(look));
    };
    // The walk itself is at the first piece by the time that somebody else would be.
    const bool piece = asked_ % kLookAheadNames == 0 && asked_ > i;
    if (piece) add(false);
    const bool inside = names()[asked_].type == DT_DIR && descends_(names()[asked_]);
    if (inside) add(true);
    if (looks.empty()) continue;
    if (inside_.size() >= kInsideAhead || !ahead_->Ask(looks)) return;
    for (LookPtr& look : looks) (look->inside ? inside_ : pieces_)[asked_] = std::move(look);
  }
}

const struct statx* LookAhead::Listing::Seen(size_t i) {
  const size_t first = i / kLookAheadNames * kLookAheadNames;
  if (first != seen_first_) {
    LookPast(i);
    seen_.clear();
    seen_first_ = first;
    while (!pieces_.empty() && pieces_.begin()->first < first)
      ahead_->Await(pieces_.extract(pieces_.begin()).mapped());
    if (auto piece = pieces_.extract(first); !piece.empty() && ahead_->Await(piece.mapped()))
      seen_ = std::move(piece.mapped()->seen);
  }
  if (first != seen_first_ || i - first >= seen_.size()) return nullptr;
  return seen_[i - first].stx_mask == 0 ? nullptr : &seen_[i - first];
}

std::optional<Found> LookAhead::Listing::TakeDirectory(size_t i) {
  auto look = inside_.extract(i);
  if (look.empty()) return std::nullopt;
  const bool done = ahead_->Await(look.mapped());
  LookPast(i + 1);
  // What could not be opened is tried again: it may have been for want of descriptors.
  if (!done || look.mapped()->found.fd == nullptr) return std::nullopt;
  return std::move(look.mapped()->found);
}

}  // namespace ember::agent
