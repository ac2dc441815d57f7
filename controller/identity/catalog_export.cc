#include "controller/identity/catalog_export.h"

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/aead.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/crypto/signature.h"
#include "common/rpc/convert.h"
#include "ember/format/v1/format.pb.h"

namespace ember::controller {
namespace {

constexpr uint32_t kVersion = 1;

std::string Binding(const format::v1::ExportHeader& header) {
  return absl::StrCat("ember catalog v1 ", header.estate_id(), " ", header.number());
}

// The CA signs other things, too.
std::string Signed(const format::v1::CatalogExport& whole) {
  return absl::StrCat("ember export v1:", whole.header());
}

absl::Status CheckMaker(const RecoveryKit& kit, const format::v1::CatalogExport& whole,
                        const record::v1::CatalogContents& contents) {
  const auto fingerprint = CertificateFingerprint(contents.ca_certificate_pem());
  // Kits of before the fingerprint was printed vouch for nobody; what they open was at least made
  // by someone who knows the estate's recovery recipient.
  if (!kit.ca_fingerprint.empty() && (!fingerprint.ok() || *fingerprint != kit.ca_fingerprint)) {
    return absl::DataLossError("it was not made by the controller whose CA the kit names");
  }
  if (!CheckSignature(contents.ca_certificate_pem(), Signed(whole), whole.signature()).ok())
    return absl::DataLossError("its signature is not by the estate's CA");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> SealCatalogExport(const record::v1::CatalogContents& contents,
                                              uint64_t number, absl::Time made) {
  const std::string& estate_id = contents.meta().estate_id();
  const std::string key = RandomBytes(kAeadKeyBytes);  // for this export alone: nonce 0
  format::v1::ExportHeader header;
  header.set_version(kVersion);
  header.set_estate_id(estate_id);
  header.set_number(number);
  *header.mutable_made() = rpc::ToTimestamp(made);
  EMBER_ASSIGN_OR_RETURN(*header.mutable_keybox(),
                         SealToPublicKey(contents.recovery_public_key(), estate_id, key));
  format::v1::CatalogExport whole;
  whole.set_sealed(Seal(key, 0, Binding(header), contents.SerializeAsString()));
  header.set_sealed_sha256(Sha256(whole.sealed()));
  whole.set_header(header.SerializeAsString());
  EMBER_ASSIGN_OR_RETURN(*whole.mutable_signature(),
                         SignMessage(contents.ca_key_pem(), Signed(whole)));
  std::string bytes = whole.SerializeAsString();
  if (bytes.size() > kExportBytesMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the catalog is too large to be exported: ", bytes.size(), " bytes of ", kExportBytesMax));
  }
  return bytes;
}

absl::StatusOr<OpenedExport> OpenCatalogExport(const RecoveryKit& kit, absl::string_view bytes) {
  format::v1::CatalogExport whole;
  format::v1::ExportHeader header;
  if (bytes.size() > kExportBytesMax ||
      !whole.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !header.ParseFromString(whole.header())) {
    return absl::DataLossError("it is not a catalog export");
  }
  if (header.version() > kVersion) {
    return WithHint(absl::FailedPreconditionError("a newer Ember made it"),
                    "use that version or a later one");
  }
  if (!kit.estate_id.empty() && kit.estate_id != header.estate_id()) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("the kit is of estate ", kit.estate_id,
                                                ", the export is of estate ", header.estate_id())),
        "give the recovery kit of the estate that this vault belongs to");
  }
  if (Sha256(whole.sealed()) != header.sealed_sha256()) return absl::DataLossError("it is damaged");
  const auto key = OpenWithPrivateKey(kit.private_key, header.estate_id(), header.keybox());
  if (!key.ok() || key->size() != kAeadKeyBytes)
    return absl::DataLossError(
        "the kit does not open it: the key was copied with an error, or it is damaged");
  EMBER_ASSIGN_OR_RETURN(const std::string plain, Open(*key, 0, Binding(header), whole.sealed()));
  OpenedExport opened;
  opened.number = header.number();
  opened.made = rpc::FromTimestamp(header.made());
  if (!opened.contents.ParseFromString(plain) ||
      opened.contents.meta().estate_id() != header.estate_id()) {
    return absl::DataLossError("what it holds does not parse");
  }
  EMBER_RETURN_IF_ERROR(CheckMaker(kit, whole, opened.contents));
  return opened;
}

}  // namespace ember::controller
