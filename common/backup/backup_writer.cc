#include "common/backup/backup_writer.h"

#include <string.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "common/backup/chunker.h"
#include "common/backup/entry_cache.h"
#include "common/backup/entry_path.h"
#include "common/backup/entry_queue.h"
#include "common/backup/file_cutter.h"
#include "common/backup/group_packer.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/pending_content.h"
#include "common/backup/read_back.h"
#include "common/backup/record.h"
#include "common/backup/upload_pipeline.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/zero.h"
#include "common/crypto/aead.h"
#include "common/crypto/digest.h"
#include "common/crypto/keybox.h"
#include "common/rpc/convert.h"

namespace ember::backup {
namespace {

using format::v1::Entry;
using format::v1::EntryType;
using OpenContent = std::function<absl::StatusOr<std::unique_ptr<FileContent>>()>;

constexpr size_t kSessionIdBytes = 16;
constexpr absl::Duration kProgressEvery = absl::Milliseconds(300);

// A key that is overwritten when it goes.
class SessionKey {
 public:
  SessionKey() : bytes_(RandomBytes(kAeadKeyBytes)) {}
  ~SessionKey() { Forget(); }
  SessionKey(const SessionKey&) = delete;
  SessionKey& operator=(const SessionKey&) = delete;
  absl::string_view bytes() const { return bytes_; }
  void Forget() { explicit_bzero(bytes_.data(), bytes_.size()); }

 private:
  std::string bytes_;
};

absl::Status CheckOptions(const BackupOptions& options, const VaultPort* vault) {
  if (vault == nullptr || options.clock == nullptr)
    return absl::InvalidArgumentError("a backup needs a vault and a clock");
  if (options.domain.id().empty() || options.domain.id().size() > 255) {
    return absl::InvalidArgumentError("the dedup domain has no usable id");
  }
  if (options.domain.id_key().size() != 32 || options.domain.cut_key().size() != 32) {
    return absl::InvalidArgumentError("the keys of the dedup domain must have 32 bytes");
  }
  return absl::OkStatus();
}

// The cache, when it can be used at all; else null.
std::unique_ptr<EntryCacheReader> OpenCache(const BackupOptions& options) {
  if (options.full || options.cache_path.empty()) return nullptr;
  absl::StatusOr<std::unique_ptr<EntryCacheReader>> cache =
      EntryCacheReader::Open(options.cache_path);
  if (!cache.ok()) {
    if (!absl::IsNotFound(cache.status())) {
      LogWarning("backup", "reading everything: no usable cache",
                 {{"workload", options.workload}, {"why", cache.status().message()}});
    }
    return nullptr;
  }
  return (*cache)->header().domain_id == options.domain.id() ? *std::move(cache) : nullptr;
}

// The next backup's cache; null when it cannot be written.
std::unique_ptr<EntryCacheWriter> CreateCache(const BackupOptions& options) {
  if (options.cache_path.empty()) return nullptr;
  absl::StatusOr<std::unique_ptr<EntryCacheWriter>> cache =
      EntryCacheWriter::Create(options.cache_path);
  if (cache.ok()) return *std::move(cache);
  LogWarning("backup", "the next backup will read everything", {{"why", cache.status().message()}});
  return nullptr;
}

// Where the cache is there is room.
std::string ScratchDirectory(const BackupOptions& options) {
  const std::filesystem::path cache(options.cache_path);
  if (cache.has_parent_path()) return cache.parent_path();
  std::error_code error;
  const std::filesystem::path temporary = std::filesystem::temp_directory_path(error);
  return error ? "/tmp" : temporary.string();
}

class Writer : public BackupWriter {
 public:
  Writer(BackupOptions options, VaultPort* vault)
      : options_(std::move(options)),
        vault_(vault),
        began_(options_.clock->Now()),
        session_id_(RandomBytes(kSessionIdBytes)),
        chunker_(options_.domain.cut_key()),
        cutter_(&chunker_, [this](int64_t bytes) { return OnRead(bytes); }) {}

  absl::Status Start();
  absl::StatusOr<bool> AddUnchanged(const Entry& seen, const SourceStamp& stamp) override;
  absl::Status Add(Entry entry, const SourceStamp& stamp, const OpenContent& open) override;
  void AddProblem(absl::string_view path, absl::string_view problem) override;
  absl::StatusOr<v1::BackupResult> Commit() override;

