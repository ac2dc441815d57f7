// A catalog in a std::map whose writes can be made to fail: a crash of the controller at any
// durable write.
#ifndef EMBER_TESTS_SUPPORT_MEMORY_CATALOG_H_
#define EMBER_TESTS_SUPPORT_MEMORY_CATALOG_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/catalog/catalog.h"

namespace ember::testing {

// The disk below one or more catalogs in turn.
struct MemoryDisk {
  std::map<std::string, std::string> rows;
  int64_t writes = 0;
  int64_t fail_at = -1;  // this write and all after it fail, until it is set to -1
  bool full = false;     // every write fails for want of space
};

class MemoryCatalog : public controller::Catalog {
 public:
  // Reads what is on `disk`, which must outlive it.
  explicit MemoryCatalog(MemoryDisk* disk);
  absl::Status ScanEvents(
      uint64_t after, const std::function<bool(const record::v1::EventRecord&)>& visit) override;

 protected:
  absl::Status WriteSynced(const std::vector<Write>& writes) override;

 private:
  MemoryDisk* const disk_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_MEMORY_CATALOG_H_
