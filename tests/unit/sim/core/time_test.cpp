#include "sim/core/time.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>

#include "sim/core/units.hpp"

using namespace foretoken::sim::core;

TEST_CASE("seconds are rounded to the nearest picosecond") {
  CHECK(Duration::from_seconds(1.0).ps() == 1'000'000'000'000);
  CHECK(Duration::from_seconds(1.4e-12).ps() == 1);
  CHECK(Duration::from_seconds(1.6e-12).ps() == 2);
  CHECK(Duration::from_seconds(-2.5e-6).ps() == -2'500'000);
  CHECK(Duration::from_seconds(3.5e-3).seconds() == Approx(3.5e-3));
}

TEST_CASE("what lies beyond 106 days is refused") {
  // 2^63 ps = 9.22e6 s = 106.75 days.
  CHECK(Duration::from_seconds(106.0 * 86400).seconds() == Approx(106.0 * 86400));
  CHECK_THROWS_AS(Duration::from_seconds(107.0 * 86400), std::range_error);
  CHECK_THROWS_AS(Duration::from_seconds(-107.0 * 86400), std::range_error);
  CHECK_THROWS_AS(Duration::from_seconds(std::nan("")), std::range_error);
  CHECK_THROWS_AS(Duration::from_seconds(INFINITY), std::range_error);
}

TEST_CASE("points and spans combine") {
  const Time t = Time::from_ps(100) + Duration::picoseconds(50);
  CHECK(t.ps() == 150);
  CHECK((t - Time::from_ps(30)).ps() == 120);
  CHECK(Time::zero() < t);
  CHECK(t < Time::never());
}

TEST_CASE("quantities combine as physics does") {
  // 80 bytes at 20 bytes/s take 4 s; 300 W for 2 s are 600 J.
  CHECK(seconds_of(Bytes(80), BytesPerSecond(20)) == 4.0);
  CHECK(seconds_of(Flops(1e12), FlopsPerSecond(2e12)) == 0.5);
  CHECK((Watts(300) * Duration::from_seconds(2)).value() == Approx(600));
  CHECK((Bytes(6) / Bytes(3)) == 2.0);
}
