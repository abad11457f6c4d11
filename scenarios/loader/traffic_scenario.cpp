#include "scenarios/loader/traffic_scenario.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <set>

#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/fabric_block.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace collective = models::collective;
using collective::Algorithm;
using collective::Fabric;
using collective::Operation;
using collective::Stream;
using sim::core::Bytes;
using sim::core::InputError;
using sim::net::NodeId;
using sim::net::RoutePolicy;

constexpr int kMostRepeats = 1'000'000;

// "0-3,5" or 5: numbers below `count`. Nothing where there is none.
std::vector<int> read_indices(const YamlNode& node, int count, const std::string& noun) {
  const std::string text = node.text();
  std::set<int> found;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int first = 0;
    auto [next, error] = std::from_chars(at, end, first);
    int last = first;
    if (error == std::errc() && next < end && *next == '-') {
      const auto rest = std::from_chars(next + 1, end, last);
      next = rest.ptr;
      error = rest.ec;
    }
    if (error != std::errc() || last < first || (next < end && *next != ',')) {
      node.error(fmt::format("'{}' is no list of {}s; write it as 0-3 or 0,2,5", text, noun));
      return {};
    }
    if (last >= count || first < 0) {
      node.error(fmt::format("layout larger than the fabric: {} {} is not there, the fabric has {}",
                             noun, last, count));
      return {};
    }
    for (int i = first; i <= last; ++i) found.insert(i);
    at = next + 1;
  }
  return {found.begin(), found.end()};
}

std::vector<int> read_indices_or_all(const YamlNode& block, const std::string& key, int count,
                                     const std::string& noun) {
  if (block.has(key)) return read_indices(block.any_child(key), count, noun);
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(i);
  return all;
}

// Endpoints: {nodes: 0-3, gpus: 0-7}, {hosts: 0-3}, {storage: 0} or {names: [a, b]}.
std::vector<NodeId> read_endpoints(const YamlNode& block, const Fabric& fabric) {
  std::vector<NodeId> found;
  if (!block.exists()) return found;
  if (block.has("names")) {
    for (const YamlNode& item : block.any_child("names").items()) {
      const NodeId id = fabric.topology.find(item.as<std::string>());
      if (!id.valid() || fabric.topology.node(id).role != sim::net::NodeRole::endpoint)
        item.error(fmt::format("'{}' is no endpoint of this fabric", item.text()));
      else
        found.push_back(id);
    }
    return found;
  }
  for (const auto& [key, list] :
       {std::pair{"hosts", &fabric.hosts}, std::pair{"storage", &fabric.storage}})
    if (block.has(key)) {
      const int count = static_cast<int>(list->size());
      for (const int i : read_indices(block.any_child(key), count, key))
        found.push_back((*list)[static_cast<std::size_t>(i)]);
      return found;
    }
  for (const int node : read_indices_or_all(block, "nodes", fabric.servers, "node"))
    for (const int gpu : read_indices_or_all(block, "gpus", fabric.server.gpus, "GPU"))
      found.push_back(fabric.gpu(node, gpu));
  return found;
}

