#include "analysis/exporters/serving_trace.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

using exporters::estimate_serving_trace;
using exporters::serving_trace_json;
using nlohmann::json;

std::map<std::string, int> phases(const json& trace) {
  std::map<std::string, int> count;
  for (const auto& event : trace["traceEvents"]) ++count[event["ph"].get<std::string>()];
  return count;
}

// Three steps, three requests of four nested spans, three bins of four counters.
TEST_CASE("a run's steps, requests and counters as Chrome trace") {
  const auto run = test::small_result();
  const json trace = json::parse(serving_trace_json(run, {}));
  auto count = phases(trace);
  CHECK(count["X"] == 3);
  CHECK(count["b"] == 12);
  CHECK(count["e"] == 12);
  CHECK(count["C"] == 12);
  const auto size = estimate_serving_trace(run, {});
  CHECK(size.events == 3 + 24 + 12);
  CHECK(static_cast<double>(size.bytes) ==
        Approx(static_cast<double>(serving_trace_json(run, {}).size())).epsilon(0.2));
}

TEST_CASE("spans of a request nest: every end has its begin, in order of time") {
  const json trace = json::parse(serving_trace_json(test::large_result(200), {}));
  std::map<int, std::vector<std::string>> open;
  std::map<int, double> last;
  for (const auto& event : trace["traceEvents"]) {
    if (!event.contains("id")) continue;
    const int id = event["id"];
    CHECK(event["ts"].get<double>() >= last[id]);
    last[id] = event["ts"];
    if (event["ph"] == "b") {
      open[id].push_back(event["name"]);
    } else {
      REQUIRE_FALSE(open[id].empty());
      CHECK(open[id].back() == event["name"].get<std::string>());
      open[id].pop_back();
    }
  }
  for (const auto& [id, stack] : open) CHECK(stack.empty());
}

TEST_CASE("a window and replicas select") {
  const auto run = test::small_result();
  TraceSelection window;
  window.from_s = 5;
  CHECK(phases(json::parse(serving_trace_json(run, window)))["X"] == 1);  // the step from 4 to 9
  TraceSelection other;
  other.devices = {7};
  CHECK(phases(json::parse(serving_trace_json(run, other)))["X"] == 0);
}

}  // namespace
}  // namespace foretoken::analysis
