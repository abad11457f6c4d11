#pragma once
// Bounded least squares with weights that fall with the residual: close to least absolute errors.
#include <vector>

namespace foretoken::validation::serving {

struct Slope {
  double ttft = 0.0, tpot = 0.0;
};
struct Equation {  // residual + slopes . change, wanted to be zero
  double residual = 0.0, weight = 1.0;
  std::vector<double> slopes;
};
struct Bound {
  double low = 0.0, high = 1.0;
  double expected = 0.0;  // where a parameter that the equations do not decide stays
};

// Parameters at which the equations, linear around `at`, are solved best.
std::vector<double> robust_step(const std::vector<Equation>& equations,
                                const std::vector<double>& at, const std::vector<Bound>& bounds);

}  // namespace foretoken::validation::serving
