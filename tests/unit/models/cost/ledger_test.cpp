#include "models/cost/ledger.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::models::cost {
namespace {

Price cny(double amount) { return {amount, Currency::CNY, "test", "2025-11-01", ""}; }
Price usd(double amount) { return {amount, Currency::USD, "test", "2025-11-01", ""}; }

CostSpec spec(LedgerSpec more = {}) {
  CostSpec out;
  out.exchange = {7.1, "test", "2025-11-01"};
  out.horizon_years = 3;
  out.pue = 1.25;
  out.electricity_per_kwh = cny(0.8);
  out.ledger = std::make_shared<LedgerSpec>(std::move(more));
  return out;
}

LedgerSpec everything() {
  LedgerSpec more;
  more.purchases = {
      {"gpu", cny(250000), 8}, {"server", usd(30000), 1}, {"storage", cny(50000.50), 1}};
  more.cooling_premium = 0.05;
  more.depreciation_years = 5;
  more.financing = Financing{0.6, 0.042, 3};
  more.tariff = {{23, 7, cny(0.35)}, {7, 23, cny(0.95)}};
  more.rack_month = cny(8000);
  more.units_per_rack = 4;
  more.staff = {{"AI engineer", 1.0, cny(500000)}, {"administrator", 0.5, cny(250000)}};
  more.model_update = usd(30000);
  more.updates_per_year = 2;
  return more;
}

Service two_nodes() {
  Service service;
  service.units = 2;
  service.gpus_per_unit = 8;
  service.unit_watts = 8120;
  service.requests_per_day = 100000;
  service.input_tokens = 1500;
  service.output_tokens = 500;
  return service;
}

// Worked by hand, CNY, 1 USD = 7.1 CNY, three of five years written off:
//   gpu          2 x 8 x 250,000.00 = 4,000,000.00 x 3/5                      2,400,000.00
//   server       2 x 30,000 x 7.1   =   426,000.00 x 3/5                        255,600.00
//   storage      2 x 50,000.50      =   100,001.00 x 3/5                         60,000.60
//   cooling      5 % of 4,526,001.00 =  226,300.05 x 3/5                        135,780.03
//   maintenance  8 % of 4,526,001.00 x 3                                      1,086,240.24
//   interest     60 % of 4,752,301.05 = 2,851,380.63 at 4.2 % / 12 over 36 months of
//                84,438.04: 36 payments less the loan                           188,388.79
//   electricity  2 x 8.12 x 1.25 = 20.3 kW x 26,280 h = 533,484 kWh
//                a third at 0.35 (23 to 7 h), two thirds at 0.95        62,239.80 337,873.20
//   space        1 rack x 8,000 x 36                                            288,000.00
//   staff        500,000 x 3 and 0.5 x 250,000 x 3               1,500,000.00 375,000.00
//   updates      6 x 30,000 x 7.1                                             1,278,000.00
TEST_CASE("a ledger of two nodes over three years, to the cent") {
  CostSpec s = spec(everything());
  s.maintenance_per_year = 0.08;
  s.carbon_kg_per_kwh = 0.5;
  const Ledger l = own_ledger(s, two_nodes());
  const std::vector<std::pair<std::string, Cents>> expected = {
      {"gpu", 240000000},
      {"server", 25560000},
      {"storage", 6000060},
      {"cooling", 13578003},
      {"maintenance", 108624024},
      {"interest", 18838879},
      {"electricity 23-7 h", 6223980},
      {"electricity 7-23 h", 33787320},
      {"space", 28800000},
      {"staff: AI engineer", 150000000},
      {"staff: administrator", 37500000},
      {"model updates", 127800000},
  };
  REQUIRE(l.entries.size() == expected.size());
  Cents sum = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO(expected[i].first);
    CHECK(l.entries[i].name == expected[i].first);
    CHECK(l.entries[i].cents == expected[i].second);
    CHECK_FALSE(l.entries[i].words.empty());
    sum += expected[i].second;
  }
  CHECK(l.total == sum);
  CHECK(l.purchase == 475230105);
  CHECK(l.kwh == Approx(533484.0));
  CHECK(l.carbon_kg == Approx(266742.0));
  CHECK(l.of("electricity") == 6223980 + 33787320);
  CHECK(l.of("staff") == 187500000);
}

TEST_CASE("what a month, a request and a million tokens cost, numerator and denominator") {
  // 3.65 M CNY over a year: 36.5 M requests, 54,750 M input and 18,250 M output tokens.
  LedgerSpec more;
  more.purchases = {{"gpu", cny(1825000), 1}};
  CostSpec s = spec(more);
  s.horizon_years = 1;
  s.electricity_per_kwh = cny(0);
  Service service = two_nodes();
  const UnitCosts unit = unit_costs(own_ledger(s, service), service);
  CHECK(unit.month.value == Approx(3650000.0 / 12));
  CHECK(unit.request.value == Approx(0.1));
  CHECK(unit.million_input.value == Approx(3650000.0 / 54750.0));
  CHECK(unit.million_output.value == Approx(200.0));
  CHECK(unit.million_output.numerator == Approx(3650000.0));
  CHECK(unit.million_output.denominator == Approx(18250.0));
  CHECK(unit.million_tokens.value == Approx(50.0));
  service.output_tokens = 0;
  CHECK(std::isnan(unit_costs(own_ledger(s, service), service).million_output.value));
}

