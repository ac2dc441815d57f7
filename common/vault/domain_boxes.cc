#include "common/vault/domain_boxes.h"

#include <algorithm>
#include <memory>

#include "common/base/errors.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"

namespace ember::vault {
namespace {

using format::v1::DomainBoxes;

constexpr uint32_t kVersion = 1;

std::string ObjectOf(const std::string& domain_id) { return absl::StrCat("keys/", domain_id); }

absl::Status ReplaceObject(ObjectStore& store, const std::string& object,
                           const std::string& bytes) {
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer, store.Create());
  EMBER_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Replace(object);
}

}  // namespace

absl::StatusOr<DomainBoxes> ReadDomainBoxes(ObjectStore& store, const std::string& domain_id) {
  const std::string object = ObjectOf(domain_id);
  EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadObject(store, object));
  EMBER_ASSIGN_OR_RETURN(const absl::string_view body, Unframe(kKeysMagic, bytes, object));
  DomainBoxes boxes;
  if (!boxes.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return Damaged(object, "it does not parse");
  if (boxes.version() > kVersion) {
    return WithHint(
        absl::FailedPreconditionError(absl::StrCat(object, " was made by a newer Ember")),
        "use that version or a later one");
  }
  if (boxes.domain_id() != domain_id) return Damaged(object, "it is another domain's");
  return boxes;
}

absl::Status PutDomainBoxes(ObjectStore& store, const std::string& domain_id,
                            const std::string& estate_id, const std::vector<std::string>& boxes) {
  if (boxes.empty()) return absl::OkStatus();
  const std::string object = ObjectOf(domain_id);
  absl::StatusOr<DomainBoxes> known = ReadDomainBoxes(store, domain_id);
  const bool is_there = !absl::IsNotFound(known.status());
  // What the disk would not read is not gone: it may be the only box of a former recipient.
  if (absl::IsDataLoss(known.status()) && !IsDamaged(known.status())) {
    return WithHint(known.status(),
                    "look at the vault's disk; where nothing reads that file any more, remove it: "
                    "the boxes in use come "
                    "again with the next backup");
  }
  if (absl::IsDataLoss(known.status())) {
    LogError("vault", "recovery boxes are damaged: the ones that came now take their place",
             {{"file", object}, {"why", known.status().message()}});
    known = DomainBoxes();
  } else if (!is_there) {
    known = DomainBoxes();
  }
  EMBER_RETURN_IF_ERROR(known.status());
  const int before = known->boxes_size();
  for (const std::string& box : boxes) {
    if (std::find(known->boxes().begin(), known->boxes().end(), box) == known->boxes().end())
      known->add_boxes(box);
  }
  const bool names_estate = known->estate_id().empty() && !estate_id.empty();
  if (known->boxes_size() == before && !names_estate) return absl::OkStatus();
  if (known->boxes_size() > static_cast<int>(kDomainBoxesMax)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("domain ", domain_id, " has more than ", kDomainBoxesMax, " recovery boxes"));
  }
  known->set_version(kVersion);
  known->set_domain_id(domain_id);
  if (names_estate) known->set_estate_id(estate_id);
  const std::string bytes = Frame(kKeysMagic, known->SerializeAsString());
  return is_there ? ReplaceObject(store, object, bytes) : PutObject(store, object, bytes);
}

}  // namespace ember::vault
