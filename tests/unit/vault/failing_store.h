// An object store whose disk fills up at the call that a test chooses.
#ifndef EMBER_TESTS_UNIT_VAULT_FAILING_STORE_H_
#define EMBER_TESTS_UNIT_VAULT_FAILING_STORE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/status.h"
#include "common/vault/object_store.h"

namespace ember::testing {

// Counts the calls that write. Call number `fail_at` (from 1) fails, and the `fail_for` - 1 that
// follow.
struct FailurePlan {
  std::atomic<int> calls{0};
  std::atomic<int> fail_at{0};
  std::atomic<int> fail_for{1};
  absl::Status Next() {
    const int call = ++calls;
    const bool fails = fail_at != 0 && call >= fail_at && call < fail_at + fail_for;
    return fails ? DiskFull("test store") : absl::OkStatus();
  }
};

class FailingWriter : public vault::ObjectWriter {
 public:
  FailingWriter(std::unique_ptr<vault::ObjectWriter> inner, FailurePlan& plan)
      : inner_(std::move(inner)), plan_(plan) {}
  absl::Status Append(absl::string_view data) override {
    EMBER_RETURN_IF_ERROR(plan_.Next());
    return inner_->Append(data);
  }
  absl::Status Publish(absl::string_view name) override {
    EMBER_RETURN_IF_ERROR(plan_.Next());
    return inner_->Publish(name);
  }
  absl::Status Replace(absl::string_view name) override {
    EMBER_RETURN_IF_ERROR(plan_.Next());
    return inner_->Replace(name);
  }

 private:
  std::unique_ptr<vault::ObjectWriter> inner_;
  FailurePlan& plan_;
};

class FailingStore : public vault::ObjectStore {
 public:
  FailingStore(std::unique_ptr<vault::ObjectStore> inner, FailurePlan& plan)
      : inner_(std::move(inner)), plan_(plan) {}
  absl::StatusOr<std::unique_ptr<vault::ObjectWriter>> Create() override {
    EMBER_RETURN_IF_ERROR(plan_.Next());
    EMBER_ASSIGN_OR_RETURN(auto writer, inner_->Create());
    return std::make_unique<FailingWriter>(std::move(writer), plan_);
  }
  absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset, size_t size) override {
    return inner_->Read(name, offset, size);
  }
  absl::StatusOr<uint64_t> Size(absl::string_view name) override { return inner_->Size(name); }
  absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) override {
    return inner_->List(prefix);
  }
  absl::Status Delete(absl::string_view name) override { return inner_->Delete(name); }
  absl::StatusOr<Space> GetSpace() override {
    EMBER_ASSIGN_OR_RETURN(Space space, inner_->GetSpace());
    if (free_bytes >= 0) space.free_bytes = free_bytes;
    return space;
  }

  std::atomic<int64_t> free_bytes{-1};  // pretended, unless negative

 private:
  std::unique_ptr<vault::ObjectStore> inner_;
  FailurePlan& plan_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_VAULT_FAILING_STORE_H_
