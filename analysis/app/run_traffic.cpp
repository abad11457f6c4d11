#include "analysis/app/run_traffic.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <iostream>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/session.hpp"
#include "analysis/results_store.hpp"
#include "analysis/traffic_results.hpp"

namespace foretoken::analysis::app {

int run_traffic(const Invocation& invocation, const ParsedLine& line,
                const std::vector<std::string>& overrides) {
  const auto start = std::chrono::steady_clock::now();
  if (line.has("require")) throw UsageError("--require was given but traffic has no slo");
  const scenarios::loader::Catalogue catalogue(invocation.home);
  const TrafficScenario scenario =
      scenarios::loader::load_traffic(line.arguments[0], catalogue, overrides);
  for (const auto& warning : scenario.warnings)
    fmt::print(stderr, "{}\n", sim::core::to_string(warning));
  const bool files = !line.has("no-files");
  const std::filesystem::path directory = line.has("out") ? std::filesystem::path(line.text("out"))
                                                          : default_traffic_directory(scenario);
  if (files) check_writable(directory);
  const TrafficResult result = models::collective::simulate(scenario.traffic);
  RunInfo info;
  info.version = FORETOKEN_VERSION;
  info.replay_command = shell_quoted(invocation.argv);
  info.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const ResourceUse used = resource_use();
  info.cpu_s = used.cpu_s;
  info.peak_rss_mib = used.peak_rss_mib;
  for (const std::string& error : result.conservation_errors)
    fmt::print(stderr, "foretoken: conservation check failed: {}\n", error);
  if (!result.conservation_errors.empty()) return kBug;
  if (files) write_traffic_run(directory, scenario, result, info);
  if (line.has("json")) {
    std::cout << traffic_json(scenario, result, info);
  } else {
    std::cout << traffic_text(scenario, result);
    if (files) std::cout << "\nreport: " << (directory / "report.html").string() << '\n';
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
