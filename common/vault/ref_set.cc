#include "common/vault/ref_set.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"
#include "common/vault/pack.h"

namespace ember::vault {
namespace {

absl::Status Invalid(absl::string_view why) { return absl::InvalidArgumentError(why); }

}  // namespace

absl::Status ReadRefSet(ObjectStore& store, absl::string_view tail, absl::string_view sha256,
                        const PieceSink& sink) {
  const std::string object = BackupObject(kRefs, tail);
  const auto size = store.Size(object);
  if (absl::IsNotFound(size.status())) return Damaged(object, "it is missing");
  EMBER_RETURN_IF_ERROR(size.status());
  EMBER_ASSIGN_OR_RETURN(const std::string header,
                         store.Read(object, 0, std::min<uint64_t>(*size, kFrameHeaderBytes)));
  Sha256Stream file;
  file.Update(header);
  FrameCheck frame(kRefsMagic, header);
  bool in_order = true;
  std::string last;
  for (uint64_t at = header.size(); at < *size;) {
    EMBER_ASSIGN_OR_RETURN(const std::string piece,
                           store.Read(object, at, std::min<uint64_t>(kIdsReadBytes, *size - at)));
    file.Update(piece);
    frame.Update(piece);
    const std::vector<absl::string_view> ids = SplitIds(piece);
    for (size_t i = 0; i < ids.size(); ++i)
      in_order = in_order && (i == 0 ? absl::string_view(last) : ids[i - 1]) < ids[i];
    if (!ids.empty()) last.assign(ids.back().data(), ids.back().size());
    EMBER_RETURN_IF_ERROR(sink(absl::string_view(piece).substr(0, ids.size() * kRecordIdBytes)));
    at += piece.size();
  }
  EMBER_RETURN_IF_ERROR(frame.Finish(object));
  if ((*size - kFrameHeaderBytes) % kRecordIdBytes != 0)
    return Damaged(object, "it has the wrong size");
  if (!in_order) return Damaged(object, "its ids are not in order");
  if (!sha256.empty() && file.Finish() != sha256)
    return Damaged(object, "it is not what was committed");
  return absl::OkStatus();
}

NewRefSet::NewRefSet(std::string directory, std::string manifest_root)
    : manifest_root_(std::move(manifest_root)), ids_(std::move(directory), kRefSetMemoryBytes) {}

absl::Status NewRefSet::Append(absl::string_view joined) {
  if (joined.size() % kRecordIdBytes != 0) return Invalid("an id is not 32 bytes");
  if (size() + joined.size() / kRecordIdBytes > kCommitIdsMax)
    return Invalid(absl::StrCat("a backup of more than ", kCommitIdsMax, " records"));
  for (const absl::string_view id : SplitIds(joined)) {
    if (id <= absl::string_view(last_) && !last_.empty())
      return Invalid("the ids are not in ascending order, each once");
    last_.assign(id.data(), id.size());
    has_root_ = has_root_ || id == manifest_root_;
  }
  return ids_.Append(joined);
}

absl::Status NewRefSet::CheckComplete(uint64_t ids_total) const {
  if (ids_total != size())
    return Invalid(absl::StrCat("the header announces ", ids_total, " ids, ", size(), " came"));
  // The root keeps everything else alive: a set without it could not be restored from.
  return has_root_ ? absl::OkStatus() : Invalid("the manifest's root is not among the ids");
}

uint64_t NewRefSet::size() const { return ids_.size() / kRecordIdBytes; }

absl::Status NewRefSet::Visit(const PieceSink& sink) const {
  return ids_.Visit(kIdsReadBytes, sink);
}

absl::StatusOr<std::string> NewRefSet::Publish(ObjectStore& store, absl::string_view tail) const {
  FrameHeader frame(kRefsMagic);
  EMBER_RETURN_IF_ERROR(Visit([&frame](absl::string_view piece) {
    frame.Update(piece);
    return absl::OkStatus();
  }));
  EMBER_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer, store.Create());
  const std::string header = frame.Finish();
  Sha256Stream file;
  file.Update(header);
  EMBER_RETURN_IF_ERROR(writer->Append(header));
  FrameCheck written(kRefsMagic, header);
  EMBER_RETURN_IF_ERROR(Visit([&](absl::string_view piece) {
    file.Update(piece);
    written.Update(piece);
    return writer->Append(piece);
  }));
  // The scratch file was read twice, maybe from a bad disk.
  EMBER_RETURN_IF_ERROR(written.Finish("a scratch file"));
  EMBER_RETURN_IF_ERROR(writer->Publish(BackupObject(kRefs, tail)));
  return file.Finish();
}

}  // namespace ember::vault
