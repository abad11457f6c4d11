// report.html of a traffic scenario: the page of a serving run with sections of its own.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "analysis/report.hpp"
#include "analysis/report_cluster.hpp"
#include "analysis/run_documents.hpp"

namespace foretoken::analysis {

std::string traffic_html(const TrafficScenario& scenario, const TrafficResult& result,
                         const RunInfo& info) {
  using Json = nlohmann::ordered_json;
  Json j;
  j["kind"] = "traffic";
  j["summary"] = Json::parse(traffic_json(scenario, result, info));
  j["summary"].erase("run");  // timings: the page is the same for equal runs
  j["summary"]["foretoken_version"] = info.version;
  j["summary"]["conservation"] = {{"passed", result.conservation_errors.empty()},
                                  {"errors", result.conservation_errors}};
  j["network"] = link_heat_json(scenario, result);
  Json config = Json::array();
  for (const auto& v : scenario.resolved) config.push_back({v.path, v.value, v.origin});
  j["config"] = std::move(config);
  Json inputs = Json::object();
  for (const auto& [file, hash] : scenario.input_hashes) inputs[file] = hash;
  j["meta"] = {{"version", info.version},
               {"build", build_description()},
               {"hash", fmt::format("fnv1a64:{:016x}", traffic_hash(scenario))},
               {"scenario", scenario.file.string()},
               {"command", info.replay_command},
               {"inputs", std::move(inputs)}};
  return report_page(j.dump(-1, ' ', false, Json::error_handler_t::replace), scenario.name,
                     traffic_text(scenario, result));
}

}  // namespace foretoken::analysis
