#include "models/serving/arrivals.hpp"

#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "sim/core/error.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;
using foretoken::sim::core::Duration;

namespace {

std::vector<TraceRequest> all(const WorkloadSpec& workload, std::uint64_t seed = 1) {
  std::vector<TraceRequest> requests;
  const auto stream = make_open_arrivals(workload, seed);
  while (const auto request = stream->next()) requests.push_back(*request);
  return requests;
}

}  // namespace

TEST_CASE("A trace at twice the rate comes in half the time; duration and number cut it") {
  WorkloadSpec workload;
  auto arrivals = trace({{0.0, 1, 1}, {1.0, 2, 2}, {4.0, 3, 3}});
  arrivals.rate_scale = 2.0;
  workload.arrivals = arrivals;
  auto requests = all(workload);
  REQUIRE(requests.size() == 3);
  CHECK(requests[2].arrival_ps == 2'000'000'000'000);
  workload.duration = Duration::from_seconds(2.0);  // arrivals stop at, not after
  CHECK(all(workload).size() == 2);
  workload.duration.reset();
  workload.requests = 1;
  CHECK(all(workload).size() == 1);
}

TEST_CASE("Poisson arrivals: mean and variance of the gaps are those of an exponential") {
  // 20,000 gaps of mean 0.25 s: standard error of the mean 0.25 / sqrt(20,000) = 0.0018; of the
  // variance (0.0625) sqrt(8 / 20,000) x 0.0625 = 0.00125. Four of each.
  WorkloadSpec workload;
  workload.arrivals = PoissonArrivals{4.0};
  workload.input = {1.0, 5};
  workload.output = {1.0, 5};
  workload.requests = 20'000;
  const auto requests = all(workload, 7);
  REQUIRE(requests.size() == 20'000);
  double sum = 0, squares = 0;
  std::int64_t before = 0;
  for (const auto& r : requests) {
    const double gap = static_cast<double>(r.arrival_ps - before) * 1e-12;
    sum += gap;
    squares += gap * gap;
    before = r.arrival_ps;
  }
  const double mean = sum / 20'000;
  CHECK(mean == Approx(0.25).margin(0.0072));
  CHECK(squares / 20'000 - mean * mean == Approx(0.0625).margin(0.005));
}

TEST_CASE("Lengths are uniform over both ends and depend on the request's number alone") {
  WorkloadSpec workload;
  workload.input = {0.8, 10};  // 8, 9 or 10
  workload.output = {1.0, 7};
  int count[11] = {};
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    const Lengths lengths = draw_lengths(workload, 1, i);
    ++count[lengths.input];
    CHECK(lengths.output == 7);
  }
  // Binomial(3000, 1/3): 1000 with a standard deviation of 26.
  for (const int tokens : {8, 9, 10}) CHECK(count[tokens] == Approx(1000).margin(110));
  CHECK(draw_lengths(workload, 1, 5).input == draw_lengths(workload, 1, 5).input);
}

TEST_CASE("Fitting a request into the context") {
  Lengths fits{60, 40};
  CHECK(fit_context(fits, 100, false));
  Lengths refused{61, 40};
  CHECK_FALSE(fit_context(refused, 100, false));
  Lengths cut{500, 40};
  CHECK(fit_context(cut, 100, true));
  CHECK(cut.input == 60);
  CHECK(cut.output == 40);
  Lengths long_output{10, 500};
  CHECK(fit_context(long_output, 100, true));
  CHECK(long_output.input == 1);
  CHECK(long_output.output == 99);
}

TEST_CASE("The longest request of a workload") {
  WorkloadSpec workload;
  workload.arrivals = trace({{0.0, 10, 5}, {1.0, 3, 30}});
  CHECK(longest_request(workload) == 33);
  workload.arrivals = ClosedLoopArrivals{2};
  workload.input = {0.5, 100};
  workload.output = {0.5, 50};
  CHECK(longest_request(workload) == 150);
}

TEST_CASE("Workloads that cannot be simulated say why") {
  WorkloadSpec workload;
  workload.arrivals = TraceArrivals{};
  CHECK_THROWS_AS(check_workload(workload), foretoken::sim::core::InputError);
  workload.arrivals = trace({{0.0, 0, 5}});
  CHECK_THROWS_AS(check_workload(workload), foretoken::sim::core::InputError);
  workload.arrivals = ClosedLoopArrivals{0};
  workload.input = {1.0, 1};
  workload.output = {1.0, 1};
  workload.requests = 0;
  try {
    check_workload(workload);
    FAIL("accepted");
  } catch (const foretoken::sim::core::InputError& error) {
    CHECK(error.diagnostics().size() == 2);  // concurrency and number
  }
}

// Mean 800 and sigma 1: the median is 800 / sqrt(e) = 485.
TEST_CASE("Log-normal lengths have the stated mean and median, and end at the longest") {
  WorkloadSpec workload;
  workload.input = {.low_fraction = 1.0, .tokens = 100'000, .mean = 800, .sigma = 1.0};
  workload.output = {.low_fraction = 1.0, .tokens = 900, .mean = 800, .sigma = 1.0};
  double sum = 0;
  int below = 0, longest = 0;
  constexpr int kRequests = 40'000;
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    const Lengths lengths = draw_lengths(workload, 7, i);
    sum += lengths.input;
    below += lengths.input < 485;
    longest = std::max(longest, lengths.output);
    REQUIRE(lengths.input >= 1);
  }
  CHECK(sum / kRequests == Approx(800).epsilon(0.02));
  CHECK(below / double(kRequests) == Approx(0.5).margin(0.01));
  CHECK(longest == 900);
}
