// Trust on a fingerprint: what `ember-agent join` does before it knows the estate's CA.
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/crypto/openssl.h"

namespace ember {
namespace {

using SslCtxPtr = OpenSslPtr<SSL_CTX, SSL_CTX_free>;
using SslPtr = OpenSslPtr<SSL, SSL_free>;
using AddressPtr = OpenSslPtr<addrinfo, freeaddrinfo>;

// OpenSSL writes to sockets with write(2): a peer that hangs up would end the process with SIGPIPE.
// Blocks the signal in this thread, and takes one that arrived meanwhile.
class NoSigPipe {
 public:
  NoSigPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigPipe() {
    const timespec at_once{};
    if (!sigismember(&before_, SIGPIPE)) sigtimedwait(&pipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigPipe(const NoSigPipe&) = delete;
  NoSigPipe& operator=(const NoSigPipe&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
};

absl::Status Unreachable(absl::string_view address, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("cannot connect to ", address, ": ", why));
}

// Waits for `events`, at most until `deadline` (of Clock::Monotonic).
absl::Status Wait(int fd, short events, absl::Duration deadline, absl::string_view address) {
  while (true) {
    const absl::Duration left = deadline - SystemClock()->Monotonic();
    if (left <= absl::ZeroDuration()) return Unreachable(address, "no answer in time");
    pollfd wanted{fd, events, 0};
    const int ready = poll(&wanted, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Unreachable(address, strerror(errno));
  }
}

absl::StatusOr<Fd> ConnectTo(const addrinfo& target, absl::Duration deadline,
                             absl::string_view address) {
  Fd fd(socket(target.ai_family, target.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
               target.ai_protocol));
  if (!fd.valid()) return Unreachable(address, strerror(errno));
  if (connect(fd.get(), target.ai_addr, target.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return Unreachable(address, strerror(errno));
  EMBER_RETURN_IF_ERROR(Wait(fd.get(), POLLOUT, deadline, address));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Unreachable(address, strerror(error));
  return fd;
}

absl::StatusOr<Fd> Connect(absl::string_view address, absl::Duration deadline) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is not HOST:PORT"));
  }
  absl::string_view host_part = address.substr(0, colon);
  if (absl::ConsumePrefix(&host_part, "[")) absl::ConsumeSuffix(&host_part, "]");
  const std::string host(host_part);
  const std::string port(address.substr(colon + 1));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return Unreachable(address, gai_strerror(error));
  const AddressPtr targets(found);
  absl::Status last = Unreachable(address, "the name has no address");
  for (const addrinfo* target = found; target != nullptr; target = target->ai_next) {
    absl::StatusOr<Fd> fd = ConnectTo(*target, deadline, address);
    if (fd.ok()) return fd;
    last = fd.status();
  }
  return last;
}

absl::StatusOr<SslPtr> Handshake(int fd, SSL_CTX* context, absl::Duration deadline,
                                 absl::string_view address) {
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};  // ALPN, RFC 7301: what gRPC expects
  SslPtr ssl(SSL_new(context));
  CheckOpenSsl(ssl != nullptr && SSL_set_fd(ssl.get(), fd) == 1 &&
                   SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof kHttp2) == 0,
               "SSL_new");
  while (true) {
    errno = 0;
    const int done = SSL_connect(ssl.get());
    if (done == 1) return ssl;
    const int error_number = errno;
    const int error = SSL_get_error(ssl.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      EMBER_RETURN_IF_ERROR(
          Wait(fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline, address));
      continue;
    }
    const std::string why = TakeOpenSslError();
    return Unreachable(
        address,
        absl::StrCat("no TLS 1.3 there (", error_number != 0 ? strerror(error_number) : why, ")"));
  }
}

}  // namespace

absl::StatusOr<std::string> FetchCertificateByFingerprint(absl::string_view address,
                                                          absl::string_view fingerprint,
                                                          absl::Duration timeout) {
  const absl::Duration deadline = SystemClock()->Monotonic() + timeout;
  const NoSigPipe no_sigpipe;
  EMBER_ASSIGN_OR_RETURN(const Fd fd, Connect(address, deadline));
  const SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  CheckOpenSsl(
      context != nullptr && SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1,
      "SSL_CTX_new");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // the fingerprint is the check
  EMBER_ASSIGN_OR_RETURN(const SslPtr ssl, Handshake(fd.get(), context.get(), deadline, address));
  const STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    std::string pem = ToPem(sk_X509_value(chain, i));
    EMBER_ASSIGN_OR_RETURN(const std::string found, CertificateFingerprint(pem));
    if (SecretEqual(found, fingerprint)) return pem;
  }
  return absl::PermissionDeniedError(absl::StrCat(
      address,
      " is not the server that was meant: it shows no certificate with the expected fingerprint"));
}

}  // namespace ember
