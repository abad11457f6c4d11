#pragma once
// Metrics of one serving run. Definitions (a = arrival, s = first scheduled, f = first token out,
// c = last token out, N = output tokens, L = input tokens, T = measured window, G = GPUs):
//   TTFT = f - a           TPOT = (c - f)/(N - 1), N >= 2           E2EL = c - a
//   latencies: requests that arrived in the window and completed
//   throughput: requests whose last token left inside the window, over T
//   SLO attainment: good / arrived in the window; a rejected or unfinished request is a miss
//   percentiles: linear between order statistics (NumPy's default, R type 7)
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/saturation.hpp"
#include "models/cost/cost.hpp"
#include "models/serving/result.hpp"
#include "scenarios/loader/scenario.hpp"
#include "sim/core/provenance.hpp"
#include "sim/metrics/histogram.hpp"

namespace foretoken::analysis {

using models::serving::ServingResult;
using scenarios::loader::Scenario;

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// Percentile of ascending values, q in [0, 1]; NaN of nothing.
double percentile(std::span<const double> ascending, double q);

struct Distribution {
  std::size_t n = 0;
  double mean = kMissing, std = kMissing;  // std over n (NumPy's default)
  double min = kMissing, p50 = kMissing, p90 = kMissing, p95 = kMissing, p99 = kMissing,
         max = kMissing;
  std::vector<double> ascending;  // every value, for curves and other percentiles
};
Distribution describe(std::vector<double> values);
// Of values that were not kept: `ascending` holds a thousand of its quantiles, std is missing.
Distribution describe_sketch(const sim::metrics::Histogram& sketch);
// mean, p50, p90, p95, p99; throws InputError on another name.
double statistic(const Distribution& distribution, const std::string& name);

// A number a reader acts on, and how far to trust it.
struct Figure {
  double value = kMissing;
  sim::core::Provenance provenance = sim::core::Provenance::analytical;
  std::optional<double> relative_error;  // found by validation; absent = not validated
  std::string basis;                     // what value and error rest on, in words
};

// A rate per GPU is worthless without its two parts.
struct PerGpu {
  double value = kMissing;
  double numerator = kMissing;  // tokens
  double gpu_seconds = kMissing;
};

struct SloOutcome {
  scenarios::loader::SloTerm term;
  double value_s = kMissing;  // the statistic, misses counted as infinitely late
  bool met = false;
  double margin = kMissing;      // (limit - value) / limit
  bool inside_error = false;     // the stated error of the value covers the limit
  double attainment = kMissing;  // share of arrived requests within the limit
};

struct SloReport {
  std::vector<SloOutcome> terms;
  bool met = true;
  bool inside_error = false;  // some term's outcome could flip within the stated error
  std::size_t arrived = 0, good = 0;
  double attainment = kMissing;  // joint; each metric by the term of its highest percentile
  double attainment_low = kMissing, attainment_high = kMissing;  // latencies off by the error
  double goodput = kMissing;  // good requests per second of the window
};

struct EnergyFigures {
  double window_j_gpu = 0, window_j_server = 0, window_j_facility = 0;
  double j_per_output_token_gpu = kMissing, j_per_output_token_server = kMissing,
         j_per_output_token_facility = kMissing;
  double mean_gpu_watts = kMissing, peak_gpu_watts = kMissing, mean_server_watts = kMissing,
         mean_facility_watts = kMissing;
  double pue = 1.0;
};

// A figure over independent seeds: mean and 95 % interval by Student's t. Chance alone, not the
// error of the models.
struct OverSeeds {
  std::string key;  // as in summary.json
  double mean = kMissing, low = kMissing, high = kMissing;
};

struct Metrics {
  std::string name;
  int gpus = 0, nodes = 0;
  double window_s = 0;
  bool closed_loop = false;
  Saturation saturation;                                                 // of open arrivals
  std::size_t arrived = 0, completed = 0, rejected = 0, unfinished = 0;  // arrived in the window
  std::size_t timed_out = 0, failed = 0;
  std::size_t finished_in_window = 0;                // throughput counts these
  std::int64_t input_tokens = 0, output_tokens = 0;  // of finished_in_window
  Distribution ttft, tpot, e2el;                     // seconds
  Distribution queueing, prefill, decode;            // s - a, f - s, c - f
  Figure request_rate, output_rate, total_rate;      // per second
  // Tokens read (cache hits included) a second and node that takes prompts, tokens made a second
  // and node that decodes; NaN where there is none.
  double input_per_node = kMissing, output_per_node = kMissing;
  double mean_nodes = kMissing;             // in service, over the window
  double tokens_per_s_per_user = kMissing;  // 1 / mean TPOT
  PerGpu output_per_gpu, total_per_gpu, input_per_gpu;
  double tokens_per_s_per_user_p50 = kMissing, tokens_per_s_per_user_p99 = kMissing;
  double mean_concurrency = kMissing;                       // sum of E2EL / T
  std::int64_t peak_concurrency = 0;                        // over half-open [a, c)
  double mean_kv_used = kMissing, peak_kv_used = kMissing;  // shares of the KV blocks
  double mean_running = kMissing, mean_waiting = kMissing, peak_waiting = kMissing;
  double idle_share = kMissing;  // of replica time
  EnergyFigures energy;
  models::cost::CostAccount cost;
  SloReport slo;
  std::vector<OverSeeds> over_seeds;  // of a run that was repeated
  int seeds = 1, seeds_meeting_slo = 0;
  // What the trust section and the terminal quote, by kind.
  Figure ttft_trust, latency, throughput, kv, power, energy_figure, money;
};

Metrics summarise(const Scenario& scenario, const ServingResult& result);
// The cost of what `m` says was done in `run_s`, at the prices of `scenario`.
void account_cost(const Scenario& scenario, const models::serving::RemoteResult& remote,
                  double run_s, Metrics& m);

}  // namespace foretoken::analysis
