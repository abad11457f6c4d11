#pragma once
// Coefficients of a GPU's power model from watts measured at known utilisation.
#include <vector>

#include "validation/power/utilisation.hpp"

namespace foretoken::validation::power {

struct PowerSample {
  Utilisation use;
  double watts = 0.0;  // of one GPU
  double weight = 1.0;
};

// Busy, tensor and memory shares with the least mean absolute logarithm of predicted over measured
// watts, each group of equal weight; link share and ceiling stay those of `start`.
models::power::PowerModel fit_power(const std::vector<PowerSample>& samples,
                                    models::power::PowerModel start);

}  // namespace foretoken::validation::power
