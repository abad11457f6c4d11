// The money of a deployment, as text and as JSON.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "analysis/cost_answer.hpp"
#include "analysis/number_text.hpp"

namespace foretoken::analysis {
namespace {

namespace cost = models::cost;
using Json = nlohmann::ordered_json;

std::string_view code(const CostAnswer& a) { return to_string(a.question.spec.currency); }

// Amounts are in the currency shown first; the other by the dated rate.
double other(const CostAnswer& a, double amount) {
  const double rate = a.question.spec.exchange.cny_per_usd;
  if (!(rate > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  return a.question.spec.currency == cost::Currency::CNY ? amount / rate : amount * rate;
}

std::string_view other_code(const CostAnswer& a) {
  return a.question.spec.currency == cost::Currency::CNY ? "USD" : "CNY";
}

// 1,234,567.89
std::string to_the_cent(cost::Cents cents) {
  const cost::Cents size = cents < 0 ? -cents : cents;
  return fmt::format("{}{}.{:02}", cents < 0 ? "-" : "", grouped(size / 100), size % 100);
}

std::string both(const CostAnswer& a, double amount) {
  const double converted = other(a, amount);
  std::string text = fmt::format("{} {}", code(a), money_text(amount));
  if (std::isfinite(converted))
    text += fmt::format(" = {} {}", other_code(a), money_text(converted));
  return text;
}

std::string ledger_text(const CostAnswer& a, const std::string& title, const cost::Ledger& l) {
  std::string out = fmt::format("\n{}, {:g} y\n", title, l.years);
  for (const auto& entry : l.entries)
    out += fmt::format("  {:<24} {:>18}  {}\n", entry.name, to_the_cent(entry.cents), entry.words);
  out += fmt::format("  {:<24} {:>18}  {}\n", "total", to_the_cent(l.total), code(a));
  const auto unit = cost::unit_costs(l, a.question.service);
  for (const auto& u :
       {unit.month, unit.request, unit.million_input, unit.million_output, unit.million_tokens}) {
    if (!std::isfinite(u.value)) continue;
    out += fmt::format("  per {:<27} {}  ({} / {})\n", u.per, both(a, u.value),
                       significant(u.numerator, 7), significant(u.denominator, 5));
  }
  if (l.kwh > 0.0) {
    out += fmt::format("  electricity {} kWh at the meter", significant(l.kwh, 6));
    if (l.carbon_kg > 0.0)
      out += fmt::format(", {} t of CO2", significant(l.carbon_kg / 1000.0, 4));
    out += "\n";
  }
  return out;
}

std::string return_text(const std::string& against, const cost::Return& r) {
  std::string text =
      fmt::format("  against {:<22} {} saved a year", against, money_text(r.saved_per_year));
  if (r.payback_years)
    text += fmt::format(", paid back in {:.2f} y, ROI {:.0f} %", *r.payback_years, 100.0 * r.roi);
  else
    text += ", never paid back";
  return text + "\n";
}

std::string comparison_text(const CostAnswer& a) {
  std::string out;
  if (a.own && (a.api || !a.rents.empty())) {
    out += "\nbuying\n";
    if (a.api) out += return_text("the interface", cost::return_on(*a.own, *a.api));
    for (const auto& [tier, rent] : a.rents)
      out += return_text("renting (" + tier + ")", cost::return_on(*a.own, rent));
  }
  if (a.margin)
    out += fmt::format("\nsold at the interface's prices: margin {:.0f} % over what it costs\n",
                       100.0 * *a.margin);
  const auto& b = a.break_even;
  const auto line = [&](const char* what, const std::optional<double>& at) {
    return fmt::format("  owning is cheaper than {} {}\n", what,
                       at ? fmt::format("from {} requests a day", significant(*at, 4))
                          : std::string("at no load of the curve"));
  };
  if (a.own && (a.api || !a.rents.empty())) {
    out += fmt::format("\nby requests a day, a year in {}; a node serves {} a day ({})\n", code(a),
                       significant(a.question.service.unit_capacity_per_day, 4),
                       a.question.capacity_basis);
    if (a.api) out += line("calling", b.own_over_api);
    if (!a.rents.empty()) out += line("renting", b.own_over_rent);
    out += fmt::format("  {:>14} {:>8} {:>16} {:>16} {:>16}\n", "requests/day", "nodes", "own",
                       "rent", "call");
    for (std::size_t i = 0; i < b.curve.size(); i += 3) {
      const auto& p = b.curve[i];
      const auto text = [](double v) { return std::isfinite(v) ? money_text(v) : "-"; };
      out +=
          fmt::format("  {:>14} {:>8} {:>16} {:>16} {:>16}\n", significant(p.requests_per_day, 3),
                      significant(p.units, 4), text(p.own), text(p.rent), text(p.api));
    }
  }
  return out;
}

std::string tornado_text(const CostAnswer& a) {
  if (a.tornado.empty() || !std::isfinite(a.tornado.front().low)) return {};
  std::string out =
      fmt::format("\nwhat a million output tokens cost, {}, one input moved\n", code(a));
  for (const auto& s : a.tornado)
    out += fmt::format("  {:<20} {:>8} {:>12}   {:>8} {:>12}\n", s.input, s.from, money_text(s.low),
                       s.to, money_text(s.high));
  return out;
}

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json maybe(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json unit_json(const CostAnswer& a, const cost::UnitCost& u) {
  return {{"per", u.per},
          {"value", finite(u.value)},
          {"other_currency", finite(other(a, u.value))},
          {"numerator", finite(u.numerator)},
          {"denominator", finite(u.denominator)}};
}

Json ledger_json(const CostAnswer& a, const std::string& name, const cost::Ledger& l) {
  Json entries = Json::array();
  for (const auto& entry : l.entries)
    entries.push_back({{"name", entry.name},
                       {"amount", static_cast<double>(entry.cents) / 100.0},
                       {"formula", entry.words}});
  const auto unit = cost::unit_costs(l, a.question.service);
  return {{"way", name},
          {"currency", code(a)},
          {"years", l.years},
          {"entries", std::move(entries)},
          {"total", l.amount()},
          {"total_other_currency", finite(other(a, l.amount()))},
          {"purchase", static_cast<double>(l.purchase) / 100.0},
          {"kwh", l.kwh},
          {"carbon_kg", l.carbon_kg},
          {"per_month", unit_json(a, unit.month)},
          {"per_request", unit_json(a, unit.request)},
          {"per_million_input_tokens", unit_json(a, unit.million_input)},
          {"per_million_output_tokens", unit_json(a, unit.million_output)},
          {"per_million_tokens", unit_json(a, unit.million_tokens)}};
}

Json return_json(const std::string& against, const cost::Return& r) {
  return {{"against", against},
          {"saved_per_year", r.saved_per_year},
          {"payback_years", maybe(r.payback_years)},
          {"roi_pct", 100.0 * r.roi}};
}

Json service_json(const CostQuestion& q) {
  const auto& s = q.service;
  return {{"simulated", q.simulated},
          {"nodes", s.units},
          {"gpus_per_node", s.gpus_per_unit},
          {"node_watts", s.unit_watts},
          {"requests_per_day", s.requests_per_day},
          {"input_tokens", s.input_tokens},
          {"output_tokens", s.output_tokens},
          {"node_capacity_per_day", s.unit_capacity_per_day},
          {"capacity_basis", q.capacity_basis}};
}

Json break_even_json(const cost::BreakEven& b) {
  Json curve = Json::array();
  for (const auto& p : b.curve)
    curve.push_back({{"requests_per_day", p.requests_per_day},
                     {"nodes", p.units},
                     {"own_per_year", finite(p.own)},
                     {"rent_per_year", finite(p.rent)},
                     {"api_per_year", finite(p.api)}});
  return {{"own_cheaper_than_api_from", maybe(b.own_over_api)},
          {"own_cheaper_than_rent_from", maybe(b.own_over_rent)},
          {"curve", std::move(curve)}};
}

}  // namespace

std::string cost_text(const CostAnswer& a) {
  const auto& q = a.question;
  std::string out = fmt::format(
      "{}\n{} requests a day of {} + {} tokens on {:g} nodes of {:g} GPUs, {} kW at the wall "
      "each, {}\n",
      q.name, significant(q.service.requests_per_day, 5), significant(q.service.input_tokens, 4),
      significant(q.service.output_tokens, 4), q.service.units, q.service.gpus_per_unit,
      significant(q.service.unit_watts / 1000.0, 3), q.simulated ? "simulated" : "as stated");
  if (q.spec.exchange.cny_per_usd > 0.0)
    out += fmt::format("1 USD = {:g} CNY ({}{}{})\n", q.spec.exchange.cny_per_usd,
                       q.spec.exchange.source, q.spec.exchange.date.empty() ? "" : ", ",
                       q.spec.exchange.date);
  if (a.own) out += ledger_text(a, "own", *a.own);
  for (const auto& [tier, rent] : a.rents) out += ledger_text(a, "rent, " + tier, rent);
  if (a.api) out += ledger_text(a, "call " + q.spec.ledger->api->name, *a.api);
  out += comparison_text(a) + tornado_text(a);
  for (const auto& why : a.left_out) out += "\nnot computed: " + why;
  return out + (a.left_out.empty() ? "" : "\n");
}

std::string cost_json(const CostAnswer& a) {
  const auto& q = a.question;
  Json ledgers = Json::array(), returns = Json::array(), tornado = Json::array();
  if (a.own) ledgers.push_back(ledger_json(a, "own", *a.own));
  for (const auto& [tier, rent] : a.rents) ledgers.push_back(ledger_json(a, "rent " + tier, rent));
  if (a.api) ledgers.push_back(ledger_json(a, "api", *a.api));
  if (a.own && a.api) returns.push_back(return_json("api", cost::return_on(*a.own, *a.api)));
  if (a.own)
    for (const auto& [tier, rent] : a.rents)
      returns.push_back(return_json("rent " + tier, cost::return_on(*a.own, rent)));
  for (const auto& s : a.tornado)
    tornado.push_back({{"input", s.input},
                       {"from", s.from},
                       {"to", s.to},
                       {"cost_from", finite(s.low)},
                       {"cost_to", finite(s.high)}});
  const Json json = {{"name", q.name},
                     {"currency", code(a)},
                     {"cny_per_usd", q.spec.exchange.cny_per_usd},
                     {"exchange_source", q.spec.exchange.source},
                     {"exchange_date", q.spec.exchange.date},
                     {"horizon_years", q.spec.horizon_years},
                     {"formula", to_string(q.spec.ledger->formula)},
                     {"service", service_json(q)},
                     {"ledgers", std::move(ledgers)},
                     {"returns", std::move(returns)},
                     {"margin_pct", a.margin ? Json(100.0 * *a.margin) : Json(nullptr)},
                     {"break_even", break_even_json(a.break_even)},
                     {"tornado", std::move(tornado)},
                     {"not_computed", a.left_out}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace foretoken::analysis
