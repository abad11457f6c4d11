#pragma once
// Least of a function of few positive parameters without derivatives: each in turn is tried a step
// up and down in the logarithm, and steps halve when none helps (Hooke and Jeeves, 1961). Gains of
// less than a ten-thousandth do not count, so that a parameter that no longer matters stays put.
#include <cmath>
#include <vector>

namespace foretoken::validation::calibrate {

template <class Loss>
void pattern_search(const std::vector<double*>& parameters, const Loss& loss, double step = 0.25,
                    double least_step = 0.01) {
  constexpr double kGain = 1e-4;
  constexpr int kMostRounds = 100;
  double best = loss();
  for (int round = 0; step > least_step && round < kMostRounds; ++round) {
    bool better = false;
    for (double* const parameter : parameters) {
      const double before = *parameter;
      for (const double factor : {std::exp(step), std::exp(-step)}) {
        *parameter = before * factor;
        const double tried = loss();
        if (tried < best * (1.0 - kGain)) {
          best = tried;
          better = true;
          break;
        }
        *parameter = before;
      }
    }
    if (!better) step /= 2;
  }
}

}  // namespace foretoken::validation::calibrate
