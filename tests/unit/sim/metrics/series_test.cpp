#include "sim/metrics/series.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::sim::metrics;

namespace {
Time at(double s) { return Time::zero() + Duration::from_seconds(s); }
}  // namespace

TEST_CASE("a time-weighted mean weighs each value by how long it held") {
  // 0 for 1 s, 4 for 2 s, 1 for 1 s: (0 + 8 + 1) / 4 = 2.25.
  TimeWeighted w;
  w.set(at(1), 4.0);
  w.add(at(3), -3.0);
  CHECK(w.mean_to(at(4)) == Approx(2.25));
  CHECK(w.integral_to(at(4)) == Approx(9.0));
  CHECK(w.max() == 4.0);
  CHECK(w.value() == 1.0);
  CHECK_THROWS_AS(w.set(at(2), 0.0), std::logic_error);
}

TEST_CASE("a series holds the mean of each bin") {
  // 2 from 0.5 s to 1.5 s in bins of 1 s: 1 in each of the first two.
  TimeSeries s(Duration::from_seconds(1), 16);
  s.set(at(0.5), 2.0);
  s.set(at(1.5), 0.0);
  s.finish(at(2.5));
  const auto means = s.means();
  REQUIRE(means.size() == 3);
  CHECK(means[0] == Approx(1.0));
  CHECK(means[1] == Approx(1.0));
  CHECK(means[2] == 0.0);
}

TEST_CASE("when bins run out pairs join and nothing is lost") {
  // 100 s in at most 8 bins of first 1 s: widths double to 16 s.
  TimeSeries s(Duration::from_seconds(1), 8);
  for (int i = 0; i < 100; ++i) s.set(at(i), i % 2 == 0 ? 3.0 : 1.0);
  s.finish(at(100));
  CHECK(s.bin() == Duration::from_seconds(16));
  const auto means = s.means();
  REQUIRE(means.size() == 7);
  for (const double m : means) CHECK(m == Approx(2.0));
}

TEST_CASE("amounts become rates") {
  // 6 tokens inside the first 2 s bin: 3 a second.
  TimeSeries s(Duration::from_seconds(2), 4);
  for (int i = 0; i < 6; ++i) s.add_amount(at(0.3 * i), 1.0);
  s.finish(at(4));
  CHECK(s.means()[0] == Approx(3.0));
  CHECK(s.means()[1] == 0.0);
}

TEST_CASE("counters add up") {
  Counter a, b;
  a.add();
  b.add(4);
  a.merge(b);
  CHECK(a.value() == 5);
}
