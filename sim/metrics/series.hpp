#pragma once
// Quantities over simulated time: counters, time-weighted means, and series of bounded length.
#include <cstdint>
#include <vector>

#include "sim/core/time.hpp"

namespace foretoken::sim::metrics {

using core::Duration;
using core::Time;

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_ += n; }
  void merge(const Counter& other) { value_ += other.value_; }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

// The mean over time of a value that changes in steps, such as the length of a queue.
class TimeWeighted {
 public:
  explicit TimeWeighted(double initial = 0.0, Time start = Time::zero())
      : value_(initial), max_(initial), start_(start), last_(start) {}

  void set(Time now, double value);
  void add(Time now, double change) { set(now, value_ + change); }

  [[nodiscard]] double value() const { return value_; }
  [[nodiscard]] double max() const { return max_; }
  [[nodiscard]] double integral_to(Time end) const;  // value * seconds since the start
  [[nodiscard]] double mean_to(Time end) const;

 private:
  double value_;
  double max_;
  double integral_ = 0.0;
  Time start_;
  Time last_;
};

// A step function sampled as its mean over bins of equal width. When the bins run out, pairs of
// them are joined and the width doubles: memory never grows with the length of a run.
class TimeSeries {
 public:
  TimeSeries(Duration bin, std::size_t max_bins);

  void set(Time now, double value);          // the value from now on
  void add_amount(Time now, double amount);  // an amount at an instant: bins then hold rates per s
  void finish(Time end);                     // extends the last value to `end`

  [[nodiscard]] Duration bin() const { return bin_; }
  [[nodiscard]] Time end() const { return end_; }
  // Mean of each bin; the last one over the part of it that has passed.
  [[nodiscard]] std::vector<double> means() const;

 private:
  void extend(Time now);
  void widen();
  std::size_t bin_of(Time t);

  Duration bin_;
  std::size_t max_bins_;
  std::vector<double> integrals_;  // value * seconds in each bin
  double value_ = 0.0;
  Time end_;
};

}  // namespace foretoken::sim::metrics
