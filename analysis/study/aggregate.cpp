#include "analysis/study/aggregate.hpp"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>

namespace foretoken::analysis::study {

double student_t(std::size_t degrees_of_freedom, double level) {
  const boost::math::students_t distribution(static_cast<double>(degrees_of_freedom));
  return boost::math::quantile(distribution, 0.5 + 0.5 * level);
}

Aggregate aggregate(const std::vector<double>& values) {
  Aggregate over;
  double sum = 0.0, squares = 0.0;
  for (const double value : values)
    if (std::isfinite(value)) {
      ++over.n;
      sum += value;
    }
  if (over.n == 0) return over;
  const auto n = static_cast<double>(over.n);
  over.mean = sum / n;
  if (over.n < 2) return over;
  for (const double value : values)
    if (std::isfinite(value)) squares += (value - over.mean) * (value - over.mean);
  over.half_width = student_t(over.n - 1) * std::sqrt(squares / (n - 1) / n);
  return over;
}

}  // namespace foretoken::analysis::study
