#include "models/cost/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/cost/ledger_check.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::cost {
namespace {

constexpr double kHoursPerYear = 8760.0;
constexpr double kDaysPerYear = 365.0;
constexpr double kMonthsPerYear = 12.0;
constexpr double kMillion = 1e6;

// Adds entries to a ledger, each rounded once.
class Writer {
 public:
  Writer(std::string kind, const CostSpec& spec) : spec_(spec) {
    ledger_.kind = std::move(kind);
    ledger_.currency = spec.currency;
    ledger_.years = spec.horizon_years;
  }
  [[nodiscard]] double money(const Price& price) const {
    return in_currency(price, spec_.currency, spec_.exchange);
  }
  void add(std::string name, double amount, std::string words) {
    const Cents cents = to_cents(amount);
    ledger_.entries.push_back({std::move(name), cents, std::move(words)});
    ledger_.total += cents;
  }
  Ledger ledger_;

 private:
  const CostSpec& spec_;
};

std::vector<Purchase> purchases_of(const CostSpec& spec) {
  const LedgerSpec& more = *spec.ledger;
  if (!more.purchases.empty()) return more.purchases;
  return {{"hardware", *spec.node_price, 1.0}};
}

// Interest of a loan of `amount` over its term, and what of it falls within `years`.
double interest(double amount, const Financing& loan, double years) {
  const double months = loan.years * kMonthsPerYear;
  const double rate = loan.rate / kMonthsPerYear;
  if (amount <= 0.0 || months <= 0.0 || rate <= 0.0) return 0.0;
  const double payment = amount * rate / (1.0 - std::pow(1.0 + rate, -months));
  double owed = amount, paid = 0.0;
  const double last = std::min(months, years * kMonthsPerYear);
  for (int month = 0; month < static_cast<int>(std::llround(last)); ++month) {
    paid += owed * rate;
    owed -= payment - owed * rate;
  }
  return paid;
}

double band_share(const TariffBand& band, const std::vector<double>& load) {
  double share = 0.0, all = 0.0;
  for (int quarter = 0; quarter < 96; ++quarter) {
    const double hour = (quarter + 0.5) / 4.0;
    const double weight = load.empty() ? 1.0 : load[static_cast<std::size_t>(hour)];
    all += weight;
    const bool inside = band.from_h <= band.to_h ? hour >= band.from_h && hour < band.to_h
                                                 : hour >= band.from_h || hour < band.to_h;
    if (inside) share += weight;
  }
  return all > 0.0 ? share / all : 0.0;
}

void buy(Writer& out, const CostSpec& spec, const Service& service) {
  const LedgerSpec& more = *spec.ledger;
  const bool whole = more.formula == Formula::article;
  const double life =
      more.depreciation_years > 0.0 && !whole ? more.depreciation_years : spec.horizon_years;
  const double written_off = spec.horizon_years / life;
  double all = 0.0;
  for (const Purchase& purchase : purchases_of(spec)) {
    const double paid = out.money(purchase.price) * purchase.count * service.units;
    all += paid;
    out.ledger_.purchase += to_cents(paid);
    out.add(purchase.name, paid * written_off,
            fmt::format("{:g} x {:g} x {:.12g} {} x {:g} y / {:g} y", service.units, purchase.count,
                        purchase.price.amount, to_string(purchase.price.currency),
                        spec.horizon_years, life));
  }
  if (more.cooling_premium > 0.0) {
    const double paid = all * more.cooling_premium;
    out.ledger_.purchase += to_cents(paid);
    out.add("cooling", paid * written_off,
            fmt::format("{:g} % of the purchases", more.cooling_premium * 100.0));
  }
  if (whole) return;
  if (spec.maintenance_per_year > 0.0) {
    out.add("maintenance", all * spec.maintenance_per_year * spec.horizon_years,
            fmt::format("{:g} % of the purchases a year x {:g} y",
                        spec.maintenance_per_year * 100.0, spec.horizon_years));
  }
  if (more.financing && more.financing->share > 0.0) {
    const double bought = static_cast<double>(out.ledger_.purchase) / 100.0;
    out.add("interest",
            interest(bought * more.financing->share, *more.financing, spec.horizon_years),
            fmt::format("{:g} % of the purchases borrowed at {:g} % a year over {:g} y, level "
                        "monthly payments",
                        more.financing->share * 100.0, more.financing->rate * 100.0,
                        more.financing->years));
  }
}

void power(Writer& out, const CostSpec& spec, const Service& service) {
  const double kw = service.units * service.unit_watts * spec.pue / 1000.0;
  const double kwh = kw * kHoursPerYear * spec.horizon_years;
  out.ledger_.kwh = kwh;
  out.ledger_.carbon_kg = kwh * spec.carbon_kg_per_kwh;
  const auto& tariff = spec.ledger->tariff;
  if (tariff.empty()) {
    out.add("electricity", kwh * out.money(spec.electricity_per_kwh),
            fmt::format("{:.3f} kW (PUE {:g} included) x 8760 h x {:g} y x {:g} {}/kWh", kw,
                        spec.pue, spec.horizon_years, spec.electricity_per_kwh.amount,
                        to_string(spec.electricity_per_kwh.currency)));
    return;
  }
  for (const TariffBand& band : tariff) {
    const double share = band_share(band, spec.ledger->load_by_hour);
    out.add(fmt::format("electricity {:g}-{:g} h", band.from_h, band.to_h),
            kwh * share * out.money(band.per_kwh),
            fmt::format("{:.1f} kWh x {:.2f} % of the day's energy x {:g} {}/kWh", kwh,
                        share * 100.0, band.per_kwh.amount, to_string(band.per_kwh.currency)));
  }
}

void run(Writer& out, const CostSpec& spec, const Service& service) {
  const LedgerSpec& more = *spec.ledger;
  if (more.rack_month && more.formula == Formula::full) {
    const double racks = std::ceil(service.units / more.units_per_rack);
    out.add(
        "space", out.money(*more.rack_month) * racks * kMonthsPerYear * spec.horizon_years,
        fmt::format("{:g} racks x {:.12g} {} a month x {:g} months", racks, more.rack_month->amount,
                    to_string(more.rack_month->currency), kMonthsPerYear * spec.horizon_years));
  }
  for (const Role& role : more.staff) {
    out.add("staff: " + role.name, out.money(role.salary) * role.share * spec.horizon_years,
            fmt::format("{:g} of a person x {:.12g} {} a year x {:g} y", role.share,
                        role.salary.amount, to_string(role.salary.currency), spec.horizon_years));
  }
  if (more.model_update && more.updates_per_year > 0.0) {
    out.add("model updates",
            out.money(*more.model_update) * more.updates_per_year * spec.horizon_years,
            fmt::format("{:.12g} {} x {:g} a year x {:g} y", more.model_update->amount,
                        to_string(more.model_update->currency), more.updates_per_year,
                        spec.horizon_years));
  }
}

UnitCost unit(double numerator, double denominator, std::string per) {
  UnitCost cost;
  cost.numerator = numerator;
  cost.denominator = denominator;
  cost.value =
      denominator > 0.0 ? numerator / denominator : std::numeric_limits<double>::quiet_NaN();
  cost.per = std::move(per);
  return cost;
}

}  // namespace

