#pragma once
// A plan file: which deployments may serve a scenario's traffic.
//
//   foretoken: 1
//   name: R1 for an hour of conversations
//   scenario: ../quickstart.yaml          # model, traffic, SLO, terms of cost
//   set: {workload.duration: 1h}          # the same for every candidate
//   hardware:
//     - {node: hgx-h200, nodes: [1, 2, 4], engine: [sglang-0.5.9], pay: [buy, rent:on_demand]}
//   weights: [fp8]                        # default: the scenario's
//   kv_cache: [bf16, fp8]
//   parallel: auto                        # or a list: [{tensor: 8}, {tensor: 4, data_attention:
//   2}] policy: [chunked_prefill, prefill_first] max_tokens: [4096, 8192] max_sequences: [64, 256]
//   api: {share: [0.25, 0.5], round_trip: 50ms, first_token: 800ms, tokens_per_s: 30,
//         usd_per_million_input: 0.55, usd_per_million_output: 2.19}   # part of the traffic goes
//         there
//   limits: {gpus: 64, budget: 5000000CNY, power: 100kW}
//   day: [0.3, 0.25, ... ]                # load of each hour over the scenario's, 24 numbers
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/study/evaluate.hpp"
#include "models/llm/layout.hpp"

namespace foretoken::analysis::study {

struct HardwareOption {
  std::string node;
  std::vector<int> nodes;
  std::vector<std::string> engines;
  std::vector<std::string> pay;  // buy, or rent:TIER of the price card; empty = the scenario's
};

// Somebody else's priced interface, for a share of the requests or all of them.
struct ApiOption {
  models::serving::RemoteApiSpec terms;  // without a share
  std::vector<double> shares;            // besides none: of the requests, in (0, 1)
};

struct PlanLimits {
  std::optional<int> gpus;
  // Of all that the deployment costs over the scenario's horizon, in either currency.
  std::optional<double> budget_cny, budget_usd;
  std::optional<double> facility_watts;
};

struct PlanSpec {
  std::string name;
  std::filesystem::path file, scenario;
  Overrides fixed;
  std::vector<HardwareOption> hardware;
  std::vector<std::string> weights, kv_cache, policies;  // never empty; "" = the scenario's
  std::vector<int> max_tokens, max_sequences;            // never empty; 0 = the scenario's
  std::vector<models::llm::Layout> layouts;              // empty = auto
  std::optional<ApiOption> api;
  PlanLimits limits;
  std::vector<double> day;
};

// Throws InputError listing every problem.
PlanSpec read_plan(const std::filesystem::path& file);

}  // namespace foretoken::analysis::study
