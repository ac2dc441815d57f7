#include "tests/support/vault_ledger.h"

#include <set>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/crypto/digest.h"
#include "common/rpc/convert.h"
#include "common/vault/framed.h"
#include "ember/format/v1/format.pb.h"

namespace ember::testing {
namespace {

absl::Status Broken(const PlannedBackup& backup, absl::string_view what) {
  return absl::InternalError(absl::StrCat(BackupIdOf(backup), " ", what));
}

}  // namespace

std::string VaultEvent::ToLine() const {
  return absl::StrCat(static_cast<int>(verb), " ", static_cast<int>(outcome), " ",
                      backup.workload.empty() ? "-" : backup.workload, " ", backup.number, " ",
                      number, " ", received_us);
}

absl::StatusOr<VaultEvent> VaultEvent::FromLine(absl::string_view line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  VaultEvent event;
  int verb = 0;
  int outcome = 0;
  if (words.size() != 6 || !absl::SimpleAtoi(words[0], &verb) ||
      !absl::SimpleAtoi(words[1], &outcome) || !absl::SimpleAtoi(words[3], &event.backup.number) ||
      !absl::SimpleAtoi(words[4], &event.number) ||
      !absl::SimpleAtoi(words[5], &event.received_us)) {
    return absl::InvalidArgumentError(absl::StrCat("not an event: ", line));
  }
  event.verb = static_cast<Verb>(verb);
  event.outcome = static_cast<Outcome>(outcome);
  if (words[2] != "-") event.backup.workload = words[2];
  return event;
}

void VaultLedger::Apply(const VaultEvent& event) {
  switch (event.verb) {
    case VaultEvent::kOpenSession: {
      uint64_t& token = tokens_[event.backup.workload];
      token = std::max(token, event.number);
      return;
    }
    case VaultEvent::kGc: return ApplyGc(event.outcome);
    case VaultEvent::kDamage: damaged_.insert(static_cast<int>(event.number)); return;
    case VaultEvent::kRepair:
      if (event.outcome == VaultEvent::kDone) damaged_.clear();
      return;
    default: ApplyTo(rows_[event.backup], event);
  }
}

void VaultLedger::ApplyGc(VaultEvent::Outcome outcome) {
  for (auto& [backup, row] : rows_) {
    if ((row.fates & kTrashed) == 0) continue;
    if (outcome == VaultEvent::kBegins) {
      row.before = row.fates;
      row.fates |= kPurged;
    } else if (outcome == VaultEvent::kDone) {
      row.fates = row.before;  // what a completed round purged it has named
    }
  }
}

void VaultLedger::ApplyTo(Row& row, const VaultEvent& event) {
  if (event.outcome == VaultEvent::kBegins) {
    row.before = row.fates;
    if (event.verb == VaultEvent::kCommit) row.fates |= kStored;
    // What was deleted here is not copied again.
    if (event.verb == VaultEvent::kCopy && (row.fates & kAbsent) != 0) row.fates |= kStored;
    if (event.verb == VaultEvent::kDelete && (row.fates & kStored) != 0) row.fates |= kTrashed;
    if (event.verb == VaultEvent::kUndelete && (row.fates & kTrashed) != 0) row.fates |= kStored;
    return;
  }
  if (event.outcome == VaultEvent::kRefused) row.fates = row.before;
  if (event.outcome != VaultEvent::kDone) return;
  switch (event.verb) {
    case VaultEvent::kCommit:
      row.fates = kStored;
      row.sequence = event.number;
      row.received_us = event.received_us;
      sequence_max_ = std::max(sequence_max_, event.number);
      received_us_max_ = std::max(received_us_max_, event.received_us);
      break;
    case VaultEvent::kDelete:  // of what is gone, too
      row.fates = row.before == kPurged ? kPurged : (row.before & kPurged) | kTrashed;
      break;
    case VaultEvent::kCopy:
    case VaultEvent::kUndelete: row.fates = kStored; break;
    case VaultEvent::kPurge: row.fates = kPurged; break;
    default: break;
  }
}

uint64_t VaultLedger::TokenOf(const std::string& workload) const {
  const auto token = tokens_.find(workload);
  return token == tokens_.end() ? 0 : token->second;
}

absl::Status VaultLedger::CheckShown(vault::Vault& vault) const {
  EMBER_ASSIGN_OR_RETURN(const v1::ListStoredBackupsReply list, vault.ListBackups(""));
  std::map<std::string, v1::StoredBackup> shown;
  std::set<uint64_t> sequences;
  for (const v1::StoredBackup& item : list.items()) {
    shown[item.backup_id()] = item;
    if (!sequences.insert(item.sequence()).second)
      return absl::InternalError(absl::StrCat("two backups have sequence ", item.sequence()));
  }
  for (const auto& [backup, row] : rows_) {
    const auto found = shown.find(BackupIdOf(backup));
    if (found == shown.end()) {
      if (row.fates == kStored) return Broken(backup, "was acknowledged and is not there");
      const absl::Status got = vault.GetBackup(BackupIdOf(backup)).status();
      if (!absl::IsNotFound(got))
        return Broken(backup, absl::StrCat("is not listed, but got: ", got.ToString()));
      continue;
    }
    if ((row.fates & kStored) == 0) return Broken(backup, "is shown, but was deleted");
    const v1::StoredBackup& item = found->second;
    if (row.sequence != 0 && item.sequence() != row.sequence)
      return Broken(backup, "has another sequence than was acknowledged");
    if (row.sequence != 0 &&
        absl::ToUnixMicros(rpc::FromTimestamp(item.received())) != row.received_us) {
      return Broken(backup, "has another time than was acknowledged");
    }
    EMBER_RETURN_IF_ERROR(CheckRestores(vault, backup, damaged_));
    shown.erase(found);
  }
  if (!shown.empty())
    return absl::InternalError(absl::StrCat(shown.begin()->first, " was never committed"));
  return absl::OkStatus();
}

absl::Status VaultLedger::CheckUndelete(vault::Vault& vault) const {
  for (const auto& [backup, row] : rows_) {
    if (row.fates != kTrashed) continue;
    v1::VaultOrder order;
    order.mutable_undelete()->add_backup_ids(BackupIdOf(backup));
    EMBER_RETURN_IF_ERROR(vault.Run(order, {}).status());
    EMBER_RETURN_IF_ERROR(CheckRestores(vault, backup));
  }
  return absl::OkStatus();
}

namespace {

using Bytes = absl::StatusOr<std::string>;

Bytes ReadObject(vault::ObjectStore& store, const std::string& name) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t size, store.Size(name));
  return store.Read(name, 0, size);
}

