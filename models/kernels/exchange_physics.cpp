#include "models/kernels/exchange_physics.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernels/physics.hpp"

namespace foretoken::models::kernels {
namespace {

constexpr double kReferenceClock = 1.755e9;  // Hz; times of one SM are quoted at it

struct Wires {
  double link_bytes = 0;     // that leave one GPU over the link inside its node
  double network_bytes = 0;  // that leave it over its share of the network
  double nodes = 1;
};

double link_of(const Machine& machine) {
  return machine.scale_up > 0 ? machine.scale_up : machine.pcie;
}
double network_of(const Machine& machine) {
  return machine.network > 0 ? machine.network : machine.pcie;
}

Wires wires_of(const llm::ExpertExchangeOp& op, const llm::ExchangeTraffic& traffic,
               const Machine& machine) {
  Wires wires;
  const double ranks = op.ranks;
  const double local = machine.node_gpus > 0 ? std::min<double>(machine.node_gpus, ranks) : ranks;
  wires.nodes = std::max(1.0, std::ceil(ranks / local));
  const double bytes = traffic.messages * traffic.message_bytes;
  if (op.low_latency) {
    // Straight to its rank: over the link inside the node, over the network elsewhere.
    wires.link_bytes = bytes * (local - 1) / ranks;
    wires.network_bytes = bytes * (ranks - local) / ranks;
  } else {
    // Over the network once to each node (to the GPU of the same place), from there by the link.
    wires.link_bytes = bytes * (local - 1) / local;
    wires.network_bytes =
        traffic.node_messages * traffic.message_bytes * (wires.nodes - 1) / wires.nodes;
  }
  return wires;
}

}  // namespace

double exchange_seconds(const llm::ExpertExchangeOp& op, const Machine& machine,
                        const ExchangeParameters& p) {
  if (op.tokens <= 0) return 0;
  const llm::ExchangeTraffic traffic = llm::exchange_traffic(op, machine.node_gpus);
  const Wires wires = wires_of(op, traffic, machine);
  const double slower = kReferenceClock / machine.clock;
  double launch = op.low_latency ? p.low_latency_launch_s + p.low_latency_expert_s * op.experts
                                 : p.normal_launch_s;
  if (wires.nodes > 1) launch += 2 * machine.network_latency_s;
  const double efficiency =
      op.low_latency ? p.low_latency_wire_efficiency : p.normal_wire_efficiency;
  const double link = link_of(machine), network = network_of(machine);
  const double linked = link > 0 ? wires.link_bytes / (efficiency * link) : 0;
  const double networked = network > 0 ? wires.network_bytes / (p.network_efficiency * network) : 0;
  const double copied = op.low_latency
                            ? 0
                            : traffic.messages * slower / std::max(1, op.sms) *
                                  (p.normal_message_s + traffic.message_bytes * p.normal_sm_byte_s);
  const auto power = [&](double x) { return std::pow(x, p.sharpness); };
  return launch + std::pow(power(linked) + power(networked) + power(copied), 1 / p.sharpness);
}

double least_exchange_seconds(const llm::ExpertExchangeOp& op, const Machine& machine) {
  const llm::ExchangeTraffic traffic = llm::exchange_traffic(op, machine.node_gpus);
  const Wires wires = wires_of(op, traffic, machine);
  const double link = link_of(machine);
  // A benchmark may route by chance to fewer ranks than expected: half of them is safe.
  constexpr double kLucky = 0.5;
  double least = link > 0 ? kLucky * wires.link_bytes / link : 0;
  if (wires.nodes > 1 && machine.network > 0)
    least = std::max(least, kLucky * wires.network_bytes / machine.network);
  return least;
}

}  // namespace foretoken::models::kernels