TEST_CASE("DeepSeek's own day: cost, theoretical income and margin from their inputs") {
  // 226.75 x 8 x 24 h x 2 USD = 87,072 USD. Income: 342 B hits at 0.14, 266 B misses at 0.55 and
  // 168 B output tokens at 2.19 a million = 47,880 + 146,300 + 367,920 = 562,100 USD (published:
  // 562,027, from counts before rounding). (562,100 - 87,072) / 87,072 = 545.6 %.
  LedgerSpec more;
  more.api = ApiPrices{"r1", usd(0.14), usd(0.55), usd(2.19)};
  more.cache_hit = 342.0 / 608.0;
  CostSpec s = spec(more);
  s.currency = Currency::USD;
  s.horizon_years = 1.0 / 365.0;
  Service day;
  day.units = 226.75;
  day.gpus_per_unit = 8;
  day.requests_per_day = 192e6;
  day.input_tokens = 608e9 / 192e6;
  day.output_tokens = 168e9 / 192e6;
  const Ledger rent = rent_ledger(s, day, usd(2));
  CHECK(rent.total == 8707200);
  const Ledger api = api_ledger(s, day);
  CHECK(api.of("input, cache hit") == 4788000);
  CHECK(api.of("input, cache miss") == 14630000);
  CHECK(api.of("output") == 36792000);
  CHECK(api.total == 56210000);
  CHECK(api.amount() == Approx(562027.0).epsilon(2e-4));
  CHECK((api.amount() - rent.amount()) / rent.amount() == Approx(5.45).epsilon(2e-3));
}

TEST_CASE(
    "the articles' formula counts hardware whole, power, staff and updates, and nothing else") {
  LedgerSpec more = everything();
  more.formula = Formula::article;
  more.cooling_premium = 0;
  CostSpec s = spec(more);
  s.maintenance_per_year = 0.08;
  const Ledger l = own_ledger(s, two_nodes());
  CHECK(l.of("gpu") == 400000000);
  CHECK(l.of("maintenance") == 0);
  CHECK(l.of("interest") == 0);
  CHECK(l.of("space") == 0);
  CHECK(l.total == l.purchase + l.of("electricity") + l.of("staff") + l.of("model updates"));
}

TEST_CASE("a purchase is paid back by what it saves, or never") {
  // 1,000,000 bought, 100,000 a year of staff; the interface costs 600,000 a year: 500,000 saved,
  // paid back in 2 years; over 3 years 1,500,000 saved on 1,000,000: 50 %.
  LedgerSpec more;
  more.purchases = {{"gpu", cny(1000000), 1}};
  more.staff = {{"administrator", 1, cny(100000)}};
  more.api = ApiPrices{"api", cny(1), cny(1), cny(1)};
  CostSpec s = spec(more);
  s.electricity_per_kwh = cny(0);
  Service service;
  service.units = 1;
  service.requests_per_day = 1e6;
  service.input_tokens = 600000.0 / 365.0;
  const Return good = return_on(own_ledger(s, service), api_ledger(s, service));
  CHECK(good.saved_per_year == Approx(500000.0));
  REQUIRE(good.payback_years);
  CHECK(*good.payback_years == Approx(2.0));
  CHECK(good.roi == Approx(0.5));
  service.requests_per_day = 1e5;  // 60,000 a year: less than the staff
  const Return bad = return_on(own_ledger(s, service), api_ledger(s, service));
  CHECK_FALSE(bad.payback_years);
}

TEST_CASE("every problem of a ledger is listed at once, and currencies do not mix without a rate") {
  LedgerSpec more = everything();
  more.purchases[0].price.amount = -1;
  more.tariff[1].to_h = 22;
  CostSpec s = spec(more);
  s.pue = 0.9;
  s.exchange = {};
  try {
    (void)own_ledger(s, two_nodes());
    FAIL("not refused");
  } catch (const sim::core::InputError& error) {
    std::string all;
    for (const auto& problem : error.diagnostics()) all += problem.message + "\n";
    CHECK_THAT(all, Catch::Contains("the price of gpu is -1"));
    CHECK_THAT(all, Catch::Contains("cover 23 of 24 hours"));
    CHECK_THAT(all, Catch::Contains("PUE is 0.9"));
    CHECK_THAT(all, Catch::Contains("CNY and USD but no exchange rate"));
  }
  CHECK_THROWS_WITH(api_ledger(spec(), two_nodes()),
                    Catch::Contains("no price of a remote interface"));
  CHECK_THROWS_WITH(own_ledger(spec(), two_nodes()), Catch::Contains("no purchase price"));
  // 100,000 requests a day on two nodes good for 40,000 each.
  Service crowded = two_nodes();
  crowded.unit_capacity_per_day = 40000;
  CHECK_THROWS_WITH(own_ledger(spec(everything()), crowded),
                    Catch::Contains("a utilisation of 1.25; it cannot be above 1"));
}

}  // namespace
}  // namespace foretoken::models::cost
