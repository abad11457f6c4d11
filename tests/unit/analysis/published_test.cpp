#include "analysis/published.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "analysis/summary.hpp"

using namespace foretoken::analysis;
using Json = nlohmann::ordered_json;

namespace {

const char* const kSummary =
    R"({"rate": 110, "none": null, "pools": [{"role": "prefill", "busy": 0.5},
        {"role": "decode", "busy": 0.25}], "cost": {"per_day": {"usd": 80}}})";

}  // namespace

TEST_CASE("A figure of the summary by its place: keys, numbers, roles") {
  const std::string summary = kSummary;
  CHECK(figure_of_summary(summary, "rate") == 110.0);
  CHECK(figure_of_summary(summary, "cost.per_day.usd") == 80.0);
  CHECK(figure_of_summary(summary, "pools.1.busy") == 0.25);
  CHECK(figure_of_summary(summary, "pools.prefill.busy") == 0.5);
  for (const char* place : {"", "speed", "rate.x", "none", "pools", "pools.2.busy",
                            "pools.whole.busy", "pools.-1.busy", "cost.per_day", "rate.", ".rate"})
    CHECK_FALSE(figure_of_summary(summary, place));
}

// 110 against 100 is 10 % above; what the summary does not have stays open.
TEST_CASE("Published figures beside predicted ones") {
  const foretoken::scenarios::loader::Published published{
      "them",
      "2025-02",
      {{"rate", "tokens/s", 100}, {"speed", "tokens/s", 3}, {"rate", "zero", 0}}};
  const Json j = published_json(published, Json::parse(kSummary));
  CHECK(j.at("source") == "them");
  const Json& rows = j.at("figures");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].at("predicted") == 110.0);
  CHECK(rows[0].at("published") == 100.0);
  CHECK(rows[0].at("off_percent").get<double>() == Approx(10.0));
  CHECK(rows[1].at("predicted").is_null());
  CHECK(rows[1].at("off_percent").is_null());
  CHECK(rows[2].at("off_percent").is_null());
}
