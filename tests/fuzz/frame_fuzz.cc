// Any bytes as the small files of a vault, read as its loaders read them. The pieces of the input
// are the bodies of frames of one vault; their kinds say what they are.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/ids.h"
#include "common/vault/backup_objects.h"
#include "common/vault/framed.h"
#include "common/vault/pack_table.h"
#include "common/vault/vault_archive.h"
#include "common/vault/vault_header.h"
#include "tests/fuzz/frame_kinds.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pieces.h"
#include "tests/support/memory_store.h"

namespace ember::fuzz {
namespace {

using format::v1::StoredBackupRecord;
using vault::VaultArchive;

constexpr size_t kFilesMax = 32;
constexpr char kOtherTail[] = "host1/00000000000000000001-none";  // no id of a backup has it
constexpr const char* kMagics[] = {vault::kVaultMagic, vault::kBackupMagic, vault::kRefsMagic,
                                   vault::kStateMagic, vault::kTrashMagic,  vault::kTombstoneMagic,
                                   vault::kKeysMagic};

void CheckUnframe(absl::string_view bytes) {
  for (const char* magic : kMagics) {
    const auto body = vault::Unframe(magic, bytes, "a file");
    Require(body.ok() || absl::IsDataLoss(body.status()) ||
            absl::IsFailedPrecondition(body.status()));
    if (body.ok()) Require(body->size() == bytes.size() - vault::kFrameHeaderBytes);
    const std::string framed = vault::Frame(magic, bytes);
    const auto again = vault::Unframe(magic, framed, "a file");
    Require(again.ok() && *again == bytes);
    Require(!vault::Unframe("EMB?", framed, "a file").ok());
  }
}

// The only names under which a loader takes this record; some other when it has none.
std::string TailOf(const StoredBackupRecord& record) {
  const auto id = ParseBackupId(record.backup_id());
  const std::string tail =
      vault::BackupTail(record.domain_id(), record.sequence(), id.ok() ? id->stamp : "none");
  return vault::ValidateObjectName(tail).ok() ? tail : kOtherTail;
}

std::string TailOf(absl::string_view framed_record) {
  StoredBackupRecord record;
  if (framed_record.size() >= vault::kFrameHeaderBytes)
    record.ParsePartialFromString(std::string(framed_record.substr(vault::kFrameHeaderBytes)));
  return TailOf(record);
}

void Put(testing::MemoryStore& store, const std::string& object, absl::string_view bytes) {
  const absl::Status status = vault::PutObject(store, object, bytes);
  Require(status.ok() || absl::IsAlreadyExists(status));
}

void PutBackup(testing::MemoryStore& store, absl::string_view body) {
  const std::string file = vault::Frame(vault::kBackupMagic, body);
  const std::string tail = TailOf(file);
  Put(store, vault::BackupObject(vault::kSnaps, tail), file);
  Require(!vault::ParseBackup(kOtherTail, file).ok());
  const auto record = vault::ParseBackup(tail, file);
  if (!record.ok()) return;
  Require(TailOf(*record) == tail);
  Require(vault::ToWire(*record).backup_id() == record->backup_id());
}

void PutTrashed(testing::MemoryStore& store, absl::string_view body) {
  format::v1::TrashedBackup trashed;
  trashed.ParsePartialFromString(std::string(body));
  Put(store, vault::BackupObject(vault::kTrashedSnaps, TailOf(trashed.record())),
      vault::Frame(vault::kTrashMagic, body));
}

void PutTombstone(testing::MemoryStore& store, absl::string_view body) {
  format::v1::Tombstone tombstone;
  tombstone.ParsePartialFromString(std::string(body));
  StoredBackupRecord record;
  record.set_domain_id("node-host1");
  record.set_backup_id(tombstone.backup_id());
  record.set_sequence(tombstone.sequence());
  const std::string tail = TailOf(record);
  Put(store, vault::BackupObject(vault::kTombstones, tail),
      vault::Frame(vault::kTombstoneMagic, body));
  const auto read = vault::ReadTombstone(store, tail);
  Require(!read.ok() || absl::StrContains(tail, absl::StrFormat("/%020d-", read->sequence())));
}

void PutHead(testing::MemoryStore& store, absl::string_view body) {
  Put(store, absl::StrCat("state/domains/node-host1"), vault::Frame(vault::kStateMagic, body));
}

void PutFile(testing::MemoryStore& store, const Piece& piece) {
  switch (piece.kind % kFrameKinds) {
    case kBackupFile: PutBackup(store, piece.bytes); break;
    case kTrashedFile: PutTrashed(store, piece.bytes); break;
    case kTombstoneFile: PutTombstone(store, piece.bytes); break;
    case kHeaderFile: Put(store, "VAULT", vault::Frame(vault::kVaultMagic, piece.bytes)); break;
    case kHeadFile: PutHead(store, piece.bytes); break;
    default:
      // As it stands, without a frame.
      Put(store, vault::BackupObject(vault::kSnaps, TailOf(piece.bytes)), piece.bytes);
      break;
  }
}

// What it lists can be asked for, and is complete.
void CheckArchive(const VaultArchive& archive) {
  for (const VaultArchive::Backup& backup : archive.backups()) {
    Require(ParseBackupId(backup.record.backup_id()).ok());
    Require(TailOf(backup.record) == backup.tail);
    const auto found = archive.Find(backup.record.backup_id());
    Require(found.ok() && (*found)->tail == backup.tail);
  }
  for (const std::string& domain : archive.Domains()) Require(!domain.empty());
  for (const std::string& problem : archive.problems()) Require(!problem.empty());
}

void CheckPackRow(absl::string_view bytes) {
  const auto row = vault::PackRow::Decode(bytes);
  if (row.ok()) Require(row->Encode() == bytes);
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  CheckUnframe(bytes);
  CheckPackRow(bytes);
  const auto store = std::make_shared<testing::MemoryStore>();
  for (const Piece& piece : PiecesOf(bytes, kFilesMax)) PutFile(*store, piece);
  const auto archive = VaultArchive::Open(store);
  if (archive.ok()) CheckArchive(**archive);
}

}  // namespace ember::fuzz