Cents to_cents(double amount) { return std::llround(amount * 100.0); }

std::string_view to_string(Formula formula) {
  return formula == Formula::article ? "article" : "full";
}

double in_currency(const Price& price, Currency currency, const ExchangeRate& rate) {
  if (price.currency == currency) return price.amount;
  if (!(rate.cny_per_usd > 0.0)) {
    throw sim::core::InputError(
        "cost: no exchange rate; CNY and USD cannot be compared without one");
  }
  return currency == Currency::CNY ? price.amount * rate.cny_per_usd
                                   : price.amount / rate.cny_per_usd;
}

Cents Ledger::of(const std::string& entry) const {
  Cents sum = 0;
  for (const Entry& e : entries)
    if (e.name == entry || e.name.rfind(entry + " ", 0) == 0 || e.name.rfind(entry + ":", 0) == 0)
      sum += e.cents;
  return sum;
}

// total = N (sum of purchases) (1 + premium) H / life + N (sum) maintenance H + interest
//       + N W PUE / 1000 x 8760 H x tariff + racks + staff + updates.  A year has 8,760 hours.
Ledger own_ledger(const CostSpec& spec, const Service& service) {
  check_ledger(spec, service, LedgerKind::own);
  Writer out("own", spec);
  buy(out, spec, service);
  power(out, spec, service);
  run(out, spec, service);
  return std::move(out.ledger_);
}

