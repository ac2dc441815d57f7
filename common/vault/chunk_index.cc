// Layout: column family `default`: id prefix → pack, offset, length, session, pinned (u32 each; the
// top bit of the last is the condemned flag), "vault" → vault id and "format" → kFormat; `packs`:
// pack number (big-endian, so that rows are in order) → name:32 size:u64 epoch:u32 record bytes:u64
// session numbers:u32...;
// `sessions`: session number → PackSession. Both tables are small (a row per 64 MiB, a row per
// backup) and held in memory as well. Writes are not synced, except before a pack is unlinked: a
// lost tail is a pack that is not in the table, and is added again when the vault is opened.
#include "common/vault/chunk_index.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/disk_space.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/little_endian.h"
#include "common/vault/pack_table.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"

namespace ember::vault {
namespace {

// Less than the vault's own reserve, so that what was stored before it was reached can be
// committed.
constexpr int64_t kReserveBytes = 8 << 20;
static_assert(kReserveBytes < kVaultReserveBytes);

using format::v1::PackFooter;
using format::v1::PackSession;

constexpr size_t kLocationBytes = 20;
constexpr uint32_t kCondemnedBit = 1u << 31;
constexpr size_t kScanReadAheadBytes = 2 << 20;
constexpr char kVaultIdKey[] = "vault";
constexpr char kFormatKey[] = "format";
constexpr char kFormat[] = "2";  // of the rows; an index of another is made anew
constexpr char kPacksFamily[] = "packs";
constexpr char kSessionsFamily[] = "sessions";
constexpr char kDamagedMark[] =
    "DAMAGED";  // a file in the directory: damage was found while it was in use

rocksdb::Slice ToSlice(absl::string_view bytes) {
  return rocksdb::Slice(bytes.data(), bytes.size());
}
absl::string_view ToView(const rocksdb::Slice& slice) {
  return absl::string_view(slice.data(), slice.size());
}

absl::Status FromRocks(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat("index: ", status.ToString());
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(text);
  if (status.IsCorruption() || status.IsInvalidArgument()) return absl::DataLossError(text);
  return absl::InternalError(text);
}

std::string NumberKey(uint32_t number) {
  std::string key;
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift));
  return key;
}

absl::StatusOr<uint32_t> ParseNumberKey(absl::string_view key) {
  if (key.size() != 4) return absl::DataLossError("index: a row number has the wrong size");
  uint32_t number = 0;
  for (const char c : key) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

std::string EncodeLocation(const Location& location) {
  std::string value;
  PutFixed<uint32_t>(value, location.pack);
  PutFixed<uint32_t>(value, location.offset);
  PutFixed<uint32_t>(value, location.length);
  PutFixed<uint32_t>(value, location.session);
  PutFixed<uint32_t>(value, location.pinned | (location.condemned ? kCondemnedBit : 0));
  return value;
}

absl::StatusOr<Location> DecodeLocation(absl::string_view value) {
  if (value.size() != kLocationBytes)
    return absl::DataLossError("index: an entry has the wrong size");
  const uint32_t last = GetFixed<uint32_t>(value, 16);
  return Location{.pack = GetFixed<uint32_t>(value, 0),
                  .offset = GetFixed<uint32_t>(value, 4),
                  .length = GetFixed<uint32_t>(value, 8),
                  .session = GetFixed<uint32_t>(value, 12),
                  .pinned = last & ~kCondemnedBit,
                  .condemned = (last & kCondemnedBit) != 0};
}

absl::string_view KeyOf(absl::string_view id) { return id.substr(0, kIndexPrefixBytes); }

bool IsSameCopy(const std::optional<Location>& a, const std::optional<Location>& b) {
  return a.has_value() == b.has_value() &&
         (!a || (a->pack == b->pack && a->offset == b->offset && a->condemned == b->condemned));
}

rocksdb::Options DatabaseOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.atomic_flush = true;  // a pack must not be in the table without its entries
  options.max_open_files = 256;
  options.keep_log_file_num = 2;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.write_buffer_size = kIndexWriteBufferBytes;
  options.compression = rocksdb::kNoCompression;  // ids are random
  options.allow_fallocate = false;                // 20 MiB kept for nothing in a small vault
  return options;
}

