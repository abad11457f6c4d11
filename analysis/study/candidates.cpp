#include "analysis/study/candidates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

namespace foretoken::analysis::study {
namespace {

using models::llm::Layout;

void put(Overrides& overrides, const char* path, const std::string& value) {
  if (!value.empty()) overrides.push_back(std::string(path) + "=" + value);
}

// What needs the loader: the rest of a candidate is set in memory.
Overrides base_overrides(const PlanSpec& plan, const Candidate& c) {
  Overrides overrides = plan.fixed;
  put(overrides, "hardware.node", c.node);
  put(overrides, "engine", c.engine);
  put(overrides, "deployment.weights", c.weights);
  put(overrides, "deployment.kv_cache", c.kv_cache);
  put(overrides, "deployment.batching.policy", c.policy);
  if (c.pay.starts_with("rent:")) put(overrides, "cost.rent", c.pay.substr(5));
  return overrides;
}

void put_place(Overrides& overrides, const Layout& layout, int nodes, int replicas) {
  overrides.push_back(fmt::format("deployment.parallel.tensor={}", layout.tensor));
  overrides.push_back(fmt::format("deployment.parallel.pipeline={}", layout.pipeline));
  overrides.push_back(fmt::format("deployment.parallel.data_attention={}", layout.data_attention));
  overrides.push_back(fmt::format("deployment.parallel.expert={}", layout.expert));
  overrides.push_back(fmt::format("hardware.nodes={}", nodes));
  overrides.push_back(fmt::format("deployment.replicas={}", replicas));
}

struct Group {  // hardware, engine, formats, way to pay, policy: loaded once
  Candidate base;
  const HardwareOption* option;
};

std::vector<Group> groups_of(const PlanSpec& plan) {
  std::vector<Group> groups;
  for (const HardwareOption& option : plan.hardware)
    for (const std::string& engine : option.engines)
      for (const std::string& weights : plan.weights)
        for (const std::string& kv : plan.kv_cache)
          for (const std::string& pay : option.pay)
            for (const std::string& policy : plan.policies) {
              Group group{{}, &option};
              group.base.node = option.node;
              group.base.engine = engine;
              group.base.weights = weights;
              group.base.kv_cache = kv;
              group.base.pay = pay;
              group.base.policy = policy;
              groups.push_back(std::move(group));
            }
  return groups;
}

// None of the requests, and each share of the plan.
std::vector<double> api_shares(const PlanSpec& plan) {
  std::vector<double> shares{0.0};
  if (plan.api) shares.insert(shares.end(), plan.api->shares.begin(), plan.api->shares.end());
  return shares;
}

// Nodes, replicas, batch limits and shares by API of one layout.
void add_members(const PlanSpec& plan, const Group& group, const Candidate& family,
                 int gpus_per_node, CandidateSet& set) {
  for (const int nodes : group.option->nodes) {
    const int gpus = nodes * gpus_per_node;
    if (gpus % family.layout.gpus() != 0) continue;  // some would stay idle
    for (const int tokens : plan.max_tokens)
      for (const int sequences : plan.max_sequences)
        for (const double api_share : api_shares(plan)) {
          Candidate c = family;
          c.api_share = api_share;
          c.number = set.candidates.size();
          c.nodes = nodes;
          c.gpus = gpus;
          c.replicas = gpus / family.layout.gpus();
          c.max_tokens = tokens;
          c.max_sequences = sequences;
          set.candidates.push_back(std::move(c));
          if (set.candidates.size() > kMostCandidates)
            throw sim::core::InputError(
                fmt::format("{}: more than {} candidates; shorten its lists", plan.file.string(),
                            kMostCandidates));
        }
  }
}

// Step times depend neither on the policy nor on who pays.
std::string timer_key(const Candidate& c) {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", c.node, c.engine, c.weights, c.kv_cache,
                     c.layout.tensor, c.layout.pipeline, c.layout.data_attention, c.layout.expert);
}

std::vector<int> powers_of_two(int most) {
  std::vector<int> powers;
  for (int power = 1; power <= most; power *= 2) powers.push_back(power);
  return powers;
}

}  // namespace

Overrides overrides_of(const PlanSpec& plan, const Candidate& c) {
  Overrides overrides = base_overrides(plan, c);
  put_place(overrides, c.layout, c.nodes, c.replicas);
  if (c.max_tokens > 0)
    overrides.push_back(fmt::format("deployment.batching.max_tokens={}", c.max_tokens));
  if (c.max_sequences > 0)
    overrides.push_back(fmt::format("deployment.batching.max_sequences={}", c.max_sequences));
  if (c.api_share > 0.0) {
    const auto& api = plan.api->terms;
    overrides.push_back(fmt::format(
        "cluster.remote_api={{share: {}, round_trip: {}s, first_token: {}s, tokens_per_s: {}, "
        "usd_per_million_input: {}, usd_per_million_output: {}}}",
        c.api_share, api.round_trip_s, api.first_token_s, api.tokens_per_s,
        api.usd_per_million_input, api.usd_per_million_output));
  }
  return overrides;
}

