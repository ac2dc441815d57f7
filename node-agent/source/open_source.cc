#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "node-agent/source/files_source.h"
#include "node-agent/source/source.h"

namespace ember::agent {

// A further kind is one more case here and one more file.
absl::StatusOr<std::unique_ptr<Source>> OpenSource(const v1::WorkloadSpec& spec) {
  std::vector<v1::FilesSource> files;
  for (const v1::SourceSpec& source : spec.sources()) {
    switch (source.kind_case()) {
      case v1::SourceSpec::kFiles: files.push_back(source.files()); break;
      case v1::SourceSpec::KIND_NOT_SET:
        return absl::InvalidArgumentError(absl::StrCat(
            "workload '", spec.name(), "' has a source of a kind that this agent does not know"));
    }
  }
  return OpenFilesSource(files);
}

}  // namespace ember::agent
