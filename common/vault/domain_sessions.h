// Whose records they are, by the sessions that stored them.
#ifndef EMBER_COMMON_VAULT_DOMAIN_SESSIONS_H_
#define EMBER_COMMON_VAULT_DOMAIN_SESSIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "common/vault/chunk_index.h"

namespace ember::vault {

// Asks the index once per session, however many records it stored. Not thread-safe.
class DomainSessions {
 public:
  // `index` must outlive this.
  DomainSessions(ChunkIndex& index, std::string domain_id)
      : index_(index), domain_id_(std::move(domain_id)) {}

  bool Contains(uint32_t session) { return DomainOf(session) == domain_id_; }
  // After a pack lost its table nobody can tell whose its sessions were.
  bool MayContain(uint32_t session) { return DomainOf(session).empty() || Contains(session); }

 private:
  const std::string& DomainOf(uint32_t session) {
    const auto [row, is_new] = domains_.try_emplace(session);
    if (is_new) row->second = index_.SessionOf(session).domain_id();
    return row->second;
  }

  ChunkIndex& index_;
  const std::string domain_id_;
  std::map<uint32_t, std::string> domains_;
};

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_DOMAIN_SESSIONS_H_
