// Every request is accounted for, whatever breaks when.
#include <rapidcheck.h>

#include <catch2/catch.hpp>

#include "models/serving/router.hpp"
#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;

namespace {

Duration tenths(int low, int high) {
  return Duration::from_seconds(0.1 * *rc::gen::inRange(low, high));
}

FaultEvent random_fault(int pools) {
  FaultEvent event;
  event.kind =
      *rc::gen::element(FaultKind::gpu, FaultKind::node, FaultKind::link, FaultKind::straggler,
                        FaultKind::leaf_switch, FaultKind::storage, FaultKind::router);
  event.pool = *rc::gen::inRange(0, pools);
  event.unit = *rc::gen::inRange(0, 4);
  event.at = tenths(0, 60);
  event.lasts = tenths(0, 30);
  event.slowdown = *rc::gen::element(1.5, 4.0);
  return event;
}

ServingSpec random_cluster() {
  ServingSpec spec = small_spec(*rc::gen::inRange(4, 40), *rc::gen::inRange(1, 8));
  DeploymentSpec& d = spec.deployment;
  d.replicas = *rc::gen::inRange(1, 5);
  d.router = std::string(
      router_policies()[*rc::gen::inRange<std::size_t>(0, router_policies().size())].name);
  d.router_load_age = tenths(0, 3);
  d.engine.overlap_schedule = *rc::gen::arbitrary<bool>();
  d.engine.poll_steps = *rc::gen::element(1, 1, 4);
  if (*rc::gen::inRange(0, 3) == 0) {
    d.model.layers = 1;
    d.model.attention = {.heads = 1, .kv_heads = 1, .head_dim = 1, .mla = {}, .sparse = {}};
    d.node.nics = 8;
    d.node.nic_bandwidth = foretoken::models::hardware::BytesPerSecond(1e3);
    auto& network = spec.cluster.network.emplace();
    network.flows = *rc::gen::arbitrary<bool>();
    network.shape.kind = foretoken::models::collective::NetworkKind::single_switch;
    network.shape.storage_nodes = *rc::gen::inRange(0, 2);
  }
  if (*rc::gen::arbitrary<bool>()) {
    d.role = PoolRole::prefill;
    spec.pools.push_back(d);
    spec.pools[0].role = PoolRole::decode;
    spec.pools[0].replicas = *rc::gen::inRange(1, 4);
    spec.cluster.transfer = {*rc::gen::element(0.0, 1e4), *rc::gen::element(0.0, 0.01)};
  }
  if (*rc::gen::inRange(0, 3) == 0)
    d.schedule = {{Duration(), d.replicas}, {tenths(5, 20), 0}, {tenths(20, 40), d.replicas}};
  else if (*rc::gen::inRange(0, 3) == 0)
    d.autoscale = {1, *rc::gen::element(0.5, 3.0), tenths(1, 4), tenths(0, 5), tenths(0, 5)};
  const int pools = 1 + static_cast<int>(spec.pools.size());
  const int faults = *rc::gen::inRange(0, 8);
  for (int i = 0; i < faults; ++i) spec.cluster.faults.events.push_back(random_fault(pools));
  spec.cluster.faults.nodes_per_switch = *rc::gen::inRange(1, 4);
  spec.cluster.faults.detection = tenths(0, 4);
  spec.cluster.rules.retries = *rc::gen::inRange(0, 4);
  spec.cluster.rules.retry_delay = tenths(0, 6);
  if (*rc::gen::arbitrary<bool>()) spec.cluster.rules.timeout = tenths(1, 30);
  if (*rc::gen::arbitrary<bool>()) spec.cluster.rules.most_open_per_replica = 5;
  spec.cluster.remote.share = *rc::gen::element(0.0, 0.2);
  spec.cluster.remote.overflow = *rc::gen::arbitrary<bool>();
  spec.cluster.cached_input = *rc::gen::element(0.0, 0.6);
  spec.seed = *rc::gen::arbitrary<std::uint64_t>();
  if (*rc::gen::arbitrary<bool>())
    spec.workload.arrivals = ClosedLoopArrivals{*rc::gen::inRange(1, 20)};
  else
    spec.workload.arrivals = PoissonArrivals{*rc::gen::element(3.0, 20.0)};
  spec.workload.input = {0.1, *rc::gen::inRange(1, 60)};
  spec.workload.output = {0.1, *rc::gen::inRange(1, 60)};
  spec.workload.requests = *rc::gen::inRange(1, 80);
  return spec;
}

}  // namespace

TEST_CASE("Completed, rejected, timed out or failed: every request, each with its reason") {
  CHECK(rc::check("conservation over fault schedules", [] {
    const ServingSpec spec = random_cluster();
    const auto r = simulate_with(spec, LinearTimer(0.01, 0.001, 0.001, 1e-6), blocks(60), {});
    for (const std::string& error : r.conservation_errors) RC_FAIL(error);
    RC_ASSERT(r.arrived == *spec.workload.requests);
    RC_ASSERT(r.completed + r.rejected + r.timed_out + r.failed == r.arrived);
    RC_ASSERT(r.unfinished == 0);
    std::int64_t with_reason = 0;
    for (const auto& [reason, count] : r.reasons) with_reason += count;
    RC_ASSERT(with_reason == r.arrived - r.completed);
    for (std::size_t i = 0; i < r.requests.size(); ++i)
      RC_ASSERT((r.requests.outcome[i] == RequestOutcome::completed) ==
                (r.requests.reason[i] == RequestReason::none));
  }));
}

TEST_CASE("Decode runs and stepping agree through failures and hand-overs") {
  CHECK(rc::check("runs against steps", [] {
    ServingSpec spec = random_cluster();
    const LinearTimer timer(0.01, 0.001, 0.001, 1e-6);
    const auto runs = simulate_with(spec, timer, blocks(60), {});
    spec.decode_runs = false;
    const auto steps = simulate_with(spec, timer, blocks(60), {});
    RC_ASSERT(runs.completed == steps.completed);
    RC_ASSERT(runs.requests.outcome == steps.requests.outcome);
    for (std::size_t i = 0; i < runs.requests.size(); ++i)
      if (runs.requests.outcome[i] == RequestOutcome::completed)
        RC_ASSERT(runs.requests.last_token_s[i] == steps.requests.last_token_s[i]);
  }));
}
