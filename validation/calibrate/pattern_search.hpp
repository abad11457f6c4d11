#pragma once
// Least of a function of few positive parameters without derivatives: each in turn is tried a step
// up and down in the logarithm, and steps halve when none helps (Hooke and Jeeves, 1961).
#include <cmath>
#include <vector>

namespace foretoken::validation::calibrate {

template <class Loss>
void pattern_search(const std::vector<double*>& parameters, const Loss& loss, double step = 0.25,
                    double least_step = 0.01) {
  double best = loss();
  while (step > least_step) {
    bool better = false;
    for (double* const parameter : parameters) {
      const double before = *parameter;
      for (const double factor : {std::exp(step), std::exp(-step)}) {
        *parameter = before * factor;
        const double tried = loss();
        if (tried < best) {
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
