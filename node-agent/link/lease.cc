#include "node-agent/link/lease.h"

#include "common/base/limits.h"

namespace ember::agent {

void Lease::Grant(absl::Duration sent, absl::Duration length) {
  if (sent < sent_ || length <= absl::ZeroDuration()) return;
  sent_ = sent;
  length_ = length;
  end_ = sent + length;
}

absl::Duration Lease::length() const {
  return ever_granted() ? length_ : absl::Seconds(kLeaseSeconds);
}

}  // namespace ember::agent
