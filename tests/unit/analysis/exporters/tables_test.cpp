#include "analysis/exporters/tables.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

using exporters::csv_of;
using exporters::jsonl_of;
using nlohmann::json;

// Row 2 of the fixture: arrival 2, first 5, last 9, 11 tokens: TTFT 3, TPOT 4/10, E2EL 7.
TEST_CASE("requests as CSV: the hand-worked latencies, empty where there is none") {
  auto run = test::small_result();
  test::add_request(run, 9, kMissing, kMissing, kMissing, 50, 4, test::RequestOutcome::rejected);
  CHECK(csv_of(run, "requests") ==
        "request,arrival_s,scheduled_s,first_token_s,last_token_s,ttft_s,tpot_s,e2el_s,"
        "input_tokens,output_tokens,preemptions,replica,outcome\n"
        "0,0,0.5,1,3,1,0.5,3,100,5,0,0,completed\n"
        "1,1,1,1.5,1.5,0.5,,0.5,200,1,0,0,completed\n"
        "2,2,4,5,9,3,0.4,7,300,11,0,0,completed\n"
        "3,9,,,,,,,50,4,0,0,rejected\n");
}

TEST_CASE("requests as JSON lines: the same, null where there is none") {
  const auto run = test::small_result();
  const std::string text = jsonl_of(run, "requests");
  std::vector<json> rows;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    rows.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  REQUIRE(rows.size() == 3);
  CHECK(rows[2]["tpot_s"] == 0.4);
  CHECK(rows[1]["tpot_s"].is_null());
  CHECK(rows[0]["outcome"] == "completed");
}

TEST_CASE("tenants appear only where there are any") {
  auto run = test::small_result();
  run.requests.tenant = {0, 1, 0};
  CHECK(csv_of(run, "requests").find(",outcome,tenant\n") != std::string::npos);
}

TEST_CASE("steps and bins have a row each; other names are refused") {
  const auto run = test::small_result();
  CHECK(csv_of(run, "iterations").find("\n4,5,0,300,2,1,0,19,3\n") != std::string::npos);
  CHECK(csv_of(run, "timeseries").find("\n8,1,0,0.4,1,70,1.25\n") != std::string::npos);
  CHECK_THROWS_AS(csv_of(run, "nothing"), std::invalid_argument);
}

TEST_CASE("cells of CSV are quoted as RFC 4180 wants") {
  CHECK(exporters::csv_cell("a,b") == "\"a,b\"");
  CHECK(exporters::csv_cell("say \"hi\"") == "\"say \"\"hi\"\"\"");
  CHECK(exporters::csv_cell("plain") == "plain");
}

}  // namespace
}  // namespace foretoken::analysis
