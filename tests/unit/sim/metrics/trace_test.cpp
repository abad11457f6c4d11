#include "sim/metrics/trace.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::sim;
using metrics::Trace;

TEST_CASE("records come out by time, and what does not fit is counted") {
  Trace trace(2);
  const auto step = trace.name("step");
  CHECK(trace.name("step") == step);
  CHECK(trace.name("swap") != step);
  const auto gpu = trace.track("gpu 0");
  trace.add({core::Time::from_ps(20), core::Duration::picoseconds(5), gpu, step, 1});
  trace.add({core::Time::from_ps(10), core::Duration::picoseconds(5), gpu, step, 2});
  trace.add({core::Time::from_ps(30), core::Duration::picoseconds(5), gpu, step, 3});
  const auto records = trace.sorted();
  REQUIRE(records.size() == 2);
  CHECK(records[0].value == 2);
  CHECK(records[1].value == 1);
  CHECK(trace.dropped() == 1);
  CHECK(trace.names()[step] == "step");
  CHECK(trace.tracks()[gpu] == "gpu 0");
}
