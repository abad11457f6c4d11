// Writes the runs that the browser tests open: make_report DIRECTORY.
#include <exception>
#include <iostream>

#include "analysis/results_store.hpp"
#include "tests/unit/analysis/fixture.hpp"

namespace {

using namespace foretoken::analysis;

void write(const std::filesystem::path& directory, const Scenario& scenario,
           const ServingResult& result) {
  const RunInfo info{"0.1.0", "foretoken run scenarios/quickstart.yaml --seed 1", 1, 0, 0, 0};
  write_run(directory, scenario, result, summarise(scenario, result), info);
}

Scenario named(const std::string& name) {
  Scenario s = test::small_scenario();
  s.name = name;
  s.serving.deployment.layout.tensor = 8;
  s.slo = {{"ttft", "p99", 2.0, "ttft.p99 <= 2s"}, {"tpot", "p99", 0.05, "tpot.p99 <= 50ms"}};
  return s;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: make_report DIRECTORY\n";
    return 2;
  }
  const std::filesystem::path out = argv[1];
  Scenario bought = named("A typical run");
  bought.cost.node_price = bought.cost.electricity_per_kwh;
  bought.cost.node_price->amount = 2'500'000;
  bought.cost.gpu_hour.reset();
  bought.cost.maintenance_per_year = 0.05;
  write(out / "typical", bought, test::large_result(19366));
  Scenario hostile = named("</script><script>alert(1)</script><img src=x onerror=alert(2)>");
  hostile.resolved.push_back(
      {"<svg onload=alert(3)>", "\"'><b>", "</td><script>alert(4)</script>"});
  hostile.serving.workload.name = "<!-- ${alert(5)}";
  write(out / "hostile", hostile, test::small_result());
  Scenario bare = named("Nothing to show");
  bare.slo.clear();
  write(out / "empty", bare, ServingResult{});
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
