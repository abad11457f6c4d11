#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "analysis/report.hpp"
#include "fixture.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

using nlohmann::json;

std::filesystem::path put(const test::TemporaryFolder& folder, const std::string& text) {
  const auto file = folder.path() / "report.html";
  std::ofstream(file) << text;
  return file;
}

TEST_CASE("report page: the data comes back as it went in, hostile text and all") {
  const test::TemporaryFolder folder;
  const json data = {{"name", "</script><script>alert(1)</script> & \"<!--\" @TITLE@"}, {"n", 3.5}};
  const std::string page = report_page(data.dump(), "a <title>", "an <answer>");
  CHECK(json::parse(data_of_report(put(folder, page))) == data);
  CHECK(page.find("<script>alert") == std::string::npos);
  CHECK(page.find("a &lt;title&gt; - Foretoken") != std::string::npos);
}

TEST_CASE("report page: a run's own page carries its data") {
  const test::TemporaryFolder folder;
  const auto scenario = test::small_scenario();
  const auto result = test::small_result();
  const std::string page = report_html(scenario, result, summarise(scenario, result), {});
  const json data = json::parse(data_of_report(put(folder, page)));
  CHECK(data["summary"]["completed"] == 3);
  CHECK(data["config"].size() == scenario.resolved.size());
}

TEST_CASE("report page: pages without data, or cut short, are refused") {
  const test::TemporaryFolder folder;
  const std::string page = report_page("{\"a\":1}", "t", "a");
  const std::size_t data = page.find("{\"a\":1}");
  CHECK_THROWS_AS(data_of_report(put(folder, "<html></html>")), sim::core::InputError);
  CHECK_THROWS_AS(data_of_report(put(folder, page.substr(0, data + 3))), sim::core::InputError);
  CHECK_THROWS_AS(data_of_report(folder.path() / "none.html"), sim::core::InputError);
}

}  // namespace
}  // namespace foretoken::analysis
