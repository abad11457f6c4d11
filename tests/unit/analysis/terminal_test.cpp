#include "analysis/terminal.hpp"

#include <catch2/catch.hpp>
#include <sstream>

#include "analysis/number_text.hpp"
#include "fixture.hpp"

namespace foretoken::analysis {
namespace {

using test::large_result;
using test::small_result;
using test::small_scenario;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string answer(const Scenario& s, const ServingResult& r, const TerminalOptions& options = {}) {
  return terminal_answer(s, r, summarise(s, r), {"0.1.0", "foretoken run three.yaml", 1, 0, 0, 0},
                         options);
}

TEST_CASE("numbers as text") {
  CHECK(grouped(19366) == "19,366");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(grouped(7) == "7");
  CHECK(significant(1166.4) == "1,166");
  CHECK(significant(9.996) == "10.0");
  CHECK(significant(0.04127) == "0.0413");
  CHECK(significant(kMissing) == "-");
  CHECK(time_text(1.42) == "1.42 s");
  CHECK(time_text(0.0412) == "41.2 ms");
  CHECK(time_text(0.9996) == "1.00 s");
  CHECK(time_text(4.12e-5) == "41.2 us");
  CHECK(percent_text(0.9999) == "99.9 %");  // never rounded to all
  CHECK(percent_text(1.0) == "100 %");
  CHECK(percent_text(0.183) == "18 %");
  CHECK(percent_text(0.004) == "0.4 %");
  CHECK(bytes_text(141e9) == "141 GB");
  CHECK(money_text(12.3) == "12.30");
  CHECK(money_text(1240000) == "1,240,000");
  CHECK(money_text(0.0123) == "0.012");
}

TEST_CASE("verdict: a miss names the term and by how much") {
  const Metrics m = summarise(small_scenario(), small_result());
  CHECK(verdict_sentence(m) == "Misses the SLO: ttft.p90 2.60 s against 2.00 s (30 % over)");
}

TEST_CASE("verdict: several terms missed, one by far") {
  Scenario s = small_scenario();
  s.slo[0].limit_s = 0.1;  // 2.6 s: 26 times as long; 0.499 s against 0.4 s
  s.slo[1].limit_s = 0.4;
  CHECK(verdict_sentence(summarise(s, small_result())) ==
        "Misses the SLO in 2 terms: ttft.p90 2.60 s against 100 ms (26 times as long)");
}

TEST_CASE("verdict: met, tightest term first") {
  Scenario s = small_scenario();
  s.slo[0].limit_s = 4.0;  // 2.6 of 4 s: 35 % to spare; tpot 50 %
  CHECK(verdict_sentence(summarise(s, small_result())) ==
        "Meets the SLO: ttft.p90 2.60 s against 4.00 s (35 % to spare)");
}

TEST_CASE("verdict: says when the margin is inside the stated error") {
  ServingResult r = small_result();
  r.latency_relative_error = 0.25;
  CHECK(verdict_sentence(summarise(small_scenario(), r)) ==
        "Misses the SLO, but within its error: ttft.p90 2.60 s against 2.00 s (30 % over), "
        "error 25 %");
}

TEST_CASE("verdict: without an SLO, and with nothing to judge") {
  Scenario s = small_scenario();
  CHECK(has(verdict_sentence(summarise(s, ServingResult{})), "No verdict"));
  s.slo.clear();
  CHECK(has(verdict_sentence(summarise(s, small_result())), "No SLO stated: TTFT p99 2.96 s"));
}

TEST_CASE("answer: every figure of the main job, none without its provenance") {
  const std::string text = answer(small_scenario(), small_result());
  for (const char* part : {"Misses the SLO",
                           "TTFT",
                           "TPOT",
                           "E2E",
                           "p50",
                           "p90",
                           "p99",
                           "requests/s",
                           "output tokens/s",
                           "per GPU (17 tokens / 20 GPU-s)",
                           "KV cache used",
                           "GPU power",
                           "J/output token",
                           "CNY",
                           "USD",
                           "per million output tokens",
                           "67 % within all limits (67 % to",
                           "calibrated +-10 %",
                           "analytical, unvalidated",
                           "foretoken run three.yaml"}) {
    INFO(part);
    CHECK(has(text, part));
  }
}

TEST_CASE("answer: fits 100 columns, no colour unless asked, no control characters") {
  Scenario s = small_scenario();
  s.name = "evil \033[31m name " + std::string(300, 'x');
  TerminalOptions options;
  for (const ServingResult& r : {small_result(), large_result(3000)}) {
    std::istringstream lines(answer(s, r, options));
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 100);
      CHECK(line.find('\033') == std::string::npos);
    }
  }
  options.color = true;
  CHECK(has(answer(s, small_result(), options), "\033[31mMisses"));
}

TEST_CASE("answer: failed conservation checks cannot be overlooked") {
  ServingResult r = small_result();
  r.conservation_errors = {"one request is missing"};
  CHECK(has(answer(small_scenario(), r), "conservation checks FAILED"));
}

TEST_CASE("terminal: a repeated run says what is chance") {
  const auto s = test::small_scenario();
  const auto r = test::small_result();
  Metrics m = summarise(s, r);
  CHECK(terminal_answer(s, r, m, {}).find("seeds") == std::string::npos);
  m.seeds = 3;
  m.seeds_meeting_slo = 1;
  m.over_seeds = {{"p99_ttft_ms", 2960, 2900, 3020}, {"output_throughput", 1.7, 1.6, 1.8}};
  const std::string text = terminal_answer(s, r, m, {});
  CHECK_THAT(text, Catch::Contains("3 seeds, 95 %"));
  CHECK_THAT(text, Catch::Contains("2.96 s (2.90 s to 3.02 s)"));
  CHECK_THAT(text, Catch::Contains("the SLO is met with 1 of 3 seeds"));
}

}  // namespace
}  // namespace foretoken::analysis
