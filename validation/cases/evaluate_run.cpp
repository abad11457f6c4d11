// A figure of the summary of a whole run.
#include <fmt/format.h>

#include "analysis/summary.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "sim/core/error.hpp"
#include "validation/cases/evaluators.hpp"

namespace foretoken::validation::cases {
namespace {

using scenarios::loader::Scenario;

std::string summary_of(const Scenario& scenario, const std::filesystem::path& file) {
  const auto& d = scenario.serving.deployment;
  const auto result = models::serving::simulate(
      scenario.serving, scenarios::loader::read_calibration(file, d.node.gpu.tables), {});
  return analysis::summary_json(scenario, result, analysis::summarise(scenario, result), {});
}

}  // namespace

Prediction run_evaluator(const CaseContext& context) {
  const auto figure = context.file.root().required<std::string>("figure");
  const Scenario scenario = case_scenario(context);
  return [=, file = context.calibration, summaries = context.summaries] {
    const std::string what = fmt::format("{} {}", scenario.file.lexically_normal().string(),
                                         fmt::join(scenario.overrides, " "));
    if (!summaries->contains(what)) (*summaries)[what] = summary_of(scenario, file);
    const auto found = analysis::figure_of_summary(summaries->at(what), figure);
    if (!found) throw sim::core::InputError(fmt::format("the summary has no number '{}'", figure));
    return *found;
  };
}

}  // namespace foretoken::validation::cases
