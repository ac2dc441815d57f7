// What goes over the wire, seen by another TLS implementation's eyes: OpenSSL directly.
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

#include "common/base/file.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace ember::rpc {
namespace {

using testing::HasCode;

using ContextPtr = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using SslPtr = std::unique_ptr<SSL, decltype(&SSL_free)>;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The version agreed on by a client that speaks only `version`; "" when there was no agreement.
std::string Handshake(int port, int version) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(port);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ContextPtr context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SslPtr ssl(SSL_new(context.get()), SSL_free);
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof kHttp2);
  SSL_set_fd(ssl.get(), fd.get());
  return SSL_connect(ssl.get()) == 1 ? SSL_get_version(ssl.get()) : "";
}

class Tls : public RpcFixture {};

TEST_F(Tls, ServerSpeaksVersion13Only) {
  StartServer();
  EXPECT_EQ(Handshake(server_->port(), TLS1_3_VERSION), "TLSv1.3");
  EXPECT_EQ(Handshake(server_->port(), TLS1_2_VERSION), "");
}

// One handshake of a server that speaks only `version`; the version agreed on, or "". `dial` is
// given its address.
std::string Accept(const Identity& identity, int version,
                   const std::function<void(std::string)>& dial) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::thread client([&] { dial(absl::StrCat("127.0.0.1:", ntohs(address.sin_port))); });
  Fd fd(accept(listener.get(), nullptr, nullptr));
  ContextPtr context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_set_num_tickets(context.get(), 0);  // the client has hung up by then
  testing::TempDir dir;
  EXPECT_OK(SaveIdentity(dir.path(), identity));
  EXPECT_EQ(
      SSL_CTX_use_certificate_file(context.get(), dir.Join("cert.pem").c_str(), SSL_FILETYPE_PEM),
      1);
  EXPECT_EQ(
      SSL_CTX_use_PrivateKey_file(context.get(), dir.Join("key.pem").c_str(), SSL_FILETYPE_PEM), 1);
  SslPtr ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), fd.get());
  const std::string agreed = SSL_accept(ssl.get()) == 1 ? SSL_get_version(ssl.get()) : "";
  ssl = nullptr;
  fd = Fd();
  listener = Fd();  // hang up: the call fails
  client.join();
  return agreed;
}

TEST_F(Tls, ClientSpeaksVersion13Only) {
  signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets whose other side may be gone
  const Identity em = MakeIdentity("controller", "em");
  const Identity nas1 = MakeIdentity("agent", "nas1");
  const auto dial = [&](const std::string& to) {
    EXPECT_THAT(HasLease(Dial(to, nas1, "controller", "em")),
                HasCode(absl::StatusCode::kUnavailable));
  };
  EXPECT_EQ(Accept(em, TLS1_3_VERSION, dial), "TLSv1.3");
  EXPECT_EQ(Accept(em, TLS1_2_VERSION, dial), "");
}

TEST_F(Tls, ChildrenDoNotInheritTheRestriction) {
  StartServer();
  EXPECT_EQ(getenv("GRPC_SSL_CIPHER_SUITES"), nullptr);
}

TEST_F(Tls, JoiningAgentFindsTheCaByItsFingerprint) {
  StartServer();
  ASSERT_OK_AND_ASSIGN(const std::string print, CertificateFingerprint(ca_.certificate_pem));
  ASSERT_OK_AND_ASSIGN(const std::string pem,
                       FetchCertificateByFingerprint(address(), print, absl::Seconds(5)));
  EXPECT_EQ(pem, ca_.certificate_pem);
  EXPECT_THAT(FetchCertificateByFingerprint(address(), std::string(64, '0'), absl::Seconds(5)),
              HasCode(absl::StatusCode::kPermissionDenied));
}

TEST(FetchCertificate, GivesUpOnAServerThatSaysNothing) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  EXPECT_THAT(FetchCertificateByFingerprint(absl::StrCat("127.0.0.1:", ntohs(address.sin_port)),
                                            std::string(64, '0'), absl::Milliseconds(200)),
              HasCode(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace ember::rpc
