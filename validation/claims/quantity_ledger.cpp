// Money: ledgers of `service:` scenarios, with figures of other quantities put in.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "models/cost/break_even.hpp"
#include "scenarios/loader/ledger_scenario.hpp"
#include "sim/core/error.hpp"
#include "validation/claims/formula.hpp"
#include "validation/claims/quantity.hpp"

namespace foretoken::validation::claims {
namespace {

namespace cost = models::cost;
using scenarios::loader::LedgerScenario;

using Figure = double (*)(const cost::CostSpec&, const cost::Service&);

double yearly(const cost::Ledger& ledger) { return ledger.amount() / ledger.years; }

double payback(const cost::CostSpec& spec, const cost::Service& service) {
  const auto back =
      cost::return_on(cost::own_ledger(spec, service), cost::api_ledger(spec, service));
  return back.payback_years.value_or(std::numeric_limits<double>::infinity());
}

double break_even_requests(const cost::CostSpec& spec, const cost::Service& service) {
  constexpr double kMost = 1e9;
  return cost::break_even(spec, service, kMost)
      .own_over_api.value_or(std::numeric_limits<double>::infinity());
}

double cents(cost::Cents value) { return static_cast<double>(value) / 100.0; }

// Figures of a service that formulas of the claim may set.
using Member = double cost::Service::*;
const std::vector<std::pair<std::string_view, Member>>& members() {
  static const std::vector<std::pair<std::string_view, Member>> kTable = {
      {"nodes", &cost::Service::units},
      {"node_power", &cost::Service::unit_watts},
      {"requests_per_day", &cost::Service::requests_per_day},
      {"input_tokens", &cost::Service::input_tokens},
      {"output_tokens", &cost::Service::output_tokens},
      {"node_capacity_per_day", &cost::Service::unit_capacity_per_day},
  };
  return kTable;
}

const std::vector<std::pair<std::string, Figure>>& ledger_figures() {
  using cost::CostSpec;
  using cost::Service;
  static const std::vector<std::pair<std::string, Figure>> kTable = {
      {"total", [](const CostSpec& c, const Service& s) { return own_ledger(c, s).amount(); }},
      {"year", [](const CostSpec& c, const Service& s) { return yearly(own_ledger(c, s)); }},
      {"purchase",
       [](const CostSpec& c, const Service& s) { return cents(own_ledger(c, s).purchase); }},
      {"electricity_year",
       [](const CostSpec& c, const Service& s) {
         return cents(own_ledger(c, s).of("electricity")) / c.horizon_years;
       }},
      {"staff",
       [](const CostSpec& c, const Service& s) { return cents(own_ledger(c, s).of("staff")); }},
      {"kwh_year",
       [](const CostSpec& c, const Service& s) { return own_ledger(c, s).kwh / c.horizon_years; }},
      {"per_request",
       [](const CostSpec& c, const Service& s) {
         return unit_costs(own_ledger(c, s), s).request.value;
       }},
      {"per_million_output",
       [](const CostSpec& c, const Service& s) {
         return unit_costs(own_ledger(c, s), s).million_output.value;
       }},
      {"api_year", [](const CostSpec& c, const Service& s) { return yearly(api_ledger(c, s)); }},
      {"payback_years", payback},
      {"break_even_requests_per_day", break_even_requests},
  };
  return kTable;
}

}  // namespace

// {ledger: FILE, with: {node_power: FORMULA, ...}, figure: NAME}
Compute ledger_quantity(const QuantityContext& context) {
  const Figure figure = read_figure(context, ledger_figures());
  const auto path = scenario_path(context, "ledger");
  const auto overrides = overrides_of(context);
  std::vector<std::pair<Member, std::string>> changes;
  for (const auto& [key, node] : context.node.child("with").entries()) {
    Member member = nullptr;
    for (const auto& [name, place] : members())
      if (name == key) member = place;
    if (member == nullptr) node.error(fmt::format("a service has no figure '{}'", key));
    changes.emplace_back(member, node.as<std::string>());
  }
  const double error = context.node.optional<scenarios::loader::Ratio>("error")
                           .value_or(scenarios::loader::Ratio{})
                           .value;
  if (path.empty()) return {};
  LedgerScenario scenario;
  try {
    scenario =
        scenarios::loader::load_ledger_scenario(path, context.workshop.catalogue(), overrides);
  } catch (const sim::core::InputError& problem) {
    context.file.absorb(problem.diagnostics());
    return {};
  }
  return [=](const Values& values) {
    cost::Service service = scenario.service;
    Value value{0.0, error, Provenance::user, {}};
    std::vector<Value> put_in;
    for (const auto& [member, formula] : changes) {
      put_in.push_back(evaluate(formula, values));
      service.*member = put_in.back().value;
      value.provenance = weakest(value.provenance, put_in.back().provenance);
      if (!put_in.back().infeasible.empty()) value.infeasible = put_in.back().infeasible;
    }
    if (!value.infeasible.empty()) return value;
    value.value = figure(scenario.cost, service);
    // What each figure's own error does to the result; independent of each other.
    double squares = error * error;
    for (std::size_t i = 0; i < changes.size() && value.value > 0.0; ++i) {
      cost::Service moved = service;
      moved.*changes[i].first *= 1.0 + put_in[i].relative_error;
      squares += std::pow(figure(scenario.cost, moved) / value.value - 1.0, 2);
    }
    if (std::isfinite(squares)) value.relative_error = std::sqrt(squares);
    return value;
  };
}

}  // namespace foretoken::validation::claims
