#include "common/vault/vault_header.h"

#include "absl/strings/escaping.h"
#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/vault/framed.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {
namespace {

constexpr char kHeaderObject[] = "VAULT";

}  // namespace

absl::StatusOr<std::string> ReadHeader(ObjectStore& store) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(kHeaderObject));
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, store.Read(kHeaderObject, 0, size));
  const auto body = Unframe(kVaultMagic, bytes, kHeaderObject);
  format::v1::VaultHeader header;
  if (absl::IsDataLoss(body.status()) ||
      (body.ok() && !header.ParseFromString(std::string(*body)))) {
    return WithHint(Damaged(kHeaderObject, "its checksum does not match"),
                    "remove that file: no backup depends on it, and it is made anew");
  }
  EMBER_RETURN_IF_ERROR(body.status());
  if (header.version() > 1 || header.must_understand_size() > 0) {
    return WithHint(absl::FailedPreconditionError("the vault was made by a newer Ember"),
                    "use that version or a later one");
  }
  return header.vault_id();
}

absl::StatusOr<std::string> ReadOrMakeHeader(ObjectStore& store, Clock& clock) {
  auto known = ReadHeader(store);
  if (!absl::IsNotFound(known.status())) return known;
  format::v1::VaultHeader header;
  header.set_version(1);
  header.set_vault_id(absl::BytesToHexString(RandomBytes(16)));
  *header.mutable_created() = rpc::ToTimestamp(clock.Now());
  EMBER_RETURN_IF_ERROR(
      PutObject(store, kHeaderObject, Frame(kVaultMagic, header.SerializeAsString())));
  return header.vault_id();
}

}  // namespace ember::vault
