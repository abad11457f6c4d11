#include "models/kernels/exchange_physics.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernels/network_part.hpp"
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

// What goes on side by side in an exchange, and what comes before it.
struct Parts {
  double launch = 0, linked = 0, networked = 0, copied = 0;
  double network_bytes = 0;
  [[nodiscard]] double seconds(double sharpness, double slower_network = 1.0) const {
    const auto power = [&](double x) { return std::pow(x, sharpness); };
    return launch + std::pow(power(linked) + power(slower_network * networked) + power(copied),
                             1 / sharpness);
  }
};

Parts parts_of(const llm::ExpertExchangeOp& op, const Machine& machine,
               const ExchangeParameters& p) {
  const llm::ExchangeTraffic traffic = llm::exchange_traffic(op, machine.node_gpus);
  const Wires wires = wires_of(op, traffic, machine);
  const double slower = kReferenceClock / machine.clock;
  Parts parts;
  parts.launch = op.low_latency ? p.low_latency_launch_s + p.low_latency_expert_s * op.experts
                                : p.normal_launch_s;
  if (wires.nodes > 1) parts.launch += 2 * machine.network_latency_s;
  const double efficiency =
      op.low_latency ? p.low_latency_wire_efficiency : p.normal_wire_efficiency;
  const double link = link_of(machine), network = network_of(machine);
  parts.linked = link > 0 ? wires.link_bytes / (efficiency * link) : 0;
  parts.network_bytes = wires.network_bytes;
  parts.networked = network > 0 ? wires.network_bytes / (p.network_efficiency * network) : 0;
  parts.copied = op.low_latency
                     ? 0
                     : traffic.messages * slower / std::max(1, op.sms) *
                           (p.normal_message_s + traffic.message_bytes * p.normal_sm_byte_s);
  return parts;
}

}  // namespace

double exchange_seconds(const llm::ExpertExchangeOp& op, const Machine& machine,
                        const ExchangeParameters& p) {
  return op.tokens > 0 ? parts_of(op, machine, p).seconds(p.sharpness) : 0;
}

NetworkPart network_part(const llm::ExpertExchangeOp& op, const Machine& machine,
                         const ExchangeParameters& p) {
  if (op.tokens <= 0) return {};
  const Parts parts = parts_of(op, machine, p);
  if (parts.networked <= 0) return {};
  return {parts.network_bytes, parts.networked,
          parts.seconds(p.sharpness, 2.0) - parts.seconds(p.sharpness)};
}

NetworkPart network_part(const llm::OperatorShape& shape, const Machine& machine,
                         const PhysicalParameters& parameters) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return network_part(*op, machine, parameters.collective);
  if (const auto* op = std::get_if<llm::ExpertExchangeOp>(&shape))
    return network_part(*op, machine, parameters.exchange);
  return {};
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
