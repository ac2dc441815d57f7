// A secret sealed to an X25519 public key (RFC 7748): ephemeral-static agreement, HKDF-SHA-256, AES-256-GCM; the shape
// of HPKE base mode (RFC 9180) and of age recipients. Whoever seals cannot open.
//
// Bytes: "EKB1" ‖ ephemeral public key (32) ‖ AES-256-GCM(nonce 0, AAD = context) of the secret.
// Key = HKDF(shared, salt = ephemeral ‖ recipient, info = "ember keybox v1").
#ifndef EMBER_COMMON_CRYPTO_KEYBOX_H_
#define EMBER_COMMON_CRYPTO_KEYBOX_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ember {

struct X25519KeyPair {
  std::string public_key;   // 32 bytes
  std::string private_key;  // 32 bytes
};

X25519KeyPair NewX25519KeyPair();
// The public key of a private one.
absl::StatusOr<std::string> X25519PublicKey(absl::string_view private_key);

// `context` binds the box to its use (for session keys: the 16-byte session id). INVALID_ARGUMENT: not a public key.
absl::StatusOr<std::string> SealToPublicKey(absl::string_view public_key, absl::string_view context,
                                            absl::string_view secret);
// DATA_LOSS: another key, another context, or damaged bytes.
absl::StatusOr<std::string> OpenWithPrivateKey(absl::string_view private_key, absl::string_view context,
                                               absl::string_view box);

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_KEYBOX_H_
