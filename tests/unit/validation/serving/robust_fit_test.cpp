#include "validation/serving/robust_fit.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::validation::serving;

namespace {

// residual = slope . (at - truth), so the step must land on the truth.
Equation equation(std::vector<double> slopes, const std::vector<double>& at,
                  const std::vector<double>& truth) {
  Equation e;
  for (std::size_t k = 0; k < slopes.size(); ++k) e.residual += slopes[k] * (at[k] - truth[k]);
  e.slopes = std::move(slopes);
  return e;
}

}  // namespace

TEST_CASE("A linear problem is solved in one step, outliers hardly matter") {
  const std::vector<double> at = {0.5, 0.5}, truth = {0.3, 0.9};
  const std::vector<Bound> bounds = {{0, 1, 0.5}, {0, 2, 0.5}};
  std::vector<Equation> equations;
  for (int i = 1; i <= 20; ++i)
    equations.push_back(equation({0.1 * i, 0.2 * (i % 5) + 0.1}, at, truth));
  equations.push_back({3.0, 1.0, {1.0, 1.0}});  // one row that is wrong by a factor of 20
  const auto found = robust_step(equations, at, bounds);
  CHECK(found[0] == Approx(0.3).margin(0.03));
  CHECK(found[1] == Approx(0.9).margin(0.06));
}

TEST_CASE("Parameters stay inside their bounds; one that nothing decides goes where expected") {
  const std::vector<double> at = {0.5, 0.5};
  std::vector<Equation> equations(5, equation({1.0, 0.0}, at, {2.0, 0.0}));
  const auto found = robust_step(equations, at, {{0, 1, 0.5}, {0, 1, 0.25}});
  CHECK(found[0] == Approx(1.0));
  CHECK(found[1] == Approx(0.25).margin(1e-6));
}
