// Pools of a deployment and what surrounds them: prefill and decode, who is in service when, what
// clients and router do with requests, what breaks, and what is served elsewhere.
#include <fmt/format.h>

#include <algorithm>

#include "models/serving/pools.hpp"
#include "scenarios/loader/fabric_block.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::serving::AutoscaleSpec;
using models::serving::ClusterSpec;
using models::serving::DeploymentSpec;
using models::serving::FaultEvent;
using models::serving::FaultKind;
using models::serving::FaultSpec;
using models::serving::PoolRole;
using models::serving::RemoteApiSpec;
using models::serving::RequestRules;
using models::serving::ServingSpec;
using sim::core::BytesPerSecond;
using sim::core::Duration;

constexpr Limits kShare{0.0, 1.0};
struct FaultWord {
  const char* name;
  FaultKind kind;
};
constexpr FaultWord kFaultWords[] = {{"gpu", FaultKind::gpu},
                                     {"node", FaultKind::node},
                                     {"link", FaultKind::link},
                                     {"straggler", FaultKind::straggler},
                                     {"switch", FaultKind::leaf_switch},
                                     {"storage", FaultKind::storage},
                                     {"router", FaultKind::router}};

void read_schedule(const YamlNode& node, DeploymentSpec& pool) {
  const YamlNode list = node.any_child("schedule");
  if (!list.exists()) return;
  pool.schedule.clear();
  Duration before;
  for (const YamlNode& item : list.items()) {
    const auto at = item.required<Duration>("at");
    const int replicas = item.required<int>("replicas", {0, 1e6});
    if (replicas > pool.replicas)
      item.any_child("replicas")
          .error(fmt::format("{} replicas, but the pool has {}", replicas, pool.replicas));
    if (at < before) item.any_child("at").error("the steps of a schedule must come in order");
    before = at;
    pool.schedule.push_back({at, replicas});
  }
}

void read_autoscale(const YamlNode& node, DeploymentSpec& pool) {
  if (!node.has("autoscale")) return;
  const YamlNode scale = node.required_child("autoscale");
  AutoscaleSpec& spec = pool.autoscale;
  spec.least = scale.value_or<int>("min", 1, {1, static_cast<double>(pool.replicas)});
  spec.requests_per_replica = scale.required<Ratio>("requests_per_replica", kPositive).value;
  spec.interval = scale.value_or<Duration>("interval", Duration::from_seconds(10), kPositive);
  spec.start_delay = scale.required<Duration>("start_delay");
  spec.cool_down = scale.value_or<Duration>("cool_down", Duration::from_seconds(300));
  if (!pool.schedule.empty())
    scale.error("a pool is sized by a schedule or by its load, not by both");
}

// Something that breaks at a stated time.
FaultEvent read_event(const YamlNode& item) {
  FaultEvent event;
  event.kind = item.required_choice<FaultKind>("kind", {{"gpu", FaultKind::gpu},
                                                        {"node", FaultKind::node},
                                                        {"link", FaultKind::link},
                                                        {"straggler", FaultKind::straggler},
                                                        {"switch", FaultKind::leaf_switch},
                                                        {"storage", FaultKind::storage},
                                                        {"router", FaultKind::router}});
  if (event.kind == FaultKind::storage || event.kind == FaultKind::router)
    for (const char* key : {"pool", "unit"})
      if (item.has(key)) item.error_at_key(key, "there is one for all pools; remove this");
  event.pool =
      item.optional_choice<int>("pool", {{"whole", 0}, {"prefill", 0}, {"decode", 1}}).value_or(0);
  event.unit = item.value_or<int>("unit", 0, {0, 1e6});
  event.at = item.required<Duration>("at");
  event.lasts = item.required<Duration>("lasts", kPositive);
  if (event.kind == FaultKind::straggler)
    event.slowdown = item.required<Ratio>("slowdown", at_least(1.0)).value;
  return event;
}

