#include "analysis/statistics.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/slo.hpp"
#include "fixture.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

using models::serving::RequestOutcome;
using test::add_request;
using test::small_result;
using test::small_scenario;

TEST_CASE("percentile: linear between order statistics") {
  // 0 10 20 30: q = 0.9 lies at position 3 * 0.9 = 2.7, so 20 + 0.7 * 10 = 27.
  const std::vector<double> v{0, 10, 20, 30};
  CHECK(percentile(v, 0.9) == Approx(27).epsilon(1e-15));
  CHECK(percentile(v, 0.0) == 0);
  CHECK(percentile(v, 1.0) == 30);
  CHECK(percentile(v, 0.5) == 15);
  CHECK(std::isnan(percentile({}, 0.5)));
  CHECK(percentile(std::vector<double>{7}, 0.99) == 7);
}

TEST_CASE("percentile: within the data and monotone") {
  CHECK(rc::check("monotone", [](std::vector<int> ints) {
    RC_PRE(!ints.empty());
    std::vector<double> v(ints.begin(), ints.end());
    const Distribution d = describe(v);
    RC_ASSERT(d.min <= d.p50 && d.p50 <= d.p90 && d.p90 <= d.p95);
    RC_ASSERT(d.p95 <= d.p99 && d.p99 <= d.max);
  }));
}

TEST_CASE("describe: nothing, and order does not matter") {
  CHECK(describe(std::vector<double>{}).n == 0);
  CHECK(std::isnan(describe(std::vector<double>{}).p99));
  const Distribution a = describe(std::vector<double>{0.1, 0.7, 0.3}),
                     b = describe({0.7, 0.3, 0.1});
  CHECK(a.mean == b.mean);
  CHECK(a.std == b.std);
  CHECK_THROWS_AS(statistic(a, "p42"), sim::core::InputError);
}

TEST_CASE("three requests by hand: latencies") {
  const Metrics m = summarise(small_scenario(), small_result());
  CHECK(m.arrived == 3);
  CHECK(m.completed == 3);
  // TTFT 0.5 1 3: p90 at position 1.8 = 1 + 0.8 * 2; mean 4.5/3; variance (1 + 0.25 + 2.25)/3.
  CHECK(m.ttft.n == 3);
  CHECK(m.ttft.mean == Approx(1.5));
  CHECK(m.ttft.p50 == Approx(1.0));
  CHECK(m.ttft.p90 == Approx(2.6));
  CHECK(m.ttft.p95 == Approx(2.8));
  CHECK(m.ttft.p99 == Approx(2.96));
  CHECK(m.ttft.std == Approx(std::sqrt(3.5 / 3)));
  // TPOT 0.4 0.5: the request of one token has none.
  CHECK(m.tpot.n == 2);
  CHECK(m.tpot.mean == Approx(0.45));
  CHECK(m.tpot.p90 == Approx(0.49));
  CHECK(m.tpot.std == Approx(0.05));
  // E2EL 0.5 3 7: p99 at position 1.98 = 3 + 0.98 * 4.
  CHECK(m.e2el.mean == Approx(3.5));
  CHECK(m.e2el.p99 == Approx(6.92));
  // Queueing 0.5 0 2, prefill 0.5 0.5 1, decode 2 0 4.
  CHECK(m.queueing.mean == Approx(2.5 / 3));
  CHECK(m.prefill.mean == Approx(2.0 / 3));
  CHECK(m.decode.mean == Approx(2.0));
}

TEST_CASE("three requests by hand: throughput, KV and concurrency") {
  const Metrics m = summarise(small_scenario(), small_result());
  CHECK(m.request_rate.value == Approx(0.3));     // 3 / 10 s
  CHECK(m.output_rate.value == Approx(1.7));      // 17 / 10 s
  CHECK(m.total_rate.value == Approx(61.7));      // (600 + 17) / 10 s
  CHECK(m.output_per_gpu.value == Approx(0.85));  // 17 / (2 GPUs * 10 s)
  CHECK(m.output_per_gpu.numerator == 17);
  CHECK(m.output_per_gpu.gpu_seconds == 20);
  CHECK(m.total_per_gpu.value == Approx(30.85));
  CHECK(m.input_per_gpu.value == Approx(30.0));
  CHECK(m.tokens_per_s_per_user_p50 == Approx(1 / 0.45));
  CHECK(m.mean_concurrency == Approx(1.05));  // (3 + 0.5 + 7) / 10
  CHECK(m.peak_concurrency == 2);             // 0 and 1, then 0 and 2
  // Bins of 4 s, the last half outside: (4*0.2 + 4*0.6 + 2*0.4) / 10.
  CHECK(m.mean_kv_used == Approx(0.4));
  CHECK(m.peak_kv_used == Approx(0.6));
  CHECK(m.idle_share == Approx(0.5));  // 5 of 10 s
}

