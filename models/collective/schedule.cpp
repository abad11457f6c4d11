#include "models/collective/schedule.hpp"

#include <algorithm>
#include <map>

#include "models/collective/tree.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::collective {

using sim::net::Job;
using sim::net::RoutePolicy;
using sim::net::Stage;

namespace {

// Adds the transfers of one phase to a stage.
class Writer {
 public:
  Writer(const Members& members, Stage& stage) : members_(members), stage_(stage) {}

  void write(const Phase& phase) {
    bytes_ = phase.bytes / phase.efficiency;
    cap_per_byte_ = phase.cap / phase.bytes;
    if (phase.level == Level::scale_up)
      inside(phase.pattern);
    else
      between(phase.pattern);
  }

 private:
  [[nodiscard]] int nodes() const { return members_.group.nodes; }
  [[nodiscard]] int local() const { return members_.group.local(); }
  [[nodiscard]] NodeId gpu(int node, int rank) const {
    return members_.gpus[static_cast<std::size_t>(node * local() + rank)];
  }
  void send(NodeId from, NodeId to, double bytes, std::uint32_t bundle = 0) {
    // A GPU's own limit is split over its transfers as its bytes are.
    stage_.transfers.push_back({from, to, bytes, cap_per_byte_ * bytes, 0.0, {}, bundle});
  }
  // A GPU sends to all its peers in turns, a chunk to each: they progress together.
  void next_bundle() { ++bundle_; }

  void inside(Pattern pattern) {
    const int n = local();
    if (n < 2) return;
    for (int node = 0; node < nodes(); ++node) {
      if (pattern == Pattern::single) return send(gpu(0, 0), gpu(0, n - 1), bytes_);
      for (int g = 0; g < n; ++g) {
        if (pattern == Pattern::pairs) {
          next_bundle();
          for (int to = 0; to < n; ++to)
            if (to != g) send(gpu(node, g), gpu(node, to), bytes_ / (n - 1), bundle_);
        } else if (pattern != Pattern::chain || g + 1 < n) {
          // Through the switch and back loads the same two links as a ring does.
          send(gpu(node, g), gpu(node, (g + 1) % n), bytes_);
        }
      }
    }
  }

  void between(Pattern pattern) {
    switch (pattern) {
      case Pattern::single:
        return send(members_.gpus.front(), members_.gpus.back(), bytes_);
      case Pattern::ring:
      case Pattern::chain:
      case Pattern::through_switch:
        for (int node = 0; node + (pattern == Pattern::chain ? 1 : 0) < nodes(); ++node)
          for (int g = 0; g < local(); ++g)
            send(gpu(node, g), gpu((node + 1) % nodes(), g), bytes_);
        return;
      case Pattern::rail_pairs:
        for (int from = 0; from < nodes(); ++from)
          for (int g = 0; g < local(); ++g) {
            next_bundle();
            for (int to = 0; to < nodes(); ++to)
              if (to != from) send(gpu(from, g), gpu(to, g), bytes_ / (nodes() - 1), bundle_);
          }
        return;
      case Pattern::pairs:
        return all_pairs();
      case Pattern::tree:
        return tree();
    }
  }

  void all_pairs() {
    const int remote = (nodes() - 1) * local();
    for (int from = 0; from < nodes(); ++from)
      for (int a = 0; a < local(); ++a) {
        next_bundle();
        for (int to = 0; to < nodes(); ++to)
          for (int b = 0; b < local() && from != to; ++b)
            send(gpu(from, a), gpu(to, b), bytes_ / remote, bundle_);
      }
  }

  // Up and down, in both trees: a link carries half of the message each way.
  void tree() {
    const int last = nodes() - 1;
    const double half = bytes_ / tree_share(nodes()) / 2.0;
    for (int node = 1; node < nodes(); ++node) {
      const int parent = tree_parent(node);
      for (int g = 0; g < local(); ++g) {
        send(gpu(node, g), gpu(parent, g), half);
        send(gpu(parent, g), gpu(node, g), half);
        send(gpu(last - node, g), gpu(last - parent, g), half);
        send(gpu(last - parent, g), gpu(last - node, g), half);
      }
    }
  }

