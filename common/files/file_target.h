// Writes restored objects into the staging trees of places. Nothing outside of them can be reached,
// whatever the entries say: every object is made new, by its name in a directory that this target
// made just before.
#ifndef EMBER_COMMON_FILES_FILE_TARGET_H_
#define EMBER_COMMON_FILES_FILE_TARGET_H_

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "common/files/directory.h"
#include "common/files/file_metadata.h"
#include "common/files/restore_place.h"

namespace ember::files {

// What a restore could not set, each cause told once, at most kProblemsReportedMax.
class RestoreWarnings {
 public:
  void Add(absl::string_view path, absl::string_view key, absl::string_view problem);
  const std::vector<v1::PathProblem>& problems() const { return problems_; }

 private:
  std::set<std::string> keys_;
  std::vector<v1::PathProblem> problems_;
};

// Entries in strict path order; DATA_LOSS for any that do not fit together. Use from one thread.
class FileTarget : public backup::RestoreTarget {
 public:
  // The staging directories of `places` are open. All pointers must outlive the target.
  FileTarget(std::vector<Place>* places, const std::atomic<bool>* cancelled,
             RestoreWarnings* warnings);

  absl::StatusOr<bool> Begin(const format::v1::Entry& entry) override;
  absl::Status Write(int64_t offset, absl::string_view bytes) override;
  absl::Status End(const format::v1::Entry& entry, const absl::Status& content) override;

  // Completes the directories still open. Call after the last entry.
  absl::Status Finish();
  // Sets what forbids change, and the attributes of inside places; what fails is a warning. Call
  // after the swap.
  void FinishInPlace();

  int64_t files() const { return files_; }
  int64_t bytes() const { return bytes_; }
  int64_t verified_files() const { return verified_files_; }

 private:
  struct Staging {
    std::unique_ptr<DirectoryStack> stack;
    std::vector<format::v1::Entry>
        open;  // directories entered, their attributes still to be applied
  };
  // Where a new object goes.
  struct Spot {
    int directory = -1;
    std::string name;
  };
  // What may only be set when nothing changes there any more.
  struct Late {
    std::string path;
    uint32_t mode = 0;
    uint32_t flags = 0;
    bool set_mode = false;
  };

  absl::StatusOr<Spot> SpotFor(const format::v1::Entry& entry);
  absl::Status CloseDirectory(Staging* staging, Place* place);
  absl::Status Make(const format::v1::Entry& entry, const Spot& spot);
  absl::Status MakeDirectory(const format::v1::Entry& entry, const Spot& spot);
  absl::Status MakeFile(const format::v1::Entry& entry, const Spot& spot);
  absl::Status MakeLink(const format::v1::Entry& entry, const Spot& spot);
  absl::Status MakeSpecial(const format::v1::Entry& entry, const Spot& spot);
  absl::Status FinishObject(const format::v1::Entry& entry, const Object& object);
  absl::Status FinishLate(const Late& late);
  absl::Status CopyFrom(const Spot& first, const format::v1::Entry& entry, const Spot& spot);
  AttributeProblem WarnAbout(const format::v1::Entry& entry);

  std::vector<Place>* const places_;
  const PlaceFinder finder_;
  const std::atomic<bool>* const cancelled_;
  RestoreWarnings* const warnings_;
  const bool is_root_;

  std::vector<Staging> stagings_;  // as places_
  std::vector<Late> late_;
  std::optional<std::string> last_path_;
  Spot spot_;             // of the object begun
  bool skipped_ = false;  // the object begun could not be made
  bool linked_ = false;   // the object begun is complete
  Fd file_;               // the regular file begun
  int64_t written_end_ = 0;
  int64_t files_ = 0;
  int64_t bytes_ = 0;
  int64_t verified_files_ = 0;
};

// `error_number` with DiskFull for a full disk.
absl::Status WriteError(int error_number, absl::string_view what, absl::string_view path);

}  // namespace ember::files

#endif  // EMBER_COMMON_FILES_FILE_TARGET_H_
