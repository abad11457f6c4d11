#include "models/serving/sketches.hpp"

#include <algorithm>

namespace foretoken::models::serving {

void Sketches::add(const RequestTimes& t) {
  const auto seconds = [](std::int64_t from_ps, std::int64_t to_ps) {
    // A nanosecond at least: zero would stretch the buckets over a thousand factors of two.
    return static_cast<double>(std::max<std::int64_t>(1000, to_ps - from_ps)) * 1e-12;
  };
  ttft.add(seconds(t.arrival_ps, t.first_ps));
  e2el.add(seconds(t.arrival_ps, t.last_ps));
  queueing.add(seconds(t.arrival_ps, t.scheduled_ps));
  prefill.add(seconds(t.scheduled_ps, t.first_ps));
  decode.add(seconds(t.first_ps, t.last_ps));
  if (t.output >= 2) tpot.add(seconds(t.first_ps, t.last_ps) / (t.output - 1));
}

void Sketches::merge(const Sketches& other) {
  ttft.merge(other.ttft);
  tpot.merge(other.tpot);
  e2el.merge(other.e2el);
  queueing.merge(other.queueing);
  prefill.merge(other.prefill);
  decode.merge(other.decode);
}

}  // namespace foretoken::models::serving
