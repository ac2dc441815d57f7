// Events, a page at a time.
#ifndef EMBER_CLI_EVENT_PAGES_H_
#define EMBER_CLI_EVENT_PAGES_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "ember/v1/control.pb.h"

namespace ember::cli {

// One page after `request`, which it moves on. With filters a page may be empty though more follow,
// so what counts as the end is that the position did not move.
absl::StatusOr<v1::ListEventsReply> NextEvents(Client& client, v1::ListEventsRequest& request,
                                               bool& end);

// Everything there is after `request`, or its last `keep` events.
absl::StatusOr<v1::ListEventsReply> CollectEvents(Client& client, v1::ListEventsRequest& request,
                                                  size_t keep);

}  // namespace ember::cli

#endif  // EMBER_CLI_EVENT_PAGES_H_
