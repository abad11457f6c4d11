#include "validation/claims/quantity.hpp"

#include <fmt/format.h>

#include "models/serving/serving.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/quantity.hpp"
#include "sim/core/error.hpp"
#include "validation/claims/formula.hpp"

namespace foretoken::validation::claims {

namespace fs = std::filesystem;
using scenarios::loader::Ratio;

const std::vector<QuantityKind>& quantity_kinds() {
  static const std::vector<QuantityKind> kTable = {
      {"given", "a number that the article states", given_quantity},
      {"formula", "arithmetic over the quantities before it", formula_quantity},
      {"card", "a figure of a hardware card", card_quantity},
      {"price", "a price of a price card", price_quantity},
      {"parameters", "of a model, in billions", parameters_quantity},
      {"memory", "what a serving scenario needs on a GPU", memory_quantity},
      {"step", "one steady engine step of a serving scenario", step_quantity},
      {"run", "a serving scenario, simulated", run_quantity},
      {"load", "time to load a serving scenario's weights", load_quantity},
      {"training", "a training job", training_quantity},
      {"ledger", "money: what owning, renting or calling costs", ledger_quantity},
  };
  return kTable;
}

Compute read_quantity(const QuantityContext& context) {
  const QuantityKind* found = nullptr;
  std::string all;
  for (const auto& kind : quantity_kinds()) {
    all += (all.empty() ? "" : ", ") + std::string(kind.name);
    if (!context.node.has(kind.name)) continue;
    if (found != nullptr) {
      context.node.error(
          fmt::format("both '{}' and '{}'; a quantity is of one kind", found->name, kind.name));
      return {};
    }
    found = &kind;
  }
  if (found == nullptr) {
    context.node.error(fmt::format("no kind of quantity; give one of {}", all));
    return {};
  }
  return found->make(context);
}

fs::path scenario_path(const QuantityContext& context, std::string_view kind) {
  const auto name = context.node.required<std::string>(kind);
  return name.empty() ? fs::path() : (context.folder / name).lexically_normal();
}

std::vector<std::string> overrides_of(const QuantityContext& context) {
  std::vector<std::string> out;
  for (const auto& item : context.node.any_child("set").items())
    out.push_back(item.as<std::string>());
  return out;
}

std::string memo_key(const fs::path& path, const std::vector<std::string>& overrides) {
  std::string key = path.string();
  for (const auto& text : overrides) key += "\n" + text;
  return key;
}

scenarios::loader::Scenario load_serving(const QuantityContext& context, std::string_view kind) {
  const fs::path path = scenario_path(context, kind);
  const auto overrides = overrides_of(context);
  if (path.empty()) return {};
  try {
    return scenarios::loader::load_scenario(path, context.workshop.catalogue(), overrides);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
}

void unknown_figure(const QuantityContext& context, const std::string& name,
                    const std::vector<std::string>& known) {
  const auto near = scenarios::loader::did_you_mean(name, known);
  std::string all;
  for (const auto& one : known) all += (all.empty() ? "" : ", ") + one;
  context.node.any_child("figure").error(fmt::format(
      "no figure '{}'; {}", name,
      near ? fmt::format("did you mean '{}'?", *near) : fmt::format("there are: {}", all)));
}

Compute given_quantity(const QuantityContext& context) {
  Value value;
  value.value = context.node.required<Ratio>("given", scenarios::loader::kAnyNumber).value;
  value.relative_error = context.node.optional<Ratio>("error").value_or(Ratio{0.0}).value;
  value.provenance = Provenance::user;
  // Who says so: the article, or a source of its own.
  if (context.node.optional<std::string>("assumed")) value.provenance = Provenance::assumed;
  (void)context.node.optional<std::string>("quote");
  return [value](const Values&) { return value; };
}

Compute formula_quantity(const QuantityContext& context) {
  const auto formula = context.node.required<std::string>("formula");
  return [formula](const Values& values) { return evaluate(formula, values); };
}

std::shared_ptr<const models::kernels::Calibration> Workshop::calibration_of(
    const std::string& tables) {
  auto& known = by_tables_[tables];
  if (!known) known = scenarios::loader::read_calibration(calibrations_.file(), tables);
  return known;
}

const Workshop::Run& Workshop::run(const std::string& key,
                                   const scenarios::loader::Scenario& scenario) {
  const auto [it, fresh] = runs_.try_emplace(key);
  if (!fresh) return it->second;
  Run& run = it->second;
  try {
    sim::engine::RunOptions options;
    options.executor = sim::engine::ExecutorKind::serial;
    const auto result = models::serving::simulate(
        scenario.serving, calibration_of(scenario.serving.deployment.node.gpu.tables), options);
    if (!result.conservation_errors.empty())
      throw std::logic_error(result.conservation_errors.front());
    run.metrics = analysis::summarise(scenario, result);
    run.relative_error = result.latency_relative_error;
    run.provenance = result.latency_provenance;
  } catch (const sim::core::InfeasibleError& error) {
    run.infeasible = error.what();
  }
  return run;
}

const Workshop::Training& Workshop::train(const std::string& key,
                                          const scenarios::loader::TrainingScenario& job) {
  const auto [it, fresh] = trainings_.try_emplace(key);
  if (!fresh) return it->second;
  try {
    it->second.prediction = analysis::predict_training(
        job, calibration_of(job.training.node.gpu.tables), {.simulate = false});
  } catch (const sim::core::InfeasibleError& error) {
    it->second.infeasible = error.what();
  }
  return it->second;
}

}  // namespace foretoken::validation::claims
