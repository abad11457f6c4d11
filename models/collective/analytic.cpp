#include "models/collective/analytic.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/collective/tree.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::collective {

namespace {

std::size_t index(Protocol protocol) { return static_cast<std::size_t>(protocol); }

// Builds the plan of one call; knows what rates its GPUs have.
class Planner {
 public:
  Planner(const Call& call, const Wire& wire, Protocol protocol, const Parameters& parameters)
      : call_(call),
        wire_(wire),
        p_(parameters),
        protocol_(protocol),
        n_(call.group.gpus),
        nodes_(call.group.nodes),
        local_(call.group.local()) {
    plan_.protocol = protocol;
    plan_.launch_s = p_.launch_s[index(protocol)];
  }

  std::optional<Plan> make(Algorithm algorithm) {
    plan_.algorithm = algorithm;
    const bool possible =
        call_.operation == Operation::all_reduce ? all_reduce(algorithm) : other(algorithm);
    if (!possible) return std::nullopt;
    std::erase_if(plan_.phases, [](const Phase& phase) { return phase.bytes <= 0; });
    return std::move(plan_);
  }

 private:
  bool all_reduce(Algorithm algorithm) {
    const double bytes = call_.bytes;
    switch (algorithm) {
      case Algorithm::ring:
        ring(2.0 * bytes * (n_ - 1) / n_, 2);
        return true;
      case Algorithm::tree:
        if (nodes_ < 2) return false;
        // Up and down: every GPU of the chain inside passes all of it both ways.
        inside(Pattern::chain, 2.0 * bytes, 2.0 * (local_ - 1)).efficiency *= p_.tree_efficiency;
        tree(bytes);
        return true;
      case Algorithm::nvls:
        if (!wire_.in_switch_reduction || local_ < 3 || protocol_ != Protocol::simple) return false;
        nvls(bytes);
        if (nodes_ > 1) tree(bytes);
        return true;
      case Algorithm::one_shot:
      case Algorithm::two_shot:
        return direct(algorithm == Algorithm::one_shot, bytes);
      case Algorithm::hierarchical:
        if (nodes_ < 2) return false;
        inside(Pattern::ring, bytes * (local_ - 1) / local_, local_ - 1);
        network(Pattern::ring, 2.0 * bytes / local_ * (nodes_ - 1) / nodes_, 2.0 * (nodes_ - 1));
        inside(Pattern::ring, bytes * (local_ - 1) / local_, local_ - 1);
        return true;
      case Algorithm::automatic:
      case Algorithm::flat:
        return false;
    }
    return false;
  }

  bool other(Algorithm algorithm) {
    const double bytes = call_.bytes;
    switch (call_.operation) {
      case Operation::all_gather:
      case Operation::reduce_scatter:
        if (algorithm != Algorithm::ring) return false;
        ring(bytes * (n_ - 1) / n_, 1);
        return true;
      case Operation::broadcast:
        if (algorithm != Algorithm::ring) return false;
        inside(Pattern::chain, bytes, n_ - nodes_);
        network(Pattern::chain, bytes / local_, nodes_ - 1, true);
        return true;
      case Operation::all_to_all:
        return exchange(algorithm);
      case Operation::send_recv:
        if (algorithm != Algorithm::flat || protocol_ == Protocol::ll128) return false;
        if (nodes_ > 1)
          network(Pattern::single, bytes, 1);
        else
          inside(Pattern::single, bytes, 1);
        return true;
      case Operation::all_reduce:
        return false;
    }
    return false;
  }

  // One ring through all GPUs, `rounds` times around less one step. Where several GPUs of a node
  // take part, the library runs one ring for each NIC: the node's traffic is spread over them.
  void ring(double bytes, int rounds) {
    const double intra = rounds * (n_ - nodes_), inter = rounds * (nodes_ - 1);
    inside(Pattern::ring, bytes, intra);
    if (nodes_ < 2) return;
    network(Pattern::ring, bytes / local_, inter, true);
    // The ring's steps follow each other, whichever link they are on: one latency for both.
    double latency = 0.0;
    for (Phase& phase : plan_.phases) latency += std::exchange(phase.latency_s, 0.0);
    plan_.phases.back().latency_s = latency;
  }

  void tree(double bytes) {
    const bool first = plan_.phases.empty();
    Phase& phase = network(Pattern::tree, bytes * tree_share(nodes_) / local_,
                           2.0 * tree_depth(nodes_), !first);
    phase.efficiency *= p_.tree_efficiency;
    if (first) return;
    Phase& chain = plan_.phases.front();
    phase.latency_s += std::exchange(chain.latency_s, 0.0);
  }

