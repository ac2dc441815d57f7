// The pack: an immutable file of sealed records, readable without any key.
//
// start   | "EMPK" version:u32 length:u32 crc32c:u32, then `length` bytes: PackFooter of sessions
// records | "EMRC" version:u16 type:u16 id:32 session:16 nonce:u64 length:u32 crc32c:u32, payload
// parity  | unless it is turned off: slices, then "EMPA" length:u32 crc32c:u32 PackParity
// footer  | PackFooter: sessions, every record in file order, the same PackParity
// trailer | length:u32 of the footer, crc32c:u32 of the footer and that length, "EMPE"
//
// Integers are little-endian. A record's checksum covers its header up to the checksum and its
// payload; the start's covers its first 12 bytes and its body; the parity's covers its length and
// table. Records follow each other without gaps, so a pack with a torn end is recovered by
// scanning. A pack's name is the SHA-256 of all its bytes.
#ifndef EMBER_COMMON_VAULT_PACK_H_
#define EMBER_COMMON_VAULT_PACK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/crypto/digest.h"
#include "common/vault/object_store.h"
#include "common/vault/parity.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

inline constexpr size_t kSessionIdBytes = 16;
inline constexpr size_t kRecordHeaderBytes = 72;

// One record; points into bytes owned by the caller.
struct RecordView {
  uint32_t type = 0;
  absl::string_view id;          // kRecordIdBytes
  absl::string_view session_id;  // kSessionIdBytes
  uint64_t nonce = 0;
  absl::string_view payload;
};

// The record that `bytes` begins with. DATA_LOSS when it is not complete and intact.
absl::StatusOr<RecordView> ParseRecord(absl::string_view bytes);

// The sessions of a pack's start. DATA_LOSS when damaged.
absl::StatusOr<format::v1::PackFooter> ParsePackStart(absl::string_view pack);

// "packs/aa/aabb...": the object of the pack with this name (64 hex digits).
std::string PackObject(absl::string_view name);
// The reverse; empty when `object` is not a pack's.
std::string PackNameOf(absl::string_view object);
// The names of all packs, sorted; also of those in the trash.
absl::StatusOr<std::vector<std::string>> ListPacks(ObjectStore& store);

enum class PackParityMode { kOff, kOn };

// Writes one pack; with parity, its last stripe and all parity are held in memory (some 6 MiB). Not
// thread-safe. After an error the pack is lost as a whole; drop the writer.
class PackWriter {
 public:
  // `sessions`: of all records to come, each once.
  static absl::StatusOr<std::unique_ptr<PackWriter>> Create(
      ObjectStore& store, const std::vector<format::v1::PackSession>& sessions,
      PackParityMode parity = PackParityMode::kOff);

  // INVALID_ARGUMENT unless `record.session_id` is one of the sessions. Sizes checked by the
  // caller: payload at most kRecordBytesMax.
  absl::Status Append(const RecordView& record);
  // Bytes so far, without parity and footer.
  uint64_t size() const { return size_; }
  // It should be published, and another one begun.
  bool IsFull() const;

  struct Published {
    std::string name;
    uint64_t size = 0;
    format::v1::PackFooter footer;
  };
  // Durable when OK, also when the same pack is there already. Once.
  absl::StatusOr<Published> Publish();

 private:
  PackWriter(ObjectStore& store, std::unique_ptr<ObjectWriter> object)
      : store_(store), object_(std::move(object)) {}
  absl::Status Write(absl::string_view bytes);
  // Write, and covered by the parity.
  absl::Status WriteCovered(absl::string_view bytes);
  absl::StatusOr<uint32_t> SessionNumber(absl::string_view session_id) const;

  ObjectStore& store_;
  std::unique_ptr<ObjectWriter> object_;
  Sha256Stream digest_;
  std::optional<ParityBuilder> parity_;
  uint64_t size_ = 0;
  format::v1::PackFooter footer_;
};

// The table of a stored pack, bounds-checked: every record lies between start and footer. DATA_LOSS
// when damaged.
absl::StatusOr<format::v1::PackFooter> ReadPackFooter(ObjectStore& store, absl::string_view name);

// The same from the records themselves, for a pack whose footer is damaged: intact records only.
// Sessions that the pack's start does not name come without keybox and domain.
absl::StatusOr<format::v1::PackFooter> ScanPack(ObjectStore& store, absl::string_view name);

// The pieces of a pack in memory, for its repair.
// What stands between the records and the footer.
std::string EncodeParity(const ParityBuilder::Result& parity);
// Footer and trailer.
std::string EncodePackEnd(const format::v1::PackFooter& footer);
// The footer that the pack ends with. DATA_LOSS when damaged.
absl::StatusOr<format::v1::PackFooter> ParsePackEnd(absl::string_view pack);
// The last intact copy of the parity's table before the footer. DATA_LOSS when there is none.
absl::StatusOr<format::v1::PackParity> FindParityTable(absl::string_view pack);
// As ScanPack.
format::v1::PackFooter ScanPackBytes(absl::string_view pack);
// Where the records that follow the start without a gap end. DATA_LOSS when the start is damaged.
absl::StatusOr<uint64_t> EndOfRecords(absl::string_view pack);

// Whether what is stored under a pack's name is that pack: the name is its SHA-256. What cannot be
// read is not. An error of `go_on`, which may be empty, ends it.
absl::StatusOr<bool> IsWholePack(ObjectStore& store, const std::string& name, uint64_t size,
                                 const std::function<absl::Status()>& go_on);

// ReadPackFooter, or ScanPack when that finds damage.
absl::StatusOr<format::v1::PackFooter> ReadPackTable(ObjectStore& store, absl::string_view name);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_PACK_H_
