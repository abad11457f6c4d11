#include "analysis/summary.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/network_results.hpp"
#include "analysis/published.hpp"
#include "analysis/terminal.hpp"
#include "models/power/node_power.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using sim::core::to_string;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json deployment_json(const Scenario& scenario, const Metrics& m) {
  const auto& d = scenario.serving.deployment;
  Json j;
  j["model"] = d.model.name;
  j["engine"] = d.engine.name;
  j["node"] = d.node.name;
  j["gpu"] = d.node.gpu.name;
  j["nodes"] = m.nodes;
  j["gpus"] = m.gpus;
  j["replicas"] = d.replicas;
  j["layout"] = {{"tensor", d.layout.tensor},
                 {"pipeline", d.layout.pipeline},
                 {"data_attention", d.layout.data_attention},
                 {"context", d.layout.context},
                 {"expert", d.layout.expert},
                 {"experts_on_host", d.layout.experts_on_host}};
  j["weights"] = models::llm::to_string(d.precision.weights);
  j["kv_cache"] = models::hardware::to_string(d.precision.kv);
  j["max_batch_tokens"] = d.batching.max_tokens;
  j["max_sequences"] = d.batching.max_sequences;
  j["router"] = d.router;
  j["workload"] = scenario.serving.workload.name;
  return j;
}

// vLLM's spelling: mean_ttft_ms, median_ttft_ms, std_ttft_ms, p99_ttft_ms.
void put_latency(Json& j, const std::string& name, const Distribution& d) {
  const auto put = [&](const char* statistic_name, double seconds) {
    j[std::string(statistic_name) + "_" + name + "_ms"] = number(seconds * 1e3);
  };
  put("mean", d.mean);
  put("median", d.p50);
  put("std", d.std);
  put("p50", d.p50);
  put("p90", d.p90);
  put("p95", d.p95);
  put("p99", d.p99);
}

void put_vllm_keys(Json& j, const Metrics& m) {
  j["duration"] = number(m.window_s);
  j["completed"] = m.completed;
  j["failed"] = m.rejected + m.unfinished + m.timed_out + m.failed;
  j["total_input_tokens"] = m.input_tokens;
  j["total_output_tokens"] = m.output_tokens;
  j["request_throughput"] = number(m.request_rate.value);
  j["request_goodput"] = m.slo.terms.empty() ? Json(nullptr) : number(m.slo.goodput);
  j["output_throughput"] = number(m.output_rate.value);
  j["total_token_throughput"] = number(m.total_rate.value);
  j["max_concurrent_requests"] = m.peak_concurrency > 0 ? Json(m.peak_concurrency) : Json(nullptr);
  put_latency(j, "ttft", m.ttft);
  put_latency(j, "tpot", m.tpot);
  put_latency(j, "e2el", m.e2el);
}

void put_requests(Json& j, const ServingResult& r, const Metrics& m) {
  j["arrived"] = m.arrived;
  j["rejected"] = m.rejected;
  j["unfinished"] = m.unfinished;
  j["timed_out"] = m.timed_out;
  j["lost"] = m.failed;
  j["retries"] = r.retries;
  Json reasons = Json::object();
  for (const auto& [reason, count] : r.reasons) reasons[models::serving::in_words(reason)] = count;
  j["reasons"] = std::move(reasons);
  j["finished_in_window"] = m.finished_in_window;
  j["preemptions"] = r.preemptions;
  j["steps"] = r.total_steps;
  // Queues are looked at request by request: not known where not all are kept.
  j["saturated"] = r.requests.complete() ? Json(m.saturation.saturated) : Json(nullptr);
  j["recomputed_tokens"] = r.recomputed_tokens;
  j["window"] = {{"start_s", r.window_start_s}, {"end_s", r.window_end_s}};
  put_latency(j, "scheduling_delay", m.queueing);
  put_latency(j, "prefill", m.prefill);
  put_latency(j, "decode", m.decode);
  j["mean_concurrency"] = number(m.mean_concurrency);
  j["mean_running"] = number(m.mean_running);
  j["mean_waiting"] = number(m.mean_waiting);
  j["peak_waiting"] = number(m.peak_waiting);
}

