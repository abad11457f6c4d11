#include "validation/serving/robust_fit.hpp"

#include <algorithm>
#include <cmath>

namespace foretoken::validation::serving {
namespace {

constexpr double kFloor = 0.03;     // residuals below it count as squares, above as absolute values
constexpr double kHopeless = 0.25;  // a row this far off is off for a reason of its own
constexpr int kReweighings = 25, kSweeps = 200;
// Weight of a parameter's expectation, in equations' worth per share of its range and equation.
constexpr double kExpectation = 0.002;

struct Normal {
  std::vector<std::vector<double>> matrix;
  std::vector<double> right;
};

// Normal equations for the change of parameters measured in shares of their ranges.
Normal normal_equations(const std::vector<Equation>& equations, const std::vector<double>& change,
                        const std::vector<double>& at, const std::vector<Bound>& bounds) {
  const std::size_t n = at.size();
  Normal out{std::vector<std::vector<double>>(n, std::vector<double>(n)), std::vector<double>(n)};
  for (const auto& e : equations) {
    double residual = e.residual;
    for (std::size_t k = 0; k < n; ++k) residual += e.slopes[k] * change[k];
    const double far = residual / kHopeless;
    const double weight = e.weight / (std::max(std::abs(residual), kFloor) * (1.0 + far * far));
    for (std::size_t i = 0; i < n; ++i) {
      const double a = e.slopes[i] * (bounds[i].high - bounds[i].low);
      out.right[i] -= weight * a * e.residual;
      for (std::size_t j = 0; j < n; ++j)
        out.matrix[i][j] += weight * a * e.slopes[j] * (bounds[j].high - bounds[j].low);
    }
  }
  const double pull = kExpectation * static_cast<double>(equations.size()) / kFloor;
  for (std::size_t i = 0; i < n; ++i) {
    out.matrix[i][i] += pull;
    out.right[i] += pull * (bounds[i].expected - at[i]) / (bounds[i].high - bounds[i].low);
  }
  return out;
}

}  // namespace

std::vector<double> robust_step(const std::vector<Equation>& equations,
                                const std::vector<double>& at, const std::vector<Bound>& bounds) {
  const std::size_t n = at.size();
  std::vector<double> change(n, 0.0);
  for (int again = 0; again < kReweighings; ++again) {
    const Normal normal = normal_equations(equations, change, at, bounds);
    // Coordinate by coordinate inside the bounds: the quadratic is convex, so this converges.
    for (int sweep = 0; sweep < kSweeps; ++sweep)
      for (std::size_t i = 0; i < n; ++i) {
        const double range = bounds[i].high - bounds[i].low;
        double rest = normal.right[i];
        for (std::size_t j = 0; j < n; ++j)
          if (j != i) rest -= normal.matrix[i][j] * change[j] / (bounds[j].high - bounds[j].low);
        const double wanted = range * rest / normal.matrix[i][i];
        change[i] = std::clamp(wanted, bounds[i].low - at[i], bounds[i].high - at[i]);
      }
  }
  std::vector<double> out = at;
  for (std::size_t i = 0; i < n; ++i) out[i] += change[i];
  return out;
}

}  // namespace foretoken::validation::serving
