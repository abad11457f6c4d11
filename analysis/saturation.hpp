#pragma once
// Whether a deployment keeps up with what arrives. One that does not has latencies that say how
// long the run lasted, and nothing about the deployment.
#include <cstdint>
#include <string>

#include "models/serving/result.hpp"

namespace foretoken::analysis {

struct Saturation {
  bool saturated = false;
  double arriving_per_s = 0, served_per_s = 0;     // over the second half of the arrivals
  std::int64_t queued_middle = 0, queued_end = 0;  // waiting halfway and at the last arrival
  double drain_s = 0;                              // from the last arrival to the last token
};

// Arrivals from `from_s` on. Saturated: in the second half of them the queue grew by more than one
// request in twenty that arrived, and more than ten waited at the end.
Saturation saturation_of(const models::serving::RequestTable& requests, double from_s,
                         double end_s);

std::string saturation_sentence(const Saturation& saturation);

}  // namespace foretoken::analysis