// Hardware, power, space and maintenance are the landlord's; people and models are not.
Ledger rent_ledger(const CostSpec& spec, const Service& service, const Price& hour) {
  CostSpec priced = spec;
  priced.gpu_hour = hour;
  check_ledger(priced, service, LedgerKind::rent);
  Writer out("rent", spec);
  const double gpus = service.units * service.gpus_per_unit;
  out.add("rent", out.money(hour) * gpus * kHoursPerYear * spec.horizon_years,
          fmt::format("{:.12g} GPUs x {:.12g} {} an hour x 8760 h x {:g} y", gpus, hour.amount,
                      to_string(hour.currency), spec.horizon_years));
  CostSpec people = spec;
  auto less = std::make_shared<LedgerSpec>(*spec.ledger);
  less->rack_month.reset();
  people.ledger = less;
  run(out, people, service);
  return std::move(out.ledger_);
}

std::optional<Price> cheapest_rent(const CostSpec& spec) {
  std::optional<Price> best = spec.gpu_hour;
  for (const auto& [tier, price] : spec.ledger->rents) {
    if (!best || in_currency(price, spec.currency, spec.exchange) <
                     in_currency(*best, spec.currency, spec.exchange))
      best = price;
  }
  return best;
}

Ledger api_ledger(const CostSpec& spec, const Service& service) {
  check_ledger(spec, service, LedgerKind::api);
  Writer out("api", spec);
  const ApiPrices& api = *spec.ledger->api;
  const double requests = service.requests_per_day * kDaysPerYear * spec.horizon_years;
  const auto add = [&](const char* name, double tokens, const Price& price) {
    out.add(name, requests * tokens / kMillion * out.money(price),
            fmt::format("{:.12g} requests x {:.6g} tokens x {:.12g} {} per million", requests,
                        tokens, price.amount, to_string(price.currency)));
  };
  const double hit = spec.ledger->cache_hit;
  if (hit > 0.0) add("input, cache hit", service.input_tokens * hit, api.input_hit);
  add("input, cache miss", service.input_tokens * (1.0 - hit), api.input_miss);
  add("output", service.output_tokens, api.output);
  return std::move(out.ledger_);
}

UnitCosts unit_costs(const Ledger& ledger, const Service& service) {
  const double requests = service.requests_per_day * kDaysPerYear * ledger.years;
  const double input = requests * service.input_tokens / kMillion;
  const double output = requests * service.output_tokens / kMillion;
  const double total = ledger.amount();
  return {unit(total, ledger.years * kMonthsPerYear, "month"), unit(total, requests, "request"),
          unit(total, input, "million input tokens"), unit(total, output, "million output tokens"),
          unit(total, input + output, "million input + output tokens")};
}

Return return_on(const Ledger& own, const Ledger& alternative) {
  Return result;
  const double purchase = static_cast<double>(own.purchase) / 100.0;
  double written_off = 0.0;  // what of the purchase stands among the entries
  for (const Entry& entry : own.entries) {
    const bool running = entry.name == "maintenance" || entry.name == "interest" ||
                         entry.name == "space" || entry.name == "model updates" ||
                         entry.name.rfind("electricity", 0) == 0 ||
                         entry.name.rfind("staff:", 0) == 0;
    if (!running) written_off += static_cast<double>(entry.cents) / 100.0;
  }
  const double running = (own.amount() - written_off) / own.years;
  result.saved_per_year = alternative.amount() / alternative.years - running;
  if (result.saved_per_year > 0.0 && purchase > 0.0)
    result.payback_years = purchase / result.saved_per_year;
  if (purchase > 0.0) result.roi = (result.saved_per_year * own.years - purchase) / purchase;
  return result;
}

}  // namespace foretoken::models::cost
