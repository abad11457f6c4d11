#include "models/serving/time_warp.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace foretoken::models::serving;

TEST_CASE("Without points the clock is left alone") {
  CHECK(TimeWarp({}).none());
  CHECK(mean_factor({}) == 1.0);
}

TEST_CASE("A ramp from 1 to 3 over 10 s, then level") {
  // Integral to t: t + t^2 / 10. At 10 s: 20. Area 2.4: t^2 + 10 t - 24 = 0, t = 2. Then to 20 at
  // 10 s; 6 more at level 3 take 2 s.
  TimeWarp warp({{{0.0, 1.0}, {10.0, 3.0}}, 0.0});
  CHECK(warp.advance(2.4) == Approx(2.0));
  CHECK(warp.advance(17.6) == Approx(10.0));
  CHECK(warp.advance(6.0) == Approx(12.0));
  CHECK(mean_factor({{{0.0, 1.0}, {10.0, 3.0}}, 0.0}) == 3.0);
}

TEST_CASE("A day repeats, and goes over from its last point into its first") {
  // Points 0 at 2 s, 4 at 6 s, period 8 s: from 6 to 10 s the rate falls from 4 to 0. At 0 s (as at
  // 8) it is 2. Areas: 0-2 s: 2; 2-6 s: 8; 6-8 s: 6; a period: 16, mean 2.
  const RateProfile profile{{{2.0, 0.0}, {6.0, 4.0}}, 8.0};
  CHECK(mean_factor(profile) == Approx(2.0));
  TimeWarp warp(profile);
  CHECK(warp.advance(2.0) == Approx(2.0));
  CHECK(warp.advance(8.0) == Approx(6.0));
  CHECK(warp.advance(6.0) == Approx(8.0));
  CHECK(warp.advance(16.0 * 1000) == Approx(8.0 * 1001));
}

TEST_CASE("A rate that ends in zero never grows the integral again") {
  TimeWarp warp({{{0.0, 2.0}, {4.0, 0.0}}, 0.0});  // area 4 in all
  CHECK(warp.advance(3.0) == Approx(2.0));
  CHECK(std::isinf(warp.advance(1.5)));
}
