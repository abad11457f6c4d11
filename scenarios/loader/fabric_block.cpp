#include "scenarios/loader/fabric_block.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "models/collective/fabric_graph.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/topology_matrix.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::collective::Fabric;
using models::collective::GraphLink;
using models::collective::GraphNode;
using models::collective::GraphRole;
using models::collective::NetworkKind;
using models::collective::NetworkShape;
using sim::core::BytesPerSecond;
using sim::core::Duration;
using sim::core::InputError;

constexpr int kMostServers = 100'000;
constexpr int kMostPorts = 4096;
// The fastest network port on sale carries 1.6 Tb/s = 200 GB/s (2026).
constexpr double kFastestPort = 200e9;

// What the builders say has no place of its own: it belongs to the block.
template <class Build>
Fabric built(const YamlNode& block, const Build& build) {
  try {
    return build();
  } catch (const InputError& error) {
    for (const auto& problem : error.diagnostics()) block.error(problem.message);
    return {};
  }
}

}  // namespace

NetworkShape read_network_shape(const YamlNode& node, double efficiency) {
  NetworkShape network;
  if (!node.exists()) return network;
  network.kind =
      node.required_choice<NetworkKind>("kind", {{"single_switch", NetworkKind::single_switch},
                                                 {"rail_optimised", NetworkKind::rail_optimised},
                                                 {"rail_only", NetworkKind::rail_only},
                                                 {"planes", NetworkKind::planes},
                                                 {"fat_tree", NetworkKind::fat_tree},
                                                 {"dragonfly", NetworkKind::dragonfly},
                                                 {"torus", NetworkKind::torus}});
  network.ports = node.value_or<int>("ports", network.ports, {2, kMostPorts});
  network.oversubscription =
      node.value_or<Ratio>("oversubscription", Ratio{1.0}, {1.0, 1000.0}).value;
  if (const auto rate = node.optional<BytesPerSecond>("bandwidth", kPositive)) {
    check_network_rate(node.any_child("bandwidth"), *rate);
    network.bandwidth = *rate;
  }
  network.hop_latency = node.value_or<Duration>("hop_latency", network.hop_latency);
  network.efficiency = node.value_or<Ratio>("efficiency", Ratio{efficiency}, {0.01, 1.0}).value;
  network.half_bytes =
      node.value_or<sim::core::Bytes>("half_rate_message", sim::core::Bytes(0)).value();
  network.roce = node.value_or<bool>("roce", false);
  network.roce_penalty = node.value_or<Ratio>("roce_penalty", Ratio{0.0}, {0.0, 0.99}).value;
  if (node.has("roce_penalty") && !network.roce)
    node.any_child("roce_penalty").error("a RoCE penalty without 'roce: true'");
  network.dragonfly_groups = node.value_or<int>("groups", 0, {0, kMostServers});
  network.storage_nodes = node.value_or<int>("storage_nodes", 0, {0, kMostServers});
  if (const auto rate = node.optional<BytesPerSecond>("storage_bandwidth", kPositive))
    network.storage_bandwidth = *rate;
  const auto sizes = node.any_child("torus").items();
  if (network.kind == NetworkKind::torus && sizes.size() != 3)
    node.error("a torus needs its three sizes: torus: [4, 4, 2]");
  for (std::size_t i = 0; i < std::min<std::size_t>(3, sizes.size()); ++i)
    network.torus[i] = sizes[i].as<int>({1, kMostServers});
  return network;
}

