// The schema and the loader must know the same keys: a scenario that uses every key of the schema
// loads, and every key that a loaded scenario resolves is in the schema.
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "scenarios/loader/scenario.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kRoot = FORETOKEN_SOURCE_DIR;

// Dotted paths of all values a scenario may hold.
std::set<std::string> leaves(const json& schema, const std::string& path = {}) {
  std::set<std::string> result;
  if (!schema.contains("properties")) return {path};
  if (schema.contains("anyOf")) result.insert(path);  // a word instead of the map
  for (const auto& [key, property] : schema.at("properties").items()) {
    result.merge(leaves(property, path.empty() ? key : path + "." + key));
  }
  return result;
}

const json& property(const json& schema, const std::string& path) {
  const json* at = &schema;
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t stop = std::min(path.find('.', start), path.size());
    at = &at->at("properties").at(path.substr(start, stop - start));
    start = stop + 1;
  }
  return *at;
}

// slo.0 -> slo, workload.classes.1.name -> workload.classes: the schema's leaves are whole lists
std::string without_index(const std::string& path) {
  for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1))
    if (std::isdigit(static_cast<unsigned char>(path[dot + 1])) != 0) return path.substr(0, dot);
  return path;
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::set<std::string> resolved_keys(const Scenario& scenario) {
  std::set<std::string> keys;
  for (const ResolvedValue& value : scenario.resolved) keys.insert(without_index(value.path));
  return keys;
}

TEST_CASE("every key of a shipped scenario is in the schema, with a value it allows") {
  const json schema = json::parse(json_schema());
  const std::set<std::string> known = leaves(schema);
  for (const char* name :
       {"quickstart.yaml", "r1-distill-llama-8b-a100.yaml", "deepseek-llm-67b-8xa100.yaml",
        "validation/r1-h200-trtllm-closed-loop.yaml"}) {
    INFO(name);
    const Scenario scenario = load_scenario(kRoot / "scenarios" / name, Catalogue(kRoot));
    for (const ResolvedValue& value : scenario.resolved) {
      INFO(value.path << " = " << value.value);
      const std::string path = without_index(value.path);
      REQUIRE(known.contains(path));
      const json& rule =
          path == "slo" ? property(schema, path).at("items") : property(schema, path);
      if (rule.contains("pattern")) {
        CHECK(std::regex_match(value.value, std::regex(rule.at("pattern").get<std::string>())));
      }
      if (rule.contains("enum")) {
        const json& words = rule.at("enum");
        CHECK(std::find(words.begin(), words.end(), value.value) != words.end());
      }
    }
  }
}