collective::CollectiveTraffic read_collective(const YamlNode& node, Operation operation,
                                              const Fabric& fabric) {
  collective::CollectiveTraffic traffic;
  traffic.operation = operation;
  traffic.bytes = node.required<Bytes>("bytes", kPositive).value();
  traffic.algorithm =
      node.optional_choice<Algorithm>("algorithm", {{"automatic", Algorithm::automatic},
                                                    {"ring", Algorithm::ring},
                                                    {"tree", Algorithm::tree},
                                                    {"nvls", Algorithm::nvls},
                                                    {"one_shot", Algorithm::one_shot},
                                                    {"two_shot", Algorithm::two_shot},
                                                    {"flat", Algorithm::flat},
                                                    {"hierarchical", Algorithm::hierarchical}})
          .value_or(Algorithm::automatic);
  const YamlNode members = node.child("members");
  const std::vector<NodeId> all = read_endpoints(members, fabric);
  const bool by_rail = node.value_or<bool>("group_by_rail", false);
  std::map<int, std::vector<NodeId>> groups;
  for (const NodeId gpu : all) {
    if (fabric.rank_of(gpu) < 0) {
      node.error(
          fmt::format("{} is no GPU; a collective joins GPUs", fabric.topology.node(gpu).name));
      return traffic;
    }
    groups[by_rail ? fabric.topology.node(gpu).rail : 0].push_back(gpu);
  }
  try {
    for (auto& [rail, gpus] : groups)
      traffic.groups.push_back(collective::members_of(fabric, std::move(gpus)));
  } catch (const InputError& error) {
    members.error(error.diagnostics().front().message);
  }
  if (traffic.groups.empty()) node.error("say which GPUs take part: members: {nodes: 0-3}");
  return traffic;
}

collective::ExpertTraffic read_experts(const YamlNode& node, const Fabric& fabric) {
  collective::ExpertTraffic traffic;
  auto& exchange = traffic.exchange;
  exchange.mode = node.optional_choice<collective::ExchangeMode>(
                          "mode", {{"normal", collective::ExchangeMode::normal},
                                   {"low_latency", collective::ExchangeMode::low_latency}})
                      .value_or(collective::ExchangeMode::normal);
  exchange.tokens = node.required<int>("tokens", {1, 1e9});
  exchange.hidden = node.required<int>("hidden", {1, 1e6});
  exchange.top_k = node.required<int>("top_k", {1, 1024});
  exchange.node_limit = node.value_or<int>("node_limit", 0, {0, 1024});
  exchange.sms = node.value_or<int>("sms", exchange.sms, {1, 1024});
  exchange.scale_bytes_per_token = exchange.hidden / 128.0 * 4.0;
  std::vector<NodeId> gpus = read_endpoints(node.child("members"), fabric);
  if (gpus.size() < 2) {
    node.error("say which GPUs hold the experts: members: {nodes: 0-3}");
    return traffic;
  }
  try {
    traffic.members = collective::members_of(fabric, std::move(gpus));
  } catch (const InputError& error) {
    node.error(error.diagnostics().front().message);
  }
  return traffic;
}

collective::BulkTraffic read_bulk(const YamlNode& node, const Fabric& fabric) {
  collective::BulkTraffic traffic;
  traffic.transfer.bytes = node.required<Bytes>("bytes", kPositive).value();
  traffic.transfer.messages = node.value_or<int>("messages", 1, {1, 1e9});
  traffic.from = read_endpoints(node.required_child("from"), fabric);
  traffic.to = read_endpoints(node.required_child("to"), fabric);
  if (traffic.from.empty() || traffic.to.empty()) return traffic;
  const std::size_t a = traffic.from.size(), b = traffic.to.size();
  if (std::max(a, b) % std::min(a, b) != 0)
    node.error(fmt::format(
        "rail mismatch: {} senders and {} receivers; one number must divide the other", a, b));
  traffic.transfer.senders = static_cast<int>(a);
  traffic.transfer.receivers = static_cast<int>(b);
  const auto& topology = fabric.topology;
  const int server = topology.node(traffic.from[0]).server;
  traffic.transfer.same_node = server >= 0;
  for (const auto* side : {&traffic.from, &traffic.to})
    for (const NodeId id : *side)
      if (topology.node(id).server != server) traffic.transfer.same_node = false;
  return traffic;
}

enum class Kind { collective, experts, bulk };
struct Word {
  Kind kind = Kind::collective;
  Operation operation = Operation::all_reduce;
};

