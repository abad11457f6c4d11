// Training jobs: GPU-hours, step times and throughput that were published.
#include "analysis/training.hpp"
#include "models/training/compose.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/scenario_training.hpp"
#include "sim/core/error.hpp"
#include "validation/cases/evaluators.hpp"

namespace foretoken::validation::cases {
namespace {

namespace loader = scenarios::loader;
namespace training = models::training;

loader::TrainingScenario scenario_of(const CaseContext& context) {
  const auto root = context.file.root();
  const auto name = root.required<std::string>("scenario");
  const std::vector<std::string> overrides = case_overrides(context);
  if (name.empty()) return {};
  try {
    return loader::load_training_scenario(context.folder / name, context.catalogue, overrides);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
}

enum class Figure { gpu_hours, step, tflops, days, memory, watts };

}  // namespace

// figure: gpu_hours (thousands a trillion tokens), step (s), tflops (model FLOPs a GPU, causal
// attention), days (of the run, failures and checkpoints included), memory (GB that the fullest
// GPU's allocator holds at its peak: the framework's reserve lies outside), watts (of one GPU).
Prediction training_evaluator(const CaseContext& context) {
  const auto figure =
      context.file.root().required_choice<Figure>("figure", {{"gpu_hours", Figure::gpu_hours},
                                                             {"step", Figure::step},
                                                             {"tflops", Figure::tflops},
                                                             {"days", Figure::days},
                                                             {"memory", Figure::memory},
                                                             {"watts", Figure::watts}});
  const auto scenario = scenario_of(context);
  return [=, file = context.calibration] {
    const auto& spec = scenario.training;
    const auto p = analysis::predict_training(
        scenario, loader::read_calibration(file, spec.node.gpu.tables), {.simulate = true});
    switch (figure) {
      case Figure::gpu_hours:
        return p.gpu_hours_per_trillion_tokens * 1e-3;
      case Figure::step:
        return p.step.seconds;
      case Figure::tflops:
        return training::flops_per_token(spec.model, spec.batch.sequence, true, spec.mtp) *
               p.tokens_per_s / spec.layout.gpus() * 1e-12;
      case Figure::days:
        return p.expected.elapsed_s() / 86400;
      case Figure::memory:
        return p.memory.allocated() * 1e-9;
      case Figure::watts:
        return p.gpu_watts;
    }
    return 0.0;
  };
}

// A forward and a backward pass of `layers` layers with experts at once. figure: span, compute or
// messages, ms.
Prediction training_pair_evaluator(const CaseContext& context) {
  const auto root = context.file.root();
  using Member = double training::OverlappedPair::*;
  const auto figure =
      root.required_choice<Member>("figure", {{"span", &training::OverlappedPair::span_s},
                                              {"compute", &training::OverlappedPair::compute_s},
                                              {"messages", &training::OverlappedPair::messages_s}});
  const int layers = root.required<int>("layers", {1, 1000});
  const auto scenario = scenario_of(context);
  return [=, file = context.calibration] {
    const auto& spec = scenario.training;
    const training::MachineTimes machine(spec.node, spec.software.network,
                                         loader::read_calibration(file, spec.node.gpu.tables));
    const auto load = training::account_layers(spec, machine, spec.model.moe.has_value(), layers);
    const auto factors = training::factors_of(spec, training::account_step(spec, machine));
    return training::overlapped_pair(load, load, factors).*figure * 1e3;
  };
}

}  // namespace foretoken::validation::cases
