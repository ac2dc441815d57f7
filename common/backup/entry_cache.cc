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
#include "common/base/ids.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

using format::v1::Entry;

constexpr char kMagic[] = "EMBCACH2";
constexpr size_t kHeaderBytes = 512;
constexpr size_t kRecordHeaderBytes = 8;
constexpr size_t kBlockBytes = 256 << 10;

template <typename Int>
void PutInt(std::string* out, Int value) {
  const auto bits = static_cast<std::make_unsigned_t<Int>>(value);
  char bytes[sizeof bits];
  for (size_t i = 0; i < sizeof bits; ++i) bytes[i] = static_cast<char>(bits >> (8 * i));
  out->append(bytes, sizeof bytes);
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
  absl::string_view Text() { return Bytes(TakeInt<uint16_t>()); }
};

std::string EncodeHeader(const EntryCacheHeader& header, const EntryCacheLayout& layout) {
  std::string bytes = kMagic;
  PutInt(&bytes, layout.records_end);
  PutInt(&bytes, layout.end);
  PutInt(&bytes, layout.ids_crc);
  PutInt(&bytes, layout.file_bytes);
  PutBytes(&bytes, BytesOf(header.manifest_root));
  PutInt<int64_t>(&bytes, absl::ToUnixNanos(header.began));
  PutBytes(&bytes, header.domain_id);
  bytes.resize(kHeaderBytes - 4);
  PutInt<uint32_t>(&bytes, Crc32c(bytes));
  return bytes;
}

bool DecodeHeader(absl::string_view bytes, EntryCacheHeader* header, EntryCacheLayout* layout) {
  Taker taker{bytes};
  if (taker.Bytes(sizeof kMagic - 1) != kMagic) return false;
  layout->records_end = taker.TakeInt<uint64_t>();
  layout->end = taker.TakeInt<uint64_t>();
  layout->ids_crc = taker.TakeInt<uint32_t>();
  layout->file_bytes = taker.TakeInt<int64_t>();
  if (!ParseRecordId(taker.Text(), &header->manifest_root)) return false;
  header->began = absl::FromUnixNanos(taker.TakeInt<int64_t>());
  header->domain_id = std::string(taker.Text());
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
  PutInt<uint8_t>(out, stamp.covers_metadata);
}

void TakeStamp(Taker* taker, SourceStamp* stamp) {
  const absl::string_view file_system = taker->Text();
  stamp->file_system.assign(file_system.data(), file_system.size());
  stamp->inode = taker->TakeInt<uint64_t>();
  stamp->size = taker->TakeInt<int64_t>();
  stamp->mtime_seconds = taker->TakeInt<int64_t>();
  stamp->mtime_nanos = taker->TakeInt<uint32_t>();
  stamp->ctime_seconds = taker->TakeInt<int64_t>();
  stamp->ctime_nanos = taker->TakeInt<uint32_t>();
  stamp->covers_metadata = taker->TakeInt<uint8_t>() != 0;
}

// All that BackupWriter::AddUnchanged is told of an object.
bool LooksTheSame(const Entry& cached, const Entry& seen) {
  return cached.path() == seen.path() && cached.type() == seen.type() &&
         cached.mode() == seen.mode() && cached.uid() == seen.uid() && cached.gid() == seen.gid() &&
         cached.user() == seen.user() && cached.group() == seen.group() &&
         cached.size() == seen.size() && cached.hole_bytes() == seen.hole_bytes() &&
         cached.device() == seen.device() && cached.mtime_seconds() == seen.mtime_seconds() &&
         cached.mtime_nanos() == seen.mtime_nanos() &&
         cached.ctime_seconds() == seen.ctime_seconds() &&
         cached.ctime_nanos() == seen.ctime_nanos() &&
         cached.atime_seconds() == seen.atime_seconds() &&
         cached.atime_nanos() == seen.atime_nanos();
}

absl::Status NotWhole() {
  return absl::DataLossError("the entry cache is damaged, or of another version");
}

