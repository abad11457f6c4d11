// Figures of training jobs.
#include "models/training/run.hpp"
#include "scenarios/loader/scenario_training.hpp"
#include "sim/core/error.hpp"
#include "validation/claims/quantity.hpp"

namespace foretoken::validation::claims {
namespace {

using analysis::TrainingPrediction;
using Figure = double (*)(const TrainingPrediction&);

constexpr double kGiga = 1e9;

struct Row {
  Figure figure;
  bool time;  // carries the error of step times
};

}  // namespace

Compute training_quantity(const QuantityContext& context) {
  static const std::vector<std::pair<std::string, Row>> kFigures = {
      {"step_s", {[](const TrainingPrediction& p) { return p.step.seconds; }, true}},
      {"tokens_per_s", {[](const TrainingPrediction& p) { return p.tokens_per_s; }, true}},
      {"mfu", {[](const TrainingPrediction& p) { return p.step.mfu; }, true}},
      {"memory", {[](const TrainingPrediction& p) { return p.memory.total() / kGiga; }, false}},
      {"model_memory",
       {[](const TrainingPrediction& p) {
          return (p.memory.parameters + p.memory.gradients + p.memory.optimizer) / kGiga;
        },
        false}},
      {"activation_memory",
       {[](const TrainingPrediction& p) {
          return (p.memory.activations + p.memory.working) / kGiga;
        },
        false}},
      {"gpu_watts", {[](const TrainingPrediction& p) { return p.gpu_watts; }, false}},
      {"facility_watts", {[](const TrainingPrediction& p) { return p.facility_watts; }, false}},
      {"fits", {[](const TrainingPrediction&) { return 1.0; }, false}},
  };
  const Row row = read_figure(context, kFigures);
  const bool asks_fit = context.node.optional<std::string>("figure").value_or("") == "fits";
  const auto path = scenario_path(context, "training");
  const auto overrides = overrides_of(context);
  if (path.empty()) return {};
  scenarios::loader::TrainingScenario job;
  try {
    job = scenarios::loader::load_training_scenario(path, context.workshop.catalogue(), overrides);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
  const auto key = memo_key(path, overrides);
  return [=, &workshop = context.workshop](const Values&) {
    const auto& done = workshop.train(key, job);
    if (asks_fit)
      return Value{done.infeasible.empty() ? 1.0 : 0.0, 0.0, Provenance::analytical, {}};
    if (!done.infeasible.empty()) return Value{0.0, 0.0, Provenance::analytical, done.infeasible};
    constexpr double kMemoryError = 0.1;
    return Value{row.figure(done.prediction),
                 row.time ? done.prediction.relative_error : kMemoryError,
                 row.time ? Provenance::calibrated : Provenance::analytical,
                 {}};
  };
}

}  // namespace foretoken::validation::claims