  // Read through the switch, which adds; write what a GPU owns to the switch, which multicasts.
  void nvls(double bytes) {
    Phase& phase = inside(Pattern::through_switch, bytes * (1.0 + 1.0 / local_), 2);
    phase.efficiency = p_.nvls_efficiency;
    plan_.launch_s = p_.nvls_launch_s;
  }

  bool direct(bool one_shot, double bytes) {
    if (nodes_ > 1 || protocol_ != Protocol::simple) return false;
    plan_.launch_s = p_.direct_launch_s + p_.direct_per_gpu_s * n_;
    const double share = one_shot ? bytes * (n_ - 1) : bytes * (n_ - 1) / n_;
    for (int round = 0; round < (one_shot ? 1 : 2); ++round) {
      Phase& phase = inside(Pattern::pairs, share, 1);
      phase.efficiency = p_.direct_efficiency;
      phase.latency_s = round * (p_.direct_round_s + p_.direct_per_gpu_s * n_);
    }
    return true;
  }

  bool exchange(Algorithm algorithm) {
    const double bytes = call_.bytes;
    if (protocol_ == Protocol::ll128) return false;
    if (algorithm == Algorithm::flat) {
      inside(Pattern::pairs, bytes * (local_ - 1) / n_, 1).latency_s += p_.peer_s * n_;
      if (nodes_ > 1)
        network(Pattern::pairs, bytes * (n_ - local_) / n_, 1, true).latency_s += p_.peer_s * n_;
      return true;
    }
    if (algorithm != Algorithm::hierarchical || nodes_ < 2) return false;
    inside(Pattern::pairs, bytes * (local_ - 1) / local_, 1).latency_s += p_.peer_s * local_;
    network(Pattern::rail_pairs, bytes * (nodes_ - 1) / nodes_, 1, true).latency_s +=
        p_.peer_s * nodes_;
    return true;
  }

  Phase& inside(Pattern pattern, double bytes, double steps) {
    const bool linked = wire_.scale_up == ScaleUp::nvswitch ||
                        (wire_.scale_up == ScaleUp::nvlink_pairs && local_ <= 2);
    Phase phase;
    phase.level = Level::scale_up;
    phase.pattern = pattern;
    phase.bytes = local_ > 1 ? bytes : 0.0;
    phase.steps = steps;
    phase.rate = linked ? wire_.scale_up_rate : wire_.pcie_rate;
    phase.efficiency = p_.scale_up_efficiency[index(protocol_)] / p_.scale_up_efficiency[2] *
                       (linked ? p_.scale_up_efficiency[2] : p_.pcie_efficiency);
    phase.latency_s = steps * (wire_.scale_up_latency_s + p_.scale_up_step_s[index(protocol_)]);
    plan_.phases.push_back(phase);
    return plan_.phases.back();
  }

  Phase& network(Pattern pattern, double bytes, double steps, bool overlapped = false) {
    const bool all_pairs = pattern == Pattern::pairs || pattern == Pattern::rail_pairs;
    const bool layers = wire_.pod_nodes > 0 && nodes_ > wire_.pod_nodes;
    Phase phase;
    phase.level = Level::network;
    phase.pattern = pattern;
    phase.bytes = bytes;
    phase.steps = steps;
    phase.rate = network_rate();
    if (all_pairs && layers) {
      // Of what goes to other nodes, the share that leaves the pod has less bandwidth.
      const double leaves = static_cast<double>(nodes_ - wire_.pod_nodes) / (nodes_ - 1);
      phase.rate /= std::max(1.0, leaves * wire_.oversubscription);
    }
    phase.efficiency = p_.network_efficiency[index(protocol_)];
    phase.overlapped = overlapped && !plan_.phases.empty();
    phase.latency_s = steps * (wire_.network_latency_s + (layers ? wire_.hop_latency_s : 0.0) +
                               p_.network_step_s[index(protocol_)]);
    plan_.phases.push_back(phase);
    return plan_.phases.back();
  }

  // Of one GPU: the NICs next to the GPUs that take part, shared by the groups at work.
  [[nodiscard]] double network_rate() const {
    const int groups =
        call_.concurrent > 0 ? call_.concurrent : std::max(1, wire_.node_gpus / local_);
    const int busy = std::min(wire_.node_gpus, groups * local_);
    const int nics = (busy * wire_.nics + wire_.node_gpus - 1) / wire_.node_gpus;
    return nics * wire_.nic_rate / std::max(groups * local_, 1);
  }

