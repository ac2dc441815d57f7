#include "common/rpc/convert.h"

#include <limits>

#include "common/base/errors.h"
#include "tests/support/status_matchers.h"

namespace ember::rpc {
namespace {

TEST(Convert, EveryCodeAndItsTextSurvive) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status before(static_cast<absl::StatusCode>(code), "what: why");
    const absl::Status after = FromGrpc(ToGrpc(before));
    EXPECT_EQ(after, before);
    EXPECT_EQ(HintOf(after), "");
  }
  EXPECT_OK(FromGrpc(ToGrpc(absl::OkStatus())));
}

TEST(Convert, TheHintSurvives) {
  const absl::Status after = FromGrpc(ToGrpc(NodeNotFound("nas1")));
  EXPECT_EQ(after, NodeNotFound("nas1"));
  EXPECT_EQ(HintOf(after), "ember node list");
}

TEST(Convert, TimesSurviveToTheNanosecond) {
  for (const absl::Time time : {absl::FromUnixNanos(1767225600123456789), absl::FromUnixNanos(-1),
                                absl::FromUnixNanos(1), absl::FromUnixSeconds(-62135596800)}) {
    EXPECT_EQ(FromTimestamp(ToTimestamp(time)), time) << time;
    EXPECT_GE(ToTimestamp(time).nanos(), 0);
  }
}

TEST(Convert, UnsetTimeIsThePastAndBack) {
  EXPECT_EQ(FromTimestamp({}), absl::InfinitePast());
  EXPECT_EQ(ToTimestamp(absl::InfinitePast()).seconds(), 0);
}

TEST(Convert, TimesOutOfRangeAreClamped) {
  EXPECT_EQ(ToTimestamp(absl::InfiniteFuture()).seconds(), 253402300799);
  EXPECT_EQ(ToTimestamp(absl::FromUnixSeconds(-99999999999)).seconds(), -62135596800);
  google::protobuf::Timestamp wild;
  wild.set_seconds(std::numeric_limits<int64_t>::max());
  wild.set_nanos(std::numeric_limits<int32_t>::min());
  EXPECT_GT(FromTimestamp(wild), absl::FromUnixSeconds(253402300799));
}

}  // namespace
}  // namespace ember::rpc
