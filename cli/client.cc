#include "cli/client.h"

#include <algorithm>
#include <ostream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "common/base/errors.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "common/rpc/identity.h"
#include "common/rpc/renewal.h"
#include "grpc/support/time.h"
#include "grpcpp/channel.h"

namespace ember::cli {
namespace {

constexpr size_t kAddressFileBytesMax = 4096;

// ~/.config/ember, /etc/ember.
std::vector<std::string> ConfigDirectories(const Context& context) {
  std::vector<std::string> directories;
  const std::string home = context.environment("HOME");
  if (!home.empty()) directories.push_back(JoinPath(home, ".config/ember"));
  directories.push_back(context.system_directory);
  return directories;
}

absl::StatusOr<std::string> FindAddress(const Context& context) {
  if (!context.options.em.empty()) return context.options.em;
  const std::string from_environment = context.environment("EMBER_EM");
  if (!from_environment.empty()) return from_environment;
  for (const std::string& directory : ConfigDirectories(context)) {
    const std::string path = JoinPath(directory, "em");
    if (!FileExists(path)) continue;
    EMBER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kAddressFileBytesMax));
    const std::string address(absl::StripAsciiWhitespace(text));
    if (!address.empty()) return address;
  }
  return WithHint(absl::InvalidArgumentError(
                      "no EM address is known: no --em, no EMBER_EM, no ~/.config/ember/em"),
                  "give --em HOST:PORT (the port is 7443 unless it was changed)");
}

}  // namespace

absl::StatusOr<std::string> Client::FindIdentity(const Context& context) {
  std::string named = context.options.identity;
  if (named.empty()) named = context.environment("EMBER_IDENTITY");
  std::vector<std::string> candidates;
  if (!named.empty()) {
    candidates.push_back(named);
  } else {
    for (const std::string& directory : ConfigDirectories(context)) {
      candidates.push_back(JoinPath(directory, "identity"));
    }
  }
  for (const std::string& candidate : candidates) {
    if (FileExists(JoinPath(candidate, "cert.pem"))) return candidate;
  }
  std::string looked;
  for (const std::string& candidate : candidates)
    absl::StrAppend(&looked, looked.empty() ? "" : " or ", candidate);
  return WithHint(absl::UnauthenticatedError(
                      absl::StrCat("no identity to show the EM: there is no cert.pem in ", looked)),
                  "give --identity DIR; `ember-controller init` wrote the admin's identity into "
                  "its state directory");
}

Client::Client(std::string address, absl::Duration timeout,
               const std::shared_ptr<grpc::Channel>& channel)
    : address_(std::move(address)),
      timeout_(timeout),
      stubs_(v1::EstateService::NewStub(channel), v1::FleetService::NewStub(channel),
             v1::ProtectionService::NewStub(channel), v1::RecoveryService::NewStub(channel),
             v1::EventService::NewStub(channel), v1::MessageService::NewStub(channel)) {}

absl::StatusOr<Client> Client::Connect(const Context& context) {
  EMBER_ASSIGN_OR_RETURN(std::string address, FindAddress(context));
  EMBER_ASSIGN_OR_RETURN(const std::string identity, FindIdentity(context));
  EMBER_ASSIGN_OR_RETURN(auto channel, context.dial(address, identity, ""));
  Client client(std::move(address), context.timeout(), channel);
  const auto term = rpc::TermOf(identity);
  if (term.ok() && rpc::RenewalDue(*term, context.clock->Now())) {
    client.renew_ = [&context, identity](Client& self) { self.Renew(context, identity); };
  }
  return client;
}

void Client::Renew(const Context& context, const std::string& identity) {
  const absl::Status renewed =
      rpc::RenewCertificate(identity, context.clock->Now(),
                            [this](const std::string& csr) -> absl::StatusOr<std::string> {
                              v1::RenewCertificateRequest request;
                              request.set_csr_pem(csr);
                              EMBER_ASSIGN_OR_RETURN(v1::RenewCertificateReply reply,
                                                     Call(&Estate::RenewIdentity, request));
                              return reply.certificate_pem();
                            });
  if (renewed.ok()) return;
  *context.err << "the identity in " << Escape(identity)
               << " runs out soon and could not be renewed: " << Escape(renewed.message()) << "\n";
}

void Client::Prepare(grpc::ClientContext& call, absl::Duration extra) const {
  // Short, so that Ctrl-C is noticed between two attempts.
  const absl::Duration patience =
      lost_ ? std::min(timeout_, absl::Milliseconds(kConnectMillis)) : timeout_;
  call.set_deadline(
      gpr_time_from_millis(absl::ToInt64Milliseconds(patience + extra), GPR_TIMESPAN));
  call.set_wait_for_ready(lost_);
}

bool Client::IsSilence(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
}

absl::Status Client::Failure(const grpc::Status& status) const {
  absl::Status failure = rpc::FromGrpc(status);
  if (failure.code() == absl::StatusCode::kDeadlineExceeded) {
    return EmUnreachable(address_,
                         absl::StrCat("no answer within ", absl::FormatDuration(timeout_)));
  }
  if (failure.code() != absl::StatusCode::kUnavailable) return failure;
  const std::string hint = HintOf(failure);
  if (hint.empty()) return EmUnreachable(address_, failure.message());
  // With a hint it is the EM itself that says so, about something else.
  return WithHint(absl::AbortedError(failure.message()), hint);
}

absl::StatusOr<Client> Client::ConnectToAgent(const Context& context, const std::string& place) {
  const size_t at = place.find('@');
  if (at == 0 || at == std::string::npos || place.find(':', at) == std::string::npos) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("agent '", place, "': not NODE@HOST:PORT")),
        "for example nas1@127.0.0.1:7444");
  }
  EMBER_ASSIGN_OR_RETURN(const std::string identity, FindIdentity(context));
  const std::string address = place.substr(at + 1);
  EMBER_ASSIGN_OR_RETURN(auto channel, context.dial(address, identity, place.substr(0, at)));
  return Client(address, context.timeout(), channel);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(const std::string& address,
                                                    const std::string& identity_directory,
                                                    const std::string& agent) {
  auto identity = rpc::LoadIdentity(identity_directory);
  if (!identity.ok()) {
    return WithHint(
        absl::UnauthenticatedError(absl::StrCat("the identity in ", identity_directory,
                                                " cannot be used: ", identity.status().message())),
        "give --identity DIR with key.pem, cert.pem and ca.pem that you may read");
  }
  return agent.empty() ? rpc::Dial(address, *identity, "controller", "em")
                       : rpc::Dial(address, *identity, "agent", agent);
}

absl::StatusOr<v1::Backup> FindBackup(Client& client, const std::string& text) {
  v1::GetBackupRequest request;
  request.set_id(text);
  return client.Call(&Protection::GetBackup, request);
}

}  // namespace ember::cli