Json per_gpu_json(const PerGpu& p, const char* numerator) {
  return {{"value", number(p.value)},
          {"numerator", p.numerator},
          {"numerator_is", numerator},
          {"denominator", number(p.gpu_seconds)},
          {"denominator_is", "gpus * duration, GPU-seconds"}};
}

Json kv_json(const ServingResult& r, const Metrics& m) {
  return {{"mean_used_fraction", number(m.mean_kv_used)},
          {"peak_used_fraction", number(m.peak_kv_used)},
          {"blocks", r.memory.kv_blocks},
          {"tokens", r.memory.kv_tokens}};
}

// What the wall watts of a node are made of, its GPUs at their mean.
Json node_power_json(const Scenario& scenario, const Metrics& m) {
  const auto& node = scenario.serving.deployment.node;
  if (!std::isfinite(m.energy.mean_gpu_watts)) return nullptr;
  const double busy = std::isfinite(m.idle_share) ? std::clamp(1.0 - m.idle_share, 0.0, 1.0) : 1.0;
  const auto watts =
      models::power::node_power(node, m.energy.mean_gpu_watts, busy, scenario.cost.pue);
  Json host = Json::object();
  for (const auto& [name, part] : watts.host) host[name] = part;
  return {{"gpus", watts.gpus},
          {"host", std::move(host)},
          {"psu_loss", watts.psu_loss},
          {"wall", watts.wall},
          {"with_rack", watts.rack},
          {"facility", watts.facility},
          {"definition",
           "a node whose GPUs all work: GPUs at their mean, the host between idle and "
           "load by the share of time that they are busy"}};
}

Json energy_json(const Scenario& scenario, const Metrics& m) {
  const EnergyFigures& e = m.energy;
  const auto requests = static_cast<double>(m.finished_in_window);
  const auto per_request = [&](double joules) {
    return requests > 0 ? Json(joules / requests) : Json(nullptr);
  };
  constexpr double kJoulesPerKwh = 3.6e6;
  const double carbon_kg = e.window_j_facility / kJoulesPerKwh * scenario.cost.carbon_kg_per_kwh;
  return {
      {"mean_gpu_watts", number(e.mean_gpu_watts)},
      {"peak_gpu_watts", number(e.peak_gpu_watts)},
      {"mean_server_watts", number(e.mean_server_watts)},
      {"mean_facility_watts", number(e.mean_facility_watts)},
      {"pue", e.pue},
      {"joules",
       {{"gpu", e.window_j_gpu}, {"server", e.window_j_server}, {"facility", e.window_j_facility}}},
      {"joules_per_output_token",
       {{"gpu", number(e.j_per_output_token_gpu)},
        {"server", number(e.j_per_output_token_server)},
        {"facility", number(e.j_per_output_token_facility)}}},
      {"joules_per_request",
       {{"gpu", per_request(e.window_j_gpu)},
        {"server", per_request(e.window_j_server)},
        {"facility", per_request(e.window_j_facility)}}},
      {"carbon_kg", scenario.cost.carbon_kg_per_kwh > 0 ? Json(carbon_kg) : Json(nullptr)},
      {"node_watts", node_power_json(scenario, m)},
      {"definition",
       "energy of the window / output tokens finished in it; gpu: all GPUs; "
       "server: whole nodes at the wall; facility: server * pue"}};
}

Json price_json(const std::optional<models::cost::Price>& p) {
  if (!p) return nullptr;
  return {{"amount", p->amount},
          {"currency", p->currency == models::cost::Currency::CNY ? "CNY" : "USD"},
          {"source", p->source},
          {"date", p->date},
          {"valid_until", p->valid_until}};
}