 private:
  // Is everything well, and `path` after the last one?
  absl::Status CheckNext(const std::string& path);
  absl::Status AddCached(const CachedEntry& cached);
  absl::Status CheckedAdd(Entry entry, const SourceStamp& stamp, const OpenContent& open);
  absl::Status AddFile(Entry entry, SourceStamp stamp, const OpenContent& open);
  // Null: left out, and listed.
  absl::StatusOr<std::shared_ptr<PendingContent>> ReadContent(Entry* entry, SourceStamp* stamp,
                                                              const OpenContent& open,
                                                              bool* settled);
  absl::StatusOr<std::shared_ptr<PendingContent>> KeepContent(
      Entry* entry, FileCutter::Result result, std::shared_ptr<PendingContent> chunks);
  void LeaveOut(absl::string_view path, absl::string_view problem);

  absl::Status Enqueue(PendingEntry pending);
  absl::StatusOr<v1::CommitReply> Publish(const RecordId& root);
  absl::Status CheckReadBack();
  absl::Status OnRead(int64_t bytes);
  void Report(absl::string_view phase, bool force);

  const BackupOptions options_;
  VaultPort* const vault_;
  const absl::Time began_;
  const std::string session_id_;
  SessionKey key_;
  const Chunker chunker_;
  FileCutter cutter_;
  std::unique_ptr<VaultSession> session_;
  std::unique_ptr<UploadPipeline> pipeline_;  // after session_ and key_, which it uses
  std::unique_ptr<GroupPacker> groups_;
  std::unique_ptr<EntryQueue> queue_;
  std::unique_ptr<EntryCacheReader> cache_;

  absl::Status failed_;
  bool has_last_path_ = false;
  std::string last_path_;
  absl::flat_hash_set<size_t> left_out_;  // hashes of paths that hard links may name

