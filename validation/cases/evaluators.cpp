#include "validation/cases/evaluators.hpp"

namespace foretoken::validation::cases {

const std::vector<EvaluatorEntry>& evaluators() {
  static const std::vector<EvaluatorEntry> kTable = {
      {"step", "rate, time, power or memory of one steady engine step", step_evaluator},
      {"step_gain", "what a change of the scenario adds to that, in percent", step_gain_evaluator},
      {"run", "a figure of the summary of a whole run", run_evaluator},
      {"training", "a training job's GPU-hours, step, throughput, days or memory",
       training_evaluator},
      {"training_pair", "a forward and a backward pass of layers with experts at once",
       training_pair_evaluator},
  };
  return kTable;
}

std::vector<std::string> case_overrides(const CaseContext& context) {
  std::vector<std::string> overrides;
  const auto add = [&overrides](const scenarios::loader::YamlNode& list) {
    for (const auto& item : list.items()) overrides.push_back(item.as<std::string>());
  };
  add(context.file.root().any_child("set"));
  if (context.point) add(context.point->any_child("set"));
  return overrides;
}

scenarios::loader::Scenario case_scenario(const CaseContext& context,
                                          const std::vector<std::string>& more) {
  const auto root = context.file.root();
  const auto name = root.required<std::string>("scenario");
  std::vector<std::string> overrides = case_overrides(context);
  overrides.insert(overrides.end(), more.begin(), more.end());
  if (name.empty()) return {};
  try {
    return scenarios::loader::load_scenario(context.folder / name, context.catalogue, overrides);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
}

}  // namespace foretoken::validation::cases