namespace {

Fabric from_card(const YamlNode& block, const LoadContext& context) {
  const auto name = block.required<std::string>("node");
  const int nodes = block.value_or<int>("nodes", 1, {1, kMostServers});
  auto card = load_card(block.any_child("node"), name, context, load_node);
  if (!card) {
    (void)read_network_shape(block.child("network"), 1.0);
    return {};
  }
  if (const auto nic = block.optional<std::string>("nic"))
    if (const auto port = load_card(block.any_child("nic"), *nic, context, load_nic)) {
      card->spec.nic_bandwidth = port->spec.bandwidth;
      card->spec.nic_efficiency = port->spec.efficiency;
      card->spec.nic_latency_s = port->spec.latency_s;
      if (card->spec.nics == 0) card->spec.nics = 1;
    }
  const NetworkShape network =
      read_network_shape(block.child("network"), card->spec.nic_efficiency);
  if (const auto rate = block.optional<BytesPerSecond>("nic_bandwidth")) {
    check_network_rate(block.any_child("nic_bandwidth"), *rate);
    card->spec.nic_bandwidth = *rate;
  }
  card->spec.nics = block.value_or<int>("nics", card->spec.nics, {0, 1024}, "card " + name);
  if (!context.file.ok()) return {};
  return built(block, [&] {
    return build_fabric(models::collective::server_of(card->spec), nodes, network);
  });
}

std::string whole_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Fabric from_matrix(const YamlNode& block, const LoadContext& context) {
  const YamlNode node = block.any_child("topology_matrix");
  const auto file = context.base_of(node) / block.required<std::string>("topology_matrix");
  MatrixFigures figures;
  const auto gpu = block.required<std::string>("gpu");
  if (const auto card = load_card(block.any_child("gpu"), gpu, context, load_gpu))
    figures.gpu = card->spec;
  figures.nic_bandwidth = block.value_or<BytesPerSecond>("nic_bandwidth", BytesPerSecond(0));
  if (block.has("nic_bandwidth"))
    check_network_rate(block.any_child("nic_bandwidth"), figures.nic_bandwidth);
  figures.socket_bandwidth =
      block.value_or<BytesPerSecond>("socket_bandwidth", BytesPerSecond(60e9), kPositive);
  figures.link_latency = block.value_or<Duration>("link_latency", Duration::from_seconds(0.5e-6));
  if (!std::filesystem::is_regular_file(file)) {
    node.error(fmt::format("no file '{}'", file.string()));
    return {};
  }
  if (!context.file.ok()) return {};
  context.hash(file);
  try {
    const MatrixGraph graph = read_topology_matrix(whole_file(file), file.string(), figures);
    return built(block, [&] { return graph_fabric(graph.nodes, graph.links); });
  } catch (const InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
}

std::vector<GraphNode> read_graph_nodes(const YamlNode& graph,
                                        std::map<std::string, std::size_t>& index) {
  std::vector<GraphNode> nodes;
  for (const YamlNode& item : graph.any_child("nodes").items()) {
    GraphNode node;
    node.name = item.required<std::string>("name");
    node.role = item.required_choice<GraphRole>("role", {{"gpu", GraphRole::gpu},
                                                         {"host", GraphRole::host},
                                                         {"storage", GraphRole::storage},
                                                         {"nic", GraphRole::nic},
                                                         {"switch", GraphRole::switching}});
    node.ports = item.value_or<int>("ports", 0, {0, kMostPorts});
    node.server = item.value_or<int>("server", -1, {-1, kMostServers});
    node.rail = item.value_or<int>("rail", -1, {-1, kMostServers});
    if (!index.emplace(node.name, nodes.size()).second)
      item.any_child("name").error(fmt::format("a second node called '{}'", node.name));
    nodes.push_back(node);
  }
  if (nodes.empty()) graph.error("a graph needs nodes: a list of {name, role}");
  return nodes;
}

std::optional<GraphLink> read_graph_link(const YamlNode& item,
                                         const std::map<std::string, std::size_t>& index,
                                         const std::vector<GraphNode>& nodes) {
  GraphLink link;
  const auto ends = item.any_child("between").items();
  if (ends.size() != 2) {
    item.error("a link names its two ends: between: [a, b]");
    return std::nullopt;
  }
  std::size_t at[2] = {0, 0};
  bool known = true;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto name = ends[i].as<std::string>();
    const auto found = index.find(name);
    if (found == index.end()) {
      std::vector<std::string> names;
      for (const auto& entry : index) names.push_back(entry.first);
      const auto near = did_you_mean(name, names);
      ends[i].error(fmt::format("no node '{}' in this graph{}", name,
                                near ? fmt::format("; did you mean '{}'?", *near) : ""));
      known = false;
    } else {
      at[i] = found->second;
    }
  }
  link.like.bandwidth = item.required<BytesPerSecond>("bandwidth", kPositive);
  link.like.latency = item.required<Duration>("latency");
  link.like.efficiency = item.value_or<Ratio>("efficiency", Ratio{1.0}, {0.001, 1.0}).value;
  link.like.half_bytes =
      item.value_or<sim::core::Bytes>("half_rate_message", sim::core::Bytes(0)).value();
  link.like.cost = item.value_or<int>("cost", 1, {1, sim::net::kMostLinkCost});
  link.count = item.value_or<int>("count", 1, {1, kMostPorts});
  if (!known) return std::nullopt;
  link.a = at[0];
  link.b = at[1];
  if (link.a == link.b) {
    item.error("a link joins two different nodes");
    return std::nullopt;
  }
  // A NIC's other end may be PCIe, which is as fast as it likes.
  const auto network = [&](GraphRole a, GraphRole b) {
    return a == GraphRole::nic && b == GraphRole::switching;
  };
  const GraphRole a = nodes[link.a].role, b = nodes[link.b].role;
  if ((network(a, b) || network(b, a)) && nodes[network(a, b) ? link.b : link.a].server < 0)
    check_network_rate(item.any_child("bandwidth"), link.like.bandwidth);
  return link;
}

Fabric from_graph(const YamlNode& block, const LoadContext& context) {
  const YamlNode graph = block.child("graph");
  std::map<std::string, std::size_t> index;
  const std::vector<GraphNode> nodes = read_graph_nodes(graph, index);
  std::vector<GraphLink> links;
  for (const YamlNode& item : graph.any_child("links").items())
    if (const auto link = read_graph_link(item, index, nodes)) links.push_back(*link);
  if (!context.file.ok()) return {};
  return built(graph, [&] { return models::collective::graph_fabric(nodes, links); });
}

// The node or link that an entry of `failures` names.
bool find_failed(const YamlNode& item, const Fabric& fabric,
                 models::collective::HealthChange& change) {
  const auto& topology = fabric.topology;
  const auto node_of = [&](const YamlNode& at) {
    const auto id = topology.find(at.text());
    if (!id.valid()) at.error(fmt::format("no node '{}' in this fabric", at.text()));
    return id;
  };
  if (item.has("node") == item.has("link")) {
    item.error("name what fails: either node: NAME or link: [NAME, NAME]");
    return false;
  }
  if (item.has("node")) {
    change.node = node_of(item.any_child("node"));
    return change.node.valid();
  }
  const auto ends = item.any_child("link").items();
  if (ends.size() != 2) {
    item.any_child("link").error("a link is named by its two ends: [NAME, NAME]");
    return false;
  }
  const auto a = node_of(ends[0]), b = node_of(ends[1]);
  if (!a.valid() || !b.valid()) return false;
  for (const auto link : topology.links_from(a))
    if (topology.link(link).to == b) change.link = link;
  if (!change.link.valid())
    item.any_child("link").error(
        fmt::format("no link joins {} and {}", ends[0].text(), ends[1].text()));
  return change.link.valid();
}

}  // namespace

