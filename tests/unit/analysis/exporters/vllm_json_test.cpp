#include "analysis/exporters/vllm_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "analysis/summary.hpp"
#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

using exporters::SavedRun;
using exporters::token_gaps;
using exporters::vllm_json;
using nlohmann::json;

SavedRun saved(const Scenario& s, const ServingResult& r) {
  return {"runs/three", "serving", s.name, summary_json(s, r, summarise(s, r), {}), "{}"};
}

TEST_CASE("vLLM's file of three requests: scalars by hand") {
  const auto s = test::small_scenario();
  const auto r = test::small_result();
  const json j = json::parse(vllm_json(saved(s, r), r));
  // Ten seconds; 3 requests, 600 tokens in, 17 out. Two within 2 s and 1 s a token.
  CHECK(j["duration"] == 10.0);
  CHECK(j["completed"] == 3);
  CHECK(j["request_throughput"].get<double>() == Approx(0.3));
  CHECK(j["output_throughput"].get<double>() == Approx(1.7));
  CHECK(j["total_token_throughput"].get<double>() == Approx(61.7));
  CHECK(j["request_goodput"].get<double>() == Approx(0.2));
  CHECK(j["mean_ttft_ms"].get<double>() == Approx(1500));
  CHECK(j["p99_ttft_ms"].get<double>() == Approx(2960));
  // TPOT of two requests: 500 and 400 ms.
  CHECK(j["mean_tpot_ms"].get<double>() == Approx(450));
  // Gaps: 4 of 500 ms and 10 of 400 ms.
  CHECK(j["mean_itl_ms"].get<double>() == Approx((4 * 500.0 + 10 * 400.0) / 14));
  CHECK(j["itls"].size() == 3);
  CHECK(j["itls"][1].empty());
  CHECK(j["output_lens"] == json({5, 1, 11}));
}

TEST_CASE("a request that failed is a row of zeros with an error, as in vLLM") {
  const auto s = test::small_scenario();
  auto r = test::small_result();
  test::add_request(r, 9, kMissing, kMissing, kMissing, 50, 4, test::RequestOutcome::rejected);
  const json j = json::parse(vllm_json(saved(s, r), r));
  CHECK(j["failed"] == 1);
  CHECK(j["output_lens"][3] == 0);
  CHECK(j["ttfts"][3] == 0.0);
  CHECK_FALSE(j["errors"][3].get<std::string>().empty());
  CHECK(j["input_lens"].size() == j["start_times"].size());
}

TEST_CASE("warm-up requests stay out") {
  const auto s = test::small_scenario();
  auto r = test::small_result();
  r.window_start_s = 0.5;
  const json j = json::parse(vllm_json(saved(s, r), r));
  CHECK(j["completed"] == 2);
  CHECK(j["duration"] == 9.5);
}

TEST_CASE("a window without any completed request is refused") {
  const auto s = test::small_scenario();
  ServingResult r;
  r.window_end_s = 1;
  CHECK_THROWS_WITH(vllm_json(saved(s, r), r), Catch::Contains("no request"));
}

// Steps end at 1, 1.5, 2.5, 3; the client sees each 0.1 s later. A request of four tokens, the
// first at 1.1, the last at 3.1, got one from each.
TEST_CASE("gaps are those of the steps where these account for every token") {
  ServingResult r;
  test::add_request(r, 0, 0.5, 1.1, 3.1, 10, 4);
  test::add_request(r, 0, 0.5, 1.1, 3.1, 10, 3);  // no three of the steps fit
  r.steps.start_s = {0.5, 1.0, 1.5, 2.5};
  r.steps.duration_s = {0.5, 0.5, 1.0, 0.5};
  r.steps.replica = {0, 0, 0, 0};
  auto gaps = token_gaps(r);
  REQUIRE(gaps[0].from_steps);
  CHECK(gaps[0].gaps_s[0] == Approx(0.5));
  CHECK(gaps[0].gaps_s[1] == Approx(1.0));
  CHECK(gaps[0].gaps_s[2] == Approx(0.5));
  CHECK_FALSE(gaps[1].from_steps);
  CHECK(gaps[1].gaps_s == std::vector<double>{1.0, 1.0});
  r.steps.kept_every = 2;
  gaps = token_gaps(r);
  CHECK_FALSE(gaps[0].from_steps);
}

}  // namespace
}  // namespace foretoken::analysis