void read_faults(const YamlNode& cluster, FaultSpec& faults) {
  const YamlNode node = cluster.child("faults");
  faults.detection = node.value_or<Duration>("detection", Duration::from_seconds(5));
  for (const YamlNode& item : node.any_child("events").items())
    faults.events.push_back(read_event(item));
  const YamlNode random = node.child("random");
  bool switches = random.has("switch");
  for (const FaultEvent& event : faults.events)
    switches = switches || event.kind == FaultKind::leaf_switch;
  if (switches)
    faults.nodes_per_switch = node.required<int>("nodes_per_switch", {1, 1e6});
  else if (node.has("nodes_per_switch"))
    node.error_at_key("nodes_per_switch", "no switch fails here; remove this");
  for (const auto& [name, kind] : kFaultWords) {
    if (!random.has(name)) continue;
    const YamlNode one = random.required_child(name);
    const auto k = static_cast<std::size_t>(kind);
    faults.mean_between_s[k] = one.required<Seconds>("mean_between", kPositive).value;
    faults.mean_repair_s[k] = one.required<Seconds>("mean_repair", kPositive).value;
    if (kind == FaultKind::straggler)
      faults.straggler_slowdown =
          one.value_or<Ratio>("slowdown", Ratio{faults.straggler_slowdown}, at_least(1.0)).value;
  }
}

// Either a share of every prompt, or tiers in which the prompts' common blocks are looked up.
void read_cache(const YamlNode& node, ClusterSpec& cluster) {
  if (node.has("tiers") == node.has("hit")) {
    for (const char* key : {"bandwidth", "latency"}) (void)node.has(key);
    return node.error(
        "give hit: 56% with a bandwidth, or tiers: [{name: dram, capacity: 2TB, bandwidth: "
        "20GB/s}]");
  }
  if (node.has("hit")) {
    cluster.cached_input = node.required<Ratio>("hit", {0.0, 1.0}).value;
    cluster.cache_bytes_per_s = node.required<BytesPerSecond>("bandwidth", kPositive).value();
    cluster.cache_latency_s = node.value_or<Seconds>("latency", Seconds{0.0}).value;
    return;
  }
  for (const YamlNode& item : node.any_child("tiers").items()) {
    models::serving::CacheTierSpec tier;
    tier.name = item.required<std::string>("name");
    tier.capacity_bytes = item.required<sim::core::Bytes>("capacity", kPositive).value();
    tier.bytes_per_s = item.required<BytesPerSecond>("bandwidth", kPositive).value();
    tier.latency_s = item.value_or<Seconds>("latency", Seconds{0.0}).value;
    cluster.cache_tiers.push_back(std::move(tier));
  }
}

void read_rules(const YamlNode& cluster, RequestRules& rules) {
  rules.most_open_per_replica = cluster.value_or<int>("open_requests_per_replica", 0, {0, 1e9});
  rules.timeout = cluster.value_or<Duration>("timeout", Duration());
  rules.retries = cluster.value_or<int>("retries", 0, {0, 100});
  rules.retry_delay = cluster.value_or<Duration>("retry_delay", Duration::from_seconds(1));
  rules.pause = cluster.value_or<Duration>("pause", rules.pause, kPositive);
}

void read_remote(const YamlNode& cluster, RemoteApiSpec& remote) {
  if (!cluster.has("remote_api")) return;
  const YamlNode node = cluster.required_child("remote_api");
  remote.share = node.value_or<Ratio>("share", Ratio{0.0}, kShare).value;
  remote.overflow = node.value_or<bool>("overflow", false);
  remote.round_trip_s = node.required<Seconds>("round_trip").value;
  remote.first_token_s = node.required<Seconds>("first_token").value;
  remote.tokens_per_s = node.required<Ratio>("tokens_per_s", kPositive).value;
  // Prices a million tokens, in USD.
  remote.usd_per_million_input = node.required<Ratio>("usd_per_million_input").value;
  remote.usd_per_million_output = node.required<Ratio>("usd_per_million_output").value;
  if (remote.share <= 0 && !remote.overflow)
    node.error("nothing goes there: give a share of the traffic, or overflow: true");
}

}  // namespace

void read_service(const YamlNode& node, DeploymentSpec& pool) {
  pool.router_load_age = node.value_or<Duration>("router_load_age", pool.router_load_age);
  read_schedule(node, pool);
  read_autoscale(node, pool);
}