rocksdb::ColumnFamilyOptions ChunkOptions() {
  rocksdb::ColumnFamilyOptions options(DatabaseOptions());
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  table.block_cache = rocksdb::NewLRUCache(kIndexCacheBytes);
  table.cache_index_and_filter_blocks =
      true;  // memory stays bounded whatever the size of the vault
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// A copy that AddPack found, and whether it may stay.
struct Judgement {
  std::optional<Location> seen;
  bool keep = false;
};

class RocksIndex : public ChunkIndex {
 public:
  ~RocksIndex() override {
    for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  }

  absl::Status Load(const std::string& directory, const std::string& vault_id);
  absl::Status AddPack(absl::string_view name, uint64_t size, const PackFooter& table,
                       const IsIntact& is_intact) override;
  absl::Status AddPackAgain(absl::string_view name, uint64_t size, const PackFooter& table,
                            const IsIntact& is_intact) override;
  absl::StatusOr<std::vector<std::optional<Location>>> Find(
      const std::vector<absl::string_view>& ids) override;
  absl::StatusOr<std::vector<std::optional<Location>>> Keep(
      const std::vector<absl::string_view>& ids, bool pin) override;
  void SetEpoch(uint32_t epoch) override { epoch_ = epoch; }
  uint32_t epoch() override { return epoch_; }
  uint32_t HighestEpoch() override { return table_.HighestEpoch(); }
  absl::Status Scan(
      absl::string_view from, absl::string_view to,
      const std::function<absl::Status(absl::string_view, const Location&)>& visit) override;
  absl::StatusOr<std::vector<bool>> Condemn(
      const std::vector<std::string>& prefixes,
      const std::function<bool(const Location&)>& is_garbage) override;
  void BeginRetire(const std::vector<uint32_t>& packs) override;
  void Spare(const std::vector<uint32_t>& packs) override;
  absl::Status Retire(const std::vector<Victim>& victims,
                      const PackWriter::Published* replacement) override;
  absl::Status Sync() override { return Note(FromRocks(db_->SyncWAL())); }
  std::vector<PackFacts> Packs() override { return table_.Packs(); }
  PackFacts PackOf(uint32_t number) override { return table_.PackOf(number); }
  std::vector<std::string> PackNames() override { return table_.PackNames(); }
  std::string PackName(uint32_t number) override { return table_.PackOf(number).name; }
  PackSession SessionOf(uint32_t number) override { return table_.SessionOf(number); }
  std::optional<PackSession> FindSession(absl::string_view session_id) override {
    return table_.FindSession(session_id);
  }
  SessionPacks PacksOf(absl::string_view session_id) override { return table_.PacksOf(session_id); }
  bool HasDomain(absl::string_view domain_id) override { return table_.HasDomain(domain_id); }
  bool damaged() override { return damaged_; }

 private:
  // `status`; damage is remembered for the next Open.
  absl::Status Note(absl::Status status);
  absl::Status CheckVaultId(const std::string& vault_id);
  absl::Status LoadTables();
  // Numbers the pack's sessions; the rows of the pack and of its sessions go into `batch`, and into
  // the table with Remember.
  struct NewRow {
    uint32_t number = 0;
    PackRow row;
    std::map<uint32_t, PackSession> changed;
  };
  NewRow MakeRow(absl::string_view name, uint64_t size, const PackFooter& table,
                 rocksdb::WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  void Remember(NewRow row);
  absl::Status PutPack(absl::string_view name, uint64_t size, const PackFooter& table,
                       const std::vector<Judgement>& judged, const IsIntact& is_intact)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::StatusOr<std::vector<Judgement>> Judge(const PackFooter& table, const IsIntact& is_intact);
  absl::Status PutEntries(uint32_t pack, const PackFooter& table,
                          const std::vector<uint32_t>& sessions,
                          const std::vector<Judgement>& judged, const IsIntact& is_intact,
                          rocksdb::WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  // Retire's parts. `moved`: the prefixes that now point to the replacement.
  absl::Status MoveEntries(const std::set<uint32_t>& from, const NewRow& to,
                           const PackFooter& table, std::set<std::string>& moved,
                           rocksdb::WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status RemoveEntries(const Victim& victim, const std::set<std::string>& moved,
                             rocksdb::WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status Write(rocksdb::WriteBatch& batch);

  std::string directory_;
  std::unique_ptr<rocksdb::DB> db_;
  std::atomic<bool> damaged_{false};
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // chunks, packs, sessions

  std::atomic<uint32_t> epoch_{1};
  absl::Mutex write_mu_;  // the pin lock: one change at a time, look, then write
  std::set<uint32_t> retiring_ ABSL_GUARDED_BY(write_mu_);
  PackTable table_;
};

absl::Status RocksIndex::Load(const std::string& directory, const std::string& vault_id) {
  EMBER_RETURN_IF_ERROR(MakeDirectories(directory));
  if (FileExists(JoinPath(directory, kDamagedMark)))
    return absl::DataLossError("index: damage was found in it");
  directory_ = directory;
  const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {
      {rocksdb::kDefaultColumnFamilyName, ChunkOptions()},
      {kPacksFamily, rocksdb::ColumnFamilyOptions(DatabaseOptions())},
      {kSessionsFamily, rocksdb::ColumnFamilyOptions(DatabaseOptions())}};
  rocksdb::DB* db = nullptr;
  EMBER_RETURN_IF_ERROR(
      FromRocks(rocksdb::DB::Open(DatabaseOptions(), directory, descriptors, &families_, &db)));
  db_.reset(db);
  EMBER_RETURN_IF_ERROR(CheckVaultId(vault_id));
  return LoadTables();
}

absl::Status RocksIndex::Note(absl::Status status) {
  if (absl::IsDataLoss(status) && !damaged_.exchange(true)) {
    const absl::Status marked =
        WriteFileAtomic(JoinPath(directory_, kDamagedMark), status.message());
    if (!marked.ok())
      LogError("vault", "could not mark the index as damaged", {{"why", marked.message()}});
  }
  return status;
}

absl::Status RocksIndex::CheckVaultId(const std::string& vault_id) {
  std::string found;
  const rocksdb::Status status = db_->Get({}, families_[0], kVaultIdKey, &found);
  if (status.IsNotFound()) {
    rocksdb::WriteBatch batch;
    batch.Put(families_[0], kVaultIdKey, vault_id);
    batch.Put(families_[0], kFormatKey, kFormat);
    return FromRocks(db_->Write({}, &batch));
  }
  EMBER_RETURN_IF_ERROR(FromRocks(status));
  if (found != vault_id) return absl::DataLossError("index: made for another vault");
  std::string format;
  const rocksdb::Status read = db_->Get({}, families_[0], kFormatKey, &format);
  if (read.IsNotFound() || (read.ok() && format != kFormat))
    return absl::DataLossError("index: made by another version of Ember");
  return FromRocks(read);
}

absl::Status RocksIndex::LoadTables() {
  std::unique_ptr<rocksdb::Iterator> row(db_->NewIterator({}, families_[2]));
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    EMBER_ASSIGN_OR_RETURN(const uint32_t number, ParseNumberKey(ToView(row->key())));
    PackSession session;
    if (!session.ParseFromArray(row->value().data(), static_cast<int>(row->value().size()))) {
      return absl::DataLossError("index: a session does not parse");
    }
    table_.AddSession(number, std::move(session));
  }
  EMBER_RETURN_IF_ERROR(FromRocks(row->status()));
  row.reset(db_->NewIterator({}, families_[1]));
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    EMBER_ASSIGN_OR_RETURN(const uint32_t number, ParseNumberKey(ToView(row->key())));
    EMBER_ASSIGN_OR_RETURN(PackRow pack, PackRow::Decode(ToView(row->value())));
    EMBER_RETURN_IF_ERROR(table_.AddPack(number, std::move(pack)));
  }
  return FromRocks(row->status());
}

RocksIndex::NewRow RocksIndex::MakeRow(absl::string_view name, uint64_t size,
                                       const PackFooter& table, rocksdb::WriteBatch& batch) {
  PackTable::Numbered sessions = table_.NumberSessions(table);
  NewRow made{.number = table_.NumberOf(name),
              .row = {.name = std::string(name),
                      .size = size,
                      .epoch = epoch_,
                      .sessions = std::move(sessions.numbers)},
              .changed = std::move(sessions.changed)};
  for (const format::v1::PackRecord& record : table.records())
    made.row.record_bytes += kRecordHeaderBytes + record.length();
  for (const auto& [number, session] : made.changed)
    batch.Put(families_[2], NumberKey(number), session.SerializeAsString());
  batch.Put(families_[1], NumberKey(made.number), made.row.Encode());
  return made;
}

void RocksIndex::Remember(NewRow made) {
  for (auto& [number, session] : made.changed) table_.AddSession(number, std::move(session));
  table_.AddPack(made.number, std::move(made.row)).IgnoreError();  // its sessions are known by now
}

absl::StatusOr<std::vector<Judgement>> RocksIndex::Judge(const PackFooter& table,
                                                         const IsIntact& is_intact) {
  std::vector<absl::string_view> ids;
  for (const format::v1::PackRecord& record : table.records()) ids.push_back(record.id());
  EMBER_ASSIGN_OR_RETURN(const auto present, Find(ids));
  std::vector<Judgement> judged(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    judged[i].seen = present[i];
    judged[i].keep = present[i] && !present[i]->condemned && is_intact(*present[i], ids[i]);
  }
  return judged;
}

absl::Status RocksIndex::PutEntries(uint32_t pack, const PackFooter& table,
                                    const std::vector<uint32_t>& sessions,
                                    const std::vector<Judgement>& judged, const IsIntact& is_intact,
                                    rocksdb::WriteBatch& batch) {
  std::vector<absl::string_view> ids;
  for (const format::v1::PackRecord& record : table.records()) ids.push_back(record.id());
  EMBER_ASSIGN_OR_RETURN(const auto present, Find(ids));
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto& now = present[i];
    // Hardly ever has an entry changed since it was judged; then the copy is read under the lock.
    const bool keep = IsSameCopy(now, judged[i].seen)
                          ? judged[i].keep
                          : now && !now->condemned && is_intact(*now, ids[i]);
    if (keep) {
      // Whoever sent it again relies on it as if it had asked.
      Location pinned = *now;
      pinned.pinned = std::max(pinned.pinned, epoch_.load());
      if (pinned != *now) batch.Put(families_[0], ToSlice(KeyOf(ids[i])), EncodeLocation(pinned));
      continue;
    }
    const format::v1::PackRecord& record = table.records(static_cast<int>(i));
    const Location location{.pack = pack,
                            .offset = static_cast<uint32_t>(record.offset()),
                            .length = record.length(),
                            .session = sessions[record.session()],
                            .pinned = now ? now->pinned : 0};
    batch.Put(families_[0], ToSlice(KeyOf(ids[i])), EncodeLocation(location));
  }
  return absl::OkStatus();
}

absl::Status RocksIndex::Write(rocksdb::WriteBatch& batch) {
  EMBER_RETURN_IF_ERROR(RequireFreeBytes(directory_, kReserveBytes, "vault index"));
  const rocksdb::Status written = db_->Write({}, &batch);
  if (written.ok()) return absl::OkStatus();
  // A log whose write failed cannot be used again, so the database refuses writes from now on; the
  // index is made anew when the vault is opened.
  Note(absl::DataLossError(written.ToString())).IgnoreError();
  return FromRocks(written);
}

absl::Status RocksIndex::AddPack(absl::string_view name, uint64_t size, const PackFooter& table,
                                 const IsIntact& is_intact) {
  if (table_.Knows(name)) return absl::OkStatus();
  // Copies are read before the lock is taken: nobody shall wait for that.
  EMBER_ASSIGN_OR_RETURN(const std::vector<Judgement> judged, Judge(table, is_intact));
  absl::MutexLock lock(&write_mu_);
  if (table_.Knows(name)) return absl::OkStatus();
  return PutPack(name, size, table, judged, is_intact);
}

absl::Status RocksIndex::AddPackAgain(absl::string_view name, uint64_t size,
                                      const PackFooter& table, const IsIntact& is_intact) {
  // Nothing that names the pack is kept: it may lead to a copy that was in its parity.
  const uint32_t number = table_.NumberOf(name);
  const auto is_elsewhere = [&](const Location& location, absl::string_view id) {
    return location.pack != number && is_intact(location, id);
  };
  EMBER_ASSIGN_OR_RETURN(const std::vector<Judgement> judged, Judge(table, is_elsewhere));
  absl::MutexLock lock(&write_mu_);
  EMBER_RETURN_IF_ERROR(PutPack(name, size, table, judged, is_elsewhere));
  return Sync();
}

absl::Status RocksIndex::PutPack(absl::string_view name, uint64_t size, const PackFooter& table,
                                 const std::vector<Judgement>& judged, const IsIntact& is_intact) {
  rocksdb::WriteBatch batch;
  NewRow made = MakeRow(name, size, table, batch);
  EMBER_RETURN_IF_ERROR(
      PutEntries(made.number, table, made.row.sessions, judged, is_intact, batch));
  EMBER_RETURN_IF_ERROR(Note(Write(batch)));
  Remember(std::move(made));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::optional<Location>>> RocksIndex::Find(
    const std::vector<absl::string_view>& ids) {
  std::vector<std::optional<Location>> found(ids.size());
  std::vector<rocksdb::Slice> keys;
  for (size_t begin = 0; begin < ids.size(); begin += kIndexLookupBatch) {
    const size_t count = std::min(kIndexLookupBatch, ids.size() - begin);
    keys.clear();
    for (size_t i = 0; i < count; ++i) keys.push_back(ToSlice(KeyOf(ids[begin + i])));
    std::vector<rocksdb::PinnableSlice> values(count);
    std::vector<rocksdb::Status> statuses(count);
    db_->MultiGet({}, families_[0], count, keys.data(), values.data(), statuses.data());
    for (size_t i = 0; i < count; ++i) {
      if (statuses[i].IsNotFound()) continue;
      EMBER_RETURN_IF_ERROR(Note(FromRocks(statuses[i])));
      const auto location = DecodeLocation(ToView(values[i]));
      if (!location.ok()) return Note(location.status());
      found[begin + i] = *location;
    }
  }
  return found;
}

absl::StatusOr<std::vector<std::optional<Location>>> RocksIndex::Keep(
    const std::vector<absl::string_view>& ids, bool pin) {
  const uint32_t epoch = pin ? epoch_.load() : 0;
  const auto is_kept = [epoch](const std::optional<Location>& location) {
    return !location || (!location->condemned && location->pinned >= epoch);
  };
  EMBER_ASSIGN_OR_RETURN(auto found, Find(ids));
  // What is pinned in this epoch cannot be condemned any more, so that nothing needs to be locked.
  if (std::all_of(found.begin(), found.end(), is_kept)) return found;
  absl::MutexLock lock(&write_mu_);
  EMBER_ASSIGN_OR_RETURN(found, Find(ids));
  rocksdb::WriteBatch batch;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (is_kept(found[i])) continue;
    if (found[i]->condemned && retiring_.contains(found[i]->pack)) {
      found[i].reset();
      continue;
    }
    found[i]->condemned = false;
    found[i]->pinned = std::max(found[i]->pinned, epoch);
    batch.Put(families_[0], ToSlice(KeyOf(ids[i])), EncodeLocation(*found[i]));
  }
  if (batch.Count() > 0) EMBER_RETURN_IF_ERROR(Note(Write(batch)));
  return found;
}

absl::Status RocksIndex::Scan(
    absl::string_view from, absl::string_view to,
    const std::function<absl::Status(absl::string_view, const Location&)>& visit) {
  const rocksdb::Slice end = ToSlice(to);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = kScanReadAheadBytes;
  if (!to.empty()) options.iterate_upper_bound = &end;
  std::unique_ptr<rocksdb::Iterator> entry(db_->NewIterator(options, families_[0]));
  for (entry->Seek(ToSlice(from)); entry->Valid(); entry->Next()) {
    if (entry->key().size() != kIndexPrefixBytes) continue;  // the vault's id, the format
    const auto location = DecodeLocation(ToView(entry->value()));
    if (!location.ok()) return Note(location.status());
    EMBER_RETURN_IF_ERROR(visit(ToView(entry->key()), *location));
  }
  return Note(FromRocks(entry->status()));
}

absl::StatusOr<std::vector<bool>> RocksIndex::Condemn(
    const std::vector<std::string>& prefixes,
    const std::function<bool(const Location&)>& is_garbage) {
  std::vector<bool> condemned(prefixes.size(), true);
  absl::MutexLock lock(&write_mu_);
  EMBER_ASSIGN_OR_RETURN(auto found, Find({prefixes.begin(), prefixes.end()}));
  rocksdb::WriteBatch batch;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (!found[i] || found[i]->condemned) continue;
    condemned[i] = is_garbage(*found[i]);
    if (!condemned[i]) continue;
    found[i]->condemned = true;
    batch.Put(families_[0], prefixes[i], EncodeLocation(*found[i]));
  }
  if (batch.Count() > 0) EMBER_RETURN_IF_ERROR(Note(Write(batch)));
  return condemned;
}

void RocksIndex::BeginRetire(const std::vector<uint32_t>& packs) {
  absl::MutexLock lock(&write_mu_);
  retiring_.insert(packs.begin(), packs.end());
}

void RocksIndex::Spare(const std::vector<uint32_t>& packs) {
  absl::MutexLock lock(&write_mu_);
  for (const uint32_t pack : packs) retiring_.erase(pack);
}

absl::Status RocksIndex::MoveEntries(const std::set<uint32_t>& from, const NewRow& to,
                                     const PackFooter& table, std::set<std::string>& moved,
                                     rocksdb::WriteBatch& batch) {
  std::vector<absl::string_view> ids;
  for (const format::v1::PackRecord& record : table.records()) ids.push_back(record.id());
  EMBER_ASSIGN_OR_RETURN(const auto present, Find(ids));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!present[i] || !from.contains(present[i]->pack)) continue;  // healed elsewhere meanwhile
    const format::v1::PackRecord& record = table.records(static_cast<int>(i));
    Location location = *present[i];
    location.pack = to.number;
    location.offset = static_cast<uint32_t>(record.offset());
    location.length = record.length();
    location.session = to.row.sessions[record.session()];
    batch.Put(families_[0], ToSlice(KeyOf(ids[i])), EncodeLocation(location));
    moved.insert(std::string(KeyOf(ids[i])));
  }
  return absl::OkStatus();
}

