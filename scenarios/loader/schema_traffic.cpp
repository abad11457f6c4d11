// JSON Schema of a scenario of fabric traffic, and of the `network:` block that deployments share
// with it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/traffic_scenario.hpp"

namespace foretoken::scenarios::loader {
namespace {

using Json = nlohmann::ordered_json;

Json text(const char* what) { return {{"type", "string"}, {"description", what}}; }
Json integer(const char* what, int least = 1) {
  return {{"type", "integer"}, {"description", what}, {"minimum", least}};
}
Json boolean(const char* what) { return {{"type", "boolean"}, {"description", what}}; }
Json ratio(const char* what) {
  return {{"description", fmt::format("{}; a number or a percentage", what)},
          {"anyOf",
           {{{"type", "number"}, {"minimum", 0}},
            {{"type", "string"}, {"pattern", "^[0-9]*[.]?[0-9]+ ?%$"}}}}};
}
Json one_of(const char* what, std::initializer_list<const char*> words) {
  Json json = {{"type", "string"}, {"description", what}};
  for (const char* word : words) json["enum"].push_back(word);
  return json;
}
Json quantity(Dimension dimension, const char* what) {
  return {{"type", "string"}, {"description", fmt::format("{}: {}", what, describe(dimension))}};
}
Json map_of(const char* what, const Json& properties,
            std::initializer_list<const char*> required = {}) {
  Json json = {{"type", "object"}, {"description", what}, {"additionalProperties", false}};
  for (const char* key : required) json["required"].push_back(key);
  json["properties"] = properties;
  return json;
}
Json list_of(const char* what, const Json& item) {
  return {{"type", "array"}, {"description", what}, {"items", item}};
}

Json network() {
  return map_of(
      "how the nodes are joined",
      {{"kind", one_of("of network", {"single_switch", "rail_optimised", "rail_only", "planes",
                                      "fat_tree", "dragonfly", "torus"})},
       {"ports", integer("of each switch", 2)},
       {"oversubscription", ratio("of a leaf: bandwidth down over bandwidth up, 1 or more")},
       {"bandwidth",
        quantity(Dimension::bytes_per_second, "of links between switches; the NIC's if left out")},
       {"hop_latency", quantity(Dimension::seconds, "one more switch and its cables")},
       {"efficiency", ratio("share of the raw rate that payload has")},
       {"half_rate_message", quantity(Dimension::bytes, "message that gets half of that")},
       {"roce", boolean("Ethernet instead of InfiniBand")},
       {"roce_penalty", ratio("share of the rate that RoCE loses")},
       {"groups", integer("dragonfly: groups of switches", 0)},
       {"storage_nodes", integer("on a network of their own beside it", 0)},
       {"storage_bandwidth", quantity(Dimension::bytes_per_second, "of each storage node")},
       {"torus", list_of("its three sizes", integer("nodes"))}},
      {"kind"});
}

Json fabric() {
  const Json node =
      map_of("a node of the graph",
             {{"name", text("for links and results")},
              {"role", one_of("what it is", {"gpu", "host", "storage", "nic", "switch"})},
              {"ports", integer("most links; 0 is any number", 0)},
              {"server", integer("that it sits in", -1)},
              {"rail", integer("that it belongs to", -1)}},
             {"name", "role"});
  const Json link =
      map_of("two directed links of equal figures",
             {{"between", list_of("its two ends", text("name of a node"))},
              {"bandwidth", quantity(Dimension::bytes_per_second, "raw, one direction")},
              {"latency", quantity(Dimension::seconds, "first bit to first bit")},
              {"efficiency", ratio("share of the raw rate that payload has")},
              {"half_rate_message", quantity(Dimension::bytes, "message that gets half of that")},
              {"cost", integer("a route takes the least sum of these")},
              {"count", integer("as many side by side")}},
             {"between", "bandwidth", "latency"});
  const Json failure = map_of("what fails or degrades; either node or link",
                              {{"node", text("all its links")},
                               {"link", list_of("its two ends", text("name of a node"))},
                               {"rate", ratio("share of the rate left; 0 is failed")},
                               {"at", quantity(Dimension::seconds, "when; at once if left out")}},
                              {"rate"});
  return map_of("exactly one of node, graph and topology_matrix",
                {{"node", text("node card: catalogue name or path")},
                 {"nodes", integer("how many")},
                 {"nic", text("network card of the nodes: catalogue name or path")},
                 {"nics", integer("of a node, instead of the card's", 0)},
                 {"nic_bandwidth", quantity(Dimension::bytes_per_second, "instead of the card's")},
                 {"network", network()},
                 {"graph", map_of("drawn by hand",
                                  {{"nodes", list_of("all nodes", node)},
                                   {"links", list_of("all links", link)}},
                                  {"nodes", "links"})},
                 {"topology_matrix", text("a file with what nvidia-smi topo -m printed")},
                 {"gpu", text("topology_matrix: GPU card")},
                 {"socket_bandwidth",
                  quantity(Dimension::bytes_per_second, "topology_matrix: between sockets")},
                 {"link_latency", quantity(Dimension::seconds, "topology_matrix: of each link")},
                 {"failures", list_of("of links and nodes", failure)}});
}

Json endpoints(const char* what) {
  return map_of(what, {{"nodes", {{"description", "numbers of nodes, such as 0-3,5"}}},
                       {"gpus", {{"description", "numbers of GPUs in each of these nodes"}}},
                       {"hosts", {{"description", "memory of the hosts of these nodes"}}},
                       {"storage", {{"description", "numbers of storage nodes"}}},
                       {"names", list_of("endpoints by name", text("name"))}});
}

Json stream() {
  return map_of(
      "one kind of traffic, repeated",
      {{"name", text("for results")},
       {"operation",
        one_of("what it does", {"all_reduce", "all_gather", "reduce_scatter", "broadcast",
                                "all_to_all", "send_recv", "expert_exchange", "kv_transfer",
                                "prefix_fetch", "weight_load", "checkpoint"})},
       {"bytes", quantity(Dimension::bytes, "of one repeat, as the operation counts")},
       {"algorithm", one_of("of a collective", {"automatic", "ring", "tree", "nvls", "one_shot",
                                                "two_shot", "flat", "hierarchical"})},
       {"members", endpoints("GPUs that take part in a collective")},
       {"group_by_rail", boolean("one group for each rail")},
       {"mode", one_of("expert_exchange: kernels", {"normal", "low_latency"})},
       {"tokens", integer("expert_exchange: of one GPU")},
       {"hidden", integer("expert_exchange: size of a token")},
       {"top_k", integer("expert_exchange: experts of a token")},
       {"node_limit", integer("expert_exchange: most nodes of a token; 0 is any number", 0)},
       {"sms", integer("expert_exchange: that the kernels run on")},
       {"from", endpoints("of a transfer")},
       {"to", endpoints("of a transfer")},
       {"messages", integer("that each sender of a transfer posts")},
       {"start", quantity(Dimension::seconds, "of the first repeat")},
       {"every", quantity(Dimension::seconds, "from start to start; else each as the last ends")},
       {"repeat", integer("how often")},
       {"route", one_of("how paths are chosen", {"first", "ecmp", "rail_aligned", "adaptive"})}},
      {"name", "operation"});
}

}  // namespace

std::string network_json_schema() {
  Json schema = network();
  schema["description"] =
      "the fabric that KV hand-overs, context caches and weight loads of a deployment share";
  schema["properties"]["mode"] = one_of("whether they slow each other down", {"flows", "analytic"});
  return schema.dump();
}

std::string traffic_json_schema() {
  Json schema = map_of("Traffic on a fabric",
                       {{"foretoken", {{"description", "format version"}, {"const", 1}}},
                        {"name", text("title of the report")},
                        {"seed", integer("of no account here", 0)},
                        {"time_bin", quantity(Dimension::seconds, "of the series of links")},
                        {"fabric", fabric()},
                        {"traffic", list_of("all at once", stream())}},
                       {"foretoken", "fabric", "traffic"});
  Json result = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Foretoken traffic scenario"}};
  result.update(schema);
  return result.dump(2) + "\n";
}

}  // namespace foretoken::scenarios::loader