Json cost_json(const Scenario& scenario, const Metrics& m) {
  const auto& c = m.cost;
  Json lines = Json::array();
  for (const auto& line : c.per_hour)
    lines.push_back({{"name", line.name}, {"cny", line.cny}, {"usd", line.usd}});
  const auto& spec = scenario.cost;
  return {
      {"per_hour", {{"cny", number(c.total_cny_per_hour)}, {"usd", number(c.total_usd_per_hour)}}},
      {"per_day",
       {{"cny", number(24 * c.total_cny_per_hour)}, {"usd", number(24 * c.total_usd_per_hour)}}},
      {"per_hour_lines", std::move(lines)},
      {"per_million_output_tokens",
       {{"cny", number(c.cny_per_million_output_tokens)},
        {"usd", number(c.usd_per_million_output_tokens)}}},
      {"per_million_total_tokens",
       {{"cny", number(c.cny_per_million_total_tokens)},
        {"usd", number(c.usd_per_million_total_tokens)}}},
      {"formula", c.formula},
      {"inputs",
       {{"horizon_years", spec.horizon_years},
        {"maintenance_per_year", spec.maintenance_per_year}}},
      {"exchange",
       {{"cny_per_usd", spec.exchange.cny_per_usd},
        {"source", spec.exchange.source},
        {"date", spec.exchange.date}}},
      {"prices",
       {{"node", price_json(spec.node_price)},
        {"gpu_hour", price_json(spec.gpu_hour)},
        {"electricity_kwh", price_json(spec.electricity_per_kwh)}}}};
}

Json slo_json(const Metrics& m) {
  Json terms = Json::array();
  for (const SloOutcome& t : m.slo.terms)
    terms.push_back({{"term", t.term.text},
                     {"metric", t.term.metric},
                     {"statistic", t.term.statistic},
                     {"limit_ms", t.term.limit_s * 1e3},
                     {"value_ms", number(t.value_s * 1e3)},
                     {"met", t.met},
                     {"margin", number(t.margin)},
                     {"inside_error", t.inside_error},
                     {"attainment", number(t.attainment)}});
  Json j;
  j["met"] = m.slo.terms.empty() ? Json(nullptr) : Json(m.slo.met);
  j["inside_error"] = m.slo.inside_error;
  j["terms"] = std::move(terms);
  if (m.slo.terms.empty()) return j;
  j["attainment"] = {{"value", number(m.slo.attainment)},
                     {"low", number(m.slo.attainment_low)},
                     {"high", number(m.slo.attainment_high)},
                     {"numerator", m.slo.good},
                     {"denominator", m.slo.arrived},
                     {"denominator_is", "requests that arrived in the window"}};
  return j;
}

Json figure_json(double value, const char* unit, const Figure& trust) {
  Json j;
  j["value"] = number(value);
  j["unit"] = unit;
  j["provenance"] = to_string(trust.provenance);
  j["relative_error"] = trust.relative_error ? number(*trust.relative_error) : Json(nullptr);
  const bool bounded = trust.relative_error && std::isfinite(value);
  j["low"] = bounded ? Json(value * std::max(0.0, 1.0 - *trust.relative_error)) : Json(nullptr);
  j["high"] = bounded ? Json(value * (1.0 + *trust.relative_error)) : Json(nullptr);
  j["basis"] = trust.basis;
  return j;
}

void put_latency_figures(Json& j, const std::string& name, const Distribution& d,
                         const Figure& trust) {
  j["p50_" + name] = figure_json(d.p50 * 1e3, "ms", trust);
  j["p90_" + name] = figure_json(d.p90 * 1e3, "ms", trust);
  j["p99_" + name] = figure_json(d.p99 * 1e3, "ms", trust);
}

