#include "models/collective/transfer.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::collective {

Plan transfer_plan(const BulkTransfer& transfer, const Wire& wire, const TransferParameters& p) {
  const int lanes = std::min(transfer.senders, transfer.receivers);
  SIM_ASSERT(lanes >= 1 && transfer.messages >= 1.0, "a transfer has senders and messages");
  Plan plan;
  plan.algorithm = Algorithm::flat;
  plan.launch_s = p.launch_s + p.message_s * (transfer.messages - 1.0);
  Phase phase;
  phase.pattern = Pattern::single;
  phase.bytes = transfer.bytes / lanes;
  if (transfer.same_node) {
    phase.level = Level::scale_up;
    phase.rate = wire.scale_up == ScaleUp::nvswitch ? wire.scale_up_rate : wire.pcie_rate;
    phase.efficiency = p.scale_up_efficiency;
    phase.latency_s = wire.scale_up_latency_s;
  } else {
    if (wire.nics < 1 || !(wire.nic_rate > 0))
      throw sim::core::InputError("a transfer between nodes needs a NIC in each of them");
    phase.level = Level::network;
    // Lanes on one node share its NICs once there are more of them than NICs.
    const double share =
        std::min(1.0, static_cast<double>(wire.nics) / std::min(lanes, wire.node_gpus));
    phase.rate = wire.nic_rate * share;
    phase.efficiency = p.rdma_efficiency;
    phase.latency_s = wire.network_latency_s;
  }
  plan.phases.push_back(phase);
  return plan;
}

sim::net::Job transfer_job(const BulkTransfer& transfer, const Plan& plan, const Fabric& fabric,
                           const std::vector<NodeId>& from, const std::vector<NodeId>& to) {
  const std::size_t most = std::max(from.size(), to.size());
  if (from.empty() || to.empty() || most % from.size() != 0 || most % to.size() != 0)
    throw sim::core::InputError("a transfer from " + std::to_string(from.size()) + " to " +
                                std::to_string(to.size()) +
                                " endpoints: one number must divide the other");
  sim::net::Job job;
  job.route = fabric.network.kind == NetworkKind::fat_tree ? sim::net::RoutePolicy::ecmp
                                                           : sim::net::RoutePolicy::rail_aligned;
  sim::net::Stage stage;
  stage.delay = Duration::from_seconds(plan.launch_s + plan.latency_s());
  const double efficiency = plan.phases.front().efficiency;
  for (std::size_t i = 0; i < most; ++i)
    stage.transfers.push_back({from[i * from.size() / most], to[i * to.size() / most],
                               transfer.bytes / static_cast<double>(most) / efficiency,
                               sim::net::kNoCap, 0.0, sim::net::LimitId{}});
  job.stages.push_back(std::move(stage));
  return job;
}

}  // namespace foretoken::models::collective
