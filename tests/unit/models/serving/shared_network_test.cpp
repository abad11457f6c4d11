// Moves that share a fabric, on figures small enough to work by hand.
#include "models/serving/shared_network.hpp"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;
namespace collective = foretoken::models::collective;
using foretoken::sim::core::BytesPerSecond;
using foretoken::sim::core::Duration;
using foretoken::sim::core::Time;

namespace {

// Three servers of two GPUs and two NICs of 1,000 B/s on one switch; one storage node of 500 B/s.
SharedFabric fabric(bool flows, int servers = 3) {
  collective::ServerShape server;
  server.name = "small";
  server.gpus = server.nics = 2;
  server.scale_up = collective::ScaleUp::pcie;
  server.pcie_bandwidth = BytesPerSecond(1e6);
  server.nic_bandwidth = BytesPerSecond(1e3);
  collective::NetworkShape network;
  network.kind = collective::NetworkKind::single_switch;
  network.hop_latency = Duration();
  network.storage_nodes = 1;
  network.storage_bandwidth = BytesPerSecond(500);
  return {std::make_shared<const collective::Fabric>(build_fabric(server, servers, network)), flows,
          0.1};
}

constexpr double kShare = 0.89;  // of a NIC that RDMA reaches, TransferParameters

// Three pools of one replica each, a whole server.
SharedNetwork three_replicas(bool flows) {
  const SharedFabric on = fabric(flows);
  const PoolPlace pools[] = {{1, 2, 2, 1}, {1, 2, 2, 1}, {1, 2, 2, 1}};
  return {on, place_replicas(*on.fabric, pools), 1.0};
}

SharedNetwork::Move hand_over(std::uint32_t from, std::uint32_t to, double bytes) {
  SharedNetwork::Move move;
  move.from = from;
  move.to = to;
  move.bytes = bytes;
  return move;
}

std::vector<std::pair<std::uint32_t, double>> drain(SharedNetwork& network) {
  std::vector<std::pair<std::uint32_t, double>> ends;
  for (Time at = network.next_event(); at != Time::never(); at = network.next_event())
    for (const std::uint32_t ticket : network.advance(at)) ends.emplace_back(ticket, at.seconds());
  return ends;
}

}  // namespace

TEST_CASE("replicas follow each other, each pool from a node of its own") {
  const auto on = fabric(true).fabric;
  const PoolPlace pools[] = {{3, 1, 1, 2}, {1, 2, 1, 1}};
  const auto places = place_replicas(*on, pools);
  REQUIRE(places.size() == 4);
  CHECK(places[0].gpus == std::vector{on->gpu(0, 0)});
  CHECK(places[1].gpus == std::vector{on->gpu(0, 1)});
  CHECK(places[2].gpus == std::vector{on->gpu(1, 0)});
  CHECK(places[3].gpus == std::vector{on->gpu(2, 0), on->gpu(2, 1)});
}

// 890 B over two NICs are 890 / 2 / 0.89 = 500 B of each: 0.5 s alone. Two prompts that leave one
// server at once share its NICs: 1 s each. A third, later, from the second server to the same third
// one as the second prompt, is alone by then.
TEST_CASE("hand-overs over the same NICs slow each other down, in flows alone") {
  for (const bool flows : {true, false}) {
    SharedNetwork network = three_replicas(flows);
    network.start(hand_over(0, 1, 890), Time::zero(), 7);
    network.start(hand_over(0, 2, 890), Time::zero(), 8);
    const auto ends = drain(network);
    REQUIRE(ends.size() == 2);
    CHECK(ends[0].first == 7);
    for (const auto& [ticket, at] : ends) CHECK(at == Approx(flows ? 1.0 : 0.5).epsilon(1e-3));
    network.start(hand_over(1, 2, 890), Time::zero() + Duration::from_seconds(2), 9);
    CHECK(drain(network)[0].second == Approx(2.5).epsilon(1e-3));
    const NetworkResult result = network.result();
    const auto& use = result.uses[static_cast<std::size_t>(NetworkUse::kv)];
    CHECK(use.moves == 3);
    CHECK(use.bytes == 3 * 890);
    CHECK(use.alone_s == Approx(1.5).epsilon(1e-3));
    CHECK(use.seconds == Approx(flows ? 2.5 : 1.5).epsilon(1e-3));
    CHECK(result.open == 0);
    CHECK(result.links.empty() != flows);
  }
}

