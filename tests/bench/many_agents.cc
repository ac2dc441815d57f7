// Agents as far as a controller can tell, thousands of them in one process, each with a connection
// and a certificate of its own, that beat and do what a reply to a beat asks for: nothing else.
//
//   ember-bench-many-agents enrol STATE_DIR COUNT FILE   into the catalog of a controller that does
//                                                        not run; their certificates into FILE
//   ember-bench-many-agents run FILE ADDRESS             until SIGTERM; a line of JSON per second
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/rpc/channel.h"
#include "common/rpc/convert.h"
#include "controller/catalog/catalog.h"
#include "ember/v1/agent.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace ember {
namespace {

constexpr int kRecordsPerBatch = 2000;
constexpr char kSeparator[] = "\n====\n";

// One key for all: a certificate each is what the controller looks at.
absl::Status Enrol(const std::string& state, int count, const std::string& path) {
  const absl::Time now = SystemClock()->Now();
  KeyAndCertificate ca;
  EMBER_ASSIGN_OR_RETURN(ca.key_pem, ReadFile(JoinPath(state, "ca/key.pem")));
  EMBER_ASSIGN_OR_RETURN(ca.certificate_pem, ReadFile(JoinPath(state, "ca/cert.pem")));
  EMBER_ASSIGN_OR_RETURN(const auto catalog, controller::Catalog::Open(JoinPath(state, "catalog")));
  const std::string key = NewPrivateKeyPem();
  EMBER_ASSIGN_OR_RETURN(const std::string csr, CreateCsr(key));
  std::string out = absl::StrCat(ca.certificate_pem, kSeparator, key);
  controller::Batch batch;
  for (int i = 0; i < count; ++i) {
    const std::string name = absl::StrCat("agent", i);
    EMBER_ASSIGN_OR_RETURN(const std::string certificate,
                           SignCsr(ca, csr, "agent", name, now, absl::Hours(24 * 30)));
    EMBER_ASSIGN_OR_RETURN(const CertificateInfo info, ParseCertificate(certificate));
    record::v1::NodeRecord node;
    node.set_name(name);
    *node.mutable_enrolled() = rpc::ToTimestamp(now);
    node.add_valid_serials(info.serial);
    *node.mutable_certificate_expires() = rpc::ToTimestamp(info.not_after);
    node.set_state(v1::NodeState::JOINED);
    batch.Put(node);
    absl::StrAppend(&out, kSeparator, certificate);
    if ((i + 1) % kRecordsPerBatch == 0)
      EMBER_RETURN_IF_ERROR(catalog->Commit(std::exchange(batch, controller::Batch()), now));
  }
  EMBER_RETURN_IF_ERROR(catalog->Commit(batch, now));
  return WriteFileAtomic(path, out);
}

struct Counts {
  int64_t beats = 0;                              // answered
  int64_t failures = 0;                           // since the start
  int connected = 0;                              // whose last beat was answered
  absl::Duration slowest = absl::ZeroDuration();  // answer, in the last second
};

// Beats that are to be sent later.
class Later {
 public:
  void Add(absl::Time at, std::function<void()> send) {
    absl::MutexLock lock(&mu_);
    waiting_.push({at, count_++, std::move(send)});
  }
  void SendDue(absl::Time now) {
    while (true) {
      std::function<void()> send;
      {
        absl::MutexLock lock(&mu_);
        if (waiting_.empty() || waiting_.top().at > now) return;
        send = waiting_.top().send;
        waiting_.pop();
      }
      send();
    }
  }

 private:
  struct Entry {
    absl::Time at;
    int64_t number;
    std::function<void()> send;
    bool operator<(const Entry& other) const {
      return std::tie(other.at, other.number) < std::tie(at, number);
    }
  };
  absl::Mutex mu_;
  std::priority_queue<Entry> waiting_;
  int64_t count_ = 0;
};

class Agent {
 public:
  Agent(const std::string& address, const rpc::Identity& identity, const std::string& name,
        Later* later, absl::Mutex* mu, Counts* counts)
      : stub_(v1::AgentService::NewStub(rpc::Dial(address, identity, "controller", "em"))),
        name_(name),
        later_(later),
        mu_(mu),
        counts_(counts) {}