void check_network_rate(const YamlNode& node, BytesPerSecond rate) {
  if (rate.value() <= kFastestPort) return;
  node.error(
      fmt::format("{} is {:g}Gb/s, faster than any network port; is it bits? then write "
                  "{:g}Gb/s",
                  node.text(), rate.value() * 8e-9, rate.value() * 1e-9));
}

Fabric read_fabric(const YamlNode& block, const LoadContext& context) {
  const int ways = static_cast<int>(block.has("node")) + static_cast<int>(block.has("graph")) +
                   static_cast<int>(block.has("topology_matrix"));
  if (ways != 1) {
    block.error(
        "a fabric is one of: node: CARD with nodes: N and network:; graph: {nodes, links}; "
        "topology_matrix: FILE with gpu: CARD");
    return {};
  }
  if (block.has("graph")) return from_graph(block, context);
  if (block.has("topology_matrix")) return from_matrix(block, context);
  return from_card(block, context);
}

std::vector<models::collective::HealthChange> read_failures(const YamlNode& block, Fabric& fabric) {
  std::vector<models::collective::HealthChange> changes;
  for (const YamlNode& item : block.any_child("failures").items()) {
    models::collective::HealthChange change;
    change.share = item.required<Ratio>("rate", {0.0, 1.0}).value;
    change.at_s = item.value_or<Seconds>("at", Seconds{0.0}).value;
    const bool found = find_failed(item, fabric, change);
    if (!found) continue;
    if (change.at_s > 0.0) {
      changes.push_back(change);
    } else if (change.link.valid()) {
      fabric.topology.set_health(change.link, change.share);
    } else {
      fabric.topology.set_health(change.node, change.share);
    }
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const auto& a, const auto& b) { return a.at_s < b.at_s; });
  return changes;
}

}  // namespace foretoken::scenarios::loader
