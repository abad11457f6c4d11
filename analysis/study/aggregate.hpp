#pragma once
// Repeats of one simulation with independent seeds, as a mean and its interval.
#include <cstddef>
#include <limits>
#include <vector>

namespace foretoken::analysis::study {

// Mean of the finite values, with the half-width of Student's t-interval.
struct Aggregate {
  std::size_t n = 0;
  // half_width: 95 %; NaN below two values.
  double mean = std::numeric_limits<double>::quiet_NaN();
  double half_width = std::numeric_limits<double>::quiet_NaN();
};
Aggregate aggregate(const std::vector<double>& values);

// Student's t for a two-sided interval: |T| is below it with probability `level`.
double student_t(std::size_t degrees_of_freedom, double level = 0.95);

}  // namespace foretoken::analysis::study
