// Layout: column family `default`: id prefix → pack, offset, length, session (u32 each), and
// "vault" → vault id; `packs`: pack number (big-endian, so that rows are in order) → name:32
// size:u64 session numbers:u32...; `sessions`: session number → PackSession. Both tables are small
// and held in memory as well. Writes are not synced: a lost tail is a pack that is not in the
// table, and is added again when the vault is opened.
#include "common/vault/chunk_index.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/synchronization/mutex.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/vault/little_endian.h"
#include "common/vault/pack.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"

namespace ember::vault {
namespace {

using format::v1::PackFooter;
using format::v1::PackSession;

constexpr size_t kPrefixBytes = 16;
constexpr size_t kLocationBytes = 16;
constexpr char kVaultIdKey[] = "vault";
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
  return value;
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

struct PackRow {
  std::string name;
  uint64_t size = 0;
  std::vector<uint32_t> sessions;
};

class RocksIndex : public ChunkIndex {
 public:
  ~RocksIndex() override {
    for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  }

  absl::Status Load(const std::string& directory, const std::string& vault_id);
  absl::Status AddPack(absl::string_view name, uint64_t size, const PackFooter& table,
                       const IsIntact& is_intact) override;
  absl::StatusOr<std::vector<std::optional<Location>>> Find(
      const std::vector<absl::string_view>& ids) override;
  std::vector<std::string> PackNames() override;
  std::string PackName(uint32_t number) override;
  PackSession SessionOf(uint32_t number) override;
  std::optional<PackSession> FindSession(absl::string_view session_id) override;
  SessionPacks PacksOf(absl::string_view session_id) override;
  bool HasDomain(absl::string_view domain_id) override;
  bool damaged() override { return damaged_; }

