// cost: what a ledger needs beside the price of a node-hour.
#include <fmt/format.h>

#include <cmath>

#include "models/cost/ledger.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::cost::LedgerSpec;
using models::cost::Price;

constexpr double kSecondsPerHour = 3600.0;
constexpr double kSecondsPerYear = 365.0 * 86400.0;
constexpr double kHoursOfADay = 24.0;

template <class M>
Price price_of(const YamlNode& node, std::string_view key) {
  const auto money = node.required<M>(key);
  Price price;
  price.amount = money.amount;
  price.currency = money.currency;
  price.source = node.any_child(key).origin();
  return price;
}

void read_parts(const YamlNode& cost, LedgerSpec& out) {
  for (const YamlNode& item : cost.any_child("capex").items()) {
    models::cost::Purchase part;
    part.name = item.required<std::string>("of");
    part.price = price_of<Money>(item, "price");
    part.count = item.optional<Ratio>("count").value_or(Ratio{1.0}).value;
    out.purchases.push_back(std::move(part));
  }
  if (cost.has("capex") && cost.has("node_price"))
    cost.any_child("capex").error("give node_price or its parts, not both");
  out.cooling_premium =
      cost.optional<Ratio>("cooling_premium", {0.0, 10.0}).value_or(Ratio{0.0}).value;
  if (const auto life = cost.optional<Seconds>("depreciation", kPositive))
    out.depreciation_years = life->value / kSecondsPerYear;
  if (const YamlNode loan = cost.child("financing"); loan.exists()) {
    models::cost::Financing financing;
    financing.share = loan.required<Ratio>("share", {0.0, 1.0}).value;
    financing.rate = loan.required<Ratio>("rate", {0.0, 1.0}).value;
    financing.years = loan.required<Seconds>("term", kPositive).value / kSecondsPerYear;
    out.financing = financing;
  }
}

void read_tariff(const YamlNode& cost, LedgerSpec& out) {
  const YamlNode list = cost.any_child("time_of_use");
  double covered = 0.0;
  for (const YamlNode& item : list.items()) {
    models::cost::TariffBand band;
    const Limits day{0.0, kHoursOfADay * kSecondsPerHour};
    band.from_h = item.required<Seconds>("from", day).value / kSecondsPerHour;
    band.to_h = item.required<Seconds>("to", day).value / kSecondsPerHour;
    band.per_kwh = price_of<MoneyPerKwh>(item, "price");
    covered += band.to_h - band.from_h + (band.from_h > band.to_h ? kHoursOfADay : 0.0);
    out.tariff.push_back(std::move(band));
  }
  if (!out.tariff.empty() && std::abs(covered - kHoursOfADay) > 1e-9)
    list.error(fmt::format("the bands cover {:g} of 24 hours", covered));
  const YamlNode load = cost.any_child("load_by_hour");
  for (const YamlNode& item : load.items()) out.load_by_hour.push_back(item.as<Ratio>().value);
  if (load.exists() && out.load_by_hour.size() != 24)
    load.error(fmt::format("{} values; a day has 24 hours", out.load_by_hour.size()));
}

void read_running(const YamlNode& cost, LedgerSpec& out) {
  if (const YamlNode space = cost.child("space"); space.exists()) {
    out.rack_month = price_of<Money>(space, "rack_month");
    out.units_per_rack = space.optional<Ratio>("nodes", kPositive).value_or(Ratio{1.0}).value;
  }
  for (const YamlNode& item : cost.any_child("staff").items()) {
    models::cost::Role role;
    role.name = item.required<std::string>("role");
    role.share = item.optional<Ratio>("share").value_or(Ratio{1.0}).value;
    role.salary = price_of<Money>(item, "salary");
    out.staff.push_back(std::move(role));
  }
  if (const YamlNode updates = cost.child("model_updates"); updates.exists()) {
    out.model_update = price_of<Money>(updates, "price");
    out.updates_per_year = updates.required<Ratio>("per_year").value;
  }
}

void read_api(const YamlNode& cost, const PriceCard& card, LedgerSpec& out) {
  out.cache_hit = cost.optional<Ratio>("cache_hit", {0.0, 1.0}).value_or(Ratio{0.0}).value;
  const auto name = cost.optional<std::string>("api");
  if (!name) return;
  const auto found = card.apis.find(*name);
  if (found != card.apis.end()) {
    out.api = found->second;
    return;
  }
  std::vector<std::string> known;
  std::string all;
  for (const auto& [key, prices] : card.apis) {
    known.push_back(key);
    all += (all.empty() ? "" : ", ") + key;
  }
  const auto near = did_you_mean(*name, known);
  cost.any_child("api").error(
      fmt::format("price card {} has no interface '{}'; {}", card.name, *name,
                  near ? fmt::format("did you mean '{}'?", *near)
                       : fmt::format("it has: {}", all.empty() ? "none" : all)));
}

}  // namespace

std::shared_ptr<const LedgerSpec> read_ledger(const YamlNode& cost,
                                              const models::hardware::NodeSpec& node,
                                              const PriceCard& card) {
  auto out = std::make_shared<LedgerSpec>();
  out->formula = cost.optional_choice<models::cost::Formula>(
                         "formula", {{"full", models::cost::Formula::full},
                                     {"article", models::cost::Formula::article}})
                     .value_or(models::cost::Formula::full);
  read_parts(cost, *out);
  read_tariff(cost, *out);
  read_running(cost, *out);
  read_api(cost, card, *out);
  if (const auto rents = card.rent.find(node.gpu.name); rents != card.rent.end())
    for (const auto& [tier, price] : rents->second) out->rents.emplace_back(tier, price);
  return out;
}

}  // namespace foretoken::scenarios::loader