void read_cluster(const YamlNode& root, const models::hardware::NodeSpec& nodes,
                  ClusterSpec& cluster) {
  const YamlNode deployment = root.child("deployment");
  if (deployment.has("kv_transfer")) {
    const YamlNode node = deployment.required_child("kv_transfer");
    // Over a network of its own description it is a limit, if there is one.
    cluster.transfer.bytes_per_s =
        root.has("network")
            ? node.value_or<BytesPerSecond>("bandwidth", BytesPerSecond(0), kPositive).value()
            : node.required<BytesPerSecond>("bandwidth", kPositive).value();
    cluster.transfer.latency_s = node.value_or<Seconds>("latency", Seconds{0.0}).value;
  }
  if (deployment.has("context_cache")) {
    const YamlNode node = deployment.required_child("context_cache");
    read_cache(node, cluster);
  }
  if (root.has("network")) {
    const YamlNode network = root.required_child("network");
    auto& spec = cluster.network.emplace();
    spec.shape = read_network_shape(network, nodes.nic_efficiency);
    spec.flows = network.optional_choice<bool>("mode", {{"flows", true}, {"analytic", false}})
                     .value_or(true);
  }
  const YamlNode node = root.child("cluster");
  read_rules(node, cluster.rules);
  read_faults(node, cluster.faults);
  read_remote(node, cluster.remote);
}

// deployment.prefill and deployment.decode: pools that take what they do not say from deployment.
void read_pools(const YamlNode& root, const LoadContext& context, ServingSpec& serving) {
  const YamlNode deployment = root.child("deployment");
  const bool prefill = deployment.has("prefill"), decode = deployment.has("decode");
  if (!prefill && !decode) {
    if (deployment.has("kv_transfer"))
      deployment.error_at_key("kv_transfer", "nothing is transferred without prefill and decode");
    return;
  }
  if (prefill != decode)
    return deployment.error_at_key(
        prefill ? "prefill" : "decode",
        "prefill and decode pools come together: give deployment.prefill and deployment.decode");
  const DeploymentSpec common = serving.deployment;
  const YamlNode hardware = root.child("hardware");
  serving.deployment = read_pool(deployment.required_child("prefill"), context, common);
  serving.deployment.role = PoolRole::prefill;
  serving.pools.push_back(read_pool(deployment.required_child("decode"), context, common));
  serving.pools.back().role = PoolRole::decode;
  // What is left of the nodes stands beside the prefill pool.
  const int needed = serving.deployment.nodes + serving.pools.back().nodes;
  if (needed > common.nodes)
    hardware.error(fmt::format(
        "the pools need {} nodes (prefill {}, decode {}), but there are {}: set nodes: {}", needed,
        serving.deployment.nodes, serving.pools.back().nodes, common.nodes, needed));
  serving.deployment.nodes = std::max(1, common.nodes - serving.pools.back().nodes);
}

void check_network(const YamlNode& root, const ServingSpec& serving) {
  if (!serving.cluster.network || !root.has("network")) return;
  const YamlNode network = root.child("network");
  const DeploymentSpec& first = serving.deployment;
  int nodes = first.nodes;
  bool moves = !serving.pools.empty() || serving.cluster.cached_input > 0 ||
               !serving.cluster.cache_tiers.empty();
  moves = moves || (first.autoscale.requests_per_replica > 0 &&
                    serving.cluster.network->shape.storage_nodes > 0);
  for (const DeploymentSpec& pool : serving.pools) {
    nodes += pool.nodes;
    if (pool.node.name != first.node.name)
      network.error(fmt::format("one network joins nodes of one kind; the pools stand on {} and {}",
                                first.node.name, pool.node.name));
  }
  if (!moves)
    network.warning(
        "nothing goes over this network: it carries KV between prefill and decode pools, context "
        "caches, and weights of autoscaled replicas from storage_nodes");
  try {
    (void)build_fabric(models::collective::server_of(first.node), nodes,
                       serving.cluster.network->shape);
  } catch (const sim::core::InputError& error) {
    for (const auto& problem : error.diagnostics()) network.error(problem.message);
  }
}

void check_pools(const YamlNode& root, const ServingSpec& serving) {
  if (serving.pools.empty() || serving.deployment.model.layers == 0) return;
  const YamlNode decode = root.child("deployment").child("decode");
  for (const auto& error : kv_exchange_errors(serving.deployment, serving.pools[0]))
    decode.error("prefill and decode cannot exchange KV: " + error);
}

}  // namespace foretoken::scenarios::loader
