// What a backup holds, as lines that can be kept and compared.
#ifndef EMBER_TESTS_GOLDEN_LISTING_H_
#define EMBER_TESTS_GOLDEN_LISTING_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/backup/restore_reader.h"
#include "ember/format/v1/format.pb.h"

namespace ember::testing {

struct ListedEntry {
  format::v1::Entry entry;     // without content
  std::string content_sha256;  // hex, holes as zeroes; of a file that is no further name of another
};

// Every entry by path; each byte is read and checked. DATA_LOSS.
absl::StatusOr<std::map<std::string, ListedEntry>> ReadListing(backup::RestoreReader& reader);

// One line for each entry: path, type, mode, owner, time, size, checksum, and what else it has.
// Bytes that are not printable, and blanks, are escaped.
std::vector<std::string> LinesOf(const std::map<std::string, ListedEntry>& listing);

// A line for each file or link below `directory`, where the one root of the backup was restored,
// that is not as in `listing`.
std::vector<std::string> DifferencesOnDisk(const std::map<std::string, ListedEntry>& listing,
                                           const std::string& root, const std::string& directory);

}  // namespace ember::testing

#endif  // EMBER_TESTS_GOLDEN_LISTING_H_
