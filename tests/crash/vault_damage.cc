#include "tests/crash/vault_damage.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "common/vault/pack.h"
#include "common/vault/parity.h"
#include "tests/support/vault_client.h"

namespace ember::testing {
namespace {

// Closer together than the slices of parity.
constexpr uint64_t kDamageEvery = 1024;

absl::Status Rewrite(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  return file ? absl::OkStatus() : absl::InternalError(absl::StrCat("cannot write ", path));
}

// Where the record is in the pack; 0: nowhere.
uint64_t Find(const format::v1::PackFooter& table, int record) {
  for (const format::v1::PackRecord& row : table.records())
    if (row.id() == RecordIdOf(record)) return row.offset();
  return 0;
}

// A client's nonces are its records' numbers.
absl::StatusOr<std::vector<int>> NumbersIn(const format::v1::PackFooter& table,
                                           const std::string& bytes) {
  std::vector<int> numbers;
  for (const format::v1::PackRecord& row : table.records()) {
    EMBER_ASSIGN_OR_RETURN(const vault::RecordView record,
                           vault::ParseRecord(absl::string_view(bytes).substr(row.offset())));
    numbers.push_back(static_cast<int>(record.nonce));
  }
  return numbers;
}

}  // namespace

absl::StatusOr<std::vector<int>> DamagePackOf(const std::string& directory, int record,
                                              Damage damage) {
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(JoinPath(directory, "packs"))) {
    if (!entry.is_regular_file()) continue;
    const std::string path = entry.path().string();
    EMBER_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path));
    EMBER_ASSIGN_OR_RETURN(const format::v1::PackFooter table, vault::ParsePackEnd(bytes));
    const uint64_t at = Find(table, record);
    if (at == 0) continue;
    if (damage == Damage::kLose) {
      EMBER_RETURN_IF_ERROR(RemoveFile(path));
      return NumbersIn(table, bytes);
    }
    // In a pack of one slice some of the parity is a copy of it.
    const std::string header = bytes.substr(at, vault::kRecordHeaderBytes);
    const size_t copy = bytes.find(header, at + 1);
    bytes[at + vault::kRecordHeaderBytes] ^= 1;
    if (damage == Damage::kTear) {
      if (copy != std::string::npos) bytes[copy + vault::kRecordHeaderBytes] ^= 1;
      bytes.back() ^= 1;
    }
    if (damage == Damage::kRuin) {
      EMBER_ASSIGN_OR_RETURN(const uint64_t parity, vault::ParityBytes(table.parity()));
      for (uint64_t i = 0; i < parity; i += kDamageEvery) bytes[table.parity().offset() + i] ^= 1;
    }
    EMBER_RETURN_IF_ERROR(Rewrite(path, bytes));
    return std::vector<int>{record};
  }
  return absl::NotFoundError(absl::StrCat("no pack has record ", record));
}

absl::Status DamageIndex(const std::string& directory, IndexDamage damage) {
  const std::string index = JoinPath(directory, "index");
  if (damage == IndexDamage::kLose) {
    std::error_code error;
    std::filesystem::remove_all(index, error);
    return error ? absl::InternalError(error.message()) : absl::OkStatus();
  }
  for (const auto& entry : std::filesystem::directory_iterator(index)) {
    if (entry.path().filename().string().rfind("MANIFEST-", 0) != 0) continue;
    EMBER_ASSIGN_OR_RETURN(std::string bytes, ReadFile(entry.path().string()));
    for (char& byte : bytes) byte ^= 1;
    return Rewrite(entry.path().string(), bytes);
  }
  return absl::NotFoundError("the index has no manifest");
}

}  // namespace ember::testing
