#include "models/cost/cost.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::models::cost {
namespace {

using sim::core::InputError;

double to_cents(double amount) { return std::round(amount * 100.0) / 100.0; }

CostSpec bought() {
  CostSpec spec;
  spec.exchange = {7.2, "test", "2026-01-01"};
  spec.node_price = Price{2'628'000.0, Currency::CNY, "test", "2026-01-01", "2026-12"};
  spec.electricity_per_kwh = {0.8, Currency::CNY, "test", "2026-01-01", "2026-12"};
  spec.pue = 1.25;
  spec.horizon_years = 3.0;
  spec.maintenance_per_year = 0.08;
  return spec;
}

std::string message_of(const CostSpec& spec, double watts = 1000.0) {
  try {
    (void)cost_of_run(spec, 1, 8, watts, 100.0, 200.0);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a month of two bought nodes, ledger worked by hand") {
  // Two nodes at 2,628,000 CNY over 3 years of 8,760 h: 5,256,000 / 26,280 h = 200.00 CNY/h.
  // Maintenance 8 % a year: 420,480 / 8,760 h               =  48.00 CNY/h.
  // Electricity 12.5 kW at the meter x 0.8 CNY/kWh           =  10.00 CNY/h.
  // Together 258.00 CNY/h; in USD at 7.2: 35.8333... Month of 720 h: 185,760.00 CNY, 25,800.00 USD.
  const CostAccount cost = cost_of_run(bought(), 2, 16, 12'500.0, 1000.0, 4000.0);
  REQUIRE(cost.per_hour.size() == 3);
  CHECK(cost.per_hour[0].name == "hardware");
  CHECK(to_cents(cost.per_hour[0].cny) == 200.00);
  CHECK(cost.per_hour[1].name == "maintenance");
  CHECK(to_cents(cost.per_hour[1].cny) == 48.00);
  CHECK(cost.per_hour[2].name == "electricity");
  CHECK(to_cents(cost.per_hour[2].cny) == 10.00);
  CHECK(to_cents(cost.total_cny_per_hour * 720.0) == 185'760.00);
  CHECK(to_cents(cost.total_usd_per_hour * 720.0) == 25'800.00);
  // 1,000 output tokens/s = 3.6 million an hour: 258 / 3.6 = 71.67 CNY a million;
  // 4,000 tokens/s in and out = 14.4 million: 258 / 14.4 = 17.92 CNY, 2.49 USD.
  CHECK(to_cents(cost.cny_per_million_output_tokens) == 71.67);
  CHECK(to_cents(cost.cny_per_million_total_tokens) == 17.92);
  CHECK(to_cents(cost.usd_per_million_total_tokens) == 2.49);
}

TEST_CASE("DeepSeek's own day: 226.75 nodes of 8 H800 at 2 USD a GPU-hour") {
  // 226.75 x 8 = 1,814 GPUs x 2 USD = 3,628 USD/h; x 24 h = 87,072 USD a day, as published.
  CostSpec spec;
  spec.exchange = {7.2, "test", "2025-03-01"};
  spec.gpu_hour = Price{2.0, Currency::USD, "test", "2025-03-01", "2026-12"};
  const double output_tokens_per_s = 168e9 / 86400.0;
  const CostAccount cost = cost_of_run(spec, 227, 1814, 0.0, output_tokens_per_s, 776e9 / 86400.0);
  REQUIRE(cost.per_hour.size() == 1);
  CHECK(cost.per_hour[0].name == "rent");
  CHECK(to_cents(cost.total_usd_per_hour * 24.0) == 87'072.00);
  // 87,072 USD over 168,000 million output tokens = 0.518 USD a million.
  CHECK(cost.usd_per_million_output_tokens == Approx(0.51829).epsilon(1e-4));
}

TEST_CASE("a node priced in USD and electricity in CNY meet through the rate") {
  CostSpec spec = bought();
  spec.node_price = Price{262'800.0, Currency::USD, "test", "2026-01-01", "2026-12"};
  spec.maintenance_per_year = 0.0;
  // 262,800 USD / 26,280 h = 10 USD/h = 72 CNY/h; 9 kW x 0.8 = 7.20 CNY/h = 1 USD/h.
  const CostAccount cost = cost_of_run(spec, 1, 8, 9000.0, 100.0, 200.0);
  CHECK(to_cents(cost.total_cny_per_hour) == 79.20);
  CHECK(to_cents(cost.total_usd_per_hour) == 11.00);
}

TEST_CASE("no tokens, no cost per token") {
  const CostAccount cost = cost_of_run(bought(), 1, 8, 5000.0, 0.0, 0.0);
  CHECK(std::isnan(cost.cny_per_million_output_tokens));
  CHECK(std::isnan(cost.usd_per_million_total_tokens));
  CHECK(cost.total_cny_per_hour > 0.0);
}

TEST_CASE("the formula names numerator and denominator") {
  const CostAccount cost = cost_of_run(bought(), 2, 16, 12'500.0, 1000.0, 4000.0);
  CHECK(cost.formula ==
        "per hour: hardware 2 nodes x 2628000 CNY / (3 y x 8760 h) + maintenance 8 % of the "
        "purchase a year + electricity 12.500 kW (PUE 1.25 included) x 0.8 CNY/kWh; per million "
        "tokens: that / (1000.0 output, 4000.0 input + output tokens/s x 3600 s) x 10^6; 1 USD = "
        "7.2 CNY");
}

TEST_CASE("what cannot be computed is refused") {
  CostSpec none = bought();
  none.node_price.reset();
  CHECK(message_of(none).find("neither a purchase price of the node nor a rent is known") !=
        std::string::npos);
  CostSpec both = bought();
  both.gpu_hour = Price{2.0, Currency::USD, "", "", ""};
  CHECK(message_of(both).find("both a purchase price and a rent") != std::string::npos);
  CostSpec no_rate = bought();
  no_rate.exchange.cny_per_usd = 0.0;
  CHECK(message_of(no_rate).find("no exchange rate") != std::string::npos);
  CostSpec negative = bought();
  negative.electricity_per_kwh.amount = -0.1;
  negative.pue = 0.9;
  CHECK(message_of(negative).find("the electricity price is -0.1") != std::string::npos);
  CHECK(message_of(negative).find("PUE 0.9") != std::string::npos);  // all in one pass
  CHECK(message_of(bought(), -1.0).find("mean power -1 W") != std::string::npos);
  CHECK(message_of(bought()).empty());
}

TEST_CASE("lines add up to the total and both currencies agree") {
  CHECK(rc::check("ledger", [] {
    CostSpec spec = bought();
    spec.node_price->amount = *rc::gen::inRange(1, 100'000'000) / 100.0;
    spec.node_price->currency = *rc::gen::element(Currency::CNY, Currency::USD);
    spec.electricity_per_kwh.amount = *rc::gen::inRange(0, 300) / 100.0;
    spec.maintenance_per_year = *rc::gen::inRange(0, 50) / 100.0;
    const int nodes = *rc::gen::inRange(1, 100);
    const CostAccount cost = cost_of_run(spec, nodes, 8 * nodes, 1e4 * nodes, 500.0, 900.0);
    double cny = 0.0, usd = 0.0;
    for (const auto& line : cost.per_hour) {
      cny += line.cny;
      usd += line.usd;
    }
    RC_ASSERT(std::abs(cny - cost.total_cny_per_hour) <= 1e-9 * (1.0 + cny));
    RC_ASSERT(std::abs(usd * 7.2 - cny) <= 1e-9 * (1.0 + cny));
  }));
}

}  // namespace
}  // namespace foretoken::models::cost