TEST_CASE("every key of the schema is read by the loader") {
  const TemporaryFolder folder;
  const std::string head =
      "foretoken: 1\nname: all\nmodel: deepseek-r1\nengine: sglang-0.5.9\n"
      "hardware: {node: hgx-h200, nodes: 1, gpu_memory: 141GB, memory_bandwidth: 4.8TB/s,\n"
      "  scale_up_bandwidth: 450GB/s, nic_bandwidth: 400Gb/s, cpu: xeon-6980p, cpus: 2,\n"
      "  nic: infiniband-ndr, storage: 3fs}\n"
      "deployment:\n  weights: fp8\n  kv_cache: bf16\n"
      "  parallel: {tensor: 8, pipeline: 1, data_attention: 1, context: 1, expert: 1, "
      "redundant_experts: 0,\n  "
      "  all_to_all: false, uneven_stages: false}\n"
      "  experts_on: gpu\n  replicas: 1\n  router: least_requests\n  expert_skew: 0.5\n  "
      "prefix_caching: false\n"
      "  batching: {policy: prefill_first, max_tokens: 4096, max_sequences: 64}\n"
      "published: {source: them, date: 2025-02, figures: [{figure: completed, quantity: requests,\n"
      "  value: 3}]}\n"
      "calibration: own.h5\npower: {busy: 50%, tensor: 1.2, memory: 0.05, link: 0.05}\nslo: "
      "[ttft.p99 <= 2s]\nseed: 3\n";
  folder.write("own.h5", "of no account here");
  const std::string lengths =
      "  input: {tokens: 100, low_fraction: 50%}\n  output: {tokens: 10, low_fraction: 1}\n";
  // Alternatives of one thing cannot stand in one file.
  std::vector<std::string> files = {
      head + "workload:\n  arrivals: {poisson: 1/s}\n" + lengths +
          "  duration: 1h\n  requests: 100\n  warmup: 1min\n  over_context: truncate\n"
          "cost: {prices: list, currency: USD, cny_per_usd: 7.1, node_price: 300000USD,\n"
          "  electricity: 0.08USD/kWh, pue: 1.2, horizon: 5y, maintenance: 3%}\n",
      head + "workload:\n  arrivals: {closed_loop: 4}\n" + lengths +
          "  requests: 100\ncost: {gpu_hour: 2USD/GPU/h, tariff: us-data-centre}\n",
      head +
          "workload:\n  arrivals: {trace: azure-llm-2023-code, rate_scale: 2}\n"
          "cost: {rent: three-year}\n"};
  const std::string tail = "cost: {rent: three-year}\n";
  const std::string drawn = "workload:\n  requests: 100\n" + lengths;
  for (const char* arrivals :
       {"{gamma: 1/s, cv: 2}", "{weibull: 1/s, cv: 2}", "{deterministic: 1/s}",
        "{mmpp: [{rate: 2/s, dwell: 1s}, {rate: 0/s, dwell: 9s}]}",
        "{sessions: 1/s, turns: 3, think_time: 5s}"})
    files.push_back(head + drawn + "  arrivals: " + arrivals + "\n" + tail);
  files.push_back(head +
                  "workload:\n  requests: 9\n  arrivals: {clients: servegen-deepseek-r1, "
                  "from: 8h}\n" +
                  tail);
  files.push_back(head +
                  "workload:\n  requests: 9\n  arrivals: {poisson: 1/s}\n  lengths: {trace: "
                  "azure-llm-2023-code}\n  classes: [{name: a, share: 2, priority: 1, "
                  "deadline: 5s}]\n  profile: {points: [{at: 0s, factor: 1}], period: 1h}\n" +
                  tail);
  std::string hours = "1";
  for (int i = 1; i < 24; ++i) hours += ", 1";
  for (const std::string& profile :
       {"{hours: [" + hours + "]}", std::string("{ramp_to: 2, over: 1h}")})
    files.push_back(head + drawn + "  arrivals: {poisson: 1/s}\n  profile: " + profile + "\n" +
                    tail);
  files.push_back(
      with(head, "storage: 3fs}", "storage: 3fs, power_limit: 650W}") + drawn +
      "  arrivals: {poisson: 1/s}\n"
      "cost: {capex: [{of: gpu, price: 200000CNY, count: 8}], cooling_premium: 5%,\n"
      "  depreciation: 5y, financing: {share: 50%, rate: 4%, term: 3y}, formula: full,\n"
      "  time_of_use: [{from: 0h, to: 24h, price: 0.8CNY/kWh}], carbon_kg_per_kwh: 0.57,\n"
      "  space: {rack_month: 8000CNY, nodes: 4}, model_updates: {price: 9CNY, per_year: 2},\n"
      "  staff: [{role: administrator, share: 0.5, salary: 250000CNY}], api: deepseek-v3.2,\n"
      "  cache_hit: 50%, load_by_hour: [" +
      hours + "]}\n");
  const std::string policy = "policy: prefill_first";
  for (const char* one : {"policy: prefill_first, max_prompt_tokens: 512",
                          "policy: dynamic, timeout: 5ms, swap_space: 4GiB",
                          "policy: shortest_job_first, length_error: 0.5",
                          "policy: multilevel_feedback, quantum: 100, levels: 4",
                          "policy: fair, prompt_weight: 1, output_weight: 3",
                          "policy: least_slack, token_time: 30ms"})
    files.push_back(with(head, policy, one) + drawn + "  arrivals: {poisson: 1/s}\n" + tail);
  files.push_back(head + "records: {one_in: 100}\n" + drawn + "  arrivals: {poisson: 1/s}\n" +
                  tail);
  files.push_back(with(head, "  replicas: 1\n", "  engine_args: --stream-interval 4\n") + drawn +
                  "  arrivals: {poisson: 1/s}\n" + tail);
  const std::string wide = with(head, "tensor: 8, pipeline: 1, data_attention: 1",
                                "tensor: 1, pipeline: 1, data_attention: 8");
  const std::string exchange =
      with(with(wide, "expert: 1, ", "expert: 8, "), "all_to_all: false", "all_to_all: true");
  const std::string load = drawn + "  arrivals: {poisson: 1/s}\n" + tail;
  files.push_back(
      with(exchange, "  replicas: 1\n",
           "  replicas: 1\n  router_load_age: 1s\n  schedule: [{at: 0s, replicas: 1}]\n"
           "  expert_parallel: {two_batch_overlap: true, communication_sms: 20, rebalance: true,\n"
           "    drift: 10%, token_nodes: 4}\n"
           "  speculation: {acceptance: [85%], draft_cost: 2%}\n"
           "  context_cache: {hit: 50%, bandwidth: 5GB/s, latency: 1ms}\n") +
      "records: none\ncluster: {open_requests_per_replica: 9, timeout: 30s, retries: 1,\n"
      "  retry_delay: 1s, pause: 1s, faults: {detection: 1s, events: [{kind: node, at: 1s,\n"
      "  lasts: 5s}], random: {gpu: {mean_between: 90h, mean_repair: 1h},\n"
      "  node: {mean_between: 90h, mean_repair: 1h}, link: {mean_between: 90h, mean_repair: 1h},\n"
      "  straggler: {mean_between: 90h, mean_repair: 1h, slowdown: 1.5},\n"
      "  switch: {mean_between: 90h, mean_repair: 1h}, router: {mean_between: 90h, mean_repair: "
      "1h},\n"
      "  storage: {mean_between: 90h, mean_repair: 1h}}, nodes_per_switch: 1},\n"
      "  remote_api: {share: 10%, overflow: true, round_trip: 50ms, first_token: 1s,\n"
      "  tokens_per_s: 30, usd_per_million_input: 0.5, usd_per_million_output: 2}}\n"
      "workload:\n  requests: 9\n  arrivals: {poisson: 1/s}\n"
      "  input: {tokens: 900, mean: 100, sigma: 1}\n  output: {tokens: 90, mean: 10, sigma: 1}\n" +
      tail);
  files.push_back(
      with(
          head, "  replicas: 1\n",
          "  replicas: 1\n  context_cache: {tiers: [{name: dram, capacity: 2TB, bandwidth: 20GB/s, "
          "latency: 10us}]}\n  autoscale: {min: 1, requests_per_replica: 8, interval: 5s, "
          "start_delay: 1min, cool_down: 5min}\n") +
      load);
  files.push_back(
      with(with(head, "nodes: 1,", "nodes: 2,"), "  replicas: 1\n",
           "  replicas: 1\n  kv_transfer: {bandwidth: 40GB/s, latency: 1ms}\n"
           "  prefill: {engine: sglang-0.5.9, node: hgx-h200, weights: fp8, kv_cache: bf16,\n"
           "    parallel: {tensor: 8}, replicas: 1, router: random}\n"
           "  decode: {parallel: {tensor: 8}, router: power_of_two}\n") +
      load);
  files.push_back(
      with(with(head, "nodes: 1,", "nodes: 2,"), "  replicas: 1\n",
           "  replicas: 1\n  kv_transfer: {latency: 1ms}\n"
           "  prefill: {replicas: 1}\n  decode: {replicas: 1}\n") +
      "network: {kind: dragonfly, mode: analytic, ports: 64, oversubscription: 1, bandwidth: "
      "400Gb/s,\n  hop_latency: 600ns, efficiency: 95%, half_rate_message: 64KiB, roce: true,\n"
      "  roce_penalty: 5%, groups: 2, storage_nodes: 1, storage_bandwidth: 200Gb/s}\n" +
      load);
  files.push_back(with(with(head, "nodes: 1,", "nodes: 2,"), "  replicas: 1\n",
                       "  replicas: 1\n  prefill: {replicas: 1}\n  decode: {replicas: 1}\n") +
                  "network: {kind: torus, torus: [2, 1, 1]}\n" + load);
  // A pool's keys are those of the deployment.
  const auto of_pools = [](const std::set<std::string>& paths) {
    std::set<std::string> result;
    for (const std::string& path : paths) {
      std::string plain = path;
      for (const char* const pool : {"prefill.", "decode."})
        if (const auto at = plain.find(std::string("deployment.") + pool); at == 0)
          plain.erase(std::string("deployment.").size(), std::string(pool).size());
      result.insert(plain);
    }
    return result;
  };
  std::set<std::string> read;
  for (const std::string& text : files) {
    INFO(text);
    read.merge(resolved_keys(load_scenario(folder.write("s.yaml", text), Catalogue(kRoot))));
  }
  CHECK(of_pools(read) == of_pools(leaves(json::parse(json_schema()))));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
