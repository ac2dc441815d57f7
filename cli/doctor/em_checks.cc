#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/doctor/finding.h"
#include "cli/format.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "common/rpc/renewal.h"

namespace ember::cli {
namespace {

Finding Failed(const std::string& check, const absl::Status& status) {
  return {Finding::kFail, check, std::string(status.message()), HintOf(status)};
}

Finding CertificateFinding(const Context& context, const std::string& directory) {
  const auto term = rpc::TermOf(directory);
  if (!term.ok()) {
    return {Finding::kFail, "identity", std::string(term.status().message()),
            "give --identity DIR with key.pem, cert.pem and ca.pem that you may read"};
  }
  const absl::Time now = context.clock->Now();
  const std::string who = absl::StrCat(term->role, " ", term->name, " in ", directory);
  if (now >= term->not_after) {
    return {Finding::kFail, "identity",
            absl::StrCat(who, " ran out ", FormatRough(now - term->not_after), " ago"),
            "copy a fresh one from the EM's state directory (admin/), which renews its own"};
  }
  const std::string left = absl::StrCat(who, ", good for ", FormatRough(term->not_after - now));
  if (rpc::RenewalDue(*term, now)) {
    return {Finding::kWarn, "identity", left,
            "any verb that reaches the EM renews it, when run by a user who may write there"};
  }
  return {Finding::kOk, "identity", left, ""};
}

// `sent` and `received` are this clock's around the call that brought `theirs`.
Finding ClockFinding(absl::Time sent, absl::Time received, absl::Time theirs) {
  const absl::Duration skew = theirs - (sent + (received - sent) / 2);
  const bool bad = absl::AbsDuration(skew) > absl::Seconds(kClockSkewWarnSeconds);
  const std::string apart =
      absl::StrCat(FormatExact(absl::AbsDuration(skew)), " ",
                   skew < absl::ZeroDuration() ? "ahead of" : "behind", " the EM's");
  if (!bad) return {Finding::kOk, "clock", apart, ""};
  return {Finding::kWarn, "clock", apart, "let chrony or systemd-timesyncd set both clocks"};
}

}  // namespace

void CheckEm(Context& context, std::vector<Finding>* findings) {
  const auto identity = Client::FindIdentity(context);
  findings->push_back(identity.ok() ? CertificateFinding(context, *identity)
                                    : Failed("identity", identity.status()));
  auto client = Client::Connect(context);
  if (!client.ok()) {
    findings->push_back(Failed("em", client.status()));
    return;
  }
  const absl::Time sent = context.clock->Now();
  const auto status = client->Call(&Estate::Status, v1::StatusRequest());
  const absl::Time received = context.clock->Now();
  if (!status.ok()) {
    findings->push_back(Failed("em", status.status()));
    return;
  }
  const v1::Em& em = status->em();
  const bool same = em.version() == kVersion;
  findings->push_back({same ? Finding::kOk : Finding::kWarn, "em",
                       absl::StrCat(client->address(), " answers, version ", em.version(),
                                    same ? "" : absl::StrCat("; this is ", kVersion)),
                       same ? "" : "install the same version on every machine, the EM's first"});
  if (em.has_now()) findings->push_back(ClockFinding(sent, received, rpc::FromTimestamp(em.now())));
}

}  // namespace ember::cli