  v1::BackupResult result_;
  v1::Progress progress_;
  int64_t to_read_ = 0;  // if all that is not yet known to be unchanged has changed; 0: not known
  absl::Duration reported_ = absl::InfiniteDuration();
};

absl::Status Writer::Start() {
  cache_ = OpenCache(options_);
  v1::OpenSessionRequest request;
  request.set_domain_id(options_.domain.id());
  request.set_workload(options_.workload);
  request.set_backup_id(options_.backup_id);
  request.set_session_id(session_id_);
  request.set_epoch(options_.epoch);
  *request.mutable_recovery_boxes() = options_.domain.recovery_boxes();
  request.set_estate_id(options_.domain.estate_id());
  *request.mutable_grant() = options_.grant;
  EMBER_ASSIGN_OR_RETURN(*request.mutable_keybox(),
                         SealToPublicKey(options_.domain.public_key(), session_id_, key_.bytes()));
  if (cache_ != nullptr) {
    const RecordId& root = cache_->header().manifest_root;
    request.set_parent_root(root.data(), root.size());
  }
  EMBER_ASSIGN_OR_RETURN(session_, vault_->OpenSession(std::move(request)));
  // Without its backup in the vault, nothing that the cache refers to is surely there.
  if (!session_->parent_present()) cache_ = nullptr;
  KnownIds known;
  if (cache_ != nullptr) {
    const absl::Status read =
        cache_->ReadIds([&known](const RecordIdPrefix& id) { known.Insert(id); });
    if (read.ok()) {
      to_read_ = cache_->file_bytes();
    } else {
      LogWarning("backup", "reading everything: the cache is damaged",
                 {{"workload", options_.workload}});
      cache_ = nullptr;
      known = KnownIds();
    }
  }
  const std::string scratch = ScratchDirectory(options_);
  pipeline_ =
      std::make_unique<UploadPipeline>(UploadPipeline::Options{.session = session_.get(),
                                                               .domain_id = options_.domain.id(),
                                                               .id_key = options_.domain.id_key(),
                                                               .session_key = key_.bytes(),
                                                               .threads = options_.threads,
                                                               .cancelled = options_.cancelled,
                                                               .known = std::move(known),
                                                               .scratch_directory = scratch,
                                                               .pace = options_.pace,
                                                               .clock = options_.clock});
  groups_ = std::make_unique<GroupPacker>(options_.domain.cut_key(), pipeline_.get());
  queue_ = std::make_unique<EntryQueue>(options_.domain.cut_key(), pipeline_.get(),
                                        CreateCache(options_), scratch);
  return absl::OkStatus();
}

absl::Status Writer::CheckNext(const std::string& path) {
  EMBER_RETURN_IF_ERROR(pipeline_->status());
  if (has_last_path_ && !PathLess(last_path_, path)) {
    return absl::InternalError(
        absl::StrCat("entries out of order: ", ShownPath(path), " after ", ShownPath(last_path_)));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Writer::AddUnchanged(const Entry& seen, const SourceStamp& stamp) {
  EMBER_RETURN_IF_ERROR(failed_);
  if (cache_ == nullptr) return false;
  const CachedEntry* cached = cache_->FindUnchanged(seen, stamp);
  if (cached == nullptr || !ValidateEntry(cached->entry()).ok()) return false;
  failed_ = AddCached(*cached);
  EMBER_RETURN_IF_ERROR(failed_);
  return true;
}

absl::Status Writer::AddCached(const CachedEntry& cached) {
  const Entry& entry = cached.entry();
  EMBER_RETURN_IF_ERROR(CheckNext(entry.path()));
  has_last_path_ = true;
  last_path_ = entry.path();
  if (entry.type() == EntryType::FILE) {
    to_read_ -= entry.size();
    progress_.set_files(progress_.files() + 1);
  }
  Report("reading", false);
  EMBER_RETURN_IF_ERROR(groups_->Passed(static_cast<size_t>(entry.extents_size())));
  return queue_->PushCached(cached);
}

absl::Status Writer::Add(Entry entry, const SourceStamp& stamp, const OpenContent& open) {
  if (failed_.ok()) failed_ = CheckedAdd(std::move(entry), stamp, open);
  return failed_;
}

absl::Status Writer::CheckedAdd(Entry entry, const SourceStamp& stamp, const OpenContent& open) {
  EMBER_RETURN_IF_ERROR(CheckNext(entry.path()));
  entry.clear_extents();
  entry.clear_inline_content();
  entry.clear_part();
  entry.clear_more_parts();
  if (const absl::Status valid = ValidateEntry(entry); !valid.ok()) {
    return absl::InternalError(
        absl::StrCat("cannot add ", ShownPath(entry.path()), ": ", valid.message()));
  }
  has_last_path_ = true;
  last_path_ = entry.path();
  if (entry.ByteSizeLong() > kLeafBytesMax) {
    LeaveOut(last_path_, "its metadata (extended attributes) is too large");
    return absl::OkStatus();
  }
  // The first name could not be read; this one may.
  if (!entry.hardlink_to().empty() && left_out_.contains(absl::HashOf(entry.hardlink_to())))
    entry.clear_hardlink_to();
  if (entry.type() == EntryType::FILE && entry.hardlink_to().empty())
    return AddFile(std::move(entry), stamp, open);
  // Of an inode with several names, each depends on the others.
  const bool cacheable = !stamp.file_system.empty() && entry.hardlink_to().empty();
  return Enqueue(
      {.entry = std::move(entry), .stamp = stamp, .cacheable = cacheable, .content = nullptr});
}

absl::Status Writer::AddFile(Entry entry, SourceStamp stamp, const OpenContent& open) {
  PendingEntry pending;
  if (cache_ != nullptr && stamp.size == entry.size()) {
    const std::vector<Entry> parts = cache_->Find(entry.path(), stamp);
    if (!parts.empty()) pending.content = ContentOfParts(parts, entry.size());
  }
  pending.cacheable = pending.content != nullptr;
  if (pending.cacheable) to_read_ -= stamp.size;
  if (pending.content == nullptr) {
    EMBER_ASSIGN_OR_RETURN(pending.content, ReadContent(&entry, &stamp, open, &pending.cacheable));
    if (pending.content == nullptr) return absl::OkStatus();
  }
  pending.entry = std::move(entry);
  pending.stamp = std::move(stamp);
  progress_.set_files(progress_.files() + 1);
  Report("reading", false);
  return Enqueue(std::move(pending));
}

absl::StatusOr<std::shared_ptr<PendingContent>> Writer::ReadContent(Entry* entry,
                                                                    SourceStamp* stamp,
                                                                    const OpenContent& open,
                                                                    bool* settled) {
  absl::StatusOr<std::unique_ptr<FileContent>> source =
      absl::InternalError("there is no way to read it");
  if (open) source = open();
  if (!source.ok()) {
    LeaveOut(last_path_, source.status().message());
    return nullptr;
  }
  for (int reads = 1;; ++reads) {
    auto chunks = std::make_shared<PendingContent>();
    EMBER_ASSIGN_OR_RETURN(
        FileCutter::Result result,
        cutter_.Read(source->get(), [&](int64_t offset, absl::string_view bytes) {
          if (IsAllZero(bytes)) return absl::OkStatus();  // a hole of the file, as if never written
          chunks->slots.push_back(
              {.offset = offset, .length = static_cast<uint32_t>(bytes.size())});
          ++chunks->unresolved;
          return pipeline_->Submit(RecordType::DATA, std::string(bytes),
                                   [chunks, slot = &chunks->slots.back()](const RecordId& id) {
                                     slot->id = id;
                                     --chunks->unresolved;
                                   });
        }));
    const absl::StatusOr<bool> same = result.content.ok() ? (*source)->Settled(entry, stamp)
                                                          : absl::StatusOr<bool>(result.content);
    if (!same.ok()) {
      LeaveOut(last_path_, same.status().message());
      return nullptr;
    }
    if (!*same && reads < kUnstableReadsMax) continue;
    if (!*same) AddProblem(last_path_, "changed while it was read");
    *settled = *same && result.end <= entry->size();
    return KeepContent(entry, std::move(result), std::move(chunks));
  }
}

absl::StatusOr<std::shared_ptr<PendingContent>> Writer::KeepContent(
    Entry* entry, FileCutter::Result result, std::shared_ptr<PendingContent> chunks) {
  entry->set_path(last_path_);
  entry->clear_extents();
  entry->clear_inline_content();
  // A file that went on growing: what was read must lie within it.
  entry->set_size(std::max(entry->size(), result.end));
  if (entry->ByteSizeLong() > kLeafBytesMax || !ValidateEntry(*entry).ok()) {
    LeaveOut(last_path_, "its metadata became invalid while it was read");
    return nullptr;
  }
  if (!result.small || result.bytes.empty()) return chunks;
  const int64_t size = static_cast<int64_t>(result.bytes.size());
  if (result.bytes.size() <= kInlineBytesMax && size == entry->size()) {
    chunks->inline_content = std::string(result.bytes);
  } else {
    EMBER_RETURN_IF_ERROR(groups_->Append(last_path_, result, chunks.get()));
  }
  return chunks;
}

void Writer::AddProblem(absl::string_view path, absl::string_view problem) {
  result_.set_problems_total(result_.problems_total() + 1);
  if (static_cast<size_t>(result_.problems_size()) >= kProblemsReportedMax) return;
  v1::PathProblem* added = result_.add_problems();
  added->set_path(path.data(), path.size());
  added->set_problem(std::string(problem));
}

void Writer::LeaveOut(absl::string_view path, absl::string_view problem) {
  left_out_.insert(absl::HashOf(std::string(path)));
  AddProblem(path, problem);
}

absl::Status Writer::Enqueue(PendingEntry pending) {
  EMBER_RETURN_IF_ERROR(groups_->Passed(pending.slots()));
  return queue_->Push(std::move(pending));
}

absl::StatusOr<v1::BackupResult> Writer::Commit() {
  EMBER_RETURN_IF_ERROR(failed_);
  failed_ = absl::FailedPreconditionError("this backup was committed before");
  Report("committing", true);
  EMBER_RETURN_IF_ERROR(groups_->Close());
  EMBER_ASSIGN_OR_RETURN(const RecordId root, queue_->Finish());
  EMBER_RETURN_IF_ERROR(pipeline_->Drain());
  EMBER_RETURN_IF_ERROR(session_->Flush());
  Report("committing", true);  // all that is sent
  result_.set_entries(static_cast<int64_t>(queue_->totals().entries));
  result_.set_files(static_cast<int64_t>(queue_->totals().files));
  result_.set_size_bytes(static_cast<int64_t>(queue_->totals().bytes));
  result_.set_outcome(result_.problems_total() > 0 ? v1::Outcome::PARTIAL : v1::Outcome::OK);
  EMBER_ASSIGN_OR_RETURN(const v1::CommitReply reply, Publish(root));
  result_.set_added_bytes(reply.added_bytes());
  *result_.mutable_receipt() = reply.receipt();
  Report("verifying", true);
  const absl::Status read_back = CheckReadBack();
  key_.Forget();
  result_.set_read_back_ok(read_back.ok());
  if (read_back.ok()) {
    queue_->PublishCache(
        {.domain_id = options_.domain.id(), .manifest_root = root, .began = began_});
  } else {
    result_.set_read_back_error(std::string(read_back.message()));
    result_.set_read_back_code(static_cast<int>(read_back.code()));
  }
  return result_;
}

absl::StatusOr<v1::CommitReply> Writer::Publish(const RecordId& root) {
  format::v1::BackupSummary summary;
  summary.set_version(1);
  summary.set_backup_id(options_.backup_id);
  summary.set_workload(options_.workload);
  summary.set_node(options_.node);
  summary.set_manifest_root(root.data(), root.size());
  for (const std::string& path : options_.roots) summary.add_roots(path);
  summary.set_entries(result_.entries());
  summary.set_files(result_.files());
  summary.set_bytes(result_.size_bytes());
  *summary.mutable_taken_at() = rpc::ToTimestamp(began_);
  summary.set_reason(options_.reason);
  summary.set_writer(absl::StrCat("ember ", kVersion));
  summary.set_problems(result_.problems_total());

  EMBER_ASSIGN_OR_RETURN(const IdSet* const references, queue_->SortReferences());
  const Pieces ids = [references](const PieceSink& sink) { return references->Visit(sink); };
  v1::CommitHeader header;
  header.set_manifest_root(root.data(), root.size());
  header.set_summary_nonce(pipeline_->NextNonce());
  header.set_sealed_summary(
      SealSummary(options_.domain.id(), key_.bytes(), header.summary_nonce(), root, summary));
  header.set_ids_total(references->size());
  EMBER_RETURN_IF_ERROR(pipeline_->status());
  absl::StatusOr<v1::CommitReply> reply = session_->Commit(header, ids);
  // The answer may have been lost on its way; a commit is idempotent.
  if (absl::IsUnavailable(reply.status())) reply = session_->Commit(header, ids);
  EMBER_RETURN_IF_ERROR(reply.status());
  if (reply->need_size() > 0) {
    if (!options_.cache_path.empty()) EMBER_RETURN_IF_ERROR(RemoveFile(options_.cache_path));
    return absl::AbortedError(
        absl::StrCat("the vault lost ", reply->need_size(),
                     " records that were believed present; the next backup sends them again"));
  }
  return reply;
}

absl::Status Writer::CheckReadBack() {
  std::unique_ptr<IdSet> uploaded = pipeline_->TakeUploaded();
  pipeline_ = nullptr;  // its set of known ids is the larger part of memory
  return ReadBack(vault_,
                  {.domain_id = options_.domain.id(),
                   .id_key = options_.domain.id_key(),
                   .session_id = session_id_,
                   .session_key = key_.bytes(),
                   .threads = options_.threads,
                   .scratch_directory = ScratchDirectory(options_),
                   .cancelled = options_.cancelled},
                  std::move(uploaded));
}

absl::Status Writer::OnRead(int64_t bytes) {
  progress_.set_bytes_read(progress_.bytes_read() + bytes);
  Report("reading", false);
  return pipeline_->status();
}

void Writer::Report(absl::string_view phase, bool force) {
  if (!options_.progress) return;
  const absl::Duration now = options_.clock->Monotonic();
  if (!force && reported_ != absl::InfiniteDuration() && now - reported_ < kProgressEvery) return;
  reported_ = now;
  progress_.set_bytes_sent(pipeline_->bytes_sent());
  progress_.set_bytes_total(to_read_ > 0 ? std::max(to_read_, progress_.bytes_read()) : 0);
  progress_.set_phase(std::string(phase));
  options_.progress(progress_);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BackupWriter>> BackupWriter::Open(BackupOptions options,
                                                                 VaultPort* vault) {
  EMBER_RETURN_IF_ERROR(CheckOptions(options, vault));
  auto writer = std::make_unique<Writer>(std::move(options), vault);
  EMBER_RETURN_IF_ERROR(writer->Start());
  return writer;
}

}  // namespace ember::backup