Json figures_json(const Metrics& m) {
  Json j;
  put_latency_figures(j, "ttft", m.ttft, m.ttft_trust);
  put_latency_figures(j, "tpot", m.tpot, m.latency);
  put_latency_figures(j, "e2el", m.e2el, m.latency);
  j["request_throughput"] = figure_json(m.request_rate.value, "1/s", m.throughput);
  j["output_throughput"] = figure_json(m.output_rate.value, "tokens/s", m.throughput);
  j["total_token_throughput"] = figure_json(m.total_rate.value, "tokens/s", m.throughput);
  j["kv_used"] = figure_json(m.mean_kv_used, "share of KV blocks", m.kv);
  j["mean_gpu_watts"] = figure_json(m.energy.mean_gpu_watts, "W", m.power);
  j["joules_per_output_token"] =
      figure_json(m.energy.j_per_output_token_facility, "J, facility", m.energy_figure);
  j["cny_per_million_output_tokens"] =
      figure_json(m.cost.cny_per_million_output_tokens, "CNY", m.money);
  j["usd_per_million_output_tokens"] =
      figure_json(m.cost.usd_per_million_output_tokens, "USD", m.money);
  return j;
}

Json over_seeds_json(const Metrics& m) {
  Json metrics = Json::object();
  for (const auto& f : m.over_seeds)
    metrics[f.key] = {{"mean", number(f.mean)}, {"low", number(f.low)}, {"high", number(f.high)}};
  return {{"seeds", m.seeds},
          {"seeds_meeting_slo", m.slo.terms.empty() ? Json(nullptr) : Json(m.seeds_meeting_slo)},
          {"interval", "95 %, Student's t over independent seeds: chance alone"},
          {"metrics", std::move(metrics)}};
}

const char* role_name(models::serving::PoolRole role) {
  using models::serving::PoolRole;
  return role == PoolRole::prefill ? "prefill" : role == PoolRole::decode ? "decode" : "whole";
}

Json pools_json(const ServingResult& r) {
  Json list = Json::array();
  for (const auto& p : r.pools) {
    const double busy = p.replica_seconds > 0 ? p.busy_seconds / p.replica_seconds : 0.0;
    const auto rate = [&p](std::int64_t tokens) {
      return p.node_seconds() > 0 ? number(static_cast<double>(tokens) / p.node_seconds())
                                  : Json(nullptr);
    };
    list.push_back({{"role", role_name(p.role)},
                    {"replicas", p.replicas},
                    {"gpus_per_replica", p.gpus_per_replica},
                    {"mean_nodes_in_service",
                     p.window_s > 0 ? number(p.node_seconds() / p.window_s) : Json(nullptr)},
                    {"busy", busy},
                    {"steps", p.steps},
                    {"prefill_tokens", p.prefill_tokens},
                    {"cached_tokens", p.cached_tokens},
                    {"output_tokens", p.output_tokens},
                    {"prefill_tokens_per_s_per_node", rate(p.prefill_tokens)},
                    {"input_tokens_per_s_per_node", rate(p.prefill_tokens + p.cached_tokens)},
                    {"output_tokens_per_s_per_node", rate(p.output_tokens)},
                    {"mean_decode_sequences_per_gpu", p.decode_sequences / p.gpus_per_replica},
                    {"mean_decode_context", p.decode_context},
                    {"mean_gpu_watts", number(p.energy.mean_gpu_watts)},
                    {"kv_tokens_per_rank", p.memory.kv_tokens}});
  }
  return list;
}

Json sources_json(const ServingResult& r) {
  Json list = Json::array();
  for (const auto& s : r.sources)
    list.push_back({{"name", s.name},
                    {"provenance", to_string(s.provenance)},
                    {"share_of_step_time", s.share},
                    {"relative_error", s.relative_error}});
  return list;
}

Json accounts_json(const ServingResult& r) {
  const auto& t = r.time;
  const auto& m = r.memory;
  return {{"time_s",
           {{"gemm", t.gemm_s},
            {"attention", t.attention_s},
            {"experts", t.experts_s},
            {"communication", t.communication_s},
            {"elementwise", t.elementwise_s},
            {"host", t.host_s},
            {"idle", t.idle_s}}},
          {"memory_bytes_per_gpu",
           {{"capacity", m.capacity},
            {"usable", m.usable},
            {"weights", m.weights},
            {"activations", m.activations},
            {"reserve", m.reserve},
            {"kv", m.kv}}}};
}