TEST_CASE("a cache read and a weight load leave one storage node together") {
  // 445 B each, at 0.89 of the rate 500 B: the node gives 500 B/s: 1 s alone, 2 s together.
  SharedNetwork network = three_replicas(true);
  SharedNetwork::Move read = hand_over(0, 1, 445);
  read.source = SharedNetwork::Source::storage;
  read.use = NetworkUse::cache;
  SharedNetwork::Move load = read;
  load.use = NetworkUse::weights;
  load.to = 2;
  network.start(read, Time::zero(), 0);
  network.start(load, Time::zero(), 1);
  for (const auto& [ticket, at] : drain(network)) CHECK(at == Approx(2.0).epsilon(1e-3));
  const NetworkResult result = network.result();
  REQUIRE(result.waits.size() >= 2);
  double lost = 0.0;
  for (const auto& wait : result.waits) lost += wait.seconds;
  CHECK(lost > 1.0);
}

TEST_CASE("what a library or a disk allows is a limit of each move") {
  SharedNetwork network = three_replicas(true);
  SharedNetwork::Move slow = hand_over(0, 1, 890);
  slow.most_bytes_per_s = 100;
  slow.latency_s = 3.0;
  network.start(slow, Time::zero(), 0);
  CHECK(drain(network)[0].second == Approx(3.0 + 890 / kShare / 100).epsilon(1e-3));
}

// Two replicas of two servers each. Steps of the first would be on the network for a quarter of the
// time. 3,560 B handed over from its four GPUs are 1,000 B of each NIC, 1 s alone. In a burst the
// two share a NIC: what steps send takes twice as long, and a step 1.25 times; of the time as it
// goes that is 0.2, which leave 800 B/s: 1.25 s. The steps lose a fifth of it: 0.25 s.
TEST_CASE("steps and a hand-over on the same NICs hold each other up") {
  for (const bool flows : {true, false}) {
    const SharedFabric on = fabric(flows, 4);
    const PoolPlace pools[] = {{1, 4, 4, 2}, {1, 4, 4, 2}};
    SharedNetwork network(on, place_replicas(*on.fabric, pools), 1.0);
    REQUIRE(network.carries_steps(0) == flows);
    if (flows) {
      network.set_load(0, {250, 0.25, 0.25}, Time::zero());
      CHECK(network.stretches(Time::zero()).empty());
    }
    network.start(hand_over(0, 1, 3560), Time::zero(), 1);
    if (flows) {
      const Time began = network.next_event();
      CHECK(network.advance(began).empty());
      const auto slower = network.stretches(began);
      REQUIRE(slower.size() == 1);
      CHECK(slower[0].replica == 0);
      CHECK(slower[0].times == Approx(2.0));
      CHECK(network.stretches(began).empty());  // told once
      network.set_load(0, {200, 0.2, 0.25}, began);
    }
    const auto ends = drain(network);
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].second == Approx(flows ? 1.25 : 1.0).epsilon(1e-3));
    if (!flows) continue;
    const Time end = Time::zero() + Duration::from_seconds(ends[0].second);
    const auto again = network.stretches(end);
    REQUIRE(again.size() == 1);
    CHECK(again[0].times == 1.0);
    const NetworkResult result = network.result();
    const auto& steps = result.uses[static_cast<std::size_t>(NetworkUse::steps)];
    CHECK(steps.bytes == Approx(4 * 200 * 1.25).epsilon(1e-3));
    CHECK(steps.seconds == Approx(1.25).epsilon(1e-3));
    CHECK(steps.alone_s == Approx(1.0).epsilon(1e-3));
    double lost = 0.0;
    for (const auto& wait : result.waits)
      if (wait.who == NetworkUse::steps) {
        CHECK(wait.whom == NetworkUse::kv);
        lost += wait.seconds;
      }
    CHECK(lost == Approx(0.25).epsilon(1e-3));
    // Bytes out of the NICs of the first replica: all that was handed over, and the steps'.
    for (const LinkUse& use : result.links)
      for (const float bytes : use.bytes) CHECK(bytes <= 1e3 * result.bin_s * 1.0001);
  }
}

