// A controller's state over a catalog in memory.
#ifndef EMBER_TESTS_UNIT_CONTROLLER_EM_FIXTURE_H_
#define EMBER_TESTS_UNIT_CONTROLLER_EM_FIXTURE_H_

#include <memory>
#include <string>

#include "controller/em_state.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_catalog.h"
#include "tests/support/status_matchers.h"

namespace ember::testing {

// One thread, so the state's lock orders nothing here.
class EmFixture : public ::testing::Test {
 protected:
  EmFixture() { Restart(); }
  // As after a crash: only what is on the disk remains.
  void Restart() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    em_ = std::make_unique<controller::EmState>(&clock_, std::make_unique<MemoryCatalog>(&disk_),
                                                controller::KeyVault::InMemory());
  }
  void AddNode(const std::string& name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    record::v1::NodeRecord node;
    node.set_name(name);
    node.set_state(v1::NodeState::ALIVE);
    controller::Batch batch;
    batch.Put(node);
    ASSERT_OK(em_->Commit(batch));
  }

  FakeClock clock_;
  MemoryDisk disk_;
  std::unique_ptr<controller::EmState> em_;
};

}  // namespace ember::testing

#endif  // EMBER_TESTS_UNIT_CONTROLLER_EM_FIXTURE_H_
