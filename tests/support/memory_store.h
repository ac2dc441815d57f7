// An object store in memory: quick, and gone with the test.
#ifndef EMBER_TESTS_SUPPORT_MEMORY_STORE_H_
#define EMBER_TESTS_SUPPORT_MEMORY_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "common/vault/object_store.h"

namespace ember::testing {

// The objects; several stores may share them.
struct MemoryObjects {
  absl::Mutex mu;
  std::map<std::string, std::string> objects ABSL_GUARDED_BY(mu);
};

class MemoryStore : public vault::ObjectStore {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryObjects> objects = std::make_shared<MemoryObjects>())
      : objects_(std::move(objects)) {}

  absl::StatusOr<std::unique_ptr<vault::ObjectWriter>> Create() override {
    return std::make_unique<Writer>(objects_);
  }
  absl::StatusOr<std::string> Read(absl::string_view name, uint64_t offset, size_t size) override {
    EMBER_RETURN_IF_ERROR(vault::ValidateObjectName(name));
    absl::MutexLock lock(&objects_->mu);
    const auto object = objects_->objects.find(std::string(name));
    if (object == objects_->objects.end()) return absl::NotFoundError(name);
    const uint64_t total = object->second.size();
    if (offset > total || size > total - offset) return absl::OutOfRangeError(name);
    return object->second.substr(offset, size);
  }
  absl::StatusOr<uint64_t> Size(absl::string_view name) override {
    EMBER_RETURN_IF_ERROR(vault::ValidateObjectName(name));
    absl::MutexLock lock(&objects_->mu);
    const auto object = objects_->objects.find(std::string(name));
    if (object == objects_->objects.end()) return absl::NotFoundError(name);
    return object->second.size();
  }
  absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) override {
    absl::MutexLock lock(&objects_->mu);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : objects_->objects) {
      if (prefix.empty() || absl::StartsWith(name, absl::StrCat(prefix, "/")))
        names.push_back(name);
    }
    return names;
  }
  absl::Status Delete(absl::string_view name) override {
    EMBER_RETURN_IF_ERROR(vault::ValidateObjectName(name));
    absl::MutexLock lock(&objects_->mu);
    objects_->objects.erase(std::string(name));
    return absl::OkStatus();
  }
  absl::StatusOr<Space> GetSpace() override {
    absl::MutexLock lock(&objects_->mu);
    Space space{.free_bytes = int64_t{1} << 40};
    for (const auto& [name, bytes] : objects_->objects)
      space.used_bytes += static_cast<int64_t>(bytes.size());
    return space;
  }

 private:
  class Writer : public vault::ObjectWriter {
   public:
    explicit Writer(std::shared_ptr<MemoryObjects> objects) : objects_(std::move(objects)) {}
    absl::Status Append(absl::string_view data) override {
      bytes_.append(data.data(), data.size());
      return absl::OkStatus();
    }
    absl::Status Publish(absl::string_view name) override {
      EMBER_RETURN_IF_ERROR(vault::ValidateObjectName(name));
      absl::MutexLock lock(&objects_->mu);
      const bool is_new =
          objects_->objects.try_emplace(std::string(name), std::move(bytes_)).second;
      return is_new ? absl::OkStatus() : absl::AlreadyExistsError(name);
    }
    absl::Status Replace(absl::string_view name) override {
      EMBER_RETURN_IF_ERROR(vault::ValidateObjectName(name));
      absl::MutexLock lock(&objects_->mu);
      const auto object = objects_->objects.find(std::string(name));
      if (object == objects_->objects.end()) return absl::NotFoundError(name);
      object->second = std::move(bytes_);
      return absl::OkStatus();
    }

   private:
    std::shared_ptr<MemoryObjects> objects_;
    std::string bytes_;
  };

  std::shared_ptr<MemoryObjects> objects_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SUPPORT_MEMORY_STORE_H_