TEST_CASE("steps of replicas inside a node go over no network") {
  SharedNetwork network = three_replicas(true);
  for (const std::uint32_t replica : {0U, 1U, 2U}) CHECK_FALSE(network.carries_steps(replica));
}

namespace {

// Prefill on node 0, decode on node 1, 4 B of KV a token, NICs of 1,000 B/s.
ServingSpec networked(int prefill, const std::vector<At>& requests) {
  ServingSpec spec = small_spec(64, 8);
  DeploymentSpec& d = spec.deployment;
  d.model.layers = 1;
  d.model.attention = {.heads = 1, .kv_heads = 1, .head_dim = 1, .mla = {}, .sparse = {}};
  d.node.nics = 8;
  d.node.nic_bandwidth = BytesPerSecond(1e3);
  d.replicas = prefill;
  d.role = PoolRole::prefill;
  spec.pools.push_back(d);
  spec.pools[0].role = PoolRole::decode;
  spec.pools[0].replicas = 1;
  spec.workload.arrivals = trace(requests);
  spec.cluster.network.emplace().shape.kind = collective::NetworkKind::single_switch;
  return spec;
}

ServingResult run(const ServingSpec& spec, double weights = 0.0) {
  MemoryAccount memory = blocks(1000);
  memory.weights = weights;
  auto result = simulate_with(spec, LinearTimer(0.01, 0.0, 0.001), memory, {});
  for (const std::string& error : result.conservation_errors) FAIL_CHECK(error);
  return result;
}

}  // namespace

// Two prompts of 20 tokens end at 30 ms on two replicas and go to one GPU: 80 B each, 80 / 0.89 /
// 1,000 = 89.9 ms alone, twice that together. The second token is one step of 10 ms later.
TEST_CASE("prompts that are done at once wait for each other on the way to the decode pool") {
  for (const bool flows : {true, false}) {
    ServingSpec spec = networked(2, {{0.0, 20, 2}, {0.0, 20, 2}});
    spec.cluster.network->flows = flows;
    const auto r = run(spec);
    REQUIRE(r.completed == 2);
    const double way_s = 80 / kShare / 1e3 * (flows ? 2 : 1);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(r.requests.first_token_s[i] == Approx(0.03).epsilon(1e-3));
      CHECK(r.requests.last_token_s[i] == Approx(0.03 + way_s + 0.01).epsilon(1e-3));
    }
    REQUIRE(r.network);
    CHECK(r.network->uses[0].moves == 2);
    CHECK(r.network->uses[0].bytes == 160);
  }
}

