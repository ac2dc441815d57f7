#include "common/backup/entry_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Entry;

constexpr char kMagic[] = "EMBCACH1";
constexpr size_t kHeaderBytes = 512;
constexpr size_t kRecordHeaderBytes = 8;
constexpr size_t kBlockBytes = 256 << 10;

template <typename Int>
void PutInt(std::string* out, Int value) {
  const auto bits = static_cast<std::make_unsigned_t<Int>>(value);
  for (size_t i = 0; i < sizeof bits; ++i) out->push_back(static_cast<char>(bits >> (8 * i)));
}
void PutBytes(std::string* out, absl::string_view bytes) {
  PutInt<uint16_t>(out, static_cast<uint16_t>(bytes.size()));
  out->append(bytes.data(), bytes.size());
}

// Takes values off the front; `ok` turns false at the first that is not there.
struct Taker {
  absl::string_view rest;
  bool ok = true;

  absl::string_view Bytes(size_t size) {
    if (rest.size() < size) ok = false;
    if (!ok) return "";
    const absl::string_view bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return bytes;
  }
  template <typename Int>
  Int TakeInt() {
    const absl::string_view bytes = Bytes(sizeof(Int));
    std::make_unsigned_t<Int> bits = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      bits |= static_cast<std::make_unsigned_t<Int>>(static_cast<unsigned char>(bytes[i]))
              << (8 * i);
    }
    return static_cast<Int>(bits);
  }
  std::string Text() { return std::string(Bytes(TakeInt<uint16_t>())); }
};

std::string EncodeHeader(const EntryCacheHeader& header, uint64_t size) {
  std::string bytes = kMagic;
  PutInt<uint64_t>(&bytes, size);
  PutBytes(&bytes, BytesOf(header.manifest_root));
  PutInt<int64_t>(&bytes, absl::ToUnixNanos(header.began));
  PutBytes(&bytes, header.domain_id);
  bytes.resize(kHeaderBytes - 4);
  PutInt<uint32_t>(&bytes, Crc32c(bytes));
  return bytes;
}

bool DecodeHeader(absl::string_view bytes, EntryCacheHeader* header, uint64_t* size) {
  Taker taker{bytes};
  if (taker.Bytes(sizeof kMagic - 1) != kMagic) return false;
  *size = taker.TakeInt<uint64_t>();
  if (!ParseRecordId(taker.Text(), &header->manifest_root)) return false;
  header->began = absl::FromUnixNanos(taker.TakeInt<int64_t>());
  header->domain_id = taker.Text();
  Taker crc{bytes.substr(kHeaderBytes - 4)};
  return taker.ok && crc.TakeInt<uint32_t>() == Crc32c(bytes.substr(0, kHeaderBytes - 4));
}

void PutStamp(std::string* out, const SourceStamp& stamp) {
  PutBytes(out, stamp.file_system);
  PutInt(out, stamp.inode);
  PutInt(out, stamp.size);
  PutInt(out, stamp.mtime_seconds);
  PutInt(out, stamp.mtime_nanos);
  PutInt(out, stamp.ctime_seconds);
  PutInt(out, stamp.ctime_nanos);
}

SourceStamp TakeStamp(Taker* taker) {
  SourceStamp stamp;
  stamp.file_system = taker->Text();
  stamp.inode = taker->TakeInt<uint64_t>();
  stamp.size = taker->TakeInt<int64_t>();
  stamp.mtime_seconds = taker->TakeInt<int64_t>();
  stamp.mtime_nanos = taker->TakeInt<uint32_t>();
  stamp.ctime_seconds = taker->TakeInt<int64_t>();
  stamp.ctime_nanos = taker->TakeInt<uint32_t>();
  return stamp;
}

absl::Status NotWhole() { return absl::DataLossError("the entry cache is damaged"); }

}  // namespace

absl::StatusOr<std::unique_ptr<EntryCacheReader>> EntryCacheReader::Open(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  char bytes[kHeaderBytes];
  struct stat info;
  EntryCacheHeader header;
  uint64_t size = 0;
  if (pread(fd.get(), bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes) ||
      fstat(fd.get(), &info) != 0 ||
      !DecodeHeader(absl::string_view(bytes, sizeof bytes), &header, &size) ||
      size != static_cast<uint64_t>(info.st_size)) {
    return NotWhole();
  }
  return std::unique_ptr<EntryCacheReader>(
      new EntryCacheReader(std::move(fd), std::move(header), size));
}

EntryCacheReader::EntryCacheReader(Fd fd, EntryCacheHeader header, uint64_t end)
    : fd_(std::move(fd)), header_(std::move(header)), end_(end) {
  Rewind();
}

void EntryCacheReader::Rewind() {
  buffer_.clear();
  buffer_at_ = 0;
  file_at_ = kHeaderBytes;
  has_current_ = false;
  ended_ = false;
}

// The next `size` bytes; valid until the next call.
absl::StatusOr<absl::string_view> EntryCacheReader::Bytes(size_t size) {
  if (buffer_.size() - buffer_at_ < size) {
    buffer_.erase(0, buffer_at_);
    buffer_at_ = 0;
    const size_t have = buffer_.size();
    const size_t want = std::min<uint64_t>(std::max(size - have, kBlockBytes), end_ - file_at_);
    buffer_.resize(have + want);
    for (size_t got = 0; got < want;) {
      const ssize_t n =
          pread(fd_.get(), buffer_.data() + have + got, want - got, static_cast<off_t>(file_at_));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return NotWhole();
      got += n;
      file_at_ += n;
    }
    if (buffer_.size() < size) return NotWhole();
  }
  const absl::string_view bytes(buffer_.data() + buffer_at_, size);
  buffer_at_ += size;
  return bytes;
}

