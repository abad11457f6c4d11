// foretoken cost: what owning, renting or calling costs.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <limits>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/cost_answer.hpp"
#include "analysis/study/evaluate.hpp"
#include "scenarios/loader/ledger_scenario.hpp"
#include "scenarios/loader/scenario_training.hpp"

namespace foretoken::analysis::app {
namespace {

CommandPage page() {
  CommandPage page;
  page.synopsis = "cost SCENARIO [options]";
  page.about =
      "Simulates a serving scenario and writes the ledgers of owning, renting and calling it, to "
      "the\n"
      "cent: purchase, maintenance, electricity, space, staff, model updates; what a month, a "
      "request\n"
      "and a million tokens cost; when a purchase is paid back; from how many requests a day "
      "owning is\n"
      "cheaper; what the price depends on. A file with a `service:` block instead of a deployment "
      "states\n"
      "what is served, and nothing is simulated.\n";
  page.examples =
      "  foretoken cost scenarios/quickstart.yaml --set cost.api=deepseek-v3.2\n"
      "  foretoken cost scenarios/deepseek/income.yaml --json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"set", "PATH=VALUE", "replace one value of the scenario; may be repeated", "", true},
      {"node-capacity", "REQUESTS",
       "requests a day that one node can serve (default: what this run served)"},
      {"most", "REQUESTS", "end of the curve over requests a day", "100000000"},
      {"max-total", "AMOUNT", "exit 5 if owning (or the cheapest rent) costs more"},
      {"json", "", "as JSON"},
  };
  return page;
}

CostQuestion stated(const std::filesystem::path& file, const Invocation& invocation,
                    const std::vector<std::string>& overrides) {
  const auto scenario = scenarios::loader::load_ledger_scenario(
      file, scenarios::loader::Catalogue(invocation.home), overrides);
  for (const auto& warning : scenario.warnings)
    fmt::print(stderr, "{}\n", sim::core::to_string(warning));
  CostQuestion question;
  question.name = scenario.name;
  question.spec = scenario.cost;
  question.service = scenario.service;
  question.capacity_basis = "as stated";
  if (question.service.unit_capacity_per_day <= 0.0 && question.service.units > 0.0) {
    question.service.unit_capacity_per_day =
        question.service.requests_per_day / question.service.units;
    question.capacity_basis = "what is served now";
  }
  return question;
}

CostQuestion simulated(const std::string& file, const Invocation& invocation,
                       const std::vector<std::string>& overrides) {
  const auto scenario = load_with_warnings(file, invocation.home, overrides);
  const scenarios::loader::Catalogue catalogue(invocation.home);
  study::CalibrationStore calibrations(calibration_file(invocation.home));
  const study::Evaluator evaluator(file, catalogue, calibrations);
  const auto done = evaluator.evaluate(scenario, false, nullptr);
  if (done.status == study::Status::infeasible) throw sim::core::InfeasibleError(done.error);
  if (done.status != study::Status::ok) throw sim::core::InputError(done.error);
  CostQuestion question;
  question.name = scenario.name;
  question.spec = scenario.cost;
  question.service = service_of(*done.metrics);
  question.simulated = true;
  question.capacity_basis = done.metrics->saturation.saturated
                                ? "what this run served, overloaded"
                                : "what this run served; it may do more: foretoken capacity";
  return question;
}

}  // namespace

int cost_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const std::string& file = line->arguments[0];
  if (scenarios::loader::is_training_scenario(file))
    throw UsageError("a training job's cost is part of foretoken estimate and run");
  CostQuestion question = scenarios::loader::is_ledger_scenario(file)
                              ? stated(file, invocation, line->list("set"))
                              : simulated(file, invocation, line->list("set"));
  if (line->has("node-capacity")) {
    question.service.unit_capacity_per_day = line->number("node-capacity", 1e-6, 1e15);
    question.capacity_basis = "--node-capacity";
  }
  question.most_requests_per_day = line->number("most", 10.0, 1e15);
  const CostAnswer answer = answer_cost(question);
  std::cout << (line->has("json") ? cost_json(answer) : cost_text(answer));
  if (!line->has("max-total")) return kOk;
  double total = answer.own ? answer.own->amount() : std::numeric_limits<double>::infinity();
  if (!answer.own)
    for (const auto& [tier, rent] : answer.rents) total = std::min(total, rent.amount());
  return total <= line->number("max-total", 0.0, 1e15) ? kOk : kGateFailed;
}

}  // namespace foretoken::analysis::app
