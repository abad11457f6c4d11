#include "sim/metrics/series.hpp"

#include <algorithm>
#include <stdexcept>

namespace foretoken::sim::metrics {

namespace {

void require_forward(Time now, Time last) {
  if (now < last) throw std::logic_error("a quantity was recorded at a time before its last one");
}

}  // namespace

void TimeWeighted::set(Time now, double value) {
  require_forward(now, last_);
  integral_ += value_ * (now - last_).seconds();
  last_ = now;
  value_ = value;
  max_ = std::max(max_, value);
}

double TimeWeighted::integral_to(Time end) const {
  require_forward(end, last_);
  return integral_ + value_ * (end - last_).seconds();
}

double TimeWeighted::mean_to(Time end) const {
  const double span = (end - start_).seconds();
  return span > 0.0 ? integral_to(end) / span : value_;
}

TimeSeries::TimeSeries(Duration bin, std::size_t max_bins) : bin_(bin), max_bins_(max_bins) {
  if (bin.ps() <= 0 || max_bins < 2) {
    throw std::invalid_argument("a time series needs a positive bin and room for two bins");
  }
}

void TimeSeries::widen() {
  const std::size_t pairs = (integrals_.size() + 1) / 2;
  for (std::size_t i = 0; i < pairs; ++i) {
    const bool both = 2 * i + 1 < integrals_.size();
    integrals_[i] = integrals_[2 * i] + (both ? integrals_[2 * i + 1] : 0.0);
  }
  integrals_.resize(pairs);
  bin_ = bin_ * 2;
}

std::size_t TimeSeries::bin_of(Time t) {
  while (static_cast<std::uint64_t>(t.ps() / bin_.ps()) >= max_bins_) widen();
  const auto bin = static_cast<std::size_t>(t.ps() / bin_.ps());
  if (bin >= integrals_.size()) integrals_.resize(bin + 1, 0.0);
  return bin;
}

void TimeSeries::extend(Time now) {
  require_forward(now, end_);
  if (now == end_) return;
  // The bin that `now` opens is not touched: the value covers [end_, now).
  const std::size_t last = bin_of(now - Duration::picoseconds(1));
  if (value_ != 0.0) {
    for (auto i = static_cast<std::size_t>(end_.ps() / bin_.ps()); i <= last; ++i) {
      const std::int64_t low = std::max(end_.ps(), static_cast<std::int64_t>(i) * bin_.ps());
      const std::int64_t high = std::min(now.ps(), static_cast<std::int64_t>(i + 1) * bin_.ps());
      integrals_[i] += value_ * Duration::picoseconds(high - low).seconds();
    }
  }
  end_ = now;
}

void TimeSeries::set(Time now, double value) {
  extend(now);
  value_ = value;
}

void TimeSeries::add_amount(Time now, double amount) {
  extend(now);
  integrals_[bin_of(now)] += amount;
}

void TimeSeries::finish(Time end) { extend(end); }

std::vector<double> TimeSeries::means() const {
  std::vector<double> means;
  means.reserve(integrals_.size());
  for (std::size_t i = 0; i < integrals_.size(); ++i) {
    const std::int64_t low = static_cast<std::int64_t>(i) * bin_.ps();
    const std::int64_t width = std::min(bin_.ps(), end_.ps() - low);
    means.push_back(width > 0 ? integrals_[i] / Duration::picoseconds(width).seconds() : 0.0);
  }
  return means;
}

}  // namespace foretoken::sim::metrics
