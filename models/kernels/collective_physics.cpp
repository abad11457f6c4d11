#include "models/kernels/collective_physics.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernels/network_part.hpp"
#include "models/kernels/physics.hpp"

namespace foretoken::models::kernels {
namespace {

using Kind = llm::CollectiveKind;

double link_of(const Machine& machine) {
  return machine.scale_up > 0 ? machine.scale_up : machine.pcie;
}

// Bytes that a ring of n moves over each GPU's link, one direction.
double ring_bytes(Kind kind, double bytes, double n) {
  if (kind == Kind::send_recv) return bytes;
  return (kind == Kind::all_reduce ? 2.0 : 1.0) * bytes * (n - 1) / n;
}

double ring_latency(Kind kind, double n, const CollectiveParameters& p) {
  switch (kind) {
    case Kind::all_reduce:
      return p.ring_launch_s + p.ring_per_gpu_s * n;
    case Kind::all_gather:
    case Kind::reduce_scatter:
      return p.half_ring_launch_s + p.half_ring_per_gpu_s * n;
    case Kind::all_to_all:
    case Kind::send_recv:
    case Kind::host_copy:
      return p.exchange_launch_s + p.exchange_per_gpu_s * n;
  }
  return p.ring_launch_s;
}

double ring_seconds(Kind kind, double bytes, double n, const Machine& machine,
                    const CollectiveParameters& p) {
  const double rate = p.wire_efficiency * link_of(machine);
  return ring_latency(kind, n, p) + (rate > 0 ? ring_bytes(kind, bytes, n) / rate : 0);
}

// An engine's own all-reduce: every GPU reads all peers' data (short messages), or reduces its
// share and then gathers (two rounds).
double direct_seconds(double bytes, double n, const Machine& machine,
                      const CollectiveParameters& p) {
  const double rate = p.direct_efficiency * link_of(machine);
  const double launch = p.direct_launch_s + p.direct_per_gpu_s * n;
  if (rate <= 0) return launch;
  const double one = launch + bytes * (n - 1) / rate;
  const double two = launch + p.direct_round_s + p.direct_round_per_gpu_s * n +
                     ring_bytes(Kind::all_reduce, bytes, n) / rate;
  return std::min(one, two);
}

double nodes_of(const llm::CollectiveOp& op, const Machine& machine) {
  if (!op.inter_node && (machine.node_gpus <= 0 || op.gpus <= machine.node_gpus)) return 1.0;
  if (machine.node_gpus <= 0) return op.gpus;
  return std::max(2.0, std::ceil(static_cast<double>(op.gpus) / machine.node_gpus));
}

bool is_exchange(Kind kind) { return kind == Kind::all_to_all || kind == Kind::send_recv; }

// That every GPU sends to other nodes.
double network_bytes(const llm::CollectiveOp& op, double nodes) {
  const double local = std::max(1.0, op.gpus / nodes);
  return ring_bytes(op.kind, is_exchange(op.kind) ? op.bytes : op.bytes / local, nodes);
}

double network_rate(const Machine& machine, const CollectiveParameters& p) {
  return p.network_efficiency * (machine.network > 0 ? machine.network : machine.pcie);
}

// Across nodes: inside each node first, then every GPU's share over its part of the network.
double network_seconds(const llm::CollectiveOp& op, double nodes, const Machine& machine,
                       const CollectiveParameters& p) {
  const double local = std::max(1.0, op.gpus / nodes);
  const bool exchange = is_exchange(op.kind);
  const double rate = network_rate(machine, p);
  const double wire = rate > 0 ? network_bytes(op, nodes) / rate : 0;
  const double inside =
      local > 1 && !exchange ? ring_seconds(op.kind, op.bytes, local, machine, p) : 0.0;
  const double rounds = op.kind == Kind::all_reduce ? 2 * std::log2(nodes) : std::log2(nodes);
  return ring_latency(op.kind, 2, p) + inside + machine.network_latency_s * std::max(1.0, rounds) +
         wire;
}

}  // namespace

double collective_seconds(const llm::CollectiveOp& op, const std::string& variant,
                          const Machine& machine, const CollectiveParameters& p) {
  if (op.gpus <= 1) return 0;
  const double nodes = nodes_of(op, machine);
  if (nodes > 1) return network_seconds(op, nodes, machine, p);
  const double ring = ring_seconds(op.kind, op.bytes, op.gpus, machine, p);
  if (op.kind != Kind::all_reduce || variant == "nccl") return ring;
  double seconds = direct_seconds(op.bytes, op.gpus, machine, p);
  if (op.bytes >= p.direct_most_bytes) seconds = std::min(seconds, ring);
  return variant == "eager" ? std::max(seconds, p.eager_launch_s) : seconds;
}

NetworkPart network_part(const llm::CollectiveOp& op, const Machine& machine,
                         const CollectiveParameters& p) {
  const double rate = network_rate(machine, p);
  const double nodes = op.gpus > 1 ? nodes_of(op, machine) : 1.0;
  if (nodes <= 1.0 || rate <= 0.0) return {};
  const double bytes = network_bytes(op, nodes);
  return {bytes, bytes / rate, bytes / rate};
}

// Reduction inside the switch sends each byte once; nothing sends less.
double least_collective_seconds(const llm::CollectiveOp& op, const Machine& machine) {
  if (op.gpus <= 1) return 0;
  const double n = op.gpus;
  const double bytes = op.kind == Kind::send_recv ? op.bytes : op.bytes * (n - 1) / n;
  const double nodes = nodes_of(op, machine);
  const double rate = link_of(machine);
  double least = rate > 0 && (nodes <= 1 || n > nodes) ? bytes / rate : 0;
  if (nodes > 1 && machine.network > 0) {
    const double local = std::max(1.0, n / nodes);
    least =
        std::max(op.kind == Kind::send_recv ? 0.0 : least,
                 (op.kind == Kind::send_recv ? op.bytes : op.bytes / local * (nodes - 1) / nodes) /
                     machine.network);
  }
  return least;
}

}  // namespace foretoken::models::kernels
