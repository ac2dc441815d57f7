// What the last backup of a (workload, vault) read, so that unchanged files need not be read again.
// Only ever a hint: a cache that is absent, damaged or of another domain is ignored, and everything
// is read.
//
// The file: a header of kHeaderBytes, then records in path order. A record is u32 length ‖ u32
// CRC-32C ‖ bytes; bytes are the stamp and then an Entry with only path, part, more_parts, extents
// and inline_content. The header is written last and says how long the file is.
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
#include "common/backup/backup_writer.h"
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

// Reads forward, with one record in memory. Use from one thread.
class EntryCacheReader {
 public:
  // NOT_FOUND, or DATA_LOSS for a file that is not a whole cache.
  static absl::StatusOr<std::unique_ptr<EntryCacheReader>> Open(const std::string& path);
  const EntryCacheHeader& header() const { return header_; }

  // Reads all of it, giving every record id to `visit` (repetitions too), and starts again. The
  // bytes of the files in it. DATA_LOSS: do not use it.
  absl::StatusOr<int64_t> CheckAll(const std::function<void(const RecordId&)>& visit);

  // The content of `path` as cached when `stamp` is the cached one and not racy: parts as in the
  // manifest. Empty when it must be read. Ask in PathLess order.
  std::vector<format::v1::Entry> Find(absl::string_view path, const SourceStamp& stamp);

 private:
  struct Record {
    SourceStamp stamp;
    format::v1::Entry entry;
  };
  EntryCacheReader(Fd fd, EntryCacheHeader header, uint64_t end);
  void Rewind();
  // False at the end.
  absl::StatusOr<bool> Next(Record* record);
  absl::StatusOr<absl::string_view> Bytes(size_t size);
  bool Trusted(const SourceStamp& cached, const SourceStamp& now) const;

  const Fd fd_;
  const EntryCacheHeader header_;
  const uint64_t end_;
  std::string buffer_;
  size_t buffer_at_ = 0;
  uint64_t file_at_ = 0;  // of the end of buffer_
  bool has_current_ = false;
  bool ended_ = false;
  Record current_;
};

// Writes a new cache next to the old one. Use from one thread. A failure to write costs only the
// cache.
class EntryCacheWriter {
 public:
  static absl::StatusOr<std::unique_ptr<EntryCacheWriter>> Create(const std::string& path);
  ~EntryCacheWriter();  // not published: removed
  // `part` as in the manifest, in its order.
  absl::Status Add(const SourceStamp& stamp, const format::v1::Entry& part);
  // Takes the place of the old cache.
  absl::Status Publish(const EntryCacheHeader& header);

 private:
  EntryCacheWriter(std::string path, std::string temp, Fd fd);
  absl::Status FlushBuffer();

  const std::string path_;
  const std::string temp_;
  const Fd fd_;
  std::string buffer_;
  uint64_t size_;
  bool published_ = false;
};

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_ENTRY_CACHE_H_
