#pragma once
// What a trace or a client pool is like, before anything is simulated on it.
#include <cstdint>
#include <optional>
#include <string>

#include "models/serving/spec.hpp"

namespace foretoken::analysis {

struct LengthProfile {
  double mean = 0, p50 = 0, p90 = 0, p99 = 0, max = 0;
};

struct WorkloadProfile {
  std::int64_t requests = 0;
  double span_s = 0;                    // from the first arrival to the last
  double mean_rate = 0, peak_rate = 0;  // requests/s; peak over a minute
  LengthProfile input, output;
  std::optional<double> gap_cv;  // standard deviation of the gaps over their mean
  // Variance over mean of the number of arrivals in windows so long; 1 = Poisson.
  std::optional<double> dispersion_1s, dispersion_1min;
  // With an endless cache: share of prompt tokens, and of blocks, that came before.
  std::optional<double> prefix_hit_tokens, prefix_hit_blocks;
};

// `timed`: whether the arrival times mean anything.
WorkloadProfile profile_requests(const std::vector<models::serving::TraceRequest>& requests,
                                 const models::serving::PrefixBlocks* prefix, bool timed);

// Six lines: count, span, rate, lengths, burstiness, ideal prefix hit rate.
std::string profile_text(const WorkloadProfile& profile);
std::string profile_json(const WorkloadProfile& profile, const std::string& format);

}  // namespace foretoken::analysis
