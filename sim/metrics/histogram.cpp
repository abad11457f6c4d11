#include "sim/metrics/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

namespace foretoken::sim::metrics {

namespace {

// Bits of the mantissa that name a bucket inside a factor of two.
constexpr int kMantissaBits = 7;
constexpr int kShift = 52 - kMantissaBits;
constexpr double kFixedScale = 0x1p50;
constexpr double kLargest = 0x1p76;  // beyond it the fixed-point sum could overflow

}  // namespace

// The top bits of a positive double rise with its value, so they are the bucket.
std::int32_t Histogram::bucket_of(double value) {
  return static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(value) >> kShift);
}

double Histogram::bucket_low(std::int32_t bucket) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(bucket) << kShift);
}

void Histogram::add(double value) {
  if (!(value >= 0.0 && value <= kLargest)) {
    throw std::invalid_argument("a histogram was given " + std::to_string(value) +
                                ": values must lie between 0 and 7e22");
  }
  value += 0.0;  // minus zero becomes zero
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  const bool was_exact = exact();
  ++count_;
  // Below 2^52 units the scaled value is rounded once; above, it is an integer already.
  sum_ += static_cast<Fixed>(std::nearbyint(value * kFixedScale));
  if (was_exact && count_ <= exact_limit_) {
    samples_.push_back(value);
    sorted_ = false;
    return;
  }
  if (was_exact) to_buckets();
  count_in(bucket_of(value), 1);
}

void Histogram::count_in(std::int32_t bucket, std::uint64_t n) {
  if (counts_.empty()) first_bucket_ = bucket;
  if (bucket < first_bucket_) {
    counts_.insert(counts_.begin(), static_cast<std::size_t>(first_bucket_ - bucket), 0);
    first_bucket_ = bucket;
  }
  const auto at = static_cast<std::size_t>(bucket - first_bucket_);
  if (at >= counts_.size()) counts_.resize(at + 1, 0);
  counts_[at] += n;
}

void Histogram::to_buckets() {
  for (const double value : samples_) count_in(bucket_of(value), 1);
  samples_ = {};
  sorted_ = true;
}

void Histogram::merge(const Histogram& other) {
  if (other.count_ == 0) return;
  const bool stay_exact = exact() && other.exact() && count_ + other.count_ <= exact_limit_;
  if (!stay_exact && exact()) to_buckets();
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
  if (stay_exact) {
    samples_.insert(samples_.end(), other.samples_.begin(), other.samples_.end());
    sorted_ = false;
    return;
  }
  for (const double value : other.samples_) count_in(bucket_of(value), 1);
  for (std::size_t i = 0; i < other.counts_.size(); ++i) {
    if (other.counts_[i] == 0) continue;
    count_in(other.first_bucket_ + static_cast<std::int32_t>(i), other.counts_[i]);
  }
}

double Histogram::min() const { return min_; }
double Histogram::max() const { return max_; }

double Histogram::sum() const { return static_cast<double>(sum_) / kFixedScale; }

double Histogram::mean() const { return count_ == 0 ? 0.0 : sum() / static_cast<double>(count_); }

double Histogram::order_statistic(std::uint64_t rank) const {
  if (exact()) return samples_[rank];
  if (rank == 0) return min_;
  if (rank + 1 == count_) return max_;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (rank >= seen) continue;
    const std::int32_t bucket = first_bucket_ + static_cast<std::int32_t>(i);
    if (bucket == 0) return 0.0;
    return std::clamp(0.5 * (bucket_low(bucket) + bucket_low(bucket + 1)), min_, max_);
  }
  return max_;
}

double Histogram::percentile(double percent) const {
  if (count_ == 0) throw std::logic_error("a percentile was asked of an empty histogram");
  if (!(percent >= 0.0 && percent <= 100.0)) {
    throw std::invalid_argument("a percentile must lie between 0 and 100");
  }
  if (!sorted_) {
    std::sort(samples_.begin(), samples_.end());
    sorted_ = true;
  }
  const double at = percent / 100.0 * static_cast<double>(count_ - 1);
  const auto rank = static_cast<std::uint64_t>(at);
  const double below = order_statistic(rank);
  const double fraction = at - std::floor(at);
  if (fraction == 0.0 || rank + 1 >= count_) return below;
  return below + fraction * (order_statistic(rank + 1) - below);
}

std::vector<Histogram::Bucket> Histogram::buckets() const {
  Histogram all(0);
  if (exact()) {
    for (const double value : samples_) all.count_in(bucket_of(value), 1);
  }
  const Histogram& source = exact() ? all : *this;
  std::vector<Bucket> result;
  for (std::size_t i = 0; i < source.counts_.size(); ++i) {
    if (source.counts_[i] == 0) continue;
    const std::int32_t bucket = source.first_bucket_ + static_cast<std::int32_t>(i);
    result.push_back({bucket_low(bucket), bucket_low(bucket + 1), source.counts_[i]});
  }
  return result;
}

std::size_t Histogram::bytes() const {
  return samples_.capacity() * sizeof(double) + counts_.capacity() * sizeof(std::uint64_t);
}

}  // namespace foretoken::sim::metrics
