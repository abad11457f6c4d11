#include "analysis/report.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <regex>

#include "analysis/report/assets.hpp"
#include "fixture.hpp"

namespace foretoken::analysis {
namespace {

using nlohmann::json;
using test::large_result;
using test::small_result;
using test::small_scenario;

std::string page(const Scenario& s, const ServingResult& r) {
  return report_html(s, r, summarise(s, r), {"0.1.0", "foretoken run three.yaml", 1, 0, 0, 0});
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

json data_of(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t begin = html.find(open) + open.size();
  return json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

TEST_CASE("report: one file, no network, a policy that names its own scripts") {
  const std::string html = page(small_scenario(), large_result(19366));
  CHECK(html.size() < 1'500'000);
  CHECK(html.find("default-src 'none'") != html.npos);
  const ReportAssets assets = report_assets();
  for (const auto hash : {assets.style_hash, assets.script_hash, assets.chart_hash}) {
    CHECK(std::regex_match(std::string(hash), std::regex("'sha256-[A-Za-z0-9+/]{43}='")));
    CHECK(count(html, std::string(hash)) == 1);
  }
  // Nothing to fetch: no src, no stylesheet link, no import, no URL in CSS.
  for (const char* fetch : {"src=\"", "<link", "@import", "url(", "unsafe-inline", "unsafe-eval"}) {
    INFO(fetch);
    CHECK(count(html, fetch) == 0);
  }
  CHECK(count(html, "Chart.js v3") == 1);
  CHECK(count(html, "<script") == count(html, "</script"));
}

TEST_CASE("report: no style attributes, which the policy would block") {
  CHECK(count(std::string(report_assets().page), "style=\"") == 0);
  CHECK(count(std::string(report_assets().script), "style:") == 0);
}

TEST_CASE("report: a hostile name stays text") {
  Scenario s = small_scenario();
  s.name = "</script><script>alert(1)</script><!--@DATA@&\"";
  s.resolved.push_back({"evil", "</script><img onerror=alert(2)>", "<b>"});
  const std::string clean = page(small_scenario(), small_result());
  const std::string html = page(s, small_result());
  CHECK(count(html, "<script") == count(clean, "<script"));
  CHECK(html.find("alert(1)</script>") == html.npos);
  CHECK(html.find("<img") == html.npos);
  CHECK(html.find("<b>") == html.npos);
  CHECK(data_of(html)["summary"]["name"] == s.name);
  CHECK(html.find("<title>&lt;/script&gt;") != html.npos);
}

TEST_CASE("report: data behind every section") {
  const json j = data_of(page(small_scenario(), small_result()));
  CHECK(j["summary"]["p99_ttft_ms"].get<double>() == Approx(2960));
  CHECK_FALSE(j["summary"].contains("run"));
  CHECK(j["curves"]["ttft"]["ms"] == json::array({500.0, 1000.0, 3000.0}));
  CHECK(j["curves"]["ttft"]["share"].back() == 1.0);
  CHECK(j["series"]["kv_used_fraction"] == json::array({0.2, 0.6, 0.4}));
  // Busy 0.5 s without decodes, 7 s with one.
  CHECK(j["batch"]["sequences"] == json::array({0, 1}));
  CHECK(j["batch"]["share"][1].get<double>() == Approx(7 / 7.5).epsilon(1e-4));
  CHECK(j["worst"][0]["index"] == 2);
  CHECK(j["worst"][0]["ttft_ms"].get<double>() == Approx(3000));
  CHECK(j["anatomy"][0]["decode"].get<double>() == Approx(2));
  CHECK(j["anatomy"][1]["queue"].get<double>() == Approx(2));  // request 2 alone is the tail
  CHECK(j["config"].size() == small_scenario().resolved.size());
  CHECK(j["meta"]["command"] == "foretoken run three.yaml");
}

TEST_CASE("report: curves and series are thinned, their ends kept") {
  const ServingResult r = large_result(19366);
  const Metrics m = summarise(small_scenario(), r);
  const json j = data_of(page(small_scenario(), r));
  const auto& curve = j["curves"]["e2el"];
  CHECK(curve["ms"].size() > 150);
  CHECK(curve["ms"].size() <= 241);
  CHECK(curve["ms"].front().get<double>() == Approx(m.e2el.min * 1e3).epsilon(1e-4));
  CHECK(curve["ms"].back().get<double>() == Approx(m.e2el.max * 1e3).epsilon(1e-4));
  CHECK(j["series"]["running"].size() <= 600);
  // Thinning by means keeps the integral.
  double sum = 0, all = 0;
  for (const auto& v : j["series"]["running"]) sum += v.get<double>();
  for (const double v : r.series.running) all += v;
  CHECK(sum * j["series"]["bin_s"].get<double>() == Approx(all * r.series.bin_s).epsilon(1e-3));
}

TEST_CASE("report: a run without requests still makes a page") {
  const json j = data_of(page(small_scenario(), ServingResult{}));
  CHECK(j["curves"]["ttft"]["ms"].empty());
  CHECK(j["worst"].empty());
}

}  // namespace
}  // namespace foretoken::analysis
