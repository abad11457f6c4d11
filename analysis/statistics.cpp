#include "analysis/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/error.hpp"

namespace foretoken::analysis {

double percentile(std::span<const double> ascending, double q) {
  if (ascending.empty()) return kMissing;
  const double position = static_cast<double>(ascending.size() - 1) * q;
  const auto lower = static_cast<std::size_t>(std::floor(position));
  const auto upper = std::min(lower + 1, ascending.size() - 1);
  const double fraction = position - static_cast<double>(lower);
  const double step = ascending[upper] - ascending[lower];
  // From the nearer end, as NumPy does: equal to the last bit.
  return fraction < 0.5 ? ascending[lower] + fraction * step
                        : ascending[upper] - (1.0 - fraction) * step;
}

Distribution describe(std::vector<double> values) {
  Distribution d;
  d.n = values.size();
  d.ascending = std::move(values);
  if (d.n == 0) return d;
  // Sorting first fixes the order of the sums: the same values give the same mean bit for bit.
  std::sort(d.ascending.begin(), d.ascending.end());
  const auto n = static_cast<double>(d.n);
  d.mean = std::accumulate(d.ascending.begin(), d.ascending.end(), 0.0) / n;
  double squares = 0.0;
  for (const double v : d.ascending) squares += (v - d.mean) * (v - d.mean);
  d.std = std::sqrt(squares / n);
  d.min = d.ascending.front();
  d.p50 = percentile(d.ascending, 0.50);
  d.p90 = percentile(d.ascending, 0.90);
  d.p95 = percentile(d.ascending, 0.95);
  d.p99 = percentile(d.ascending, 0.99);
  d.max = d.ascending.back();
  return d;
}

Distribution describe(const sim::metrics::Histogram& sketch) {
  constexpr int kQuantiles = 1000;
  Distribution d;
  d.n = sketch.count();
  if (d.n == 0) return d;
  for (int i = 0; i <= kQuantiles; ++i)
    d.ascending.push_back(sketch.percentile(100.0 * i / kQuantiles));
  d.mean = sketch.mean();
  d.min = sketch.min();
  d.p50 = sketch.percentile(50);
  d.p90 = sketch.percentile(90);
  d.p95 = sketch.percentile(95);
  d.p99 = sketch.percentile(99);
  d.max = sketch.max();
  return d;
}

double statistic(const Distribution& d, const std::string& name) {
  if (name == "mean") return d.mean;
  if (name == "p50" || name == "median") return d.p50;
  if (name == "p90") return d.p90;
  if (name == "p95") return d.p95;
  if (name == "p99") return d.p99;
  throw sim::core::InputError("unknown statistic '" + name +
                              "'; use one of mean, p50, p90, p95, p99");
}

}  // namespace foretoken::analysis
