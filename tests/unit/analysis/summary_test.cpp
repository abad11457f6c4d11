#include "analysis/summary.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fixture.hpp"

namespace foretoken::analysis {
namespace {

using nlohmann::json;
using test::small_result;
using test::small_scenario;

RunInfo some_info() { return {"0.1.0", "foretoken run three.yaml", 1, 0.5, 0.4, 55.0}; }

std::string text_of(const Scenario& s, const ServingResult& r, const RunInfo& info) {
  return summary_json(s, r, summarise(s, r), info);
}

TEST_CASE("summary: vLLM's keys hold the hand-worked values") {
  const json j = json::parse(text_of(small_scenario(), small_result(), some_info()));
  CHECK(j["completed"] == 3);
  CHECK(j["failed"] == 0);
  CHECK(j["duration"] == 10.0);
  CHECK(j["total_input_tokens"] == 600);
  CHECK(j["total_output_tokens"] == 17);
  CHECK(j["request_throughput"].get<double>() == Approx(0.3));
  CHECK(j["output_throughput"].get<double>() == Approx(1.7));
  CHECK(j["total_token_throughput"].get<double>() == Approx(61.7));
  CHECK(j["request_goodput"].get<double>() == Approx(0.2));
  CHECK(j["max_concurrent_requests"] == 2);
  CHECK(j["mean_ttft_ms"].get<double>() == Approx(1500));
  CHECK(j["median_ttft_ms"].get<double>() == Approx(1000));
  CHECK(j["p99_ttft_ms"].get<double>() == Approx(2960));
  CHECK(j["mean_tpot_ms"].get<double>() == Approx(450));
  CHECK(j["std_tpot_ms"].get<double>() == Approx(50));
  CHECK(j["p90_e2el_ms"].get<double>() == Approx(6200));
}

TEST_CASE("summary: every per-GPU figure carries its two parts") {
  const json j = json::parse(text_of(small_scenario(), small_result(), some_info()));
  for (const auto& [name, figure] : j["per_gpu"].items()) {
    INFO(name);
    CHECK(figure["value"].get<double>() ==
          Approx(figure["numerator"].get<double>() / figure["denominator"].get<double>()));
  }
  CHECK(j["per_gpu"]["output_tokens_per_s"]["numerator"] == 17);
  CHECK(j["per_gpu"]["output_tokens_per_s"]["denominator"] == 20);
}

TEST_CASE("summary: figures say where they come from and how far off they may be") {
  const json j = json::parse(text_of(small_scenario(), small_result(), some_info()));
  const json& ttft = j["figures"]["p99_ttft"];
  CHECK(ttft["provenance"] == "calibrated");
  CHECK(ttft["relative_error"] == 0.1);
  CHECK(ttft["low"].get<double>() == Approx(2960 * 0.9));
  CHECK(ttft["high"].get<double>() == Approx(2960 * 1.1));
  CHECK(j["figures"]["mean_gpu_watts"]["provenance"] == "analytical");
  CHECK(j["figures"]["mean_gpu_watts"]["relative_error"].is_null());
  CHECK(j["sources"].size() == 2);
  CHECK(j["slo"]["met"] == false);
  CHECK(j["slo"]["attainment"]["numerator"] == 2);
  CHECK(j["slo"]["attainment"]["denominator"] == 3);
  CHECK(j["conservation"]["passed"] == true);
  CHECK(j["cost"]["formula"].get<std::string>().find("GPU-hour") != std::string::npos);
}

TEST_CASE("summary: all that depends on the machine lies under run") {
  ServingResult slower = small_result();
  slower.run.wall_s = 99;
  slower.run.events_per_s = 1;
  slower.run.windows = 7;
  slower.run.parallel_fraction = 0.5;
  RunInfo info = some_info();
  info.threads = 8;
  info.cpu_s = 77;
  json a = json::parse(text_of(small_scenario(), small_result(), some_info()));
  json b = json::parse(text_of(small_scenario(), slower, info));
  CHECK(a["run"] != b["run"]);
  a.erase("run");
  b.erase("run");
  CHECK(a == b);
}

TEST_CASE("summary: the same run gives the same bytes, what does not exist is null") {
  CHECK(text_of(small_scenario(), small_result(), some_info()) ==
        text_of(small_scenario(), small_result(), some_info()));
  const json j = json::parse(text_of(small_scenario(), ServingResult{}, some_info()));
  CHECK(j["mean_ttft_ms"].is_null());
  CHECK(j["output_throughput"].is_null());
  Scenario no_slo = small_scenario();
  no_slo.slo.clear();
  CHECK(json::parse(text_of(no_slo, small_result(), some_info()))["slo"]["met"].is_null());
}

TEST_CASE("summary: a name that is not UTF-8 does not break the file") {
  Scenario s = small_scenario();
  s.name = "bad \xff name \"quoted\"";
  CHECK(json::parse(text_of(s, small_result(), some_info()))["name"].get<std::string>() ==
        "bad \xEF\xBF\xBD name \"quoted\"");
}

}  // namespace
}  // namespace foretoken::analysis