// Exactly `size` bytes from `offset`.
absl::Status ReadAt(const Fd& fd, uint64_t offset, size_t size, char* to) {
  for (size_t got = 0; got < size;) {
    const ssize_t n = pread(fd.get(), to + got, size - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return NotWhole();
    got += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EntryCacheReader>> EntryCacheReader::Open(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("open ", path));
  char bytes[kHeaderBytes];
  struct stat info;
  EntryCacheHeader header;
  EntryCacheLayout layout;
  EMBER_RETURN_IF_ERROR(ReadAt(fd, 0, sizeof bytes, bytes));
  if (fstat(fd.get(), &info) != 0 ||
      !DecodeHeader(absl::string_view(bytes, sizeof bytes), &header, &layout) ||
      layout.end != static_cast<uint64_t>(info.st_size) || layout.records_end > layout.end ||
      layout.records_end < kHeaderBytes) {
    return NotWhole();
  }
  return std::unique_ptr<EntryCacheReader>(
      new EntryCacheReader(path, std::move(fd), std::move(header), layout));
}

EntryCacheReader::EntryCacheReader(std::string path, Fd fd, EntryCacheHeader header,
                                   const EntryCacheLayout& layout)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      header_(std::move(header)),
      layout_(layout),
      settled_(header_.began - absl::Seconds(kRacySeconds)),
      file_at_(kHeaderBytes) {}

absl::Status EntryCacheReader::ReadIds(const std::function<void(const RecordIdPrefix&)>& visit) {
  RecordIdPrefix prefix;
  std::string block;
  uint32_t crc = 0;
  for (uint64_t at = layout_.records_end; at < layout_.end; at += block.size()) {
    block.resize(std::min<uint64_t>(kBlockBytes, layout_.end - at));
    EMBER_RETURN_IF_ERROR(ReadAt(fd_, at, block.size(), block.data()));
    crc = Crc32c(block, crc);
    if (block.size() % prefix.size() != 0) return NotWhole();
    for (size_t i = 0; i < block.size(); i += prefix.size()) {
      std::copy_n(block.data() + i, prefix.size(), prefix.data());
      visit(prefix);
    }
  }
  return crc == layout_.ids_crc ? absl::OkStatus() : NotWhole();
}

// The next `size` bytes; valid until the next call.
absl::StatusOr<absl::string_view> EntryCacheReader::Bytes(size_t size) {
  if (buffer_.size() - buffer_at_ < size) {
    buffer_.erase(0, buffer_at_);
    buffer_at_ = 0;
    const size_t have = buffer_.size();
    const size_t want =
        std::min<uint64_t>(std::max(size - have, kBlockBytes), layout_.records_end - file_at_);
    buffer_.resize(have + want);
    EMBER_RETURN_IF_ERROR(ReadAt(fd_, file_at_, want, buffer_.data() + have));
    file_at_ += want;
    if (buffer_.size() < size) return NotWhole();
  }
  const absl::string_view bytes(buffer_.data() + buffer_at_, size);
  buffer_at_ += size;
  return bytes;
}

absl::StatusOr<bool> EntryCacheReader::Next() {
  if (buffer_at_ == buffer_.size() && file_at_ == layout_.records_end) return false;
  EMBER_ASSIGN_OR_RETURN(const absl::string_view head, Bytes(kRecordHeaderBytes));
  Taker taker{head};
  const uint32_t size = taker.TakeInt<uint32_t>();
  const uint32_t crc = taker.TakeInt<uint32_t>();
  if (size > kRecordBytesMax) return NotWhole();
  EMBER_ASSIGN_OR_RETURN(const absl::string_view bytes, Bytes(size));
  if (Crc32c(bytes) != crc) return NotWhole();
  Taker body{bytes};
  TakeStamp(&body, &current_.stamp);
  current_.encoded = body.rest;
  if (!body.ok ||
      !current_.leaf.ParseFromArray(body.rest.data(), static_cast<int>(body.rest.size())) ||
      current_.leaf.entries_size() != 1) {
    return NotWhole();
  }
  return true;
}

bool EntryCacheReader::MoveTo(absl::string_view path) {
  while (!ended_) {
    if (has_current_) {
      if (current_.entry().path() == path) return true;
      if (PathLess(path, current_.entry().path())) return false;
    }
    const absl::StatusOr<bool> next = Next();
    if (!next.ok())
      LogWarning("backup", "reading the rest: the cache is damaged", {{"path", path_}});
    has_current_ = next.ok() && *next;
    ended_ = !has_current_;
  }
  return false;
}

bool EntryCacheReader::Trusted(const SourceStamp& cached, const SourceStamp& now) const {
  const auto old = [&](int64_t seconds, uint32_t nanos) {
    return absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos) < settled_;
  };
  return !now.file_system.empty() && cached.file_system == now.file_system &&
         cached.inode == now.inode && cached.size == now.size &&
         cached.mtime_seconds == now.mtime_seconds && cached.mtime_nanos == now.mtime_nanos &&
         cached.ctime_seconds == now.ctime_seconds && cached.ctime_nanos == now.ctime_nanos &&
         old(now.mtime_seconds, now.mtime_nanos) && old(now.ctime_seconds, now.ctime_nanos);
}

const CachedEntry* EntryCacheReader::FindUnchanged(const Entry& seen, const SourceStamp& stamp) {
  if (!stamp.covers_metadata || !MoveTo(seen.path())) return nullptr;
  const Entry& cached = current_.entry();
  const bool whole = cached.part() == 0 && !cached.more_parts();
  return whole && current_.stamp.covers_metadata && Trusted(current_.stamp, stamp) &&
                 LooksTheSame(cached, seen)
             ? &current_
             : nullptr;
}

std::vector<Entry> EntryCacheReader::Find(absl::string_view path, const SourceStamp& stamp) {
  std::vector<Entry> parts;
  while (MoveTo(path) && Trusted(current_.stamp, stamp) &&
         current_.entry().part() == parts.size()) {
    parts.push_back(current_.entry());
    has_current_ = false;
    if (!parts.back().more_parts()) return parts;
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
      layout_{.end = kHeaderBytes} {}

EntryCacheWriter::~EntryCacheWriter() {
  if (!published_) unlink(temp_.c_str());
}

absl::Status EntryCacheWriter::Add(const SourceStamp& stamp, const Entry& part,
                                   absl::string_view encoded) {
  record_.clear();
  PutStamp(&record_, stamp);
  record_.append(encoded.data(), encoded.size());
  PutInt<uint32_t>(&buffer_, static_cast<uint32_t>(record_.size()));
  PutInt<uint32_t>(&buffer_, Crc32c(record_));
  buffer_ += record_;
  layout_.end += kRecordHeaderBytes + record_.size();
  if (part.part() == 0) layout_.file_bytes += part.size();
  return buffer_.size() < kBlockBytes ? absl::OkStatus() : FlushBuffer();
}

absl::Status EntryCacheWriter::AddIds(const IdSet& ids) {
  layout_.records_end = layout_.end;
  return ids.Visit([this](absl::string_view joined) {
    for (const absl::string_view id : SplitIds(joined)) {
      const absl::string_view prefix = id.substr(0, sizeof(RecordIdPrefix));
      layout_.ids_crc = Crc32c(prefix, layout_.ids_crc);
      buffer_.append(prefix.data(), prefix.size());
      layout_.end += prefix.size();
    }
    return buffer_.size() < kBlockBytes ? absl::OkStatus() : FlushBuffer();
  });
}

absl::Status EntryCacheWriter::FlushBuffer() {
  EMBER_RETURN_IF_ERROR(WriteAll(fd_.get(), buffer_, temp_));
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status EntryCacheWriter::Publish(const EntryCacheHeader& header) {
  EMBER_RETURN_IF_ERROR(FlushBuffer());
  if (lseek(fd_.get(), 0, SEEK_SET) != 0) return ErrnoToStatus(errno, absl::StrCat("seek ", temp_));
  EMBER_RETURN_IF_ERROR(WriteAll(fd_.get(), EncodeHeader(header, layout_), temp_));
  if (fdatasync(fd_.get()) != 0) return ErrnoToStatus(errno, absl::StrCat("fdatasync ", temp_));
  if (rename(temp_.c_str(), path_.c_str()) != 0)
    return ErrnoToStatus(errno, absl::StrCat("rename to ", path_));
  published_ = true;
  return absl::OkStatus();
}

}  // namespace ember::backup
