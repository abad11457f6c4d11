#include "models/serving/request_watch.hpp"

#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;
using Kind = RequestEvent::Kind;

TEST_CASE("The life of a request: queued, prefilled in two steps, preempted, finished") {
  // Budget 10, blocks of 4, 6 of them, 1 s a step. 0: 8 in, 9 out. 1 (watched): 12 in, 4 out.
  //   step 1: 8 of 0, 2 of 1         step 2: 0 decodes, 9 of 1        step 3: 0 decodes, the last
  //   of 1
  ServingSpec spec = small_spec(10, 16);
  spec.workload.arrivals = trace({{0.0, 8, 9}, {0.0, 12, 4}});
  spec.watch = 1;
  const auto result = simulate_with(spec, LinearTimer(1.0, 0, 0), blocks(6), {});
  REQUIRE(result.completed == 2);
  const auto& events = result.watched;
  REQUIRE(events.size() >= 8);
  CHECK(events[0].kind == Kind::reached);
  CHECK(events[0].a == 1);  // behind the other
  CHECK(events[1].kind == Kind::admitted);
  CHECK(events[2].kind == Kind::chunk);
  CHECK(events[2].a == 2);
  CHECK(events[2].b == 10);
  CHECK(events[3].kind == Kind::chunk);
  CHECK(events[3].a == 9);
  CHECK(events[3].c == 1);
  CHECK(events[4].a == 1);
  CHECK(events[5].kind == Kind::token);
  std::int64_t preemptions = 0, tokens = 0, processed = 0;
  for (const auto& e : events) {
    preemptions += e.kind == Kind::preempted;
    if (e.kind == Kind::chunk) processed += e.a;
    if (e.kind == Kind::decoded) tokens += e.a;
  }
  CHECK(preemptions == result.requests.preemptions[1]);
  CHECK(preemptions >= 1);
  // One token comes out of the prompt's end, one more from the end of a recomputation.
  CHECK(tokens <= 2);
  CHECK(processed > 12);
  CHECK(events.back().kind == Kind::finished);

  ServingSpec blind = spec;
  blind.watch = -1;
  const auto same = simulate_with(blind, LinearTimer(1.0, 0, 0), blocks(6), {});
  CHECK(same.watched.empty());
  CHECK(same.requests.last_token_s == result.requests.last_token_s);
}
