// Matchers and assertions for absl::Status (gtest 1.12 has none).
#ifndef EMBER_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define EMBER_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ember::testing {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& status) { return status.status(); }

MATCHER(IsOk, "is OK") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}
MATCHER_P(HasCode, code, "has the code") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code;
}
MATCHER_P2(HasCodeAndText, code, text, "has the code, and the text in its message") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code &&
         std::string(GetStatus(arg).message()).find(text) != std::string::npos;
}

}  // namespace ember::testing

#define EXPECT_OK(expr) EXPECT_THAT(expr, ::ember::testing::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT(expr, ::ember::testing::IsOk())
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  ASSERT_OK_AND_ASSIGN_INNER_(EMBER_CONCAT_(test_statusor_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_INNER_(statusor, lhs, expr) \
  auto statusor = (expr);                                \
  ASSERT_OK(statusor);                                   \
  lhs = std::move(statusor).value()

#include "common/base/status.h"  // EMBER_CONCAT_

#endif  // EMBER_TESTS_SUPPORT_STATUS_MATCHERS_H_
