#include "models/cost/cost.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "sim/core/error.hpp"

namespace foretoken::models::cost {

using sim::core::Diagnostic;
using sim::core::InputError;

namespace {

constexpr double kHoursPerYear = 8760.0;
constexpr double kWattsPerKilowatt = 1000.0;
constexpr double kSecondsPerHour = 3600.0;
constexpr double kMillion = 1e6;

class Problems {
 public:
  void add(std::string message) {
    Diagnostic diagnostic;
    diagnostic.message = std::move(message);
    list_.push_back(std::move(diagnostic));
  }
  void must_be(bool holds, const std::string& message) {
    if (!holds) add(message);
  }
  void price(const Price& price, const std::string& what) {
    must_be(std::isfinite(price.amount) && price.amount >= 0.0,
            fmt::format("{} is {}; a price must be zero or more", what, price.amount));
  }
  void throw_if_any() {
    if (!list_.empty()) throw InputError(std::move(list_));
  }

 private:
  std::vector<Diagnostic> list_;
};

void check(const CostSpec& spec, double facility_watts) {
  Problems problems;
  if (spec.node_price && spec.gpu_hour) {
    problems.add("cost: both a purchase price and a rent are given; keep one of them");
  }
  if (!spec.node_price && !spec.gpu_hour) {
    problems.add("cost: neither a purchase price of the node nor a rent is known; give one");
  }
  if (!(std::isfinite(spec.exchange.cny_per_usd) && spec.exchange.cny_per_usd > 0.0)) {
    problems.add("cost: no exchange rate; CNY and USD cannot be compared without one");
  }
  if (spec.node_price) {
    problems.price(*spec.node_price, "cost: the purchase price of the node");
    problems.price(spec.electricity_per_kwh, "cost: the electricity price");
  }
  if (spec.gpu_hour) problems.price(*spec.gpu_hour, "cost: the rent of a GPU-hour");
  problems.must_be(std::isfinite(spec.horizon_years) && spec.horizon_years > 0.0,
                   fmt::format("cost: horizon {} y; it must be above 0", spec.horizon_years));
  problems.must_be(
      std::isfinite(spec.maintenance_per_year) && spec.maintenance_per_year >= 0.0,
      fmt::format("cost: maintenance {} a year; it must be 0 or more", spec.maintenance_per_year));
  problems.must_be(std::isfinite(spec.pue) && spec.pue >= 1.0,
                   fmt::format("cost: PUE {}; a facility draws at least what its servers draw, "
                               "so 1 or more",
                               spec.pue));
  problems.must_be(std::isfinite(facility_watts) && facility_watts >= 0.0,
                   fmt::format("cost: mean power {} W; it must be 0 or more", facility_watts));
  problems.throw_if_any();
}

// Adds `amount` in `currency` an hour under `name`, in both currencies.
void add_line(CostAccount& account, const ExchangeRate& rate, const std::string& name,
              double amount, Currency currency) {
  CostAccount::Line line;
  line.name = name;
  line.cny = currency == Currency::CNY ? amount : amount * rate.cny_per_usd;
  line.usd = currency == Currency::USD ? amount : amount / rate.cny_per_usd;
  account.total_cny_per_hour += line.cny;
  account.total_usd_per_hour += line.usd;
  account.per_hour.push_back(std::move(line));
}

void add_bought(CostAccount& account, const CostSpec& spec, int nodes, double facility_watts) {
  const Price& node = *spec.node_price;
  const double purchase = node.amount * nodes;
  add_line(account, spec.exchange, "hardware", purchase / (spec.horizon_years * kHoursPerYear),
           node.currency);
  add_line(account, spec.exchange, "maintenance",
           purchase * spec.maintenance_per_year / kHoursPerYear, node.currency);
  const Price& kwh = spec.electricity_per_kwh;
  add_line(account, spec.exchange, "electricity", facility_watts / kWattsPerKilowatt * kwh.amount,
           kwh.currency);
}

std::string bought_in_words(const CostSpec& spec, int nodes, double facility_watts) {
  const Price& node = *spec.node_price;
  return fmt::format(
      "per hour: hardware {} nodes x {:.0f} {} / ({:g} y x 8760 h) + maintenance {:g} % of the "
      "purchase a year + electricity {:.3f} kW (PUE {:g} included) x {:g} {}/kWh",
      nodes, node.amount, to_string(node.currency), spec.horizon_years,
      spec.maintenance_per_year * 100.0, facility_watts / kWattsPerKilowatt, spec.pue,
      spec.electricity_per_kwh.amount, to_string(spec.electricity_per_kwh.currency));
}

std::string rented_in_words(const Price& rent, double gpus) {
  return fmt::format("per hour: {:.6g} GPUs x {:g} {} a GPU-hour, electricity included", gpus,
                     rent.amount, to_string(rent.currency));
}

double per_million(double per_hour, double tokens_per_s) {
  if (!(tokens_per_s > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  return per_hour / (tokens_per_s * kSecondsPerHour) * kMillion;
}

}  // namespace

std::string_view to_string(Currency currency) { return currency == Currency::CNY ? "CNY" : "USD"; }

// total/h = N price (1 / (H 8760) + m / 8760) + P_facility / 1000 x tariff, or G rent.
// per million tokens = total/h / (tokens/s x 3600) x 10^6. Straight-line depreciation to zero over
// the horizon H in years; holds for a deployment that is kept on around the clock.
CostAccount cost_of_run(const CostSpec& spec, int nodes, double gpus, double mean_facility_watts,
                        double output_tokens_per_s, double total_tokens_per_s) {
  SIM_ASSERT(nodes > 0 && gpus > 0, "cost of a deployment without nodes or GPUs");
  check(spec, mean_facility_watts);
  CostAccount account;
  if (spec.node_price) {
    add_bought(account, spec, nodes, mean_facility_watts);
    account.formula = bought_in_words(spec, nodes, mean_facility_watts);
  } else {
    add_line(account, spec.exchange, "rent", spec.gpu_hour->amount * gpus, spec.gpu_hour->currency);
    account.formula = rented_in_words(*spec.gpu_hour, gpus);
  }
  account.formula += fmt::format(
      "; per million tokens: that / ({:.1f} output, {:.1f} input + output tokens/s x 3600 s) x "
      "10^6; 1 USD = {:g} CNY",
      output_tokens_per_s, total_tokens_per_s, spec.exchange.cny_per_usd);
  account.cny_per_million_output_tokens =
      per_million(account.total_cny_per_hour, output_tokens_per_s);
  account.usd_per_million_output_tokens =
      per_million(account.total_usd_per_hour, output_tokens_per_s);
  account.cny_per_million_total_tokens =
      per_million(account.total_cny_per_hour, total_tokens_per_s);
  account.usd_per_million_total_tokens =
      per_million(account.total_usd_per_hour, total_tokens_per_s);
  return account;
}

}  // namespace foretoken::models::cost
