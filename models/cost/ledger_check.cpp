#include "models/cost/ledger_check.hpp"

#include <fmt/format.h>

#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::models::cost {
namespace {

using sim::core::Diagnostic;

class Checker {
 public:
  void add(std::string message) {
    Diagnostic problem;
    problem.message = "cost: " + std::move(message);
    problems_.push_back(std::move(problem));
  }
  void price(const Price& price, const std::string& what) {
    number(price.amount, what, 0.0);
    currencies_[price.currency == Currency::CNY ? 0 : 1] = true;
  }
  void number(double value, const std::string& what, double least,
              double most = std::numeric_limits<double>::infinity()) {
    if (std::isfinite(value) && value >= least && value <= most) return;
    add(std::isfinite(most)
            ? fmt::format("{} is {:g}; it must lie between {:g} and {:g}", what, value, least, most)
            : fmt::format("{} is {:g}; it must be {:g} or more", what, value, least));
  }
  void finish(const CostSpec& spec) {
    currencies_[spec.currency == Currency::CNY ? 0 : 1] = true;
    if (currencies_[0] && currencies_[1] && !(spec.exchange.cny_per_usd > 0.0))
      add("amounts in CNY and USD but no exchange rate; give cny_per_usd with its date");
    if (!problems_.empty()) throw sim::core::InputError(std::move(problems_));
  }

 private:
  std::vector<Diagnostic> problems_;
  bool currencies_[2] = {false, false};
};

void check_tariff(Checker& out, const LedgerSpec& more) {
  double covered = 0.0;
  for (const TariffBand& band : more.tariff) {
    out.price(band.per_kwh, "the electricity price of a tariff band");
    out.number(band.from_h, "the start of a tariff band", 0.0, 24.0);
    out.number(band.to_h, "the end of a tariff band", 0.0, 24.0);
    covered += band.to_h - band.from_h + (band.from_h > band.to_h ? 24.0 : 0.0);
  }
  if (!more.tariff.empty() && std::abs(covered - 24.0) > 1e-9)
    out.add(fmt::format("the bands of the tariff cover {:g} of 24 hours", covered));
  if (!more.load_by_hour.empty() && more.load_by_hour.size() != 24)
    out.add(fmt::format("load by hour has {} values; a day has 24", more.load_by_hour.size()));
  for (const double factor : more.load_by_hour) out.number(factor, "a factor of load by hour", 0.0);
}

void check_own(Checker& out, const CostSpec& spec) {
  const LedgerSpec& more = *spec.ledger;
  if (more.purchases.empty() && !spec.node_price)
    out.add("no purchase price of the node is known; give node_price or capex");
  if (spec.node_price && more.purchases.empty())
    out.price(*spec.node_price, "the purchase price of the node");
  for (const Purchase& purchase : more.purchases) {
    out.price(purchase.price, "the price of " + purchase.name);
    out.number(purchase.count, "the number of " + purchase.name, 0.0);
  }
  out.number(more.cooling_premium, "the premium of liquid cooling", 0.0, 10.0);
  out.number(spec.maintenance_per_year, "maintenance a year", 0.0, 10.0);
  out.number(spec.pue, "PUE", 1.0, 5.0);
  if (more.tariff.empty()) out.price(spec.electricity_per_kwh, "the electricity price");
  check_tariff(out, more);
  if (more.financing) {
    out.number(more.financing->share, "the financed share", 0.0, 1.0);
    out.number(more.financing->rate, "the interest a year", 0.0, 1.0);
    out.number(more.financing->years, "the term of the loan", 0.0);
  }
  if (more.rack_month) out.price(*more.rack_month, "the price of a rack");
  out.number(more.units_per_rack, "nodes in a rack", 1e-6);
}

}  // namespace

void check_ledger(const CostSpec& spec, const Service& service, LedgerKind kind) {
  SIM_ASSERT(spec.ledger != nullptr, "a ledger without its specification");
  Checker out;
  const LedgerSpec& more = *spec.ledger;
  out.number(spec.horizon_years, "the horizon", 1e-6);
  out.number(service.units, "the number of nodes", 0.0);
  out.number(service.unit_watts, "the power of a node", 0.0);
  out.number(service.requests_per_day, "requests a day", 0.0);
  out.number(service.input_tokens, "input tokens of a request", 0.0);
  out.number(service.output_tokens, "output tokens of a request", 0.0);
  const double capacity = service.units * service.unit_capacity_per_day;
  if (capacity > 0.0 && service.requests_per_day > capacity * (1.0 + 1e-9)) {
    out.add(
        fmt::format("{:g} requests a day on {:g} nodes good for {:g} each: a utilisation of "
                    "{:.3g}; it cannot be above 1, so add nodes",
                    service.requests_per_day, service.units, service.unit_capacity_per_day,
                    service.requests_per_day / capacity));
  }
  if (kind == LedgerKind::own) check_own(out, spec);
  if (kind != LedgerKind::api) {
    for (const Role& role : more.staff) {
      out.price(role.salary, "the salary of " + role.name);
      out.number(role.share, "the share of " + role.name, 0.0);
    }
    if (more.model_update) out.price(*more.model_update, "the price of a model update");
    out.number(more.updates_per_year, "model updates a year", 0.0);
  }
  if (kind == LedgerKind::rent) {
    out.price(*spec.gpu_hour, "the rent of a GPU-hour");
  }
  if (kind == LedgerKind::api) {
    if (!more.api) {
      out.add("no price of a remote interface is known; give api");
    } else {
      out.price(more.api->input_hit, "the price of input tokens that hit");
      out.price(more.api->input_miss, "the price of input tokens that miss");
      out.price(more.api->output, "the price of output tokens");
    }
    out.number(more.cache_hit, "the share of cache hits", 0.0, 1.0);
  }
  out.finish(spec);
}

}  // namespace foretoken::models::cost
