#include "models/collective/transfer.hpp"

#include <catch2/catch.hpp>

#include "cards.hpp"
#include "sim/core/error.hpp"

using namespace foretoken;
using namespace foretoken::models::collective;

TEST_CASE("a KV cache moves over as many rails as both sides have") {
  // 800 MB from eight GPUs to eight: 100 MB each at 0.5 x 50 GB/s = 4 ms. From eight to two: 400 MB
  // into each: 16 ms. 10 us to begin, 7 us on the way.
  const Fabric fabric =
      build_fabric(tests::eight_gpus(), 2, tests::network_of(NetworkKind::rail_optimised));
  const Wire wire = wire_of(fabric);
  TransferParameters p;
  p.rdma_efficiency = 0.5;
  const std::vector<NodeId> from(fabric.gpus.begin(), fabric.gpus.begin() + 8);
  for (const auto& [receivers, wire_s] :
       std::initializer_list<std::pair<int, double>>{{8, 4e-3}, {2, 16e-3}}) {
    const BulkTransfer kv{800e6, 8, receivers, false, 1.0};
    const Plan plan = transfer_plan(kv, wire, p);
    CHECK(plan.seconds() == Approx(17e-6 + wire_s));
    const std::vector<NodeId> to(fabric.gpus.begin() + 8, fabric.gpus.begin() + 8 + receivers);
    sim::net::Traffic traffic(fabric.topology);
    traffic.submit(transfer_job(kv, plan, fabric, from, to), sim::core::Time::zero());
    CHECK(traffic.run().seconds() == Approx(plan.seconds()).epsilon(1e-3));
  }
}

TEST_CASE("inside a node a transfer takes NVLink; numbers of endpoints must divide") {
  const Fabric fabric = build_fabric(tests::eight_gpus(), 1, tests::network_of(NetworkKind::none));
  const Wire wire = wire_of(fabric);
  // 400 MB at 0.79 x 400 GB/s = 1.266 ms.
  const BulkTransfer kv{400e6, 1, 1, true, 3.0};
  const Plan plan = transfer_plan(kv, wire);
  CHECK(plan.seconds() == Approx(400e6 / (0.79 * 400e9) + 10e-6 + 2e-6 + 1e-6));
  CHECK_THROWS_WITH(transfer_job(kv, plan, fabric, {fabric.gpu(0, 0), fabric.gpu(0, 1)},
                                 {fabric.gpu(0, 2), fabric.gpu(0, 3), fabric.gpu(0, 4)}),
                    Catch::Contains("must divide"));
  BulkTransfer far = kv;
  far.same_node = false;
  Wire alone = wire;
  alone.nics = 0;
  CHECK_THROWS_WITH(transfer_plan(far, alone), Catch::Contains("needs a NIC"));
}
