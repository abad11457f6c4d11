// Random arrivals beyond Poisson, against their closed forms.
#include <catch2/catch.hpp>
#include <cmath>

#include "fixture.hpp"
#include "models/serving/arrivals.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;
using foretoken::sim::core::Duration;

namespace {

std::vector<double> times(const WorkloadSpec& workload, std::uint64_t seed = 1) {
  std::vector<double> out;
  const auto stream = make_open_arrivals(workload, seed);
  while (const auto request = stream->next())
    out.push_back(1e-12 * static_cast<double>(request->arrival_ps));
  return out;
}

WorkloadSpec with(const Arrivals& arrivals, std::int64_t requests) {
  WorkloadSpec workload;
  workload.arrivals = arrivals;
  workload.input = {1.0, 10};
  workload.output = {1.0, 10};
  workload.requests = requests;
  return workload;
}

struct Gaps {
  double mean = 0, cv = 0;
};

Gaps gaps_of(const std::vector<double>& times) {
  double sum = 0, squares = 0, before = 0;
  for (const double t : times) {
    sum += t - before;
    squares += (t - before) * (t - before);
    before = t;
  }
  const auto n = static_cast<double>(times.size());
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n) / (sum / n)};
}

}  // namespace

TEST_CASE("Gamma and Weibull gaps have the rate and the variation asked for") {
  // 40,000 gaps of mean 0.5 s and CV 2: standard error of the mean 2 x 0.5 / 200 = 0.005.
  for (const GapShape shape : {GapShape::gamma, GapShape::weibull})
    for (const double cv : {0.5, 2.0}) {
      const Gaps gaps = gaps_of(times(with(RenewalArrivals{shape, 2.0, cv}, 40'000)));
      CHECK(gaps.mean == Approx(0.5).margin(0.02));
      CHECK(gaps.cv == Approx(cv).epsilon(0.06));
    }
}

TEST_CASE("Deterministic arrivals come on the beat") {
  CHECK(times(with(RenewalArrivals{GapShape::deterministic, 4.0, 0.0}, 3)) ==
        std::vector<double>{0.25, 0.5, 0.75});
}

TEST_CASE("Weibull shape of a coefficient of variation") {
  CHECK(weibull_shape(1.0) == Approx(1.0));
  // k = 2: Gamma(2) / Gamma(1.5)^2 - 1 = 4 / pi - 1.
  CHECK(weibull_shape(std::sqrt(4 / M_PI - 1)) == Approx(2.0));
}

TEST_CASE("Modulated arrivals: rate and dispersion of a two-state process") {
  // On 20/s for 2 s, off for 6 s: mean 5/s. For windows much longer than the states the variance
  // over mean of counts is 1 + 2 (r1 - r0)^2 a b / ((a + b)^3 mean), a = 1/2, b = 1/6 the rates of
  // leaving: 1 + 2 x 400 / 12 / ((2/3)^3 x 5) = 1 + 66.67 / 1.4815 = 46.
  const auto at = times(with(ModulatedArrivals{{{20.0, 2.0}, {0.0, 6.0}}}, 200'000), 3);
  CHECK(offered_rate(with(ModulatedArrivals{{{20.0, 2.0}, {0.0, 6.0}}}, 1)) == Approx(5.0));
  CHECK(static_cast<double>(at.size()) / at.back() == Approx(5.0).epsilon(0.05));
  constexpr double kWindow = 100.0;
  std::vector<double> counts(static_cast<std::size_t>(at.back() / kWindow), 0.0);
  for (const double t : at)
    if (t < kWindow * static_cast<double>(counts.size()))
      ++counts[static_cast<std::size_t>(t / kWindow)];
  double sum = 0, squares = 0;
  for (const double c : counts) sum += c, squares += c * c;
  const auto n = static_cast<double>(counts.size());
  CHECK((squares / n - sum / n * sum / n) / (sum / n) == Approx(46.0).epsilon(0.25));
}

TEST_CASE("A profile shifts arrivals in time, not their number a period") {
  // Twice the rate in the first half of 100 s, none in the second, at 10/s: 1,000 a period.
  WorkloadSpec workload = with(PoissonArrivals{10.0}, 20'000);
  workload.profile = {{{0.0, 2.0}, {49.999, 2.0}, {50.0, 0.0}, {99.999, 0.0}}, 100.0};
  const auto at = times(workload);
  std::size_t second_half = 0;
  for (const double t : at) second_half += std::fmod(t, 100.0) > 50.1;
  CHECK(second_half <= 2);                          // the rate rises again in the last millisecond
  CHECK(at.back() == Approx(1975.0).margin(60.0));  // the 20th busy half or the 21st
  CHECK(offered_rate(workload) == Approx(10.0).epsilon(1e-3));
}

TEST_CASE("Classes are drawn by share and bring priority and deadline") {
  WorkloadSpec workload = with(PoissonArrivals{1.0}, 1);
  workload.classes = {{"chat", 3.0, 0, 5'000}, {"batch", 1.0, 2, -1}};
  int batch = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    TraceRequest request;
    finish_request(request, workload, 1, i);
    CHECK(request.priority == (request.tenant == 1 ? 2 : 0));
    CHECK(request.deadline_ps == (request.tenant == 1 ? -1 : 5'000));
    batch += request.tenant == 1;
  }
  CHECK(batch == Approx(2500).margin(175));  // four standard errors of sqrt(10^4 / 4 x 3 / 4) = 43
}

TEST_CASE("Lengths are scaled and never vanish; pairs stay pairs") {
  WorkloadSpec workload = with(PoissonArrivals{1.0}, 1);
  workload.input_scale = 0.5;
  workload.output_scale = 0.01;
  TraceRequest request;
  finish_request(request, workload, 1, 0);
  CHECK(request.input_tokens == 5);
  CHECK(request.output_tokens == 1);
  workload.input_scale = workload.output_scale = 1.0;
  auto pairs = std::make_shared<std::vector<TraceRequest>>();
  for (const int n : {1, 2, 3}) pairs->push_back({0, n, 100 * n});
  workload.lengths = pairs;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Lengths lengths = draw_lengths(workload, 1, i);
    CHECK(lengths.output == 100 * lengths.input);
  }
  CHECK(longest_request(workload) == 303);
}

TEST_CASE("Think time: a closed loop of one client, by hand") {
  // Prompt step 1 s, one token out, no think time: 1 s a request beside the hops; with 9 s of it
  // ten requests take about 100 s.
  ServingSpec spec = small_spec(64, 4);
  spec.workload.arrivals = ClosedLoopArrivals{1, 9.0};
  spec.workload.input = {1.0, 8};
  spec.workload.output = {1.0, 1};
  spec.workload.requests = 2'000;
  const auto result = simulate_with(spec, LinearTimer(1.0, 0, 0), blocks(100), {});
  REQUIRE(result.completed == 2'000);
  CHECK(result.requests.arrival_s.back() / 1999 == Approx(10.0).epsilon(0.08));
}

TEST_CASE("Conversations: every turn sends what was said before") {
  // 3 tokens asked and 2 answered a turn: turn k (from 0) has 3 + 5 k prompt tokens. Geometric with
  // mean 4: 2,000 sessions make 8,000 requests, standard error sqrt(2000 x 12) = 155.
  ServingSpec spec = small_spec(100'000, 1'000);
  spec.workload.arrivals = SessionArrivals{50.0, 4.0, 0.5};
  spec.workload.input = {1.0, 3};
  spec.workload.output = {1.0, 2};
  spec.workload.duration = Duration::from_seconds(40.0);
  const auto result = simulate_with(spec, LinearTimer(0.001, 0, 0), blocks(1'000'000), {});
  CHECK(result.conservation_errors.empty());
  std::int64_t first = 0, wrong = 0, longest = 0;
  for (std::size_t i = 0; i < result.requests.size(); ++i) {
    const auto input = result.requests.input_tokens[i];
    first += input == 3;
    wrong += (input - 3) % 5 != 0;
    longest = std::max<std::int64_t>(longest, input);
  }
  CHECK(wrong == 0);
  CHECK(longest > 3 + 5 * 8);
  CHECK(first == Approx(2000).margin(180));
  CHECK(result.arrived == Approx(8000).margin(800));
}

TEST_CASE("A client pool: rates by window, gaps of their shape, lengths of their window") {
  // Client 7: 5/s in the first 100 s, silent in the second; inputs 10 before, 20 after 50 s. Client
  // 9: 10/s in the second window only, Weibull. Two days: 1,000 and 2,000 requests.
  auto pool = std::make_shared<ClientPool>();
  pool->span_s = 200.0;
  pool->clients.push_back({7,
                           {{0.0, 5.0, 0.25, false}, {100.0, 0.0, 1.0, false}},
                           {{0.0, {10}, {1.0}}, {50.0, {20}, {1.0}}},
                           {{0.0, {1, 3}, {1.0, 1.0}}}});
  pool->clients.push_back({9,
                           {{0.0, 0.0, 1.0, false}, {100.0, 10.0, 0.7, true}},
                           {{0.0, {30}, {1.0}}},
                           {{0.0, {2}, {1.0}}}});
  CHECK(mean_rate(*pool) == Approx(7.5));
  CHECK(longest_request(*pool) == 32);
  WorkloadSpec workload;
  workload.arrivals = PoolArrivals{pool};
  workload.duration = Duration::from_seconds(400.0);
  std::int64_t of_7 = 0, of_9 = 0, before = 0;
  const auto stream = make_open_arrivals(workload, 5);
  while (const auto r = stream->next()) {
    CHECK(r->arrival_ps >= before);
    before = r->arrival_ps;
    const double day_s = std::fmod(1e-12 * static_cast<double>(r->arrival_ps), 200.0);
    if (r->tenant == 7) {
      ++of_7;
      CHECK(day_s <= 100.0);
      CHECK(r->input_tokens == (day_s < 50.0 ? 10 : 20));
    } else {
      ++of_9;
      CHECK(day_s >= 100.0);
      CHECK(r->output_tokens == 2);
    }
  }
  CHECK(of_7 == Approx(1000).margin(4 * 2 * std::sqrt(1000.0)));  // CV of the gaps is 2
  CHECK(of_9 == Approx(2000).margin(4 * 1.5 * std::sqrt(2000.0)));
}

TEST_CASE("A client pool from the middle of its day") {
  auto pool = std::make_shared<ClientPool>();
  pool->span_s = 200.0;
  pool->clients.push_back({1,
                           {{0.0, 0.0, 1.0, false}, {100.0, 10.0, 1.0, false}},
                           {{0.0, {30}, {1.0}}},
                           {{0.0, {2}, {1.0}}}});
  WorkloadSpec workload;
  workload.arrivals = PoolArrivals{pool, 2.0, 150.0};
  workload.duration = Duration::from_seconds(50.0);
  CHECK(times(workload).size() == Approx(1000).margin(130));
  workload.duration = Duration::from_seconds(150.0);  // then a silent half day
  CHECK(times(workload).size() == Approx(1000).margin(130));
}
