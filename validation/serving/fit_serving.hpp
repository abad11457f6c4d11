#pragma once
// Fits engines' factors to served rows: Gauss-Newton on logarithms of TPOT and TTFT with weights
// that make single outliers count little, derivatives by small changes of one parameter of all
// engines at a time.
#include <functional>
#include <memory>
#include <string>

#include "models/kernels/calibration.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/serving/serving_fit.hpp"

namespace foretoken::validation::serving {

struct FitOptions {
  std::filesystem::path data, set_aside;
  unsigned threads = 2;
  int iterations = 3;
  std::function<void(const std::string&)> progress;  // one line a step
};

ServingFit fit_serving(const scenarios::loader::Catalogue& catalogue,
                       std::shared_ptr<const models::kernels::Calibration> calibration,
                       const FitOptions& options);

}  // namespace foretoken::validation::serving