  const Members& members_;
  Stage& stage_;
  double bytes_ = 0.0;         // on the link, of one GPU
  double cap_per_byte_ = 0.0;  // 1/s
  std::uint32_t bundle_ = 0;
};

}  // namespace

Members members_of(const Fabric& fabric, int first_node, int nodes, int first_gpu, int local) {
  if (first_node < 0 || nodes < 1 || first_node + nodes > fabric.servers || first_gpu < 0 ||
      local < 1 || first_gpu + local > fabric.server.gpus)
    throw sim::core::InputError("layout larger than the fabric: GPUs " + std::to_string(first_gpu) +
                                " to " + std::to_string(first_gpu + local - 1) + " of nodes " +
                                std::to_string(first_node) + " to " +
                                std::to_string(first_node + nodes - 1) + ", but there are " +
                                std::to_string(fabric.servers) + " nodes of " +
                                std::to_string(fabric.server.gpus) + " GPUs");
  Members members;
  members.group = {nodes * local, nodes};
  for (int node = first_node; node < first_node + nodes; ++node)
    for (int g = first_gpu; g < first_gpu + local; ++g) members.gpus.push_back(fabric.gpu(node, g));
  return members;
}

Members members_of(const Fabric& fabric, std::vector<NodeId> gpus) {
  std::map<NodeId, int> rank;  // in the fabric's order, which is by server
  for (std::size_t i = 0; i < fabric.gpus.size(); ++i) rank[fabric.gpus[i]] = static_cast<int>(i);
  std::vector<int> count(static_cast<std::size_t>(fabric.servers), 0);
  for (const NodeId gpu : gpus) {
    SIM_ASSERT(rank.contains(gpu), "a group is made of GPUs of its fabric");
    ++count[static_cast<std::size_t>(rank[gpu] / fabric.server.gpus)];
  }
  std::sort(gpus.begin(), gpus.end(), [&](NodeId a, NodeId b) { return rank[a] < rank[b]; });
  int nodes = 0;
  const int most = *std::max_element(count.begin(), count.end());
  for (int node = 0; node < fabric.servers; ++node) {
    const int here = count[static_cast<std::size_t>(node)];
    if (here == 0) continue;
    ++nodes;
    if (here != most)
      throw sim::core::InputError("a group needs as many GPUs on each of its nodes; node" +
                                  std::to_string(node) + " has " + std::to_string(here) +
                                  " where another has " + std::to_string(most));
  }
  return {std::move(gpus), {nodes * most, nodes}};
}

Job schedule(const Plan& plan, const Fabric& fabric, const Members& members) {
  Job job;
  // Where rails do not meet, a transfer changes rail inside the node.
  const NetworkKind kind = fabric.network.kind;
  job.route = kind == NetworkKind::rail_optimised || kind == NetworkKind::rail_only ||
                      kind == NetworkKind::planes
                  ? RoutePolicy::rail_aligned
                  : RoutePolicy::ecmp;
  double launch = plan.launch_s;
  for (std::size_t i = 0; i < plan.phases.size();) {
    Stage stage;
    Writer writer(members, stage);
    double latency = 0.0;
    do {
      writer.write(plan.phases[i]);
      latency = std::max(latency, plan.phases[i].latency_s);
      ++i;
    } while (i < plan.phases.size() && plan.phases[i].overlapped);
    stage.delay = Duration::from_seconds(launch + latency);
    launch = 0.0;
    job.stages.push_back(std::move(stage));
  }
  return job;
}

double flow_seconds(const Call& call, const Fabric& fabric, const Members& members,
                    const Parameters& parameters) {
  const Price priced = price(call, wire_of(fabric), parameters);
  sim::net::Traffic traffic(fabric.topology);
  traffic.submit(schedule(priced.plan, fabric, members), sim::core::Time::zero());
  return traffic.run().seconds();
}

}  // namespace foretoken::models::collective
