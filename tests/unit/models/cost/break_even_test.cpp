#include "models/cost/break_even.hpp"

#include <catch2/catch.hpp>
#include <cmath>

namespace foretoken::models::cost {
namespace {

Price cny(double amount) { return {amount, Currency::CNY, "test", "2025-11-01", ""}; }

// A node costs 365,000 CNY a year and nothing else, serves 50,000 requests a day; the interface
// takes 0.02 CNY a request (1,000 + 1,000 tokens at 10 a million); a GPU-hour costs 10 CNY.
CostSpec spec() {
  LedgerSpec more;
  more.purchases = {{"node", cny(365000), 1}};
  more.api = ApiPrices{"api", cny(10), cny(10), cny(10)};
  more.rents = {{"dear", cny(20)}, {"cheap", cny(10)}};
  CostSpec out;
  out.exchange = {7.1, "test", "2025-11-01"};
  out.horizon_years = 1;
  out.electricity_per_kwh = cny(0);
  out.ledger = std::make_shared<LedgerSpec>(more);
  return out;
}

Service service() {
  Service out;
  out.units = 1;
  out.gpus_per_unit = 8;
  out.requests_per_day = 50000;
  out.input_tokens = out.output_tokens = 1000;
  out.unit_capacity_per_day = 50000;
  return out;
}

TEST_CASE("nodes follow the load, never fewer than one") {
  CHECK(scaled(service(), 1).units == 1);
  CHECK(scaled(service(), 50000).units == 1);
  CHECK(scaled(service(), 50001).units == 2);
  CHECK(scaled(service(), 1e6).units == 20);
}

TEST_CASE("where owning meets the interface, by hand") {
  // One node: 1,000 CNY a day against 0.02 a request: even at 50,000 requests a day, which is also
  // where a second node is due. With n nodes: n x 1,000 = 0.02 q, q = 50,000 n: even at every full
  // fleet and dearer between. So it stays cheaper from nowhere on unless the node serves more.
  Service roomy = service();
  roomy.unit_capacity_per_day = 1e9;
  const auto even = break_even(spec(), roomy, 1e8);
  REQUIRE(even.own_over_api);
  CHECK(*even.own_over_api == Approx(50000.0).epsilon(1e-4));
  // Rent: 8 x 10 x 8,760 = 700,800 CNY a year for the node: owning is cheaper from the start.
  REQUIRE(even.own_over_rent);
  CHECK(*even.own_over_rent == Approx(1.0));
  CHECK(even.curve.front().rent == Approx(700800.0));
  // The interface at a tenth of the price is never matched by nodes that are full at 50,000.
  CostSpec cheap = spec();
  auto more = std::make_shared<LedgerSpec>(*cheap.ledger);
  more->api = ApiPrices{"api", cny(1), cny(1), cny(1)};
  cheap.ledger = more;
  CHECK_FALSE(break_even(cheap, service(), 1e8).own_over_api);
}

TEST_CASE("the cheapest rent counts") {
  const auto rent = cheapest_rent(spec());
  REQUIRE(rent);
  CHECK(rent->amount == 10.0);
}

TEST_CASE("a tornado moves one input at a time, widest first") {
  const auto swings = tornado(spec(), service());
  // 365,000 CNY over 50,000 x 365 x 1,000 tokens = 20 CNY a million output tokens.
  for (std::size_t i = 1; i < swings.size(); ++i)
    CHECK(std::abs(swings[i - 1].high - swings[i - 1].low) >=
          std::abs(swings[i].high - swings[i].low));
  const auto of = [&](const std::string& name) {
    for (const auto& s : swings)
      if (s.input == name) return s;
    return Swing{};
  };
  CHECK(of("purchase price").low == Approx(16.0));
  CHECK(of("purchase price").high == Approx(24.0));
  CHECK(of("load").low == Approx(20.0 / 0.7));
  CHECK(of("load").high == Approx(20.0 / 1.3));
  CHECK(of("utilisation").high == Approx(20.0 / 1.2));
  CHECK(of("PUE").low == of("PUE").high);  // electricity is free here
}

}  // namespace
}  // namespace foretoken::models::cost