// Replicas of two nodes, 64 B of KV a token, NICs of 1,000 B/s; of a step of 10 ms, 5 ms between
// nodes. The first request decodes when the KV of the second, 200 tokens, comes: 800 B a NIC,
// 0.899 s alone. Steps take 15 ms meanwhile, on the network for a third of it; that leaves two
// thirds to the KV: 1.348 s, in which steps lose a third.
TEST_CASE("a decoding replica is held up while KV comes in, and holds it up") {
  const double alone_s = 800 / kShare / 1e3, shared_s = 1.5 * alone_s;
  double ends[2][2] = {};
  for (const bool flows : {true, false}) {
    ServingSpec spec = networked(1, {{0.0, 1, 400}, {0.5, 200, 2}});
    DeploymentSpec* pools[] = {&spec.deployment, &spec.pools[0]};
    for (DeploymentSpec* pool : pools) {
      pool->layout.tensor = 16;
      pool->nodes = 2;
      pool->batching.max_tokens = 1024;
    }
    spec.cluster.network->flows = flows;
    MemoryAccount memory = blocks(1000);
    const auto r = simulate_with(spec, LinearTimer(0.005, 0.0, 0.0, 0.0, 0.005), memory, {});
    for (const std::string& error : r.conservation_errors) FAIL_CHECK(error);
    REQUIRE(r.completed == 2);
    for (std::size_t i = 0; i < 2; ++i) ends[flows ? 0 : 1][i] = r.requests.last_token_s[i];
    CHECK(r.network->open == 0);
    const auto& steps = r.network->uses[static_cast<std::size_t>(NetworkUse::steps)];
    if (flows) {  // 1,000 B a step and GPU, whatever holds it up
      CHECK(steps.bytes == Approx(16e3 * static_cast<double>(r.total_steps)).epsilon(0.01));
      CHECK(steps.seconds - steps.alone_s == Approx(shared_s / 3).epsilon(0.03));
    } else {
      CHECK(steps.bytes == 0.0);
    }
  }
  // Two more hand-overs of a token each, and the front end's microseconds, are within the margin.
  CHECK(ends[0][0] - ends[1][0] == Approx(shared_s / 3).epsilon(0.03));
  CHECK(ends[0][1] - ends[1][1] == Approx(shared_s - alone_s).epsilon(0.03));
}

TEST_CASE("a replica that starts reads its weights from storage first") {
  ServingSpec spec = small_spec(64, 1);
  DeploymentSpec& d = spec.deployment;
  d.node.nics = 8;
  d.node.nic_bandwidth = BytesPerSecond(1e3);
  d.replicas = 2;
  d.autoscale = {1, 1.0, Duration::from_seconds(0.1), Duration::from_seconds(0.1),
                 Duration::from_seconds(100)};
  auto& network = spec.cluster.network.emplace();
  network.shape.kind = collective::NetworkKind::single_switch;
  network.shape.storage_nodes = 1;
  std::vector<At> requests;
  for (int i = 0; i < 80; ++i) requests.push_back({0.02 * i, 20, 5});
  spec.workload.arrivals = trace(requests);
  const auto r = run(spec, 500);  // 500 / 0.89 / 1,000 = 0.562 s
  CHECK(r.completed == 80);
  const auto& use = r.network->uses[static_cast<std::size_t>(NetworkUse::weights)];
  CHECK(use.moves == 1);
  CHECK(use.seconds == Approx(500 / kShare / 1e3).epsilon(1e-3));
  // In service at 0.1 s (look) + 0.1 s (start) + 0.562 s, not before.
  double first = 1e9;
  for (std::size_t i = 0; i < r.requests.size(); ++i)
    if (r.requests.replica[i] == 1) first = std::min(first, r.requests.arrival_s[i]);
  CHECK(first >= 0.2 + 500 / kShare / 1e3);
  CHECK(first < 1e9);
}

TEST_CASE("cached prompts are read over the network before they are processed") {
  // 10 of 20 tokens, rounded down to blocks of 4: 8 tokens, 32 B, 36 ms of a NIC; the other 12
  // take 22 ms.
  ServingSpec spec = networked(1, {{0.0, 20, 1}});
  spec.cluster.cached_input = 0.5;
  const auto r = run(spec);
  CHECK(r.network->uses[static_cast<std::size_t>(NetworkUse::cache)].moves == 1);
  CHECK(r.requests.first_token_s[0] >= 0.022);
  CHECK(r.requests.first_token_s[0] <= 0.022 + 32 / kShare / 1e3 + 1e-3);
}

TEST_CASE("pools on different kinds of nodes share no fabric") {
  ServingSpec spec = networked(1, {{0.0, 20, 2}});
  spec.pools[0].node.name = "another";
  CHECK_THROWS_WITH(run(spec), Catch::Contains("nodes of one kind"));
}