  void Beat() {
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(kBeatDeadlineSeconds)));
    context_->set_wait_for_ready(true);
    request_.set_node(name_);
    request_.set_boot_id("one");
    request_.set_host_boot_id("one");
    request_.set_seq(request_.seq() + 1);
    *request_.mutable_sent_at() = rpc::ToTimestamp(absl::Now());
    request_.set_data_address(":7444");
    request_.set_memory_available_bytes(int64_t{1} << 30);
    reply_.Clear();
    sent_ = absl::Now();
    stub_->async()->Heartbeat(context_.get(), &request_, &reply_,
                              [this](const grpc::Status& status) { Answered(status); });
  }

 private:
  // The next one goes out of another thread than gRPC's own.
  void Answered(const grpc::Status& status) {
    const absl::Time now = absl::Now();
    absl::Duration pause = absl::Milliseconds(kBeatMillisMin);
    {
      absl::MutexLock lock(mu_);
      counts_->connected += static_cast<int>(status.ok()) - static_cast<int>(connected_);
      connected_ = status.ok();
      counts_->beats += status.ok();
      counts_->failures += !status.ok();
      counts_->slowest = std::max(counts_->slowest, now - sent_);
    }
    if (status.ok()) {
      if (reply_.has_config()) request_.set_config_version(reply_.config().version());
      failed_ = 0;
    } else {
      failed_ = std::min(failed_ + 1, 5);
      pause = absl::Milliseconds(kReconnectMillisMin << failed_) * (1 + std::rand() % 100 / 100.0);
    }
    later_->Add(now + pause, [this] { Beat(); });
  }

  const std::unique_ptr<v1::AgentService::Stub> stub_;
  const std::string name_;
  Later* const later_;
  absl::Mutex* const mu_;
  Counts* const counts_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::HeartbeatRequest request_;
  v1::HeartbeatReply reply_;
  absl::Time sent_;
  bool connected_ = false;
  int failed_ = 0;
};

volatile std::sig_atomic_t stopping = 0;

absl::Status Run(const std::string& path, const std::string& address) {
  EMBER_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const std::vector<std::string> parts = absl::StrSplit(text, kSeparator);
  if (parts.size() < 3) return absl::InvalidArgumentError(absl::StrCat(path, " names no agents"));
  Later later;
  absl::Mutex mu;
  Counts counts;
  std::vector<std::unique_ptr<Agent>> agents;
  for (size_t i = 2; i < parts.size(); ++i) {
    rpc::Identity identity;
    identity.ca_pem = parts[0];
    identity.key_pem = parts[1];
    identity.certificate_pem = parts[i];
    agents.push_back(std::make_unique<Agent>(address, identity, absl::StrCat("agent", i - 2),
                                             &later, &mu, &counts));
    Agent* const agent = agents.back().get();
    // Not all in one instant: that is what a restarted controller is for.
    later.Add(absl::Now() + absl::Milliseconds(5 * i), [agent] { agent->Beat(); });
  }
  std::signal(SIGTERM, [](int) { stopping = 1; });
  absl::Time told = absl::Now();
  absl::Notification never;
  while (stopping == 0) {
    later.SendDue(absl::Now());
    SystemClock()->Sleep(absl::Milliseconds(5), never);
    if (absl::Now() - told < absl::Seconds(1)) continue;
    told = absl::Now();
    absl::MutexLock lock(&mu);
    absl::PrintF(
        "{\"agents\": %d, \"connected\": %d, \"beats\": %d, \"failures\": %d, \"slowest\": %.3f}\n",
        agents.size(), counts.connected, counts.beats, counts.failures,
        absl::ToDoubleSeconds(counts.slowest));
    counts.slowest = absl::ZeroDuration();
    std::fflush(stdout);
  }
  // Callbacks of calls under way must not outlive the agents.
  std::_Exit(0);
}

}  // namespace
}  // namespace ember

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  int count = 0;
  absl::Status done =
      absl::InvalidArgumentError("usage: enrol STATE_DIR COUNT FILE | run FILE ADDRESS");
  if (verb == "enrol" && argc == 5 && absl::SimpleAtoi(argv[3], &count))
    done = ember::Enrol(argv[2], count, argv[4]);
  if (verb == "run" && argc == 4) done = ember::Run(argv[2], argv[3]);
  if (done.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", argv[0], done.ToString().c_str());
  return 1;
}
