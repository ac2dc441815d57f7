// What the last backup of a (workload, vault) found, so that what is unchanged need not be opened
// again. Only ever a hint: a cache that is absent, damaged, of another version or of another domain
// is ignored, and everything is read.
//
// The file: a header of kHeaderBytes; records in path order; the first 16 bytes of every record id
// of the backup. A record is u32 length ‖ u32 CRC-32C ‖ bytes; bytes are the stamp and then the
// entry, or a part of one, as it stands in the manifest (EncodeInLeaf). The header is written last
// and says where records and ids end.
#ifndef EMBER_COMMON_BACKUP_ENTRY_CACHE_H_
#define EMBER_COMMON_BACKUP_ENTRY_CACHE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/backup/backup_writer.h"
#include "common/backup/id_set.h"
#include "common/backup/record.h"
#include "common/base/file.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

struct EntryCacheHeader {
  std::string domain_id;
  RecordId manifest_root{};
  // When the backup that wrote it began. What changed later, or kRacySeconds before, may have
  // changed since unseen.
  absl::Time began;
};

// Where what is in the file; part of its header.
struct EntryCacheLayout {
  uint64_t records_end = 0;
  uint64_t end = 0;  // of the ids, and of the file
  uint32_t ids_crc = 0;
  int64_t file_bytes = 0;  // of the files among the entries
};

// A record of the cache.
struct CachedEntry {
  const format::v1::Entry& entry() const { return leaf.entries(0); }
  SourceStamp stamp;
  format::v1::ManifestLeaf leaf;  // `encoded`, decoded: one entry, or a part of one
  absl::string_view encoded;
};

// Reads forward, with one record in memory. Use from one thread.
class EntryCacheReader {
 public:
  // NOT_FOUND, or DATA_LOSS for a file that is not a whole cache of this version.
  static absl::StatusOr<std::unique_ptr<EntryCacheReader>> Open(const std::string& path);
  const EntryCacheHeader& header() const { return header_; }

  // Of the files in it.
  int64_t file_bytes() const { return layout_.file_bytes; }
  // Every record id of the backup. DATA_LOSS: do not use the cache.
  absl::Status ReadIds(const std::function<void(const RecordIdPrefix&)>& visit);

  // Both: ask in PathLess order, for one path FindUnchanged first. A damaged record counts as the
  // end.
  //
  // What is cached of an object of which a statx(2) tells `seen` (BackupWriter::AddUnchanged): null
  // unless all of that and the stamp are as cached, and the stamp is not racy and covers the
  // metadata. Never an entry in parts. Valid until the next call.
  const CachedEntry* FindUnchanged(const format::v1::Entry& seen, const SourceStamp& stamp);
  // The content of `path` as cached when `stamp` is the cached one and not racy: parts as in the
  // manifest. Empty when it must be read.
  std::vector<format::v1::Entry> Find(absl::string_view path, const SourceStamp& stamp);

 private:
  EntryCacheReader(std::string path, Fd fd, EntryCacheHeader header,
                   const EntryCacheLayout& layout);
  // Is there a record of `path` at or behind the current one? It is the current one, then.
  bool MoveTo(absl::string_view path);
  // False at the end.
  absl::StatusOr<bool> Next();
  absl::StatusOr<absl::string_view> Bytes(size_t size);
  bool Trusted(const SourceStamp& cached, const SourceStamp& now) const;

  const std::string path_;
  const Fd fd_;
  const EntryCacheHeader header_;
  const EntryCacheLayout layout_;
  const absl::Time settled_;  // what is older may be trusted
  std::string buffer_;
  size_t buffer_at_ = 0;
  uint64_t file_at_ = 0;  // of the end of buffer_
  bool has_current_ = false;
  bool ended_ = false;
  CachedEntry current_;
};

// Writes a new cache next to the old one. Use from one thread. A failure to write costs only the
// cache.
class EntryCacheWriter {
 public:
  static absl::StatusOr<std::unique_ptr<EntryCacheWriter>> Create(const std::string& path);
  ~EntryCacheWriter();  // not published: removed
  // `part` as in the manifest, in its order; `encoded`: EncodeInLeaf of it.
  absl::Status Add(const SourceStamp& stamp, const format::v1::Entry& part,
                   absl::string_view encoded);
  // Every record id of the backup, once, after all entries.
  absl::Status AddIds(const IdSet& ids);
  // Takes the place of the old cache.
  absl::Status Publish(const EntryCacheHeader& header);

 private:
  EntryCacheWriter(std::string path, std::string temp, Fd fd);
  absl::Status FlushBuffer();

  const std::string path_;
  const std::string temp_;
  const Fd fd_;
  std::string buffer_;
  std::string record_;       // the one being added
  EntryCacheLayout layout_;  // `end` grows with what is added
  bool published_ = false;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_ENTRY_CACHE_H_
