#pragma once
// The largest load a deployment serves within its SLO, and latency against load around it.
#include <functional>

#include "analysis/study/evaluate.hpp"

namespace foretoken::analysis::study {

// Multiplies the load that a workload offers: arrivals come `factor` times as fast, or a closed
// loop keeps that many times the requests in flight (rounded, at least one). InputError for
// arrivals that cannot be scaled.
void scale_load(models::serving::WorkloadSpec& workload, double factor);
// Requests a second as stated by the workload, requests in flight of a closed loop.
double stated_load(const models::serving::WorkloadSpec& workload);

struct CapacityOptions {
  std::optional<double> attainment;  // joint share of requests; absent: the SLO's own terms
  int repeats = 1;                   // seeds; more than one gives an interval over them
  int threads = 1;
  double precision = 0.01;  // relative, of the load
  const std::atomic<bool>* interrupt = nullptr;
  std::function<void(double load, bool met)> progress;  // may be called from several threads
};

struct LoadPoint {
  double load = 0.0;  // requests/s offered, or in flight
  double ttft_p50_s = kMissing, ttft_p99_s = kMissing, tpot_p50_s = kMissing, tpot_p99_s = kMissing,
         e2el_p99_s = kMissing;
  double attainment = kMissing, goodput = kMissing, output_tokens_per_s = kMissing,
         request_rate = kMissing;
  double mean_kv_used = kMissing, peak_waiting = kMissing;
  bool met = false;
};

struct Capacity {
  bool closed_loop = false;
  double load = 0.0;                                         // mean over seeds
  double interval_low = kMissing, interval_high = kMissing;  // 95 % over seeds
  // The same, were every latency off by the error that validation found.
  double error_low = kMissing, error_high = kMissing;
  double relative_error = kMissing;
  std::vector<double> by_seed;
  std::vector<LoadPoint> curve;  // ascending, first seed
  std::optional<double> knee;    // load where the curve of p99 TTFT bends most
  std::string first_to_break;    // the SLO term with the least margin just above capacity
  std::size_t simulations = 0;
};

// Throws InputError without an SLO, InfeasibleError when no load at all meets it, naming the term
// that binds.
Capacity find_capacity(const Evaluator& evaluator, const Scenario& scenario,
                       const CapacityOptions& options);

// Index of the knee of an ascending convex curve (Satopaa et al., "Finding a Kneedle in a
// Haystack", 2011, without smoothing): the point farthest below the chord. Absent below 3 points
// or where nothing bends.
std::optional<std::size_t> knee_of(const std::vector<double>& x, const std::vector<double>& y);

}  // namespace foretoken::analysis::study
