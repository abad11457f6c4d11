#include "analysis/saturation.hpp"

#include <catch2/catch.hpp>

namespace foretoken::analysis {
namespace {

using models::serving::RequestOutcome;
using models::serving::RequestTable;

// A request a second to a server that takes `service_s` for each, one at a time.
RequestTable queue(int requests, double service_s) {
  RequestTable t;
  double free_s = 0;
  for (int i = 0; i < requests; ++i) {
    const double start = std::max<double>(i, free_s);
    free_s = start + service_s;
    t.arrival_s.push_back(i);
    t.scheduled_s.push_back(start);
    t.first_token_s.push_back(free_s);
    t.last_token_s.push_back(free_s);
    t.input_tokens.push_back(1);
    t.output_tokens.push_back(1);
    t.preemptions.push_back(0);
    t.replica.push_back(0);
    t.outcome.push_back(RequestOutcome::completed);
  }
  return t;
}

TEST_CASE("Twice the load that can be served: half of it waits at the end") {
  // 201 arrivals from 0 to 200 s, 2 s each: at 200 s 100 are done, the 101st is in service.
  const auto s = saturation_of(queue(201, 2.0), 0.0, 402.0);
  CHECK(s.saturated);
  CHECK(s.arriving_per_s == Approx(1.0));
  CHECK(s.served_per_s == Approx(0.5));
  CHECK(s.queued_end == 100);
  CHECK(s.queued_middle == 50);
  CHECK(s.drain_s == Approx(202.0));
  CHECK(saturation_sentence(s).rfind("Saturated: 1.00 requests/s arrive, 0.500/s are served", 0) ==
        0);
}

TEST_CASE("A load that is served is no saturation, nor is a handful that waits") {
  CHECK_FALSE(saturation_of(queue(201, 0.9), 0.0, 201.0).saturated);
  CHECK_FALSE(saturation_of(queue(8, 2.0), 0.0, 16.0).saturated);
  CHECK_FALSE(saturation_of({}, 0.0, 1.0).saturated);
}

}  // namespace
}  // namespace foretoken::analysis
