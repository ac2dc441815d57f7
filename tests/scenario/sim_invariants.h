// What must hold after every step of a story, whatever broke.
#ifndef EMBER_TESTS_SCENARIO_SIM_INVARIANTS_H_
#define EMBER_TESTS_SCENARIO_SIM_INVARIANTS_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/catalog/catalog.h"
#include "ember/v1/estate.pb.h"

namespace ember::testing {

class SimInvariants {
 public:
  explicit SimInvariants(v1::Estate estate) : estate_(std::move(estate)) {}

  // At most one active instance of each exclusive workload; `active` counts them.
  void CheckActive(const std::string& when, const std::function<int(const std::string&)>& active);
  // No move without a fence proof; a frozen estate begins nothing; nothing starts before what it
  // depends on is verified; messages arrive in their order, each once. To be called after every
  // durable write.
  void CheckCatalog(const std::string& when, const controller::Catalog& catalog);

  // What was broken: a sentence each.
  const std::vector<std::string>& violations() const { return violations_; }
  void Complain(const std::string& when, const std::string& what);

 private:
  void CheckRecovery(const std::string& when, const controller::Catalog& catalog,
                     const record::v1::RecoveryRecord& recovery);
  void CheckMessages(const std::string& when, const controller::Catalog& catalog);

  const v1::Estate estate_;
  bool frozen_ = false;  // as seen last
  int freezes_ = 0;
  std::map<std::string, int> began_in_;                        // recoveries: in which freeze
  std::map<std::string, v1::RecoveryState::Value> states_;     // of recoveries, as seen last
  std::map<std::string, std::pair<uint64_t, int>> delivered_;  // last seq and number, by sender
  std::vector<std::string> violations_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_SCENARIO_SIM_INVARIANTS_H_