absl::Status RocksIndex::RemoveEntries(const Victim& victim, const std::set<std::string>& moved,
                                       rocksdb::WriteBatch& batch) {
  EMBER_ASSIGN_OR_RETURN(const auto present,
                         Find({victim.prefixes.begin(), victim.prefixes.end()}));
  for (size_t i = 0; i < present.size(); ++i) {
    if (!present[i] || present[i]->pack != victim.pack || moved.contains(victim.prefixes[i]))
      continue;
    if (!present[i]->condemned)
      return absl::FailedPreconditionError("a record of the pack is needed and has no other copy");
    batch.Delete(families_[0], victim.prefixes[i]);
  }
  return absl::OkStatus();
}

absl::Status RocksIndex::Retire(const std::vector<Victim>& victims,
                                const PackWriter::Published* replacement) {
  absl::MutexLock lock(&write_mu_);
  std::set<uint32_t> gone;
  for (const Victim& victim : victims) gone.insert(victim.pack);
  rocksdb::WriteBatch batch;
  std::set<std::string> moved;
  NewRow made;
  if (replacement != nullptr) {
    made = MakeRow(replacement->name, replacement->size, replacement->footer, batch);
    if (gone.contains(made.number))
      return absl::InvalidArgumentError("index: a pack cannot replace itself");
    EMBER_RETURN_IF_ERROR(MoveEntries(gone, made, replacement->footer, moved, batch));
  }
  for (const Victim& victim : victims) {
    EMBER_RETURN_IF_ERROR(RemoveEntries(victim, moved, batch));
    batch.Delete(families_[1], NumberKey(victim.pack));
  }
  const std::vector<uint32_t> last = table_.LastSessions(gone, made.row.sessions);
  for (const uint32_t session : last) batch.Delete(families_[2], NumberKey(session));
  EMBER_RETURN_IF_ERROR(Note(Write(batch)));
  table_.Retire(gone, last);
  if (replacement != nullptr) Remember(std::move(made));
  for (const uint32_t pack : gone) retiring_.erase(pack);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChunkIndex>> ChunkIndex::Open(const std::string& directory,
                                                             const std::string& vault_id) {
  auto index = std::make_unique<RocksIndex>();
  EMBER_RETURN_IF_ERROR(index->Load(directory, vault_id));
  return index;
}

absl::Status ChunkIndex::Destroy(const std::string& directory) {
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, {}}, {kPacksFamily, {}}, {kSessionsFamily, {}}};
  EMBER_RETURN_IF_ERROR(FromRocks(rocksdb::DestroyDB(directory, DatabaseOptions(), families)));
  return RemoveFile(JoinPath(directory, kDamagedMark));
}

}  // namespace ember::vault
