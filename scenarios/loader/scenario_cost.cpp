// cost: prices stated in the scenario, and for the rest the dated price card.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "models/cost/ledger.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::cost::CostSpec;
using models::cost::Currency;
using models::cost::Price;
using models::hardware::NodeSpec;

constexpr double kSecondsPerYear = 365.0 * 86400.0;

std::string_view to_text(Currency currency) { return currency == Currency::CNY ? "CNY" : "USD"; }

template <class M>
Price stated(const YamlNode& node, const M& money) {
  Price price;
  price.amount = money.amount;
  price.currency = money.currency;
  price.source = node.origin();
  return price;
}

template <class T>
std::string join_keys(const std::map<std::string, T>& map) {
  std::string text;
  for (const auto& [key, value] : map) text += (text.empty() ? "" : ", ") + key;
  return text.empty() ? "none" : text;
}

// Prices of a card whose time is over; those that the user states have no date.
void warn_if_stale(const CostSpec& spec, const YamlNode& place) {
  const std::time_t now = std::time(nullptr);
  const std::string today = fmt::format("{:%Y-%m-%d}", fmt::gmtime(now));
  const auto check = [&](const std::string& what, const Price& price) {
    for (const auto& warning : stale_price(what, price, today)) place.warning(warning.message);
  };
  if (spec.node_price) check("node price", *spec.node_price);
  if (spec.gpu_hour) check("rent", *spec.gpu_hour);
  check("electricity", spec.electricity_per_kwh);
  for (const auto& [tier, price] : spec.ledger->rents) check("rent, " + tier, price);
  if (spec.ledger->api) {
    check("input hits of " + spec.ledger->api->name, spec.ledger->api->input_hit);
    check("input misses of " + spec.ledger->api->name, spec.ledger->api->input_miss);
    check("output of " + spec.ledger->api->name, spec.ledger->api->output);
  }
}

class CostReader {
 public:
  CostReader(const YamlNode& cost, const NodeSpec& node, const PriceCard& card)
      : cost_(cost), node_(node), card_(card) {}

  CostSpec read() {
    CostSpec spec;
    spec.currency =
        cost_
            .optional_choice<Currency>("currency", {{"CNY", Currency::CNY}, {"USD", Currency::USD}})
            .value_or(Currency::CNY);
    if (!cost_.has("currency")) cost_.resolve("currency", "CNY", "default");
    read_exchange(spec);
    spec.ledger = read_ledger(cost_, node_, card_);
    read_hardware(spec);
    read_electricity(spec);
    spec.pue = cost_.value_or<Ratio>("pue", Ratio{1.0}, {1.0, 5.0}).value;
    spec.horizon_years =
        cost_.value_or<Seconds>("horizon", Seconds{3 * kSecondsPerYear}, kPositive).value /
        kSecondsPerYear;
    spec.maintenance_per_year = cost_.value_or<Ratio>("maintenance", Ratio{0.0}, {0.0, 1.0}).value;
    spec.carbon_kg_per_kwh = cost_.optional<Ratio>("carbon_kg_per_kwh").value_or(Ratio{0.0}).value;
    return spec;
  }

 private:
  void from_card(std::string_view key, const Price& price, Dimension dimension) const {
    cost_.resolve(key, format_quantity(price.amount, dimension, to_text(price.currency)),
                  fmt::format("card {} ({}, {})", card_.name, price.source, price.date));
  }

  // A tier or tariff named in the scenario stays as named; its price goes to the origin.
  void named(std::string_view key, const std::string& name, const Price& price,
             Dimension dimension) const {
    cost_.resolve(key, name,
                  fmt::format("{}; card {}: {} ({}, {})", cost_.any_child(key).origin(), card_.name,
                              format_quantity(price.amount, dimension, to_text(price.currency)),
                              price.source, price.date));
  }

  void read_exchange(CostSpec& spec) const {
    spec.exchange = card_.exchange;
    if (const auto rate = cost_.optional<Ratio>("cny_per_usd", kPositive)) {
      spec.exchange = {rate->value, cost_.any_child("cny_per_usd").origin(), ""};
    } else if (spec.exchange.cny_per_usd > 0.0) {
      cost_.resolve(
          "cny_per_usd", fmt::format("{}", spec.exchange.cny_per_usd),
          fmt::format("card {} ({}, {})", card_.name, spec.exchange.source, spec.exchange.date));
    } else {
      cost_.error(
          fmt::format("price card {} has no exchange rate; give cost.cny_per_usd", card_.name));
    }
  }

