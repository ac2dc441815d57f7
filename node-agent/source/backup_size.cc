#include "node-agent/source/backup_size.h"

#include <functional>
#include <memory>

#include "common/backup/backup_writer.h"
#include "common/base/status.h"
#include "node-agent/source/source.h"

namespace ember::agent {
namespace {

// What a source would have a writer read.
class CountingWriter : public backup::BackupWriter {
 public:
  explicit CountingWriter(const std::atomic<bool>* stop) : stop_(*stop) {}

  // What need not be opened is counted by its stat alone.
  absl::StatusOr<bool> AddUnchanged(const format::v1::Entry& seen,
                                    const backup::SourceStamp&) override {
    EMBER_RETURN_IF_ERROR(Count(seen));
    return true;
  }
  absl::Status Add(
      format::v1::Entry entry, const backup::SourceStamp&,
      const std::function<absl::StatusOr<std::unique_ptr<backup::FileContent>>()>&) override {
    return Count(entry);
  }
  void AddProblem(absl::string_view, absl::string_view) override {}
  absl::StatusOr<v1::BackupResult> Commit() override {
    return absl::UnimplementedError("counts only");
  }
  int64_t bytes() const { return bytes_; }

 private:
  absl::Status Count(const format::v1::Entry& entry) {
    const bool has_content =
        entry.type() == format::v1::EntryType::FILE && entry.hardlink_to().empty();
    if (has_content) bytes_ += entry.size();
    return stop_ ? absl::CancelledError("nobody waits for the size") : absl::OkStatus();
  }

  const std::atomic<bool>& stop_;
  int64_t bytes_ = 0;
};

}  // namespace

BackupSize::BackupSize(const v1::WorkloadSpec& spec) : thread_([this, spec] { Count(spec); }) {}

BackupSize::~BackupSize() {
  stop_ = true;
  thread_.join();
}

void BackupSize::Count(const v1::WorkloadSpec& spec) {
  const absl::StatusOr<std::unique_ptr<Source>> source = OpenSource(spec);
  CountingWriter counter(&stop_);
  if (source.ok() && (*source)->Read(&counter).ok()) bytes_ = counter.bytes();
}

}  // namespace ember::agent
