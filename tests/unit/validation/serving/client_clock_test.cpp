#include "validation/serving/client_clock.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::validation::serving;

TEST_CASE("A stream interval shows as tokens in TTFT, a slow client as a constant") {
  std::vector<Observation> streamed, slow;
  for (int i = 1; i <= 12; ++i) {
    const double ttft = 0.1 * i, tpot = 0.004 * i + 0.002 * (i % 3);
    streamed.push_back({ttft, tpot, ttft + 9 * tpot, tpot});
    slow.push_back({ttft, tpot, ttft + 0.05, tpot});
  }
  const ClientClock tokens = fit_client_clock(streamed);
  CHECK(tokens.tokens == Approx(9).margin(1));
  CHECK(tokens.seconds == Approx(0).margin(0.011));
  const ClientClock constant = fit_client_clock(slow);
  CHECK(constant.seconds == Approx(0.05).margin(0.006));
  CHECK(constant.tokens == 0);
}

TEST_CASE("One row does not invent a clock; the error counts both times, capped") {
  const std::vector<Observation> one = {{0.1, 0.01, 0.12, 0.01}};
  CHECK(fit_client_clock(one).seconds <= 0.02);
  // Exact rows cost nothing; a row far off counts as one, not as thirty.
  CHECK(protocol_error({{0.1, 0.01, 0.1, 0.01}}) == Approx(0));
  CHECK(protocol_error({{3.0, 0.01, 0.1, 0.01}}) == Approx(1));
}