std::string describe(const Candidate& c, const Scenario& scenario) {
  const auto& d = scenario.serving.deployment;
  std::string layout = fmt::format("TP{}", d.layout.tensor);
  if (d.layout.pipeline > 1) layout += fmt::format(" PP{}", d.layout.pipeline);
  if (d.layout.data_attention > 1) layout += fmt::format(" DP{}", d.layout.data_attention);
  if (d.layout.expert > 1) layout += fmt::format(" EP{}", d.layout.expert);
  std::string text = fmt::format(
      "{} x {} ({} GPU{}), {}, {} replica{} of {}, {}, KV {}, {}{} tokens, {} sequences", c.nodes,
      d.node.name, c.gpus, c.gpus == 1 ? "" : "s", d.engine.name, c.replicas,
      c.replicas == 1 ? "" : "s", layout, models::llm::to_string(d.precision.weights),
      models::hardware::to_string(d.precision.kv), c.policy.empty() ? "" : c.policy + ", ",
      d.batching.max_tokens, d.batching.max_sequences);
  if (c.pay.starts_with("rent:")) text += ", rented (" + c.pay.substr(5) + ")";
  if (c.api_share > 0.0) text += fmt::format(", {:g} % of requests by API", 100.0 * c.api_share);
  return text;
}

std::vector<Layout> possible_layouts(const models::llm::ModelSpec& model, int gpus_per_node,
                                     int most_gpus) {
  std::vector<Layout> layouts;
  for (const int tensor : powers_of_two(std::min(gpus_per_node, most_gpus)))
    for (const int pipeline : powers_of_two(most_gpus / tensor))
      for (const int data : powers_of_two(most_gpus / tensor / pipeline))
        for (const bool experts_apart : {false, true}) {
          Layout layout;
          layout.tensor = tensor;
          layout.pipeline = pipeline;
          layout.data_attention = data;
          layout.expert = experts_apart ? tensor * data : 1;
          layout.gpus_per_node = gpus_per_node;
          if (experts_apart && layout.expert == 1) continue;
          // Without experts, attention ranks that step together are just replicas that wait for
          // each other.
          if (!model.moe && (experts_apart || data > 1)) continue;
          // Whole nodes, or an equal share of one.
          const int gpus = layout.gpus();
          if (gpus > gpus_per_node ? gpus % gpus_per_node != 0 : gpus_per_node % gpus != 0)
            continue;
          if (models::llm::layout_errors(model, layout).empty()) layouts.push_back(layout);
        }
  return layouts;
}

CandidateSet make_candidates(const PlanSpec& plan, const Evaluator& evaluator) {
  CandidateSet set;
  std::error_code error;
  if (!std::filesystem::is_regular_file(plan.scenario, error))
    throw sim::core::InputError(plan.file.string() + ": its scenario " + plan.scenario.string() +
                                " is no file");
  std::map<std::string, std::size_t> timers;
  for (const Group& group : groups_of(plan)) {
    const std::string name = group.base.node + " " + group.base.engine;
    Overrides overrides = base_overrides(plan, group.base);
    put_place(overrides, {}, 1, 1);
    std::optional<Scenario> base;
    try {
      base = evaluator.load(overrides);
    } catch (const sim::core::InputError& problem) {
      set.rejected.push_back({name, problem.diagnostics().front().message});
      continue;
    }
    if (plan.api && base->serving.cluster.remote.share == 0.0) {
      base->serving.cluster.remote = plan.api->terms;  // scenario_of gives it its share
      base->serving.cluster.remote.share = 0.0;
    }
    const auto& d = base->serving.deployment;
    const int most =
        *std::max_element(group.option->nodes.begin(), group.option->nodes.end()) * d.node.gpus;
    auto layouts = plan.layouts;
    if (layouts.empty()) layouts = possible_layouts(d.model, d.node.gpus, most);
    for (Layout layout : layouts) {
      layout.gpus_per_node = d.node.gpus;
      for (const auto& why : models::llm::layout_errors(d.model, layout))
        set.rejected.push_back({name, why});
      if (!models::llm::layout_errors(d.model, layout).empty()) continue;
      Candidate family = group.base;
      family.layout = layout;
      family.base = set.bases.size();
      family.timer = timers.emplace(timer_key(family), timers.size()).first->second;
      add_members(plan, group, family, d.node.gpus, set);
    }
    set.bases.push_back(std::move(*base));
  }
  set.timers = timers.size();
  if (set.candidates.empty()) {
    const std::string why =
        set.rejected.empty() ? "no layout fills the nodes" : set.rejected.front().why;
    throw sim::core::InputError(plan.file.string() + ": no candidate at all: " + why);
  }
  return set;
}

Scenario scenario_of(const Candidate& c, const Scenario& base) {
  Scenario scenario = base;
  auto& d = scenario.serving.deployment;
  d.layout = c.layout;
  d.nodes = c.nodes;
  d.replicas = c.replicas;
  if (c.max_tokens > 0) d.batching.max_tokens = c.max_tokens;
  if (c.max_sequences > 0) d.batching.max_sequences = c.max_sequences;
  if (c.api_share > 0.0) scenario.serving.cluster.remote.share = c.api_share;
  return scenario;
}

}  // namespace foretoken::analysis::study
