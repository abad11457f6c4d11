#include "validation/power/power_fit.hpp"

#include <cmath>
#include <limits>

#include "validation/calibrate/pattern_search.hpp"

namespace foretoken::validation::power {
namespace {

// Tensor units at their peak rate would draw at most twice what the board may above idle: more, and
// matrix products would throttle below half of their peak, which no board does (an H100 reaches
// 0.72 of it at 1.36 of 1.98 GHz). Decode steps alone do not tell tensor from memory closely.
constexpr double kMostTensor = 2.0;

}  // namespace

models::power::PowerModel fit_power(const std::vector<PowerSample>& samples,
                                    models::power::PowerModel start) {
  if (samples.empty()) return start;
  models::power::PowerModel best = start;
  const auto loss_of = [&samples](const models::power::PowerModel& model) {
    if (model.tensor > kMostTensor) return std::numeric_limits<double>::infinity();
    double sum = 0.0, weights = 0.0;
    for (const PowerSample& s : samples) {
      const double watts =
          models::power::gpu_power(s.use.gpu, model, s.use.activity, s.use.busy).value();
      sum += s.weight * std::abs(std::log(watts / s.watts));
      weights += s.weight;
    }
    return sum / weights;
  };
  // The surface is not convex where the limit clips: three starts, the best kept.
  double least = std::numeric_limits<double>::infinity();
  for (const double memory : {0.05, 0.25, 0.5}) {
    models::power::PowerModel model = start;
    model.busy = 0.3;
    model.tensor = 0.8;
    model.memory = memory;
    calibrate::pattern_search({&model.busy, &model.tensor, &model.memory},
                              [&] { return loss_of(model); });
    const double loss = loss_of(model);
    if (loss < least) {
      least = loss;
      best = model;
    }
  }
  return best;
}

}  // namespace foretoken::validation::power
