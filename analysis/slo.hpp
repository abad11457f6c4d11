#pragma once
// SLO terms against per-request latencies.
#include <vector>

#include "analysis/statistics.hpp"

namespace foretoken::analysis {

// One entry a request that arrived in the window; infinite when it was rejected or never
// finished. A request of one token has tpot 0: it cannot be late between tokens (vLLM's rule).
struct RequestLatencies {
  std::vector<double> ttft_s, tpot_s, e2el_s;
};

// `completed`: the distributions of completed requests, as shown to the user.
SloReport judge_slo(const std::vector<scenarios::loader::SloTerm>& terms,
                    const RequestLatencies& requests, const Distribution& ttft,
                    const Distribution& tpot, const Distribution& e2el, std::size_t misses,
                    double relative_error, double window_s);

}  // namespace foretoken::analysis
