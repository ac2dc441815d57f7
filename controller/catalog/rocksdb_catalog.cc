// The catalog on RocksDB: the only file of the controller that names it.
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/disk_space.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "controller/catalog/catalog.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/options.h"
#include "rocksdb/write_batch.h"

namespace ember::controller {
namespace {

// Room for what the database writes on its own account: the next log, a table, its own notes.
constexpr int64_t kReserveBytes = 16 << 20;

rocksdb::Slice ToSlice(absl::string_view text) { return {text.data(), text.size()}; }
absl::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat(what, ": ", status.ToString());
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace) return DiskFull(what);
  if (status.IsCorruption()) return Damaged("the catalog", text);
  // Not UNAVAILABLE even for an I/O error: to the CLI that means an EM that does not answer.
  return WithHint(absl::InternalError(text), "check the disk that holds the EM's state directory");
}

class RocksCatalog : public Catalog {
 public:
  absl::Status OpenDatabase(const std::string& directory) {
    directory_ = directory;
    rocksdb::Options options;
    options.create_if_missing = true;
    options.max_background_jobs = 2;
    options.keep_log_file_num = 4;
    // After a crash everything that was acknowledged is in the synced part of the log; the torn
    // rest is dropped.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    if (directory.empty()) {
      memory_.reset(rocksdb::NewMemEnv(rocksdb::Env::Default()));
      options.env = memory_.get();
    }
    rocksdb::DB* db = nullptr;
    const std::string path = directory.empty() ? "/catalog" : directory;
    EMBER_RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(options, path, &db),
                                    absl::StrCat("opening the catalog ", path)));
    db_.reset(db);
    // First, because it tells whether this program understands the rest.
    std::string meta;
    const rocksdb::Status found = db_->Get({}, "m", &meta);
    if (!found.IsNotFound()) {
      EMBER_RETURN_IF_ERROR(FromRocks(found, "reading the catalog"));
      EMBER_RETURN_IF_ERROR(Load("m", meta));
    }
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      if (it->key().starts_with("v/")) break;  // events are many, and read when asked for
      EMBER_RETURN_IF_ERROR(Load(ToView(it->key()), ToView(it->value())));
    }
    for (it->Seek("w"); it->Valid(); it->Next()) {
      EMBER_RETURN_IF_ERROR(Load(ToView(it->key()), ToView(it->value())));
    }
    return FromRocks(it->status(), "reading the catalog");
  }

  absl::Status ScanEvents(
      uint64_t after, const std::function<bool(const record::v1::EventRecord&)>& visit) override {
    std::string key = "v/";
    for (int shift = 56; shift >= 0; shift -= 8)
      key.push_back(static_cast<char>((after + 1) >> shift));
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    for (it->Seek(key); it->Valid() && it->key().starts_with("v/"); it->Next()) {
      record::v1::EventRecord event;
      if (!event.ParseFromArray(it->value().data(), static_cast<int>(it->value().size()))) {
        return Damaged("the event log", "a record does not parse");
      }
      if (!visit(event)) break;
    }
    return FromRocks(it->status(), "reading the event log");
  }

 protected:
  absl::Status WriteSynced(const std::vector<Write>& writes) override {
    rocksdb::WriteBatch batch;
    for (const Write& write : writes) {
      if (write.erase) {
        batch.Delete(ToSlice(write.key));
      } else {
        batch.Put(ToSlice(write.key), ToSlice(write.value));
      }
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    // The database must never meet a full disk itself: a log whose write failed cannot be used
    // again.
    if (!directory_.empty())
      EMBER_RETURN_IF_ERROR(RequireFreeBytes(directory_, kReserveBytes, "catalog"));
    const rocksdb::Status status = db_->Write(options, &batch);
    if (status.ok()) return absl::OkStatus();
    // What a failed write left on the disk is known only after reading it again.
    LogError("catalog",
             "a write failed: the controller ends, and reads the catalog when it is started",
             {{"error", status.ToString()}});
    std::_Exit(1);
  }

 private:
  std::string directory_;
  std::unique_ptr<rocksdb::Env> memory_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Open(const std::string& directory) {
  auto catalog = std::make_unique<RocksCatalog>();
  EMBER_RETURN_IF_ERROR(catalog->OpenDatabase(directory));
  return catalog;
}

}  // namespace ember::controller
