#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "node-agent/probe/probe_kinds.h"

namespace ember::agent {
namespace {

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> ParseTarget(absl::string_view target) {
  const size_t colon = target.rfind(':');
  HostPort parsed;
  int port = 0;
  if (colon != absl::string_view::npos) {
    absl::string_view host = target.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (bracketed || host.find_first_of(":[]") == absl::string_view::npos)
      parsed.host = std::string(host);
    parsed.port = std::string(target.substr(colon + 1));
  }
  if (parsed.host.empty() || !absl::SimpleAtoi(parsed.port, &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("tcp ", target, ": not HOST:PORT"));
  }
  return parsed;
}

struct AddressFreer {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, AddressFreer>;

struct Lookup {
  HostPort target;
  int error = 0;
  Addresses addresses;
  absl::Notification done;
};

void Resolve(Lookup* lookup, int flags) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  lookup->error =
      getaddrinfo(lookup->target.host.c_str(), lookup->target.port.c_str(), &hints, &list);
  if (lookup->error == 0) lookup->addresses.reset(list);
}

// getaddrinfo(3) has no time-out, so names are looked up in a thread that may outlive the probe by
// the resolver's own time-outs; it owns what it writes to.
absl::StatusOr<Addresses> FindAddresses(const HostPort& target, absl::Duration timeout) {
  auto lookup = std::make_shared<Lookup>();
  lookup->target = target;
  Resolve(lookup.get(), AI_NUMERICHOST);
  if (lookup->error == 0) return std::move(lookup->addresses);
  std::thread([lookup] {
    Resolve(lookup.get(), 0);
    lookup->done.Notify();
  }).detach();
  if (!lookup->done.WaitForNotificationWithTimeout(timeout)) {
    return absl::UnavailableError("the name lookup takes too long");
  }
  if (lookup->error != 0) return absl::UnavailableError(gai_strerror(lookup->error));
  return std::move(lookup->addresses);
}

absl::Status Errno(int error) {
  return absl::UnavailableError(absl::AsciiStrToLower(strerror(error)));
}

absl::Status Connect(const addrinfo& address, absl::Duration until) {
  Fd fd(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Errno(errno);
  if (connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return absl::OkStatus();
  if (errno != EINPROGRESS) return Errno(errno);
  while (true) {
    const absl::Duration left = until - SystemClock()->Monotonic();
    if (left <= absl::ZeroDuration()) return absl::UnavailableError("no answer in time");
    pollfd entry = {fd.get(), POLLOUT, 0};
    if (poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) > 0) break;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return Errno(errno);
  return error == 0 ? absl::OkStatus() : Errno(error);
}

}  // namespace

absl::Status ProbeTcp(const std::string& target, absl::Duration timeout) {
  EMBER_ASSIGN_OR_RETURN(const HostPort parsed, ParseTarget(target));
  const absl::Duration until = SystemClock()->Monotonic() + timeout;
  const absl::StatusOr<Addresses> addresses = FindAddresses(parsed, timeout);
  if (!addresses.ok()) return Annotate(addresses.status(), absl::StrCat("tcp ", target));
  absl::Status last = absl::UnavailableError("no address");
  for (const addrinfo* address = addresses->get(); address != nullptr; address = address->ai_next) {
    last = Connect(*address, until);
    if (last.ok()) return last;
  }
  return Annotate(last, absl::StrCat("tcp ", target));
}

}  // namespace ember::agent
