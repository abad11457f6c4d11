#include "sim/metrics/histogram.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using foretoken::sim::metrics::Histogram;

namespace {

// Values over nine decades, from a fixed recurrence.
std::vector<double> spread(std::size_t n) {
  std::vector<double> values;
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    values.push_back(std::pow(10.0, -6.0 + 9.0 * static_cast<double>(state >> 11) * 0x1p-53));
  }
  return values;
}

}  // namespace

TEST_CASE("percentiles are NumPy's") {
  // np.percentile([15, 20, 35, 40, 50], [0, 25, 40, 99, 100]) = [15, 20, 29, 49.6, 50].
  Histogram h;
  for (const double v : {50.0, 15.0, 40.0, 20.0, 35.0}) h.add(v);
  CHECK(h.percentile(0) == 15.0);
  CHECK(h.percentile(25) == 20.0);
  CHECK(h.percentile(40) == Approx(29.0));
  CHECK(h.percentile(99) == Approx(49.6));
  CHECK(h.percentile(100) == 50.0);
  CHECK(h.mean() == Approx(32.0));
  CHECK(h.exact());
}

TEST_CASE("beyond the exact limit percentiles stay within half a percent") {
  const auto values = spread(50'000);
  Histogram exact, rough(1000);
  for (const double v : values) {
    exact.add(v);
    rough.add(v);
  }
  CHECK(exact.exact());
  CHECK_FALSE(rough.exact());
  for (const double p : {0.0, 0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    CHECK(rough.percentile(p) == Approx(exact.percentile(p)).epsilon(Histogram::kRelativeError));
  }
  CHECK(rough.sum() == exact.sum());
  CHECK(rough.min() == exact.min());
  CHECK(rough.max() == exact.max());
  CHECK(rough.bytes() < 100'000);
}

TEST_CASE("merging is exact and free of order") {
  const auto values = spread(9000);
  for (const std::size_t limit : {100UL, 5000UL, 100'000UL}) {
    Histogram whole(limit), forward(limit), backward(limit);
    std::vector<Histogram> parts(7, Histogram(limit));
    for (std::size_t i = 0; i < values.size(); ++i) {
      whole.add(values[i]);
      parts[i % 7].add(values[i]);
    }
    for (const Histogram& p : parts) forward.merge(p);
    std::reverse(parts.begin(), parts.end());
    for (const Histogram& p : parts) backward.merge(p);
    for (const Histogram* h : {&forward, &backward}) {
      CHECK(h->count() == whole.count());
      CHECK(h->sum() == whole.sum());
      CHECK(h->exact() == whole.exact());
      CHECK(h->percentile(50) == whole.percentile(50));
      CHECK(h->percentile(99) == whole.percentile(99));
      CHECK(h->buckets().size() == whole.buckets().size());
    }
  }
}

TEST_CASE("zero has its own place, and what is not a value is refused") {
  Histogram h(2);
  for (int i = 0; i < 10; ++i) h.add(0.0);
  h.add(5.0);
  CHECK(h.percentile(50) == 0.0);
  CHECK(h.percentile(100) == 5.0);
  CHECK_THROWS_AS(h.add(-1.0), std::invalid_argument);
  CHECK_THROWS_AS(h.add(std::nan("")), std::invalid_argument);
  CHECK_THROWS_AS(h.add(INFINITY), std::invalid_argument);
  CHECK_THROWS_AS(h.percentile(101), std::invalid_argument);
  CHECK_THROWS_AS(Histogram().percentile(50), std::logic_error);
}

TEST_CASE("buckets cover every value once") {
  Histogram h;
  for (const double v : {1.0, 1.001, 2.0, 1000.0}) h.add(v);
  std::uint64_t n = 0;
  for (const auto& b : h.buckets()) {
    n += b.count;
    CHECK(b.high / b.low - 1.0 <= 1.0 / 128 + 1e-12);
  }
  CHECK(n == 4);
  CHECK(h.buckets().front().count == 2);
}
