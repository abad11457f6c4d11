#pragma once
// What lies between the engine's first token and the client's: inferred for a family of runs from
// its rows, as a constant and a number of tokens that are gathered before any is shown.
#include <vector>

#include "validation/serving/serving_fit.hpp"

namespace foretoken::validation::serving {

struct Observation {  // of one row; zero = unknown
  double ttft_s = 0.0, tpot_s = 0.0, measured_ttft_s = 0.0, measured_tpot_s = 0.0;
  [[nodiscard]] bool known() const { return ttft_s > 0.0 && tpot_s > 0.0; }
};

ClientClock fit_client_clock(const std::vector<Observation>& rows);

// Mean absolute relative error of TPOT and TTFT under the best clock, single rows capped.
double protocol_error(const std::vector<Observation>& rows);

}  // namespace foretoken::validation::serving