  const Call& call_;
  const Wire& wire_;
  const Parameters& p_;
  Protocol protocol_;
  int n_, nodes_, local_;
  Plan plan_;
};

std::vector<Algorithm> considered(Operation operation) {
  switch (operation) {
    case Operation::all_reduce:
      return {Algorithm::ring, Algorithm::tree, Algorithm::nvls};
    case Operation::all_gather:
    case Operation::reduce_scatter:
    case Operation::broadcast:
      return {Algorithm::ring};
    case Operation::all_to_all:
      return {Algorithm::flat, Algorithm::hierarchical};
    case Operation::send_recv:
      return {Algorithm::flat};
  }
  return {};
}

void check(const Call& call, const Wire& wire) {
  const Group& group = call.group;
  const auto say = [&](const std::string& text) {
    throw sim::core::InputError("collective " + std::string(to_string(call.operation)) + ": " +
                                text);
  };
  if (group.gpus < 1 || group.nodes < 1 || group.gpus % group.nodes != 0)
    say("a group of " + std::to_string(group.gpus) + " GPUs does not spread evenly over " +
        std::to_string(group.nodes) + " nodes");
  if (group.local() > wire.node_gpus)
    say("layout larger than the fabric: " + std::to_string(group.local()) +
        " GPUs of the group in one node of " + std::to_string(wire.node_gpus));
  if (group.nodes > 1 && (wire.nics < 1 || !(wire.nic_rate > 0)))
    say("the group spans " + std::to_string(group.nodes) + " nodes that no NIC joins");
}

}  // namespace

double Plan::latency_s() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < phases.size();) {
    double most = phases[i].latency_s;
    for (++i; i < phases.size() && phases[i].overlapped; ++i)
      most = std::max(most, phases[i].latency_s);
    sum += most;
  }
  return sum;
}

double Plan::wire_s() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < phases.size();) {
    double most = phases[i].seconds();
    for (++i; i < phases.size() && phases[i].overlapped; ++i)
      most = std::max(most, phases[i].seconds());
    sum += most;
  }
  return sum;
}

double bus_factor(Operation operation, int gpus) {
  const double n = gpus;
  switch (operation) {
    case Operation::all_reduce:
      return 2.0 * (n - 1) / n;
    case Operation::all_gather:
    case Operation::reduce_scatter:
    case Operation::all_to_all:
      return (n - 1) / n;
    case Operation::broadcast:
    case Operation::send_recv:
      return 1.0;
  }
  return 1.0;
}

std::optional<Plan> plan(const Call& call, const Wire& wire, Algorithm algorithm, Protocol protocol,
                         const Parameters& parameters) {
  return Planner(call, wire, protocol, parameters).make(algorithm);
}

Price price(const Call& call, const Wire& wire, const Parameters& parameters) {
  check(call, wire);
  Price best;
  if (call.group.gpus < 2 || call.bytes <= 0) return best;
  const std::vector<Algorithm> algorithms = call.algorithm == Algorithm::automatic
                                                ? considered(call.operation)
                                                : std::vector<Algorithm>{call.algorithm};
  for (const Algorithm algorithm : algorithms)
    for (const Protocol protocol : {Protocol::ll, Protocol::ll128, Protocol::simple}) {
      const auto made = plan(call, wire, algorithm, protocol, parameters);
      if (!made || (best.seconds > 0 && made->seconds() >= best.seconds)) continue;
      best.seconds = made->seconds();
      best.plan = *made;
    }
  if (!(best.seconds > 0))
    throw sim::core::InputError("collective " + std::string(to_string(call.operation)) + ": " +
                                std::string(to_string(call.algorithm)) +
                                " cannot run it on this group and fabric");
  best.wire_s = best.plan.wire_s();
  best.algbw = call.bytes / best.seconds;
  best.busbw = best.algbw * bus_factor(call.operation, call.group.gpus);
  for (const Phase& phase : best.plan.phases)
    (phase.level == Level::network ? best.network_bytes : best.scale_up_bytes) += phase.bytes;
  return best;
}

double least_seconds(const Call& call, const Wire& wire) {
  const double n = call.group.gpus, nodes = call.group.nodes, local = call.group.local();
  if (n < 2) return 0.0;
  const bool whole =
      call.operation == Operation::send_recv || call.operation == Operation::broadcast;
  const double rate = std::max(wire.scale_up_rate, wire.pcie_rate);
  if (nodes < 2) return call.bytes * (whole ? 1.0 : (n - 1) / n) / rate;
  // Into a node, over all its NICs: the parts that other nodes hold.
  const double sent = call.operation == Operation::all_to_all ? call.bytes * local : call.bytes;
  return sent * (whole ? 1.0 : (nodes - 1) / nodes) / (wire.nics * wire.nic_rate);
}

}  // namespace foretoken::models::collective