  // Bought or rented: as stated; else bought if a price is known, else rented.
  void read_hardware(CostSpec& spec) const {
    const auto bought = cost_.optional<Money>("node_price", kPositive);
    const auto rented = cost_.optional<MoneyPerGpuHour>("gpu_hour", kPositive);
    const auto tier = cost_.optional<std::string>("rent");
    if (bought.has_value() + rented.has_value() + tier.has_value() > 1) {
      return cost_.error("give one of node_price (bought), gpu_hour or rent (rented)");
    }
    if (bought) {
      spec.node_price = stated(cost_.any_child("node_price"), *bought);
    } else if (rented) {
      spec.gpu_hour = stated(cost_.any_child("gpu_hour"), *rented);
    } else if (tier) {
      rent_from_card(*tier, spec);
    } else if (cost_.has("capex")) {
      parts_for_a_node(spec);
    } else if (const auto price = card_.nodes.find(node_.name); price != card_.nodes.end()) {
      spec.node_price = price->second;
      from_card("node_price", price->second, Dimension::money);
    } else if (const auto rent = card_.rent.find(node_.gpu.name);
               rent != card_.rent.end() && !rent->second.empty()) {
      spec.gpu_hour = rent->second.begin()->second;
      from_card("gpu_hour", *spec.gpu_hour, Dimension::money_per_gpu_hour);
    } else if (!node_.name.empty() && !cost_.has("capex")) {
      cost_.error(fmt::format(
          "price card {} has no price of node {} and no rent of {}; give cost.node_price, such as "
          "{}, or cost.gpu_hour, such as {} (nodes with a price: {})",
          card_.name, node_.name, node_.gpu.name, "2000000CNY", "2.00USD/GPU/h",
          join_keys(card_.nodes)));
    }
  }

  // The node's price is the sum of its parts.
  void parts_for_a_node(CostSpec& spec) const {
    const auto& ledger = spec.ledger;
    Price sum;
    sum.currency = spec.currency;
    sum.source = cost_.any_child("capex").origin();
    try {
      for (const auto& part : ledger->purchases)
        sum.amount +=
            part.count * models::cost::in_currency(part.price, spec.currency, spec.exchange);
    } catch (const sim::core::InputError& error) {
      return cost_.any_child("capex").error(error.diagnostics().front().message);
    }
    sum.amount *= 1.0 + ledger->cooling_premium;
    spec.node_price = sum;
  }

  void rent_from_card(const std::string& tier, CostSpec& spec) const {
    const auto gpu = card_.rent.find(node_.gpu.name);
    const auto known = gpu == card_.rent.end() ? std::map<std::string, Price>() : gpu->second;
    const auto price = known.find(tier);
    if (price == known.end()) {
      return cost_.any_child("rent").error(
          fmt::format("price card {} has no tier '{}' for {}; it has: {}", card_.name, tier,
                      node_.gpu.name, join_keys(known)));
    }
    spec.gpu_hour = price->second;
    named("rent", tier, price->second, Dimension::money_per_gpu_hour);
  }

  // What a level load pays on average, where the price goes by the hour.
  bool read_time_of_use(CostSpec& spec) const {
    const auto& bands = spec.ledger->tariff;
    if (bands.empty() || spec.exchange.cny_per_usd <= 0.0) return false;
    Price mean;
    mean.currency = bands.front().per_kwh.currency;
    mean.source = cost_.any_child("time_of_use").origin();
    for (const auto& band : bands) {
      const double hours = band.to_h - band.from_h + (band.from_h > band.to_h ? 24.0 : 0.0);
      mean.amount +=
          hours / 24.0 * models::cost::in_currency(band.per_kwh, mean.currency, spec.exchange);
    }
    spec.electricity_per_kwh = mean;
    return true;
  }

  void read_electricity(CostSpec& spec) const {
    const auto stated_price = cost_.optional<MoneyPerKwh>("electricity");
    const auto tariff = cost_.optional<std::string>("tariff");
    if (stated_price.has_value() + tariff.has_value() + cost_.has("time_of_use") > 1) {
      return cost_.error("give one of electricity, tariff and time_of_use");
    }
    if (read_time_of_use(spec)) return;
    if (stated_price) {
      spec.electricity_per_kwh = stated(cost_.any_child("electricity"), *stated_price);
      return;
    }
    const auto& known = card_.electricity;
    auto found = tariff ? known.find(*tariff) : known.begin();
    // No tariff named: the first that is in the currency shown.
    while (!tariff && found != known.end() && found->second.currency != spec.currency) ++found;
    if (!tariff && found == known.end()) found = known.begin();
    if (found == known.end()) {
      const std::string message = fmt::format(
          "price card {} has no such electricity tariff; it has: {}; or give cost.electricity, "
          "such as 0.8CNY/kWh",
          card_.name, join_keys(known));
      return tariff ? cost_.any_child("tariff").error(message) : cost_.error(message);
    }
    spec.electricity_per_kwh = found->second;
    if (tariff) return named("tariff", *tariff, found->second, Dimension::money_per_kwh);
    from_card("electricity", found->second, Dimension::money_per_kwh);
  }

  const YamlNode& cost_;
  const NodeSpec& node_;
  const PriceCard& card_;
};

}  // namespace

CostSpec read_cost(const YamlNode& root, const LoadContext& context, const NodeSpec& node) {
  const YamlNode cost = root.child("cost");
  std::string name = cost.optional<std::string>("prices").value_or("");
  const YamlNode place = name.empty() ? root : cost.any_child("prices");
  if (name.empty()) {
    name = kDefaultPriceCard;
    cost.resolve("prices", name, "default");
  }
  const auto card = load_card(place, name, context, load_prices);
  if (!card) {  // its absence is said; what the block holds is not at fault
    for (const auto& [key, child] : cost.entries()) (void)child.exists();
    return {};
  }
  CostSpec spec = CostReader(cost, node, *card).read();
  warn_if_stale(spec, place);
  return spec;
}

}  // namespace foretoken::scenarios::loader