const char* reason_name(sim::engine::StopReason reason) {
  using sim::engine::StopReason;
  switch (reason) {
    case StopReason::drained:
      return "drained";
    case StopReason::until:
      return "until";
    case StopReason::stopped:
      return "stopped";
    case StopReason::time_limit:
      return "time_limit";
    case StopReason::memory_limit:
      return "memory_limit";
    case StopReason::interrupted:
      return "interrupted";
  }
  return "?";
}

Json run_json(const ServingResult& r, const RunInfo& info) {
  return {{"threads", info.threads},
          {"wall_s", info.wall_s},
          {"cpu_s", info.cpu_s},
          {"peak_rss_mib", info.peak_rss_mib},
          {"simulation_wall_s", r.run.wall_s},
          {"events", r.run.events},
          {"events_per_s", r.run.events_per_s},
          {"windows", r.run.windows},
          {"events_per_window", r.run.events_per_window},
          {"parallel_fraction", r.run.parallel_fraction},
          // Where the wall time went: turns on one thread, windows on several, work in between.
          {"sequential_s", r.run.sequential_s},
          {"parallel_s", r.run.parallel_s},
          {"exchange_s", r.run.exchange_s}};
}

}  // namespace

std::string summary_json(const Scenario& scenario, const ServingResult& result, const Metrics& m,
                         const RunInfo& info) {
  Json j;
  j["schema_version"] = kSummaryVersion;
  j["foretoken_version"] = info.version;
  j["name"] = scenario.name;
  j["verdict"] = verdict_sentence(m);
  j["seed"] = scenario.serving.seed;
  j["deployment"] = deployment_json(scenario, m);
  put_vllm_keys(j, m);
  put_requests(j, result, m);
  j["per_gpu"] = {
      {"output_tokens_per_s", per_gpu_json(m.output_per_gpu, "output tokens finished in window")},
      {"input_tokens_per_s", per_gpu_json(m.input_per_gpu, "input tokens finished in window")},
      {"total_tokens_per_s",
       per_gpu_json(m.total_per_gpu, "input + output tokens finished in window")}};
  j["tokens_per_s_per_user"] = number(m.tokens_per_s_per_user);
  j["tokens_per_s_per_user_percentiles"] = {
      {"p50", number(m.tokens_per_s_per_user_p50)},
      {"p99", number(m.tokens_per_s_per_user_p99)},
      {"definition", "1000 / TPOT in ms of the same percentile; without one: of the mean TPOT"}};
  j["input_tokens_per_s_per_node"] = number(m.input_per_node);
  j["output_tokens_per_s_per_node"] = number(m.output_per_node);
  j["mean_nodes_in_service"] = number(m.mean_nodes);
  j["pools"] = pools_json(result);
  j["remote_api"] = {{"requests", result.remote.requests},
                     {"input_tokens", result.remote.input_tokens},
                     {"output_tokens", result.remote.output_tokens},
                     {"usd", result.remote.cost_usd}};
  if (result.network) j["network"] = Json::parse(network_json(result));
  j["kv"] = kv_json(result, m);
  j["energy"] = energy_json(scenario, m);
  j["cost"] = cost_json(scenario, m);
  j["slo"] = slo_json(m);
  j["figures"] = figures_json(m);
  if (m.seeds > 1) j["over_seeds"] = over_seeds_json(m);
  j["sources"] = sources_json(result);
  j["accounts"] = accounts_json(result);
  j["conservation"] = {{"passed", result.conservation_errors.empty()},
                       {"errors", result.conservation_errors}};
  if (!scenario.published.figures.empty()) j["published"] = published_json(scenario.published, j);
  j["stop_reason"] = reason_name(result.run.reason);
  j["simulated_s"] = result.run.end.seconds();
  j["percentile_method"] = "linear between order statistics (NumPy default, R type 7)";
  Json warnings = Json::array();
  for (const auto& w : scenario.warnings) warnings.push_back(to_string(w));
  j["warnings"] = std::move(warnings);
  j["run"] = run_json(result, info);
  // Names come from users: bytes that are not UTF-8 are replaced, never an exception.
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace foretoken::analysis
