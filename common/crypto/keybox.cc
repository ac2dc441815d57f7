#include "common/crypto/keybox.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "common/crypto/openssl.h"

namespace ember {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr absl::string_view kMagic("EKB1", 4);

absl::StatusOr<PkeyPtr> FromPrivate(absl::string_view private_key) {
  PkeyPtr key;
  if (private_key.size() == kKeyBytes) {
    key.reset(
        EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, Bytes(private_key), kKeyBytes));
  }
  if (key == nullptr)
    return absl::InvalidArgumentError("not an X25519 private key: it must be 32 bytes");
  return key;
}

std::string PublicOf(const EVP_PKEY* key) {
  std::string public_key(kKeyBytes, '\0');
  size_t size = public_key.size();
  CheckOpenSsl(EVP_PKEY_get_raw_public_key(key, Bytes(public_key), &size) == 1 && size == kKeyBytes,
               "X25519 public key");
  return public_key;
}

// RFC 7748 section 6.1; OpenSSL refuses the all-zero result that a point of small order gives.
absl::StatusOr<std::string> Agree(EVP_PKEY* own, absl::string_view public_key) {
  const absl::Status bad = absl::InvalidArgumentError("not an X25519 public key");
  if (public_key.size() != kKeyBytes) return bad;
  const PkeyPtr peer(
      EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, Bytes(public_key), kKeyBytes));
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr));
  CheckOpenSsl(peer != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1,
               "X25519");
  std::string shared(kKeyBytes, '\0');
  size_t size = shared.size();
  if (EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), Bytes(shared), &size) != 1 || size != kKeyBytes) {
    TakeOpenSslError();
    return bad;
  }
  return shared;
}

std::string BoxKey(absl::string_view shared, absl::string_view ephemeral,
                   absl::string_view recipient) {
  return HkdfSha256(shared, absl::StrCat(ephemeral, recipient), "ember keybox v1", kAeadKeyBytes);
}

}  // namespace

X25519KeyPair NewX25519KeyPair() {
  X25519KeyPair pair;
  pair.private_key =
      RandomBytes(kKeyBytes);  // any 32 bytes are a key: RFC 7748 section 5 clamps on use
  pair.public_key = X25519PublicKey(pair.private_key).value();
  return pair;
}

absl::StatusOr<std::string> X25519PublicKey(absl::string_view private_key) {
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, FromPrivate(private_key));
  return PublicOf(key.get());
}

absl::StatusOr<std::string> SealToPublicKey(absl::string_view public_key, absl::string_view context,
                                            absl::string_view secret) {
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr ephemeral, FromPrivate(RandomBytes(kKeyBytes)));
  EMBER_ASSIGN_OR_RETURN(const std::string shared, Agree(ephemeral.get(), public_key));
  const std::string ephemeral_public = PublicOf(ephemeral.get());
  // The key serves this one box, so nonce 0 is used once.
  return absl::StrCat(kMagic, ephemeral_public,
                      Seal(BoxKey(shared, ephemeral_public, public_key), 0, context, secret));
}

absl::StatusOr<std::string> OpenWithPrivateKey(absl::string_view private_key,
                                               absl::string_view context, absl::string_view box) {
  EMBER_ASSIGN_OR_RETURN(const PkeyPtr key, FromPrivate(private_key));
  if (box.size() < kMagic.size() + kKeyBytes + kAeadTagBytes ||
      box.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("not a keybox: wrong length or mark");
  }
  const absl::string_view ephemeral = box.substr(kMagic.size(), kKeyBytes);
  const absl::StatusOr<std::string> shared = Agree(key.get(), ephemeral);
  if (!shared.ok())
    return absl::DataLossError("the keybox is damaged: its ephemeral key is no public key");
  return Open(BoxKey(*shared, ephemeral, PublicOf(key.get())), 0, context,
              box.substr(kMagic.size() + kKeyBytes));
}

}  // namespace ember