TEST_CASE("three requests by hand: energy and cost") {
  const Metrics m = summarise(small_scenario(), small_result());
  CHECK(m.energy.j_per_output_token_gpu == Approx(100));       // 1700 / 17
  CHECK(m.energy.j_per_output_token_server == Approx(200));    // 3400 / 17
  CHECK(m.energy.j_per_output_token_facility == Approx(300));  // * PUE 1.5
  CHECK(m.energy.mean_facility_watts == Approx(510));          // 3400 * 1.5 / 10 s
  // 2 GPUs * 3.6 USD = 7.2 USD/h for 1.7 * 3600 = 6120 output tokens/h.
  CHECK(m.cost.total_usd_per_hour == Approx(7.2));
  CHECK(m.cost.usd_per_million_output_tokens == Approx(7.2 / 6120 * 1e6));
  CHECK(m.cost.cny_per_million_output_tokens == Approx(7 * 7.2 / 6120 * 1e6));
  CHECK(m.cost.usd_per_million_total_tokens == Approx(7.2 / (61.7 * 3600) * 1e6));
}

TEST_CASE("three requests by hand: SLO") {
  // ttft.p90 = 2.6 s against 2 s: 30 % over; tpot.p99 = 0.499 s against 1 s: 50.1 % to spare.
  const Metrics m = summarise(small_scenario(), small_result());
  REQUIRE(m.slo.terms.size() == 2);
  CHECK_FALSE(m.slo.met);
  CHECK_FALSE(m.slo.terms[0].met);
  CHECK(m.slo.terms[0].margin == Approx(-0.3));
  CHECK(m.slo.terms[0].attainment == Approx(2.0 / 3));
  CHECK(m.slo.terms[1].met);
  CHECK(m.slo.terms[1].margin == Approx(0.501));
  CHECK(m.slo.terms[1].attainment == 1.0);  // one token: nothing to be late between
  CHECK(m.slo.good == 2);
  CHECK(m.slo.attainment == Approx(2.0 / 3));
  CHECK(m.slo.goodput == Approx(0.2));  // 2 / 10 s
}

TEST_CASE("SLO: the stated error decides what is undecided") {
  // 2.6 s * (1 - 0.2) = 2.08 s still misses 2 s; * (1 - 0.25) = 1.95 s would meet it.
  ServingResult r = small_result();
  r.latency_relative_error = 0.20;
  CHECK_FALSE(summarise(small_scenario(), r).slo.inside_error);
  r.latency_relative_error = 0.25;
  CHECK(summarise(small_scenario(), r).slo.inside_error);
  // At 50 %: latencies 1.5 times as long leave TTFT 0.75 and 1.5 within 2 s; half as long
  // all three, TTFT 1.5 of the last among them.
  r.latency_relative_error = 0.5;
  const Metrics m = summarise(small_scenario(), r);
  CHECK(m.slo.attainment_low == Approx(2.0 / 3));
  CHECK(m.slo.attainment_high == 1.0);
}

TEST_CASE("SLO: a clear miss is not softened by another term near its limit") {
  ServingResult r = small_result();
  Scenario s = small_scenario();
  s.slo[1].limit_s = 0.5;  // 0.499 s: within any error of it
  CHECK_FALSE(summarise(s, r).slo.inside_error);
}

TEST_CASE("SLO: rejected and unfinished requests are misses") {
  ServingResult r = small_result();
  add_request(r, 3, kMissing, kMissing, kMissing, 100, 0, RequestOutcome::rejected);
  add_request(r, 4, 4, kMissing, kMissing, 100, 0, RequestOutcome::unfinished);
  const Metrics m = summarise(small_scenario(), r);
  CHECK(m.arrived == 5);
  CHECK(m.completed == 3);
  CHECK(m.rejected == 1);
  CHECK(m.unfinished == 1);
  CHECK(m.ttft.n == 3);  // the shown percentiles are of what completed
  CHECK(m.slo.attainment == Approx(2.0 / 5));
  // With two of five infinitely late the 90th percentile (position 3.6) does not exist.
  CHECK(std::isinf(m.slo.terms[0].value_s));
  CHECK_FALSE(m.slo.terms[0].met);
  CHECK_FALSE(m.slo.terms[0].inside_error);
}

