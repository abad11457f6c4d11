#include "models/collective/expert_exchange.hpp"

#include <catch2/catch.hpp>

#include "cards.hpp"

using namespace foretoken;
using namespace foretoken::models::collective;

namespace {

ExpertExchange exchange(ExchangeMode mode, int gpus, double tokens) {
  ExpertExchange e;
  e.mode = mode;
  e.tokens = tokens;
  e.hidden = 7168;
  e.top_k = 8;
  e.node_limit = 4;
  e.scale_bytes_per_token = 224;
  e.group = {gpus, std::max(1, gpus / 8)};
  return e;
}

// Nothing but the wire.
ExchangeParameters bare() {
  ExchangeParameters p;
  p.dispatch = p.combine = p.fast_dispatch = p.fast_combine = {0, 0, 0, 0, 1e15, 1.0};
  p.rdma_efficiency = 1.0;
  p.network_steps = 0.0;
  return p;
}

Wire wire(int servers) {
  return wire_of(
      build_fabric(tests::eight_gpus(), servers, tests::network_of(NetworkKind::rail_optimised)));
}

}  // namespace

TEST_CASE("a token goes once to each of its nodes and GPUs") {
  // One node of eight, eight experts at random: 8 (1 - (7/8)^8) = 5.251 GPUs.
  Fanout fanout = fanout_of(exchange(ExchangeMode::normal, 8, 1));
  CHECK(fanout.gpus == Approx(5.2512).epsilon(1e-4));
  CHECK(fanout.remote_nodes == 0.0);
  // Eight nodes, at most four: 4 (1 - (3/4)^8) = 3.5995 nodes, 7/8 of them remote.
  fanout = fanout_of(exchange(ExchangeMode::normal, 64, 1));
  CHECK(fanout.nodes == Approx(3.5995).epsilon(1e-4));
  CHECK(fanout.remote_nodes == Approx(3.1496).epsilon(1e-4));
  CHECK(fanout.remote_experts == Approx(7.0));
}

TEST_CASE("low latency sends each token and expert on its own") {
  // 16 GPUs, 128 tokens, top 8, 7,168 + 224 bytes: 1,024 messages, half of them remote:
  // 512 x 7,392 B over 50 GB/s = 75.7 us.
  const Plan plan = dispatch_plan(exchange(ExchangeMode::low_latency, 16, 128), wire(2), bare());
  REQUIRE(plan.phases.size() == 2);
  CHECK(plan.phases[1].seconds() == Approx(512 * 7392 / 50e9));
  CHECK(plan.seconds() == Approx(75.69e-6).epsilon(1e-3));
}

TEST_CASE("combine sends 16 bits where dispatch sent 8 and a scale") {
  const auto e = exchange(ExchangeMode::normal, 32, 4096);
  const Wire w = wire(4);
  const double dispatch = dispatch_plan(e, w, bare()).phases.back().bytes;
  const double combine = combine_plan(e, w, bare()).phases.back().bytes;
  CHECK(combine / dispatch == Approx(2.0 * 7168 / 7392));
}

TEST_CASE("closed form and flows agree for dispatch and combine") {
  const Fabric fabric =
      build_fabric(tests::eight_gpus(), 4, tests::network_of(NetworkKind::rail_optimised));
  for (const ExchangeMode mode : {ExchangeMode::normal, ExchangeMode::low_latency})
    for (const int gpus : {8, 32}) {
      const auto e = exchange(mode, gpus, mode == ExchangeMode::normal ? 4096 : 128);
      const Members members = members_of(fabric, 0, gpus / 8, 0, 8);
      for (const Plan& plan :
           {dispatch_plan(e, wire_of(fabric)), combine_plan(e, wire_of(fabric))}) {
        sim::net::Traffic traffic(fabric.topology);
        traffic.submit(schedule(plan, fabric, members), sim::core::Time::zero());
        CHECK(traffic.run().seconds() == Approx(plan.seconds()).epsilon(1e-3));
      }
    }
}

TEST_CASE("fewer SMs move less until the link is full") {
  auto e = exchange(ExchangeMode::normal, 8, 8192);
  const auto seconds = [&](int sms) {
    e.sms = sms;
    return dispatch_plan(e, wire(1)).seconds();
  };
  CHECK(seconds(4) > 1.8 * seconds(8));
  CHECK(seconds(64) == Approx(seconds(128)).epsilon(0.02));
}
