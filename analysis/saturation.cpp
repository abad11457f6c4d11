#include "analysis/saturation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/number_text.hpp"

namespace foretoken::analysis {

using models::serving::RequestOutcome;
using models::serving::RequestTable;

namespace {

constexpr double kGrowth = 0.05;      // of the arrivals in the second half
constexpr std::int64_t kFewest = 10;  // waiting at the end

// Arrived by `at_s` and not yet begun.
std::int64_t waiting_at(const RequestTable& t, double at_s) {
  std::int64_t waiting = 0;
  for (std::size_t i = 0; i < t.size(); ++i)
    waiting += t.outcome[i] != RequestOutcome::rejected && t.arrival_s[i] <= at_s &&
               !(t.scheduled_s[i] <= at_s);  // never scheduled is NaN
  return waiting;
}

}  // namespace

Saturation saturation_of(const RequestTable& t, double from_s, double end_s) {
  Saturation out;
  if (t.size() == 0) return out;
  const double last_s = *std::max_element(t.arrival_s.begin(), t.arrival_s.end());
  if (!(last_s > from_s)) return out;
  const double middle_s = from_s + (last_s - from_s) / 2;
  std::int64_t arrived = 0, served = 0;
  for (std::size_t i = 0; i < t.size(); ++i) {
    if (t.outcome[i] == RequestOutcome::rejected) continue;
    arrived += t.arrival_s[i] > middle_s;
    served += t.last_token_s[i] > middle_s && t.last_token_s[i] <= last_s;
  }
  out.arriving_per_s = static_cast<double>(arrived) / (last_s - middle_s);
  out.served_per_s = static_cast<double>(served) / (last_s - middle_s);
  out.queued_middle = waiting_at(t, middle_s);
  out.queued_end = waiting_at(t, last_s);
  out.drain_s = std::max(0.0, end_s - last_s);
  out.saturated =
      out.queued_end > kFewest && static_cast<double>(out.queued_end - out.queued_middle) >
                                      kGrowth * static_cast<double>(arrived);
  return out;
}

std::string saturation_sentence(const Saturation& s) {
  return fmt::format(
      "Saturated: {} requests/s arrive, {}/s are served; the queue grows without end ({} waited at "
      "the last arrival)",
      significant(s.arriving_per_s), significant(s.served_per_s), grouped(s.queued_end));
}

}  // namespace foretoken::analysis
