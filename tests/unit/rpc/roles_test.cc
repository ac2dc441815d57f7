#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/rpc/identity.h"
#include "ember/v1/agent.pb.h"
#include "ember/v1/control.pb.h"
#include "ember/v1/vault.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

namespace ember::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Of the files known here; tests/lint/check_roles.py looks at every file of the directory.
std::set<std::string> MethodsInProtos() {
  std::set<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::JoinRequest::descriptor()->file(), v1::ApplyRequest::descriptor()->file(),
        v1::ReadRequest::descriptor()->file(), v1::Role::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.insert(absl::StrCat("/", file->service(s)->full_name(), "/",
                                    file->service(s)->method(m)->name()));
      }
    }
  }
  return methods;
}

bool May(v1::Role::Value role, absl::string_view method) {
  const auto roles = RolesFor(method);
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

TEST(Roles, EveryMethodHasARowAndEveryRowAMethod) {
  const std::set<std::string> protos = MethodsInProtos();
  EXPECT_GT(protos.size(), 30u);
  for (const std::string& method : protos)
    EXPECT_FALSE(RolesFor(method).empty()) << method << " has no row";
  std::set<std::string> rows;
  for (const std::string& method : MethodsWithRoles()) {
    EXPECT_EQ(protos.count(method), 1u) << method << " is in no proto";
    EXPECT_TRUE(rows.insert(method).second) << method << " has two rows";
  }
}

TEST(Roles, UnknownMethodsHaveNone) {
  EXPECT_THAT(RolesFor(""), IsEmpty());
  EXPECT_THAT(RolesFor("/ember.v1.EstateService/"), IsEmpty());
  EXPECT_THAT(RolesFor("/ember.v1.EstateService/apply"), IsEmpty());
  EXPECT_THAT(RolesFor("ember.v1.EstateService/Apply"), IsEmpty());
}

TEST(Roles, OnlyJoinIsOpenToPeersWithoutACertificate) {
  for (const std::string& method : MethodsWithRoles()) {
    EXPECT_EQ(May(v1::Role::NONE, method), method == "/ember.v1.EnrolService/Join") << method;
  }
}

TEST(Roles, EachPersonMayWhatTheOneBelowMay) {
  for (const std::string& method : MethodsWithRoles()) {
    EXPECT_LE(May(v1::Role::VIEWER, method), May(v1::Role::OPERATOR, method)) << method;
    EXPECT_LE(May(v1::Role::OPERATOR, method), May(v1::Role::ADMIN, method)) << method;
  }
}

TEST(Roles, OnlyAgentsWriteToVaultsAndNoAgentChangesTheEstate) {
  for (const char* method : {"OpenSession", "Have", "Upload", "Commit"}) {
    EXPECT_THAT(RolesFor(absl::StrCat("/ember.v1.VaultService/", method)),
                ElementsAre(v1::Role::AGENT));
  }
  for (const std::string& method : MethodsWithRoles()) {
    const bool control = absl::StrContains(method, "EstateService") ||
                         absl::StrContains(method, "ProtectionService") ||
                         absl::StrContains(method, "RecoveryService") ||
                         absl::StrContains(method, "EventService");
    EXPECT_FALSE(control && May(v1::Role::AGENT, method)) << method;
  }
  EXPECT_THAT(RolesFor("/ember.v1.EstateService/Apply"), ElementsAre(v1::Role::ADMIN));
  EXPECT_THAT(RolesFor("/ember.v1.FleetService/CreateToken"), ElementsAre(v1::Role::ADMIN));
}

}  // namespace
}  // namespace ember::rpc
