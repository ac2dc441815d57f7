// What differs between two manifests, without reading what does not.
#ifndef EMBER_COMMON_BACKUP_MANIFEST_DIFF_H_
#define EMBER_COMMON_BACKUP_MANIFEST_DIFF_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/backup/manifest_reader.h"
#include "common/backup/record.h"
#include "ember/format/v1/format.pb.h"

namespace ember::backup {

struct ManifestSide {
  RecordId root{};
  ManifestReader::Fetch fetch;
};

// An entry, or a part of one, that is not the same on both sides; null where it is not there. Both
// are valid during the call. An error ends the comparison.
using ManifestChangeSink =
    std::function<absl::Status(const format::v1::Entry* before, const format::v1::Entry* after)>;

// All that differs at `from` and behind it, in path order, then by part: who applies it to `before`
// has `after`. Of two manifests of one dedup domain it reads the records that differ and the way to
// them: trees whose leaves end at the same names share what is equal (docs/formats.md, manifest).
// DATA_LOSS: a record on the way is damaged. Other errors are those of `fetch` and `sink`.
absl::Status DiffManifests(const ManifestSide& before, const ManifestSide& after,
                           absl::string_view from, const ManifestChangeSink& sink);

}  // namespace ember::backup

#endif  // EMBER_COMMON_BACKUP_MANIFEST_DIFF_H_