TEST_CASE("SLO: of several terms on one metric the highest percentile binds a request") {
  Scenario s = small_scenario();
  s.slo = {{"ttft", "p50", 1.0, "ttft.p50 <= 1s"}, {"ttft", "p99", 3.0, "ttft.p99 <= 3s"}};
  const Metrics m = summarise(s, small_result());
  CHECK(m.slo.met);                // 1 <= 1 and 2.96 <= 3
  CHECK(m.slo.attainment == 1.0);  // every TTFT within 3 s
  CHECK(m.slo.terms[0].attainment == Approx(2.0 / 3));
}

TEST_CASE("window: what arrived before it is served but not counted") {
  ServingResult r = small_result();
  r.window_start_s = 0.5;  // request 0 is warm-up
  const Metrics m = summarise(small_scenario(), r);
  CHECK(m.arrived == 2);
  CHECK(m.ttft.n == 2);
  CHECK(m.ttft.p50 == Approx(1.75));  // 0.5 and 3
  CHECK(m.finished_in_window == 3);   // it still finished inside
  CHECK(m.output_rate.value == Approx(17 / 9.5));
}

TEST_CASE("a run without a single request") {
  ServingResult r;
  const Metrics m = summarise(small_scenario(), r);
  CHECK(m.arrived == 0);
  CHECK(std::isnan(m.ttft.p50));
  CHECK(std::isnan(m.output_rate.value));
  CHECK(std::isnan(m.slo.attainment));
  CHECK(std::isnan(m.cost.cny_per_million_output_tokens));
}

TEST_CASE("throughput error: slack makes the load decide, saturation the speed") {
  // Last arrival at 2 s of a 10 s window: 8/10 of it depends on speed; error 10 % -> 8 %.
  // In flight on average (4*1 + 4*3 + 2*1)/10 = 1.8, times 1.1^2 = 2.178.
  const ServingResult r = small_result();
  Scenario s = small_scenario();
  s.serving.deployment.batching.max_sequences = 3;
  CHECK(*summarise(s, r).throughput.relative_error == Approx(0.08));
  s.serving.deployment.batching.max_sequences = 2;  // slower steps would fill both places
  CHECK(*summarise(s, r).throughput.relative_error == Approx(0.1));
  s.serving.deployment.batching.max_sequences = 100;
  ServingResult full = r;
  full.series.kv_used_fraction = {1, 1, 1};  // no blocks left
  CHECK(*summarise(s, full).throughput.relative_error == Approx(0.1));
  ServingResult backlog = r;
  backlog.window_end_s = 30;  // 28 s to drain, far beyond twice the 6.92 s of E2EL p99
  CHECK(*summarise(s, backlog).throughput.relative_error == Approx(0.1));
  s.serving.workload.arrivals = models::serving::ClosedLoopArrivals{2};
  CHECK(*summarise(s, r).throughput.relative_error == Approx(0.1));
}

TEST_CASE("cost provenance: a price from a card is assumed, the user's is not") {
  Scenario s = small_scenario();
  CHECK(summarise(s, small_result()).money.provenance == sim::core::Provenance::analytical);
  s.resolved.back().origin = "card prices-2026";
  CHECK(summarise(s, small_result()).money.provenance == sim::core::Provenance::assumed);
  // What is known of it is the error of the tokens it is divided by.
  CHECK(summarise(s, small_result()).money.relative_error ==
        summarise(s, small_result()).throughput.relative_error);
}

// Two GPUs at 3.6 USD an hour, and 0.02 USD in ten seconds for what went elsewhere: 7.2 more.
TEST_CASE("metrics: what a remote interface charges is part of the cost") {
  auto r = small_result();
  const Metrics without = summarise(small_scenario(), r);
  r.remote = {1, 100, 5, 0.02};
  const Metrics with = summarise(small_scenario(), r);
  CHECK(without.cost.total_usd_per_hour == Approx(7.2));
  CHECK(with.cost.total_usd_per_hour == Approx(14.4));
  CHECK(with.cost.per_hour.back().name == "api");
  CHECK(with.cost.per_hour.back().cny == Approx(7.2 * 7.0));
  CHECK(with.cost.usd_per_million_output_tokens ==
        Approx(2 * without.cost.usd_per_million_output_tokens));
}

TEST_CASE("metrics: power carries its card's error, energy that of the time as well") {
  Scenario s = small_scenario();
  s.serving.deployment.power.relative_error = 0.15;
  const Metrics m = summarise(s, small_result());
  CHECK(m.power.relative_error == 0.15);
  REQUIRE(m.throughput.relative_error);
  CHECK(*m.energy_figure.relative_error == Approx(0.15 + *m.throughput.relative_error));
}

}  // namespace
}  // namespace foretoken::analysis
