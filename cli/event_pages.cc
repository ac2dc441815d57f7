#include "cli/event_pages.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "common/base/status.h"

namespace ember::cli {

absl::StatusOr<v1::ListEventsReply> NextEvents(Client& client, v1::ListEventsRequest& request,
                                               bool& end) {
  EMBER_ASSIGN_OR_RETURN(
      v1::ListEventsReply reply,
      client.Call(&Events::ListEvents, request, absl::Milliseconds(request.wait_millis())));
  const uint64_t position =
      reply.items().empty() ? reply.last_seq() : reply.items().rbegin()->seq();
  end = position <= request.after_seq();
  if (!end) request.set_after_seq(position);
  return reply;
}

absl::StatusOr<v1::ListEventsReply> CollectEvents(Client& client, v1::ListEventsRequest& request,
                                                  size_t keep) {
  v1::ListEventsReply all;
  bool end = false;
  while (!end) {
    EMBER_ASSIGN_OR_RETURN(v1::ListEventsReply page, NextEvents(client, request, end));
    for (v1::Event& event : *page.mutable_items()) *all.add_items() = std::move(event);
    const int excess = all.items_size() - static_cast<int>(std::min<size_t>(keep, INT32_MAX));
    if (excess > 0) all.mutable_items()->DeleteSubrange(0, excess);
    all.set_last_seq(std::max(all.last_seq(), page.last_seq()));
  }
  return all;
}

}  // namespace ember::cli
