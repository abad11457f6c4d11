#include "analysis/training.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace training = models::training;
using training::Part;

// How busy the arithmetic, the memory and the links are over a step.
models::power::Activity activity_of(const TrainingPrediction& p) {
  const auto& parts = p.step.waterfall.parts;
  const auto of = [&](Part part) { return parts[static_cast<std::size_t>(part)] / p.step.seconds; };
  models::power::Activity activity;
  const double again = p.spec.recompute == training::Recompute::full ? 4.0 / 3 : 1.0;
  activity.tensor = std::min(1.0, p.step.mfu * again);
  activity.memory = std::min(1.0, of(Part::elementwise) + of(Part::permutation) +
                                      p.step.waterfall.optimizer_s / p.step.seconds);
  activity.link =
      std::min(1.0, of(Part::tensor) + of(Part::context) + of(Part::exchange) + of(Part::shard) +
                        (p.account.reduce_s + p.account.gather_s) / p.step.seconds);
  return activity;
}

void power_and_cost(const scenarios::loader::TrainingScenario& scenario, TrainingPrediction& p) {
  const auto& node = p.spec.node;
  const double busy = std::clamp(1 - p.step.waterfall.bubble_s / p.step.seconds, 0.0, 1.0);
  p.gpu_watts = models::power::gpu_power(node.gpu, scenario.power, activity_of(p), busy).value();
  const double gpus = p.spec.layout.gpus();
  const double nodes = gpus / std::max(1, node.gpus);
  const double psu = node.psu_efficiency > 0 ? node.psu_efficiency : 1.0;
  // A rack's share where a job takes a part of it.
  p.facility_watts =
      (gpus * p.gpu_watts + nodes * node.host_load.value()) / psu * scenario.cost.pue;
  const int billed = std::max(scenario.nodes, 1);
  p.cost = models::cost::cost_of_run(scenario.cost, billed, p.spec.layout.gpus(), p.facility_watts,
                                     p.tokens_per_s, p.tokens_per_s);
}

}  // namespace

TrainingPrediction predict_training(
    const scenarios::loader::TrainingScenario& scenario,
    const std::shared_ptr<const models::kernels::Calibration>& calibration,
    const TrainingOptions& options) {
  TrainingPrediction p;
  p.spec = scenario.training;
  const training::MachineTimes machine(p.spec.node, p.spec.software.network, calibration);
  const training::Order order = training::pipeline_order(p.spec);
  std::vector<training::Recompute> choices{p.spec.recompute};
  if (!scenario.recompute_given)
    choices = {training::Recompute::none, training::Recompute::selective,
               training::Recompute::full};
  for (const training::Recompute recompute : choices) {
    p.spec.recompute = recompute;
    p.account = training::account_step(p.spec, machine);
    p.memory = training::account_memory(p.spec, p.account, order);
    if (p.memory.fits()) break;
  }
  if (!p.memory.fits())
    throw sim::core::InfeasibleError("out of memory: " + training::describe(p.memory));
  const training::Factors factors = training::factors_of(p.spec, p.account);
  const training::PipelineTimes times = training::pipeline_times(p.spec, p.account, factors);
  p.step = training::estimate_step(p.spec, p.account);
  p.closed_form_s = p.step.seconds;
  if (options.simulate) {
    p.pipeline = training::run_pipeline(p.spec, order, times, options.keep_spans);
    p.step = training::compose_step(p.spec, p.account, factors, p.pipeline.end.seconds());
  }
  const auto error = p.spec.software.error.find("step_time");
  p.relative_error =
      error == p.spec.software.error.end() ? machine.relative_error() : error->second;
  p.tokens_per_s = p.spec.tokens_per_step() / p.step.seconds;
  constexpr double kTrillion = 1e12, kHour = 3600;
  p.gpu_hours_per_trillion_tokens = kTrillion / p.tokens_per_s * p.spec.layout.gpus() / kHour;
  p.checkpoints = training::plan_checkpoints(p.spec, scenario.run);
  if (scenario.run.tokens > 0) {
    p.expected = training::expect_run(p.spec, scenario.run, p.step.seconds);
    if (options.simulate) p.history = training::simulate_run(p.spec, scenario.run, p.step.seconds);
  }
  power_and_cost(scenario, p);
  return p;
}

}  // namespace foretoken::analysis
