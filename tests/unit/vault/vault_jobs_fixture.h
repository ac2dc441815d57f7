// A vault whose host gives it orders: deletion, undeletion, garbage collection.
#ifndef EMBER_TESTS_UNIT_VAULT_VAULT_JOBS_FIXTURE_H_
#define EMBER_TESTS_UNIT_VAULT_VAULT_JOBS_FIXTURE_H_

#include <string>
#include <vector>

#include "tests/unit/vault/vault_fixture.h"

namespace ember::testing {

class VaultJobsFixture : public VaultFixture {
 protected:
  absl::StatusOr<v1::VaultResult> Delete(const std::vector<std::string>& ids,
                                         bool by_person = true) {
    v1::VaultOrder order;
    for (const std::string& id : ids) order.mutable_delete_()->add_backup_ids(id);
    order.mutable_delete_()->set_by_person(by_person);
    order.mutable_delete_()->set_who(by_person ? "anna" : "retention");
    order.mutable_delete_()->set_why("a test");
    return vault_->Run(order, {});
  }
  absl::StatusOr<v1::VaultResult> Undelete(const std::vector<std::string>& ids) {
    v1::VaultOrder order;
    order.mutable_undelete();
    for (const std::string& id : ids) order.mutable_undelete()->add_backup_ids(id);
    return vault_->Run(order, {});
  }
  absl::StatusOr<v1::VaultResult> Gc(bool empty_trash = false,
                                     const vault::JobContext& context = {}) {
    v1::VaultOrder order;
    order.mutable_gc()->set_empty_trash(empty_trash);
    return vault_->Run(order, context);
  }
  // The first so many records of `first`... that the vault has, as backup `n`, nothing sent.
  absl::StatusOr<v1::CommitReply> Reuse(const std::string& workload, int n, int first, int count) {
    EMBER_ASSIGN_OR_RETURN(const ClientSession session, Open(SessionRequest(workload, n)));
    return Commit(session, SortedIds(first, count));
  }
  // How many of the records a reader does not find.
  size_t CountGone(int first, int count) { return Read(SortedIds(first, count)).problems.size(); }
  void DropIndex() {
    vault_.reset();
    std::filesystem::remove_all(directory_.Join("index"));
    Reopen();
  }
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_VAULT_VAULT_JOBS_FIXTURE_H_
