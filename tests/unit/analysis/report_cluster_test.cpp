#include "analysis/report_cluster.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "fixture.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using test::small_result;
using test::small_scenario;

// Two links of 100 bytes/s for 2.5 s in bins of 1 s.
ServingResult with_network() {
  auto fabric = std::make_shared<models::collective::Fabric>();
  auto& topology = fabric->topology;
  sim::net::NetNode node;
  node.name = "a";
  const auto a = topology.add_node(node);
  node.name = "b";
  const auto b = topology.add_node(node);
  const auto there = topology.connect(a, b, sim::core::BytesPerSecond{100.0}, {});
  ServingResult r = small_result();
  r.fabric = fabric;
  r.network.emplace();
  r.network->bin_s = 1.0;
  r.network->end_s = 2.5;
  r.network->links.resize(2);
  r.network->links[0] = {there, {100, 50, 25}, {0, 0, 0}, {}, {}};
  r.network->links[1] = {sim::net::LinkId{there.value + 1}, {10}, {0.5F}, {}, {}};
  r.network->waits = {{models::serving::NetworkUse::cache, models::serving::NetworkUse::kv,
                       r.network->links[1].link, 0.5}};
  return r;
}

}  // namespace

TEST_CASE("report: use of links by interval, the last one shorter") {
  const Json j = link_heat_json(with_network());
  CHECK(j["links_used"] == 2);
  CHECK(j["bin_s"] == 1.0);
  const Json& waited = j["links"][0];  // most waiting first, though it carries less
  CHECK(waited["from"] == "b");
  CHECK(waited["lost_s"] == Json::array({0.5, 0.0, 0.0}));
  CHECK(waited["use"] == Json::array({0.1, 0.0, 0.0}));
  // Cache reads waited for hand-overs on one link, 0.5 s.
  CHECK(j["waits"] == Json::parse(R"([{"who": "cache_read", "whom": "kv_transfer", "seconds": 0.5,
                                       "worst_link": "b -> a"}])"));
  const Json& full = j["links"][1];
  // 100 of 100 bytes, 50 of 100, 25 of the 50 that fit into half a second.
  CHECK(full["use"] == Json::array({1.0, 0.5, 0.5}));
  CHECK(full["mean_use"].get<double>() == Approx(175 / 250.0));
  CHECK(full["peak_use"] == 1.0);
}

TEST_CASE("report: intervals and links are bounded, their sums kept") {
  ServingResult r = with_network();
  r.network->end_s = 1000.0;
  r.network->links[0].bytes.assign(1001, 20.0F);
  r.network->links[0].bytes.back() = 0.0F;
  // Links between endpoints of the same kind look alike: a few of each, sixteen in all.
  auto fabric = std::make_shared<models::collective::Fabric>(*r.fabric);
  for (int i = 0; i < 40; ++i) {
    sim::net::NetNode node;
    node.name = std::string(1, static_cast<char>('c' + i % 8)) + std::to_string(i);
    const auto end = fabric->topology.add_node(node);
    const auto link =
        fabric->topology.connect(sim::net::NodeId{0}, end, sim::core::BytesPerSecond{100.0}, {});
    r.network->links.push_back(r.network->links[0]);
    r.network->links.back().link = link;
  }
  r.fabric = fabric;
  const Json j = link_heat_json(r);
  CHECK(j["links"].size() == 16);
  CHECK(j["links_used"] == 42);
  std::map<char, int> kinds;
  for (const Json& link : j["links"]) ++kinds[link["to"].get<std::string>().front()];
  for (const auto& [kind, count] : kinds) CHECK(count <= 4);
  const Json& use = j["links"][1]["use"];
  CHECK(use.size() <= 120);
  CHECK(j["bin_s"] == 9.0);
  for (const Json& share : use) CHECK(share.get<double>() == Approx(0.2));
}

TEST_CASE("report: no map without links") {
  CHECK(link_heat_json(small_result()).is_null());
  ServingResult idle = with_network();
  idle.network->links.clear();
  CHECK(link_heat_json(idle).is_null());
}

TEST_CASE("report: load of expert ranks, as step times took it") {
  CHECK(expert_loads_json(small_scenario(), small_result()).empty());  // a dense model
  Scenario s = small_scenario();
  auto& d = s.serving.deployment;
  d.model.layers = 2;
  d.model.moe.emplace();
  d.model.moe->experts = 64;
  d.model.moe->top_k = 4;
  d.model.moe->intermediate = 512;
  d.layout.expert = 2;
  Json even = expert_loads_json(s, small_result());
  REQUIRE(even.size() == 1);
  CHECK(even[0]["ranks"] == 2);
  CHECK_FALSE(even[0].contains("busiest"));  // a flat line says nothing
  d.expert_skew = 1.0;
  const Json j = expert_loads_json(s, small_result())[0];
  // Steps of 100 tokens for 0.5 s, 201 for 2 s, 301 for 5 s.
  CHECK(j["tokens"] == std::llround((50.0 + 402 + 1505) / 7.5));
  CHECK(j["popularity"].size() == 32);
  CHECK(j["mean_busiest"].get<double>() > 1.0);
  CHECK(j["mean_busiest"] == j["mean_by_chance"]);
  CHECK(j["busiest"].size() == j["by_chance"].size());
  CHECK(j["busiest"][0].is_null());  // nothing ran yet
  CHECK(std::count_if(j["busiest"].begin(), j["busiest"].end(),
                      [](const Json& v) { return v.is_number(); }) == 3);
}

TEST_CASE("report: steps belong to the pool of their replica") {
  Scenario s = small_scenario();
  auto& d = s.serving.deployment;
  d.role = models::serving::PoolRole::prefill;
  models::serving::DeploymentSpec second = d;
  second.role = models::serving::PoolRole::decode;
  second.model.layers = 2;
  second.model.moe.emplace();
  second.model.moe->experts = 64;
  second.model.moe->top_k = 4;
  second.layout.expert = 2;
  second.expert_skew = 1.0;
  s.serving.pools.push_back(second);
  ServingResult r = small_result();
  r.steps.replica = {0, 1, 1};
  const Json j = expert_loads_json(s, r);
  REQUIRE(j.size() == 1);  // the first pool's model is dense
  CHECK(j[0]["role"] == "decode");
  CHECK(j[0]["tokens"] == std::llround((402 + 1505) / 7.0));
}

}  // namespace foretoken::analysis
