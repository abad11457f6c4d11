#include "validation/power/power_fit.hpp"

#include <cmath>
#include <limits>

#include "validation/calibrate/pattern_search.hpp"

namespace foretoken::validation::power {

models::power::PowerModel fit_power(const std::vector<PowerSample>& samples,
                                    models::power::PowerModel start) {
  if (samples.empty()) return start;
  models::power::PowerModel best = start;
  const auto loss_of = [&samples](const models::power::PowerModel& model) {
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