 private:
  // `status`; damage is remembered for the next Open.
  absl::Status Note(absl::Status status);
  absl::Status CheckVaultId(const std::string& vault_id);
  absl::Status LoadTables();
  absl::Status LoadPack(absl::string_view key, absl::string_view value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The numbers of the table's sessions; new and completed ones go into `batch` and `changed`.
  std::vector<uint32_t> NumberSessions(const PackFooter& table, rocksdb::WriteBatch& batch,
                                       std::map<uint32_t, PackSession>& changed);
  absl::Status PutEntries(uint32_t pack, const PackFooter& table,
                          const std::vector<uint32_t>& sessions, const IsIntact& is_intact,
                          rocksdb::WriteBatch& batch);
  absl::Status Write(rocksdb::WriteBatch& batch);
  void Remember(uint32_t number, PackRow row, std::map<uint32_t, PackSession> changed);
  void RememberSession(uint32_t number, PackSession session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RememberPack(uint32_t number, PackRow row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::string directory_;
  std::unique_ptr<rocksdb::DB> db_;
  std::atomic<bool> damaged_{false};
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // chunks, packs, sessions

  absl::Mutex add_mu_;  // one AddPack at a time: look, then write
  absl::Mutex mu_;      // the tables in memory; never held during I/O once loaded
  std::map<uint32_t, PackRow> packs_ ABSL_GUARDED_BY(mu_);
  std::map<uint32_t, PackSession> sessions_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, uint32_t> pack_numbers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, uint32_t> session_numbers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint32_t, std::vector<uint32_t>> packs_of_session_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> domains_ ABSL_GUARDED_BY(mu_);
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
  if (status.IsNotFound()) return FromRocks(db_->Put({}, families_[0], kVaultIdKey, vault_id));
  EMBER_RETURN_IF_ERROR(FromRocks(status));
  return found == vault_id ? absl::OkStatus()
                           : absl::DataLossError("index: made for another vault");
}

absl::Status RocksIndex::LoadTables() {
  absl::MutexLock lock(&mu_);
  std::unique_ptr<rocksdb::Iterator> row(db_->NewIterator({}, families_[2]));
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    EMBER_ASSIGN_OR_RETURN(const uint32_t number, ParseNumberKey(ToView(row->key())));
    PackSession session;
    if (!session.ParseFromArray(row->value().data(), static_cast<int>(row->value().size()))) {
      return absl::DataLossError("index: a session does not parse");
    }
    RememberSession(number, std::move(session));
  }
  EMBER_RETURN_IF_ERROR(FromRocks(row->status()));
  row.reset(db_->NewIterator({}, families_[1]));
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    EMBER_RETURN_IF_ERROR(LoadPack(ToView(row->key()), ToView(row->value())));
  }
  return FromRocks(row->status());
}

absl::Status RocksIndex::LoadPack(absl::string_view key, absl::string_view value) {
  EMBER_ASSIGN_OR_RETURN(const uint32_t number, ParseNumberKey(key));
  constexpr size_t kFixed = 32 + sizeof(uint64_t);
  if (value.size() < kFixed || (value.size() - kFixed) % sizeof(uint32_t) != 0) {
    return absl::DataLossError("index: a pack row has the wrong size");
  }
  PackRow pack{.name = absl::BytesToHexString(value.substr(0, 32)),
               .size = GetFixed<uint64_t>(value, 32)};
  for (size_t at = kFixed; at < value.size(); at += sizeof(uint32_t)) {
    pack.sessions.push_back(GetFixed<uint32_t>(value, at));
    if (!sessions_.contains(pack.sessions.back()))
      return absl::DataLossError("index: a session is missing");
  }
  RememberPack(number, std::move(pack));
  return absl::OkStatus();
}

void RocksIndex::RememberSession(uint32_t number, PackSession session) {
  session_numbers_[session.session_id()] = number;
  domains_.insert(session.domain_id());
  sessions_[number] = std::move(session);
}

void RocksIndex::RememberPack(uint32_t number, PackRow row) {
  pack_numbers_[row.name] = number;
  for (const uint32_t session : row.sessions) packs_of_session_[session].push_back(number);
  packs_[number] = std::move(row);
}

void RocksIndex::Remember(uint32_t number, PackRow row, std::map<uint32_t, PackSession> changed) {
  absl::MutexLock lock(&mu_);
  for (auto& [session_number, session] : changed)
    RememberSession(session_number, std::move(session));
  RememberPack(number, std::move(row));
}

std::vector<uint32_t> RocksIndex::NumberSessions(const PackFooter& table,
                                                 rocksdb::WriteBatch& batch,
                                                 std::map<uint32_t, PackSession>& changed) {
  absl::MutexLock lock(&mu_);
  uint32_t next = sessions_.empty() ? 0 : sessions_.rbegin()->first + 1;
  std::vector<uint32_t> numbers;
  for (const PackSession& session : table.sessions()) {
    const auto known = session_numbers_.find(session.session_id());
    const bool is_new = known == session_numbers_.end();
    const uint32_t number = is_new ? next++ : known->second;
    numbers.push_back(number);
    // A damaged pack may have named the session without its keybox; an intact one completes it.
    const bool completes =
        !is_new && sessions_[number].keybox().empty() && !session.keybox().empty();
    if (!is_new && !completes) continue;
    batch.Put(families_[2], NumberKey(number), session.SerializeAsString());
    changed[number] = session;
  }
  return numbers;
}

absl::Status RocksIndex::PutEntries(uint32_t pack, const PackFooter& table,
                                    const std::vector<uint32_t>& sessions,
                                    const IsIntact& is_intact, rocksdb::WriteBatch& batch) {
  for (int begin = 0; begin < table.records_size(); begin += static_cast<int>(kIndexLookupBatch)) {
    const int end = std::min(table.records_size(), begin + static_cast<int>(kIndexLookupBatch));
    std::vector<absl::string_view> ids;
    for (int i = begin; i < end; ++i) ids.push_back(table.records(i).id());
    EMBER_ASSIGN_OR_RETURN(const auto present, Find(ids));
    for (int i = begin; i < end; ++i) {
      const format::v1::PackRecord& record = table.records(i);
      if (present[i - begin] && is_intact(*present[i - begin], record.id())) continue;
      const Location location{.pack = pack,
                              .offset = static_cast<uint32_t>(record.offset()),
                              .length = record.length(),
                              .session = sessions[record.session()]};
      batch.Put(families_[0], ToSlice(ids[i - begin].substr(0, kPrefixBytes)),
                EncodeLocation(location));
    }
  }
  return absl::OkStatus();
}

absl::Status RocksIndex::Write(rocksdb::WriteBatch& batch) {
  const rocksdb::Status first = db_->Write({}, &batch);
  if (first.ok()) return absl::OkStatus();
  // A full disk leaves the database refusing writes; it goes on once there is room again.
  if (!db_->Resume().ok()) return FromRocks(first);
  return FromRocks(db_->Write({}, &batch));
}

absl::Status RocksIndex::AddPack(absl::string_view name, uint64_t size, const PackFooter& table,
                                 const IsIntact& is_intact) {
  absl::MutexLock add_lock(&add_mu_);
  uint32_t number = 0;
  {
    absl::MutexLock lock(&mu_);
    if (pack_numbers_.contains(std::string(name))) return absl::OkStatus();
    if (!packs_.empty()) number = packs_.rbegin()->first + 1;
  }
  rocksdb::WriteBatch batch;
  std::map<uint32_t, PackSession> changed;
  PackRow row{
      .name = std::string(name), .size = size, .sessions = NumberSessions(table, batch, changed)};
  EMBER_RETURN_IF_ERROR(PutEntries(number, table, row.sessions, is_intact, batch));
  std::string value = absl::HexStringToBytes(name);
  PutFixed<uint64_t>(value, size);
  for (const uint32_t session : row.sessions) PutFixed<uint32_t>(value, session);
  batch.Put(families_[1], NumberKey(number), value);
  EMBER_RETURN_IF_ERROR(Note(Write(batch)));
  Remember(number, std::move(row), std::move(changed));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::optional<Location>>> RocksIndex::Find(
    const std::vector<absl::string_view>& ids) {
  std::vector<rocksdb::Slice> keys;
  keys.reserve(ids.size());
  for (const absl::string_view id : ids) keys.push_back(ToSlice(id.substr(0, kPrefixBytes)));
  std::vector<rocksdb::PinnableSlice> values(ids.size());
  std::vector<rocksdb::Status> statuses(ids.size());
  db_->MultiGet({}, families_[0], keys.size(), keys.data(), values.data(), statuses.data());
  std::vector<std::optional<Location>> found(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    EMBER_RETURN_IF_ERROR(Note(FromRocks(statuses[i])));
    const absl::string_view value = ToView(values[i]);
    if (value.size() != kLocationBytes)
      return Note(absl::DataLossError("index: an entry has the wrong size"));
    found[i] = Location{.pack = GetFixed<uint32_t>(value, 0),
                        .offset = GetFixed<uint32_t>(value, 4),
                        .length = GetFixed<uint32_t>(value, 8),
                        .session = GetFixed<uint32_t>(value, 12)};
  }
  return found;
}

std::vector<std::string> RocksIndex::PackNames() {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [number, pack] : packs_) names.push_back(pack.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string RocksIndex::PackName(uint32_t number) {
  absl::MutexLock lock(&mu_);
  const auto pack = packs_.find(number);
  return pack == packs_.end() ? "" : pack->second.name;
}

PackSession RocksIndex::SessionOf(uint32_t number) {
  absl::MutexLock lock(&mu_);
  const auto session = sessions_.find(number);
  return session == sessions_.end() ? PackSession() : session->second;
}

std::optional<PackSession> RocksIndex::FindSession(absl::string_view session_id) {
  absl::MutexLock lock(&mu_);
  const auto number = session_numbers_.find(std::string(session_id));
  if (number == session_numbers_.end()) return std::nullopt;
  return sessions_[number->second];
}

ChunkIndex::SessionPacks RocksIndex::PacksOf(absl::string_view session_id) {
  absl::MutexLock lock(&mu_);
  SessionPacks packs;
  const auto session = session_numbers_.find(std::string(session_id));
  if (session == session_numbers_.end()) return packs;
  for (const uint32_t number : packs_of_session_[session->second]) {
    packs.names.push_back(packs_[number].name);
    packs.bytes += packs_[number].size;
  }
  return packs;
}

bool RocksIndex::HasDomain(absl::string_view domain_id) {
  absl::MutexLock lock(&mu_);
  return domains_.contains(std::string(domain_id));
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
