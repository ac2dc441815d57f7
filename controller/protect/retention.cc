#include "controller/protect/retention.h"

#include <algorithm>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"

namespace ember::controller {
namespace {

using PeriodOf = std::function<std::string(absl::Time, absl::TimeZone)>;

std::string HourOf(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("hour %Y-%m-%d %H:00", time, zone);
}
std::string DayOf(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("day %Y-%m-%d", time, zone);
}
// The week belongs to the year of its Thursday (ISO 8601).
std::string WeekOf(absl::Time time, absl::TimeZone zone) {
  const absl::CivilDay day = absl::ToCivilDay(time, zone);
  const absl::CivilDay thursday = absl::NextWeekday(day - 4, absl::Weekday::thursday);
  return absl::StrFormat("week %d-W%02d", thursday.year(),
                         (absl::GetYearDay(thursday) - 1) / 7 + 1);
}
std::string MonthOf(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("month %Y-%m", time, zone);
}
std::string YearOf(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("year %Y", time, zone);
}

class Judge {
 public:
  Judge(const std::vector<KeepCandidate>& backups, const std::vector<KeepRule>& rules,
        absl::Time now)
      : backups_(backups), rules_(rules), now_(now), reasons_(backups.size()) {}

  std::vector<KeepVerdict> Verdicts() {
    const auto newest = std::find_if(backups_.begin(), backups_.end(), IsGood);
    for (const KeepRule& rule : rules_) Apply(rule);
    if (rules_.empty()) KeepAll("no policy of its workload says otherwise");
    if (newest == backups_.end()) KeepAll("nothing of its workload is good");
    for (auto it = backups_.begin(); it != newest; ++it)
      Keep(it - backups_.begin(), "nothing good is newer");
    for (size_t i = 0; i < backups_.size(); ++i) {
      if (reasons_[i].empty() && !backups_[i].stays.empty()) Keep(i, backups_[i].stays);
    }
    KeepNewestGood();
    std::vector<KeepVerdict> verdicts;
    for (size_t i = 0; i < backups_.size(); ++i) {
      const bool keep = !reasons_[i].empty();
      verdicts.push_back({keep, keep ? absl::StrJoin(reasons_[i], ", ") : WhyNot(backups_[i])});
    }
    return verdicts;
  }

 private:
  static bool IsGood(const KeepCandidate& backup) { return backup.good; }
  static std::string WhyNot(const KeepCandidate& backup) {
    return backup.good ? "no rule keeps it" : "not good, and no rule keeps it";
  }

  void Keep(size_t i, std::string why) {
    if (std::find(reasons_[i].begin(), reasons_[i].end(), why) == reasons_[i].end())
      reasons_[i].push_back(std::move(why));
  }
  void KeepAll(const std::string& why) {
    for (size_t i = 0; i < backups_.size(); ++i) Keep(i, why);
  }

  bool IsOfNoPolicy(const KeepCandidate& backup) const {
    return std::none_of(rules_.begin(), rules_.end(),
                        [&](const KeepRule& rule) { return rule.policy == backup.policy; });
  }
  bool AnyRuleKeeps() const {
    return std::any_of(rules_.begin(), rules_.end(),
                       [](const KeepRule& rule) { return rule.keep.has_value(); });
  }

  void Apply(const KeepRule& rule) {
    std::vector<size_t> judged;
    for (size_t i = 0; i < backups_.size(); ++i) {
      if (backups_[i].policy == rule.policy || IsOfNoPolicy(backups_[i])) judged.push_back(i);
    }
    const std::string by = rules_.size() > 1 ? absl::StrCat(" (", rule.policy, ")") : "";
    if (!rule.keep.has_value()) {
      for (size_t i : judged) {
        if (backups_[i].policy == rule.policy || !AnyRuleKeeps())
          Keep(i, absl::StrCat("policy ", rule.policy, " has no `keep`"));
      }
      return;
    }
    KeepLast(judged, *rule.keep, by);
    KeepPeriods(judged, rule, rule.keep->hourly(), HourOf, by);
    KeepPeriods(judged, rule, rule.keep->daily(), DayOf, by);
    KeepPeriods(judged, rule, rule.keep->weekly(), WeekOf, by);
    KeepPeriods(judged, rule, rule.keep->monthly(), MonthOf, by);
    KeepPeriods(judged, rule, rule.keep->yearly(), YearOf, by);
  }

  void KeepLast(const std::vector<size_t>& judged, const v1::Keep& keep, const std::string& by) {
    const absl::Duration within = absl::Seconds(keep.within_seconds());
    int good = 0;
    for (size_t i : judged) {
      if (backups_[i].good && ++good <= keep.last())
        Keep(i, absl::StrCat("one of the last ", keep.last(), by));
      if (keep.within_seconds() > 0 && now_ - backups_[i].received <= within)
        Keep(i, absl::StrCat("younger than ", Days(within), by));
    }
  }

  static std::string Days(absl::Duration time) {
    const int64_t hours = time / absl::Hours(1);
    if (hours > 0 && hours % 24 == 0)
      return absl::StrCat(hours / 24, hours == 24 ? " day" : " days");
    return absl::FormatDuration(time);
  }

  void KeepPeriods(const std::vector<size_t>& judged, const KeepRule& rule, int count,
                   const PeriodOf& period_of, const std::string& by) {
    if (count == 0) return;
    std::set<std::string> with_good;
    for (size_t i : judged) {
      if (backups_[i].good) with_good.insert(period_of(backups_[i].received, rule.zone));
    }
    std::set<std::string> filled;
    std::set<std::string> of_broken;
    for (size_t i : judged) {
      const std::string period = period_of(backups_[i].received, rule.zone);
      if (filled.count(period) > 0) continue;
      if (static_cast<int>(filled.size()) == count) break;
      if (backups_[i].good) {
        filled.insert(period);
        Keep(i, absl::StrCat(period, by));
      } else if (with_good.count(period) == 0 && of_broken.insert(period).second) {
        Keep(i, absl::StrCat("not good, but all there is of ", period, by));
      }
    }
  }

  void KeepNewestGood() {
    int least = 1;
    for (const KeepRule& rule : rules_) {
      if (rule.keep.has_value()) least = std::max(least, rule.keep->min_verified());
    }
    int good = 0;
    for (size_t i = 0; i < backups_.size() && good < least; ++i) {
      if (!backups_[i].good) continue;
      ++good;
      if (reasons_[i].empty())
        Keep(i, least == 1 ? "the newest good one"
                           : absl::StrCat("one of the last ", least, " good ones (min_verified)"));
    }
  }

  const std::vector<KeepCandidate>& backups_;
  const std::vector<KeepRule>& rules_;
  const absl::Time now_;
  std::vector<std::vector<std::string>> reasons_;  // of those that stay
};

}  // namespace

std::vector<KeepVerdict> JudgeRetention(const std::vector<KeepCandidate>& newest_first,
                                        const std::vector<KeepRule>& rules, absl::Time now) {
  return Judge(newest_first, rules, now).Verdicts();
}

}  // namespace ember::controller
