#pragma once
// A distribution of non-negative values that can be merged in any order with the same result.
// Up to a million samples it keeps them all and percentiles are exact (NumPy's default, type 7);
// beyond that it keeps log-linear buckets (128 to a factor of two), whose midpoint is within
// 0.4 % of any value in them.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace foretoken::sim::metrics {

class Histogram {
 public:
  static constexpr std::size_t kExactSamples = 1'000'000;
  static constexpr double kRelativeError = 0.005;

  // `exact_samples`: how many samples to keep before buckets take over.
  explicit Histogram(std::size_t exact_samples = kExactSamples) : exact_limit_(exact_samples) {}

  void add(double value);  // refuses NaN, infinity and negative values
  void merge(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool exact() const { return count_ == samples_.size(); }
  [[nodiscard]] double min() const;
  [[nodiscard]] double max() const;
  // Exact to 1e-15 a sample and independent of the order of samples: summed in fixed point.
  [[nodiscard]] double sum() const;
  [[nodiscard]] double mean() const;
  [[nodiscard]] double percentile(double percent) const;  // 0..100; throws when empty

  struct Bucket {
    double low, high;  // [low, high)
    std::uint64_t count;
  };
  [[nodiscard]] std::vector<Bucket> buckets() const;  // those that are not empty, ascending
  [[nodiscard]] std::size_t bytes() const;

  template <class A>
  void fields(A& archive) {  // all that changes, for a process to save and restore
    archive(count_, sum_, min_, max_, samples_, sorted_, first_bucket_, counts_);
  }

 private:
  __extension__ typedef __int128 Fixed;

  static std::int32_t bucket_of(double value);
  static double bucket_low(std::int32_t bucket);
  void count_in(std::int32_t bucket, std::uint64_t n);
  void to_buckets();
  [[nodiscard]] double order_statistic(std::uint64_t rank) const;

  std::size_t exact_limit_;
  std::uint64_t count_ = 0;
  Fixed sum_ = 0;  // in units of 2^-50
  double min_ = 0.0;
  double max_ = 0.0;
  mutable std::vector<double> samples_;
  mutable bool sorted_ = true;
  std::int32_t first_bucket_ = 0;
  std::vector<std::uint64_t> counts_;
};

}  // namespace foretoken::sim::metrics
