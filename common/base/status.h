// Status macros. absl::Status is the one error channel; what an error means to a person is in common/base/errors.h.
#ifndef EMBER_COMMON_BASE_STATUS_H_
#define EMBER_COMMON_BASE_STATUS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ember {

// The same code and payloads with "`context`: " before the message. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// `errno` values as a status: ENOSPC and EDQUOT are RESOURCE_EXHAUSTED, ENOENT NOT_FOUND, EACCES and EPERM
// PERMISSION_DENIED, EEXIST ALREADY_EXISTS, EIO DATA_LOSS, others INTERNAL. `what` names the call and its object.
absl::Status ErrnoToStatus(int error_number, absl::string_view what);

}  // namespace ember

#define EMBER_RETURN_IF_ERROR(expr)                       \
  do {                                                    \
    if (absl::Status ember_status_ = (expr); !ember_status_.ok()) return ember_status_; \
  } while (false)

#define EMBER_CONCAT_INNER_(a, b) a##b
#define EMBER_CONCAT_(a, b) EMBER_CONCAT_INNER_(a, b)
#define EMBER_ASSIGN_OR_RETURN(lhs, expr) \
  EMBER_ASSIGN_OR_RETURN_INNER_(EMBER_CONCAT_(ember_statusor_, __LINE__), lhs, expr)
#define EMBER_ASSIGN_OR_RETURN_INNER_(statusor, lhs, expr) \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // EMBER_COMMON_BASE_STATUS_H_
