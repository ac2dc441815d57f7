#include "common/vault/pack_table.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "common/vault/little_endian.h"

namespace ember::vault {

using format::v1::PackFooter;
using format::v1::PackSession;

namespace {

ChunkIndex::PackFacts FactsOf(uint32_t number, const PackRow& row) {
  return {.number = number,
          .name = row.name,
          .size = row.size,
          .record_bytes = row.record_bytes,
          .epoch = row.epoch};
}

}  // namespace

std::string PackRow::Encode() const {
  std::string value = absl::HexStringToBytes(name);
  PutFixed<uint64_t>(value, size);
  PutFixed<uint32_t>(value, epoch);
  PutFixed<uint64_t>(value, record_bytes);
  for (const uint32_t session : sessions) PutFixed<uint32_t>(value, session);
  return value;
}

absl::StatusOr<PackRow> PackRow::Decode(absl::string_view value) {
  constexpr size_t kFixed = 32 + sizeof(uint64_t) + sizeof(uint32_t) + sizeof(uint64_t);
  if (value.size() < kFixed || (value.size() - kFixed) % sizeof(uint32_t) != 0) {
    return absl::DataLossError("index: a pack row has the wrong size");
  }
  PackRow row{.name = absl::BytesToHexString(value.substr(0, 32)),
              .size = GetFixed<uint64_t>(value, 32),
              .epoch = GetFixed<uint32_t>(value, 40),
              .record_bytes = GetFixed<uint64_t>(value, 44)};
  for (size_t at = kFixed; at < value.size(); at += sizeof(uint32_t))
    row.sessions.push_back(GetFixed<uint32_t>(value, at));
  return row;
}

void PackTable::AddSession(uint32_t number, PackSession session) {
  absl::MutexLock lock(&mu_);
  session_numbers_[session.session_id()] = number;
  domains_.insert(session.domain_id());
  next_session_ = std::max(next_session_, number + 1);
  sessions_[number] = std::move(session);
}

absl::Status PackTable::AddPack(uint32_t number, PackRow row) {
  absl::MutexLock lock(&mu_);
  for (const uint32_t session : row.sessions) {
    if (!sessions_.contains(session)) return absl::DataLossError("index: a session is missing");
    packs_of_session_[session].insert(number);
  }
  pack_numbers_[row.name] = number;
  next_pack_ = std::max(next_pack_, number + 1);
  packs_[number] = std::move(row);
  return absl::OkStatus();
}

bool PackTable::Knows(absl::string_view name) {
  absl::MutexLock lock(&mu_);
  return pack_numbers_.contains(std::string(name));
}

uint32_t PackTable::NumberOf(absl::string_view name) {
  absl::MutexLock lock(&mu_);
  const auto known = pack_numbers_.find(std::string(name));
  return known == pack_numbers_.end() ? next_pack_ : known->second;
}

PackTable::Numbered PackTable::NumberSessions(const PackFooter& table) {
  absl::MutexLock lock(&mu_);
  uint32_t next = next_session_;
  Numbered numbered;
  for (const PackSession& session : table.sessions()) {
    const auto known = session_numbers_.find(session.session_id());
    const bool is_new = known == session_numbers_.end();
    const uint32_t number = is_new ? next++ : known->second;
    numbered.numbers.push_back(number);
    // A damaged pack may have named the session without its keybox; an intact one completes it.
    const bool completes =
        !is_new && sessions_[number].keybox().empty() && !session.keybox().empty();
    if (is_new || completes) numbered.changed[number] = session;
  }
  return numbered;
}

std::vector<uint32_t> PackTable::LastSessions(const std::set<uint32_t>& gone,
                                              const std::vector<uint32_t>& kept) {
  absl::MutexLock lock(&mu_);
  std::set<uint32_t> sessions;
  for (const uint32_t pack : gone)
    sessions.insert(packs_[pack].sessions.begin(), packs_[pack].sessions.end());
  std::vector<uint32_t> last;
  for (const uint32_t session : sessions) {
    const std::set<uint32_t>& packs = packs_of_session_[session];
    if (std::find(kept.begin(), kept.end(), session) == kept.end() &&
        std::includes(gone.begin(), gone.end(), packs.begin(), packs.end())) {
      last.push_back(session);
    }
  }
  return last;
}

void PackTable::Retire(const std::set<uint32_t>& gone, const std::vector<uint32_t>& last_sessions) {
  absl::MutexLock lock(&mu_);
  for (const uint32_t pack : gone) {
    PackRow& row = packs_[pack];
    row.retired = true;
    pack_numbers_.erase(row.name);
    for (const uint32_t session : row.sessions) packs_of_session_[session].erase(pack);
    row.sessions.clear();
  }
  for (const uint32_t session : last_sessions) {
    session_numbers_.erase(sessions_[session].session_id());
    packs_of_session_.erase(session);
    sessions_.erase(session);
  }
}

uint32_t PackTable::HighestEpoch() {
  absl::MutexLock lock(&mu_);
  uint32_t highest = 0;
  for (const auto& [number, pack] : packs_) highest = std::max(highest, pack.epoch);
  return highest;
}

std::vector<ChunkIndex::PackFacts> PackTable::Packs() {
  absl::MutexLock lock(&mu_);
  std::vector<ChunkIndex::PackFacts> packs;
  for (const auto& [number, pack] : packs_) {
    if (!pack.retired) packs.push_back(FactsOf(number, pack));
  }
  return packs;
}

ChunkIndex::PackFacts PackTable::PackOf(uint32_t number) {
  absl::MutexLock lock(&mu_);
  const auto pack = packs_.find(number);
  return pack == packs_.end() ? ChunkIndex::PackFacts() : FactsOf(number, pack->second);
}

std::vector<std::string> PackTable::PackNames() {
  std::vector<std::string> names;
  for (ChunkIndex::PackFacts& pack : Packs()) names.push_back(std::move(pack.name));
  std::sort(names.begin(), names.end());
  return names;
}

PackSession PackTable::SessionOf(uint32_t number) {
  absl::MutexLock lock(&mu_);
  const auto session = sessions_.find(number);
  return session == sessions_.end() ? PackSession() : session->second;
}

std::optional<PackSession> PackTable::FindSession(absl::string_view session_id) {
  absl::MutexLock lock(&mu_);
  const auto number = session_numbers_.find(std::string(session_id));
  if (number == session_numbers_.end()) return std::nullopt;
  return sessions_[number->second];
}

ChunkIndex::SessionPacks PackTable::PacksOf(absl::string_view session_id) {
  absl::MutexLock lock(&mu_);
  ChunkIndex::SessionPacks packs;
  const auto session = session_numbers_.find(std::string(session_id));
  if (session == session_numbers_.end()) return packs;
  for (const uint32_t number : packs_of_session_[session->second]) {
    packs.names.push_back(packs_[number].name);
    packs.bytes += packs_[number].size;
  }
  return packs;
}

bool PackTable::HasDomain(absl::string_view domain_id) {
  absl::MutexLock lock(&mu_);
  return domains_.contains(std::string(domain_id));
}

}  // namespace ember::vault