absl::StatusOr<bool> EntryCacheReader::Next(Record* record) {
  if (buffer_at_ == buffer_.size() && file_at_ == end_) return false;
  EMBER_ASSIGN_OR_RETURN(const absl::string_view head, Bytes(kRecordHeaderBytes));
  Taker taker{head};
  const uint32_t size = taker.TakeInt<uint32_t>();
  const uint32_t crc = taker.TakeInt<uint32_t>();
  if (size > kRecordBytesMax) return NotWhole();
  EMBER_ASSIGN_OR_RETURN(const absl::string_view bytes, Bytes(size));
  if (Crc32c(bytes) != crc) return NotWhole();
  Taker body{bytes};
  record->stamp = TakeStamp(&body);
  if (!body.ok ||
      !record->entry.ParseFromArray(body.rest.data(), static_cast<int>(body.rest.size()))) {
    return NotWhole();
  }
  return true;
}

absl::StatusOr<int64_t> EntryCacheReader::CheckAll(
    const std::function<void(const RecordId&)>& visit) {
  Rewind();
  Record record;
  std::string last_path;
  int64_t bytes = 0;
  bool any = false;
  while (true) {
    EMBER_ASSIGN_OR_RETURN(const bool more, Next(&record));
    if (!more) break;
    const bool part = record.entry.part() > 0;
    if (any &&
        (part ? record.entry.path() != last_path : !PathLess(last_path, record.entry.path())))
      return NotWhole();
    any = true;
    last_path = record.entry.path();
    if (!part) bytes += record.stamp.size;
    for (const format::v1::Extent& extent : record.entry.extents()) {
      RecordId id;
      if (!ParseRecordId(extent.id(), &id)) return NotWhole();
      visit(id);
    }
  }
  Rewind();
  return bytes;
}

bool EntryCacheReader::Trusted(const SourceStamp& cached, const SourceStamp& now) const {
  const absl::Time settled = header_.began - absl::Seconds(kRacySeconds);
  const auto old = [&](int64_t seconds, uint32_t nanos) {
    return absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos) < settled;
  };
  return !now.file_system.empty() && cached.file_system == now.file_system &&
         cached.inode == now.inode && cached.size == now.size &&
         cached.mtime_seconds == now.mtime_seconds && cached.mtime_nanos == now.mtime_nanos &&
         cached.ctime_seconds == now.ctime_seconds && cached.ctime_nanos == now.ctime_nanos &&
         old(now.mtime_seconds, now.mtime_nanos) && old(now.ctime_seconds, now.ctime_nanos);
}

std::vector<Entry> EntryCacheReader::Find(absl::string_view path, const SourceStamp& stamp) {
  std::vector<Entry> parts;
  while (!ended_) {
    if (has_current_ && !PathLess(current_.entry.path(), path)) {
      if (current_.entry.path() != path || !Trusted(current_.stamp, stamp)) return {};
      if (current_.entry.part() != parts.size()) return {};
      const bool more = current_.entry.more_parts();
      parts.push_back(std::move(current_.entry));
      has_current_ = false;
      if (!more) return parts;
    }
    absl::StatusOr<bool> next = Next(&current_);
    has_current_ = next.ok() && *next;
    ended_ = !has_current_;
  }
  return {};
}

absl::StatusOr<std::unique_ptr<EntryCacheWriter>> EntryCacheWriter::Create(
    const std::string& path) {
  std::string temp = absl::StrCat(path, ".new");
  Fd fd(open(temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("create ", temp));
  return std::unique_ptr<EntryCacheWriter>(
      new EntryCacheWriter(path, std::move(temp), std::move(fd)));
}

EntryCacheWriter::EntryCacheWriter(std::string path, std::string temp, Fd fd)
    : path_(std::move(path)),
      temp_(std::move(temp)),
      fd_(std::move(fd)),
      buffer_(kHeaderBytes, '\0'),
      size_(kHeaderBytes) {}

EntryCacheWriter::~EntryCacheWriter() {
  if (!published_) unlink(temp_.c_str());
}

absl::Status EntryCacheWriter::Add(const SourceStamp& stamp, const Entry& part) {
  Entry kept;
  kept.set_path(part.path());
  kept.set_part(part.part());
  kept.set_more_parts(part.more_parts());
  *kept.mutable_extents() = part.extents();
  kept.set_inline_content(part.inline_content());
  std::string bytes;
  PutStamp(&bytes, stamp);
  kept.AppendToString(&bytes);
  PutInt<uint32_t>(&buffer_, static_cast<uint32_t>(bytes.size()));
  PutInt<uint32_t>(&buffer_, Crc32c(bytes));
  buffer_ += bytes;
  size_ += kRecordHeaderBytes + bytes.size();
  return buffer_.size() < kBlockBytes ? absl::OkStatus() : FlushBuffer();
}

absl::Status EntryCacheWriter::FlushBuffer() {
  EMBER_RETURN_IF_ERROR(WriteAll(fd_.get(), buffer_, temp_));
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status EntryCacheWriter::Publish(const EntryCacheHeader& header) {
  EMBER_RETURN_IF_ERROR(FlushBuffer());
  if (lseek(fd_.get(), 0, SEEK_SET) != 0) return ErrnoToStatus(errno, absl::StrCat("seek ", temp_));
  EMBER_RETURN_IF_ERROR(WriteAll(fd_.get(), EncodeHeader(header, size_), temp_));
  if (fdatasync(fd_.get()) != 0) return ErrnoToStatus(errno, absl::StrCat("fdatasync ", temp_));
  if (rename(temp_.c_str(), path_.c_str()) != 0)
    return ErrnoToStatus(errno, absl::StrCat("rename to ", path_));
  published_ = true;
  return absl::OkStatus();
}

}  // namespace ember::backup
