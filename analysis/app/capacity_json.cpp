#include "analysis/app/capacity_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace foretoken::analysis::app {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

std::string capacity_json(const Scenario& scenario, const study::Capacity& c) {
  Json json;
  json["name"] = scenario.name;
  json["load_is"] = c.closed_loop ? "requests in flight" : "requests per second";
  json["capacity"] = c.load;
  json["interval_95"] = {number(c.interval_low), number(c.interval_high)};
  json["within_stated_error"] = {number(c.error_low), number(c.error_high)};
  json["relative_error_of_latencies"] = number(c.relative_error);
  json["by_seed"] = c.by_seed;
  json["first_to_break"] = c.first_to_break;
  json["knee"] = c.knee ? Json(*c.knee) : Json(nullptr);
  json["simulations"] = c.simulations;
  json["curve"] = Json::array();
  for (const auto& p : c.curve)
    json["curve"].push_back({{"load", p.load},
                             {"met", p.met},
                             {"p50_ttft_ms", number(p.ttft_p50_s * 1e3)},
                             {"p99_ttft_ms", number(p.ttft_p99_s * 1e3)},
                             {"p50_tpot_ms", number(p.tpot_p50_s * 1e3)},
                             {"p99_tpot_ms", number(p.tpot_p99_s * 1e3)},
                             {"p99_e2el_ms", number(p.e2el_p99_s * 1e3)},
                             {"slo_attainment", number(p.attainment)},
                             {"request_goodput", number(p.goodput)},
                             {"request_throughput", number(p.request_rate)},
                             {"output_throughput", number(p.output_tokens_per_s)},
                             {"mean_kv_used", number(p.mean_kv_used)},
                             {"peak_waiting", number(p.peak_waiting)}});
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace foretoken::analysis::app
