#include "analysis/cost_answer.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace cost = models::cost;

cost::Price cny(double amount) { return {amount, cost::Currency::CNY, "test", "2025-11-01", ""}; }

CostQuestion question() {
  auto more = std::make_shared<cost::LedgerSpec>();
  more->api = cost::ApiPrices{"api", cny(10), cny(10), cny(10)};
  more->rents = {{"spot", cny(10)}};
  CostQuestion q;
  q.name = "one node";
  q.spec.exchange = {7.0, "test", "2025-11-01"};
  q.spec.horizon_years = 1;
  q.spec.node_price = cny(365000);
  q.spec.electricity_per_kwh = cny(0);
  q.spec.ledger = more;
  q.service.units = 1;
  q.service.gpus_per_unit = 8;
  q.service.requests_per_day = 50000;
  q.service.input_tokens = q.service.output_tokens = 1000;
  q.service.unit_capacity_per_day = 1e9;
  return q;
}

TEST_CASE("owning, renting and calling side by side, in both currencies") {
  // Own 365,000; rent 8 x 10 x 8,760 = 700,800; call 50,000 x 365 x 2,000 tokens at 10 a million =
  // 365,000 CNY.
  const CostAnswer answer = answer_cost(question());
  REQUIRE(answer.own);
  CHECK(answer.own->total == 36500000);
  REQUIRE(answer.rents.size() == 1);
  CHECK(answer.rents[0].second.total == 70080000);
  CHECK(answer.api->total == 36500000);
  CHECK(*answer.margin == Approx(0.0));
  CHECK(answer.left_out.empty());
  const auto json = nlohmann::json::parse(cost_json(answer));
  CHECK(json.at("ledgers").size() == 3);
  CHECK(json.at("ledgers")[0].at("total_other_currency").get<double>() == Approx(365000.0 / 7));
  CHECK(json.at("ledgers")[0].at("per_million_output_tokens").at("denominator").get<double>() ==
        Approx(18250.0));
  CHECK(json.at("break_even").at("own_cheaper_than_api_from").get<double>() ==
        Approx(50000.0).epsilon(1e-3));
  const std::string text = cost_text(answer);
  CHECK_THAT(text, Catch::Contains("365,000.00"));
  CHECK_THAT(text, Catch::Contains("owning is cheaper than calling from 50,000"));
}

TEST_CASE("what is not known is named, and nothing at all is refused") {
  CostQuestion q = question();
  q.spec.node_price.reset();
  const CostAnswer answer = answer_cost(q);
  CHECK_FALSE(answer.own);
  REQUIRE(answer.left_out.size() == 1);
  CHECK_THAT(answer.left_out[0], Catch::Contains("no purchase price"));
  q.spec.ledger = std::make_shared<cost::LedgerSpec>();
  CHECK_THROWS_WITH(answer_cost(q), Catch::Contains("neither a purchase price"));
}

TEST_CASE("the service that a simulation showed") {
  Metrics m;
  m.nodes = 2;
  m.gpus = 16;
  m.energy.mean_server_watts = 12000;
  m.request_rate.value = 2.0;
  m.finished_in_window = 100;
  m.input_tokens = 150000;
  m.output_tokens = 50000;
  const auto service = service_of(m);
  CHECK(service.unit_watts == 6000);
  CHECK(service.gpus_per_unit == 8);
  CHECK(service.requests_per_day == 172800);
  CHECK(service.input_tokens == 1500);
  CHECK(service.output_tokens == 500);
  CHECK(service.unit_capacity_per_day == 86400);
}

}  // namespace
}  // namespace foretoken::analysis