struct Link {
  std::string sha256;
  std::string previous;
};
// "domain/sequence-stamp" to its link.
using Chain = std::map<std::string, Link>;

std::string TailOf(const std::string& name, absl::string_view prefix) {
  return name.substr(prefix.size() + 1);
}

absl::StatusOr<Link> LinkOf(const std::string& bytes, const std::string& name) {
  EMBER_ASSIGN_OR_RETURN(const absl::string_view body,
                         vault::Unframe(vault::kBackupMagic, bytes, name));
  format::v1::StoredBackupRecord record;
  if (!record.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return absl::DataLossError(name);
  return Link{.sha256 = Sha256(bytes), .previous = record.previous_sha256()};
}

// Calls `add(tail, bytes)` for each object below `prefix`.
template <typename Add>
absl::Status ForEach(vault::ObjectStore& store, const std::string& prefix, const Add& add) {
  EMBER_ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(prefix));
  for (const std::string& name : names) {
    EMBER_ASSIGN_OR_RETURN(const std::string bytes, ReadObject(store, name));
    EMBER_RETURN_IF_ERROR(add(TailOf(name, prefix), bytes));
  }
  return absl::OkStatus();
}

// The body of a frame, past its header; its checksum is not what this is about.
template <typename Message>
absl::StatusOr<Message> ParseFramed(const std::string& bytes, const std::string& name) {
  constexpr size_t kFrameHeaderBytes = 40;
  Message message;
  if (bytes.size() < kFrameHeaderBytes ||
      !message.ParseFromString(bytes.substr(kFrameHeaderBytes))) {
    return absl::DataLossError(name);
  }
  return message;
}

}  // namespace

absl::Status CheckChains(vault::ObjectStore& store) {
  Chain chain;
  const auto add = [&chain](const std::string& tail, const std::string& bytes) -> absl::Status {
    EMBER_ASSIGN_OR_RETURN(chain[tail], LinkOf(bytes, tail));
    return absl::OkStatus();
  };
  EMBER_RETURN_IF_ERROR(ForEach(store, "snaps", add));
  EMBER_RETURN_IF_ERROR(ForEach(
      store, "trash/snaps", [&](const std::string& tail, const std::string& bytes) -> absl::Status {
        EMBER_ASSIGN_OR_RETURN(const auto trashed,
                               ParseFramed<format::v1::TrashedBackup>(bytes, tail));
        return add(tail, trashed.record());
      }));
  EMBER_RETURN_IF_ERROR(ForEach(
      store, "tombstones", [&](const std::string& tail, const std::string& bytes) -> absl::Status {
        EMBER_ASSIGN_OR_RETURN(const auto stone, ParseFramed<format::v1::Tombstone>(bytes, tail));
        chain[tail] = {.sha256 = stone.record_sha256(), .previous = stone.previous_sha256()};
        return absl::OkStatus();
      }));
  std::map<std::string, std::string> last;  // by domain; names sort by sequence
  for (const auto& [tail, link] : chain) {
    std::string& previous = last[tail.substr(0, tail.find('/'))];
    if (link.previous != previous)
      return absl::InternalError(absl::StrCat(tail, " does not follow the record before it"));
    previous = link.sha256;
  }
  return absl::OkStatus();
}

}  // namespace ember::testing
