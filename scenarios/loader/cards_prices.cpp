// Price cards: every price with currency, date, source and how long it is good for.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

namespace fs = std::filesystem;
using models::cost::Currency;
using models::cost::Price;
using sim::core::Diagnostic;
using sim::core::InputError;

namespace {

template <class MoneyType>
Price read_price(const YamlNode& node, std::set<Currency>& currencies) {
  const auto money = node.required<MoneyType>("price");
  Price price;
  price.amount = money.amount;
  price.currency = money.currency;
  price.source = node.required<std::string>("source");
  price.date = read_date(node, "date");
  price.valid_until = read_date(node, "valid_until");
  if (!price.date.empty() && !price.valid_until.empty() && price.valid_until < price.date) {
    node.any_child("valid_until").error("valid_until lies before the price's date");
  }
  if (node.has("price")) currencies.insert(money.currency);
  return price;
}

template <class MoneyType>
std::map<std::string, Price> read_prices(const YamlNode& block, std::set<Currency>& currencies) {
  std::map<std::string, Price> prices;
  for (const auto& [key, node] : block.entries()) {
    prices[key] = read_price<MoneyType>(node, currencies);
  }
  return prices;
}

template <class Map>
std::string keys_of(const Map& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys.empty() ? "none" : fmt::format("{}", fmt::join(keys, ", "));
}

}  // namespace

Loaded<PriceCard> load_prices(const std::string& name, const Catalogue& catalogue,
                              const fs::path& base) {
  const fs::path path = find_card(name, catalogue, "prices", base);
  YamlFile file = YamlFile::open(path);
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "prices");
  Loaded<PriceCard> loaded{{}, {path}, {}};
  PriceCard& card = loaded.card;
  card.name = head.name;
  card.summary = head.summary;
  std::set<Currency> currencies;
  card.nodes = read_prices<Money>(root.child("nodes"), currencies);
  card.gpus = read_prices<Money>(root.child("gpus"), currencies);
  card.electricity = read_prices<MoneyPerKwh>(root.child("electricity"), currencies);
  for (const auto& [gpu, tiers] : root.child("rent").entries()) {
    card.rent[gpu] = read_prices<MoneyPerGpuHour>(tiers, currencies);
  }
  for (const auto& [api, node] : root.child("api").entries()) {
    auto& prices = card.apis[api];
    prices.name = api;
    prices.input_hit = read_price<Money>(node.required_child("input_hit"), currencies);
    prices.input_miss = read_price<Money>(node.required_child("input_miss"), currencies);
    prices.output = read_price<Money>(node.required_child("output"), currencies);
  }
  if (const YamlNode exchange = root.child("exchange"); exchange.exists()) {
    card.exchange.cny_per_usd = exchange.required<Ratio>("cny_per_usd", kPositive).value;
    card.exchange.source = exchange.required<std::string>("source");
    card.exchange.date = read_date(exchange, "date");
  } else if (currencies.size() > 1) {
    root.error(
        "prices in CNY and USD but no exchange rate; add exchange: {cny_per_usd: ..., "
        "source: ..., date: ...}");
  }
  file.finish();
  loaded.warnings = file.warnings();
  return loaded;
}

const Price& node_price(const PriceCard& prices, const std::string& node) {
  const auto found = prices.nodes.find(node);
  if (found != prices.nodes.end()) return found->second;
  throw InputError(
      fmt::format("price card '{}' has no purchase price for the node '{}' (it has: {}); give one "
                  "in the scenario or rent instead",
                  prices.name, node, keys_of(prices.nodes)));
}

const Price& rent_price(const PriceCard& prices, const std::string& gpu, const std::string& tier) {
  const auto found = prices.rent.find(gpu);
  if (found == prices.rent.end()) {
    throw InputError(fmt::format("price card '{}' has no rent for the GPU '{}' (it has: {})",
                                 prices.name, gpu, keys_of(prices.rent)));
  }
  const auto price = found->second.find(tier);
  if (price != found->second.end()) return price->second;
  throw InputError(fmt::format("price card '{}' has no rent tier '{}' for '{}' (it has: {})",
                               prices.name, tier, gpu, keys_of(found->second)));
}

const Price& electricity_price(const PriceCard& prices, const std::string& tariff) {
  const auto found = prices.electricity.find(tariff);
  if (found != prices.electricity.end()) return found->second;
  throw InputError(fmt::format("price card '{}' has no electricity tariff '{}' (it has: {})",
                               prices.name, tariff, keys_of(prices.electricity)));
}

std::vector<Diagnostic> stale_price(const std::string& what, const Price& price,
                                    const std::string& today) {
  if (price.valid_until.empty() || price.valid_until >= today.substr(0, price.valid_until.size())) {
    return {};
  }
  Diagnostic warning;
  warning.warning = true;
  warning.message = fmt::format("{} is a price of {}, good until {}; it may have changed ({})",
                                what, price.date, price.valid_until, price.source);
  return {warning};
}

}  // namespace foretoken::scenarios::loader
