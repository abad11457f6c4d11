#include "scenarios/loader/ledger_scenario.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

constexpr const char* kFile = R"(foretoken: 1
name: four nodes
service:
  nodes: 4
  gpus_per_node: 8
  node_power: 6.5kW
  requests_per_day: 1e5
  input_tokens: 1500
  output_tokens: 500
  node_capacity_per_day: 40000
cost:
  currency: CNY
  pue: 1.3
  horizon: 4y
  maintenance: 5%
  carbon_kg_per_kwh: 0.57
  capex:
    - {of: gpu, price: 250000CNY, count: 8}
    - {of: server, price: 80000USD}
  cooling_premium: 10%
  depreciation: 5y
  financing: {share: 50%, rate: 4%, term: 3y}
  time_of_use:
    - {from: 23h, to: 7h, price: 0.35CNY/kWh}
    - {from: 7h, to: 23h, price: 0.95CNY/kWh}
  space: {rack_month: 8000CNY, nodes: 4}
  staff:
    - {role: AI engineer, salary: 500000CNY}
    - {role: administrator, share: 0.5, salary: 250000CNY}
  model_updates: {price: 30000CNY, per_year: 2}
  api: deepseek-r1
  cache_hit: 56%
)";

LedgerScenario load(const std::string& text) {
  const TemporaryFolder folder;
  return load_ledger_scenario(folder.write("money.yaml", text), Catalogue(kRoot));
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("every key of a ledger is read") {
  const auto s = load(kFile);
  CHECK(s.service.units == 4);
  CHECK(s.service.unit_watts == 6500);
  CHECK(s.service.requests_per_day == 1e5);
  CHECK(s.service.unit_capacity_per_day == 40000);
  const auto& more = *s.cost.ledger;
  REQUIRE(more.purchases.size() == 2);
  CHECK(more.purchases[0].count == 8);
  CHECK(more.purchases[1].price.currency == models::cost::Currency::USD);
  CHECK(more.cooling_premium == Approx(0.1));
  CHECK(more.depreciation_years == Approx(5));
  CHECK(more.financing->years == Approx(3));
  REQUIRE(more.tariff.size() == 2);
  CHECK(more.tariff[0].from_h == 23);
  CHECK(more.tariff[0].per_kwh.amount == 0.35);
  // (8 x 0.35 + 16 x 0.95) / 24 h: what hourly costs use.
  CHECK(s.cost.electricity_per_kwh.amount == Approx(0.75));
  CHECK(more.units_per_rack == 4);
  CHECK(more.staff[1].share == 0.5);
  CHECK(more.updates_per_year == 2);
  CHECK(more.api->output.amount == 2.19);
  CHECK(more.cache_hit == Approx(0.56));
  CHECK(s.cost.carbon_kg_per_kwh == 0.57);
  // (8 x 250,000 + 80,000 x 7.1) x 1.1: what the parts make of the node's price.
  CHECK(s.cost.node_price->amount == Approx((2000000 + 568000) * 1.1));
}

TEST_CASE("a stale price is a warning with its date") {
  // R1's prices on the list card ended in September 2025.
  const auto s = load(kFile);
  const bool said = std::any_of(s.warnings.begin(), s.warnings.end(), [](const auto& warning) {
    return warning.message.find("good until 2025-09-05") != std::string::npos;
  });
  CHECK(said);
}

TEST_CASE("what a ledger cannot be made of is refused with its place") {
  CHECK_THROWS_WITH(load(with(kFile, "price: 250000CNY", "price: -1CNY")),
                    Catch::Contains("18:24"));
  CHECK_THROWS_WITH(load(with(kFile, "from: 7h, to: 23h", "from: 7h, to: 22h")),
                    Catch::Contains("the bands cover 23 of 24 hours"));
  CHECK_THROWS_WITH(load(with(kFile, "cache_hit: 56%", "cache_hit: 156%")),
                    Catch::Contains("cache_hit"));
  CHECK_THROWS_WITH(load(with(kFile, "api: deepseek-r1", "api: deepseek-r2")),
                    Catch::Contains("did you mean 'deepseek-r1'?"));
  CHECK_THROWS_WITH(load(with(kFile, "share: 50%", "share: 150%")), Catch::Contains("share"));
  CHECK_THROWS_WITH(load(with(kFile, "pue: 1.3", "pue: 0.8")), Catch::Contains("pue"));
  CHECK_THROWS_WITH(load(with(kFile, "salary: 250000CNY", "salary: 250000")),
                    Catch::Contains("250000CNY"));
  CHECK_THROWS_WITH(load(with(kFile, "  pue: 1.3", "  electricity: 0.8CNY/kWh\n  pue: 1.3")),
                    Catch::Contains("give one of electricity, tariff and time_of_use"));
  CHECK_THROWS_WITH(load(with(kFile, "capex:", "node_price: 3000000CNY\n  capex:")),
                    Catch::Contains("node_price or its parts"));
}

TEST_CASE("currencies do not mix without a rate") {
  const TemporaryFolder folder;
  folder.write("mine.yaml", R"(card: prices
name: mine
summary: no rate
electricity:
  flat: {price: 0.8CNY/kWh, source: test, date: 2025-11, valid_until: 2099-12}
)");
  const auto file = folder.write(
      "money.yaml", with(with(kFile, "  currency: CNY", "  prices: ./mine.yaml\n  currency: CNY"),
                         "  api: deepseek-r1\n", ""));
  CHECK_THROWS_WITH(load_ledger_scenario(file, Catalogue(kRoot)),
                    Catch::Contains("has no exchange rate; give cost.cny_per_usd"));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
