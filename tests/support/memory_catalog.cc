#include "tests/support/memory_catalog.h"

#include "absl/strings/match.h"
#include "common/base/errors.h"
#include "gtest/gtest.h"

namespace ember::testing {

MemoryCatalog::MemoryCatalog(MemoryDisk* disk) : disk_(disk) {
  for (const auto& [key, value] : disk_->rows) {
    const absl::Status status = Load(key, value);
    EXPECT_TRUE(status.ok()) << status;
  }
}

absl::Status MemoryCatalog::ScanEvents(
    uint64_t after, const std::function<bool(const record::v1::EventRecord&)>& visit) {
  for (auto it = disk_->rows.lower_bound("v/");
       it != disk_->rows.end() && absl::StartsWith(it->first, "v/"); ++it) {
    record::v1::EventRecord event;
    if (!event.ParseFromString(it->second)) return absl::DataLossError("event");
    if (event.event().seq() > after && !visit(event)) break;
  }
  return absl::OkStatus();
}

absl::Status MemoryCatalog::WriteSynced(const std::vector<Write>& writes) {
  const int64_t number = disk_->writes++;
  if (disk_->fail_at >= 0 && number >= disk_->fail_at)
    return absl::UnavailableError("the controller crashed here");
  if (disk_->full) return DiskFull("catalog");
  for (const Write& write : writes) {
    if (write.erase) {
      disk_->rows.erase(write.key);
    } else {
      disk_->rows[write.key] = write.value;
    }
  }
  return absl::OkStatus();
}

}  // namespace ember::testing