Stream read_stream(const YamlNode& node, const Fabric& fabric) {
  Stream stream;
  stream.name = node.required<std::string>("name");
  const Word word = node.required_choice<Word>(
      "operation", {{"all_reduce", {Kind::collective, Operation::all_reduce}},
                    {"all_gather", {Kind::collective, Operation::all_gather}},
                    {"reduce_scatter", {Kind::collective, Operation::reduce_scatter}},
                    {"broadcast", {Kind::collective, Operation::broadcast}},
                    {"all_to_all", {Kind::collective, Operation::all_to_all}},
                    {"send_recv", {Kind::collective, Operation::send_recv}},
                    {"expert_exchange", {Kind::experts, {}}},
                    {"kv_transfer", {Kind::bulk, {}}},
                    {"prefix_fetch", {Kind::bulk, {}}},
                    {"weight_load", {Kind::bulk, {}}},
                    {"checkpoint", {Kind::bulk, {}}}});
  switch (word.kind) {
    case Kind::collective:
      stream.what = read_collective(node, word.operation, fabric);
      break;
    case Kind::experts:
      stream.what = read_experts(node, fabric);
      break;
    case Kind::bulk:
      stream.what = read_bulk(node, fabric);
      break;
  }
  stream.start_s = node.value_or<Seconds>("start", Seconds{0.0}).value;
  stream.every_s = node.value_or<Seconds>("every", Seconds{0.0}).value;
  stream.repeat = node.value_or<int>("repeat", 1, {1, kMostRepeats});
  stream.route =
      node.optional_choice<RoutePolicy>("route", {{"first", RoutePolicy::first},
                                                  {"ecmp", RoutePolicy::ecmp},
                                                  {"rail_aligned", RoutePolicy::rail_aligned},
                                                  {"adaptive", RoutePolicy::adaptive}});
  return stream;
}

void read_streams(const YamlNode& root, collective::TrafficSpec& spec, bool fabric_ok) {
  const auto items = root.any_child("traffic").items();
  if (items.empty()) root.error_at_key("traffic", "traffic is a list with at least one entry");
  if (!fabric_ok) {  // nothing below can be judged without it; do not call its keys unknown
    for (const YamlNode& item : items) (void)item.entries();
    return;
  }
  std::set<std::string> names;
  for (const YamlNode& item : items) {
    spec.streams.push_back(read_stream(item, spec.fabric));
    if (!names.insert(spec.streams.back().name).second)
      item.any_child("name").error(
          fmt::format("a second traffic called '{}'", spec.streams.back().name));
  }
}

}  // namespace

bool is_traffic_scenario(const std::filesystem::path& file) {
  try {
    return YamlFile::open(file).root().has("traffic");
  } catch (const InputError&) {
    return false;
  }
}

TrafficScenario load_traffic(const std::filesystem::path& file, const Catalogue& catalogue,
                             const std::vector<std::string>& overrides) {
  YamlFile yaml = YamlFile::open(file);
  for (const std::string& assignment : overrides) yaml.override_value(assignment);
  const YamlNode root = yaml.root();
  TrafficScenario scenario;
  scenario.file = file;
  scenario.input_hashes[file.string()] = hash_text(yaml.text());
  const LoadContext context{yaml, catalogue, file.parent_path(), scenario.input_hashes};
  if (root.required<int>("foretoken") != 1)
    root.any_child("foretoken").error("this program reads format version 1");
  scenario.name = root.value_or<std::string>("name", file.stem().string());
  (void)root.value_or<std::uint64_t>("seed", 1);
  const YamlNode block = root.required_child("fabric");
  auto& spec = scenario.traffic;
  spec.fabric = read_fabric(block, context);
  const bool fabric_ok = !spec.fabric.gpus.empty();
  if (fabric_ok) {
    spec.health = read_failures(block, spec.fabric);
  } else {
    (void)block.any_child("failures").items();
  }
  spec.bin_s = root.value_or<Seconds>("time_bin", Seconds{0.0}).value;
  read_streams(root, spec, fabric_ok);
  yaml.finish();
  scenario.warnings = yaml.warnings();
  scenario.resolved = yaml.resolved();
  return scenario;
}

}  // namespace foretoken::scenarios::loader
