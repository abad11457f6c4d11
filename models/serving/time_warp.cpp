#include "models/serving/time_warp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace foretoken::models::serving {

TimeWarp::TimeWarp(const RateProfile& profile) : period_s_(profile.period_s) {
  const auto& points = profile.points;
  if (points.empty()) return;
  // What comes before the first point: the last one's level goes over into it if the profile
  // repeats, else the first factor holds from the start.
  const double before = period_s_ > 0 ? points.back().factor : points.front().factor;
  double at_s = 0.0, factor = before;
  if (period_s_ > 0) {
    const double gap_s = period_s_ - points.back().at_s + points.front().at_s;
    const double to_end = gap_s > 0 ? (period_s_ - points.back().at_s) / gap_s : 1.0;
    factor = before + (points.front().factor - before) * to_end;
  }
  const double at_zero = factor;
  for (const RateProfile::Point& point : points) {
    if (point.at_s > at_s) spans_.push_back({point.at_s - at_s, factor, point.factor});
    at_s = point.at_s;
    factor = point.factor;
  }
  if (period_s_ > at_s) {
    spans_.push_back({period_s_ - at_s, factor, at_zero});
  } else if (period_s_ <= 0) {
    spans_.push_back({std::numeric_limits<double>::infinity(), factor, factor});
  }
}

double TimeWarp::advance(double area_s) {
  while (true) {
    if (area_s <= 0.0) return now_s_;
    const Span& span = spans_[at_];
    const bool endless = std::isinf(span.length_s);
    const double slope = endless ? 0.0 : (span.to - span.from) / span.length_s;
    const double level = span.from + slope * inside_s_;
    const double rest_s = span.length_s - inside_s_;
    const double room = endless ? (level > 0 ? std::numeric_limits<double>::infinity() : 0.0)
                                : std::max(0.0, rest_s * (level + span.to) / 2.0);
    if (area_s < room) {
      // level t + slope t^2 / 2 = area, by the form that keeps its digits as slope goes to zero.
      const double root = std::sqrt(std::max(0.0, level * level + 2.0 * slope * area_s));
      const double step_s = std::min(rest_s, 2.0 * area_s / (level + root));
      inside_s_ += step_s;
      return now_s_ += step_s;
    }
    if (endless) return std::numeric_limits<double>::infinity();
    area_s -= room;
    now_s_ += rest_s;
    inside_s_ = 0.0;
    at_ = at_ + 1 == spans_.size() ? 0 : at_ + 1;
  }
}

double mean_factor(const RateProfile& profile) {
  if (profile.points.empty()) return 1.0;
  if (profile.period_s <= 0.0) return profile.points.back().factor;
  double area = 0.0;
  const auto& points = profile.points;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const bool last = i + 1 == points.size();
    const auto& next = points[last ? 0 : i + 1];
    const double length_s = next.at_s - points[i].at_s + (last ? profile.period_s : 0.0);
    area += length_s * (points[i].factor + next.factor) / 2.0;
  }
  return area / profile.period_s;
}

}  // namespace foretoken::models::serving
