#pragma once
// Collectives in closed form: alpha for every step that waits for another, beta for the bytes over
// the slowest link, no sharing with other traffic. The same plan, link by link, is what
// schedule.hpp turns into flows, so that both agree on an idle fabric.
//
// Wire volumes: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication
// Operations in MPICH", 2005; double binary tree: Sanders, Speck and Traeff, 2009; choice of
// algorithm and protocol: least predicted time, as in NCCL 2.2x (src/graph/tuning.cc).
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/collective/fabric.hpp"

namespace foretoken::models::collective {

enum class Operation { all_reduce, all_gather, reduce_scatter, broadcast, all_to_all, send_recv };

enum class Algorithm {
  automatic,    // the fastest that the library would consider
  ring,         // one ring through all GPUs, entering each node once
  tree,         // double binary tree over nodes, a chain inside
  nvls,         // reduced and multicast by the NVSwitch; a tree between nodes
  one_shot,     // every GPU sends all it has to every other (an engine's own kernel)
  two_shot,     // reduce-scatter, then all-gather, each straight to all peers
  flat,         // all-to-all: every pair on its own
  hierarchical  // inside the node first, then every GPU along its rail
};

// How NCCL moves bytes: flags in every 8 bytes, in every 128, or none.
enum class Protocol { ll, ll128, simple };

std::string_view to_string(Operation);
std::string_view to_string(Algorithm);
std::string_view to_string(Protocol);

// GPUs of a group, spread evenly over nodes. One GPU on each of eight nodes is {8, 8}.
struct Group {
  int gpus = 1;
  int nodes = 1;
  [[nodiscard]] int local() const { return gpus / nodes; }
};

struct Call {
  Operation operation = Operation::all_reduce;
  // As nccl-tests count: all-reduce, broadcast, send-recv: the message; all-gather and
  // reduce-scatter: the gathered total; all-to-all: what one GPU sends, its own part included.
  double bytes = 0.0;
  Group group;
  Algorithm algorithm = Algorithm::automatic;
  // Groups alike on the same nodes at the same time, sharing the nodes' NICs (8 data-parallel
  // groups when every one has a GPU in each node). 0 = as many as fill the nodes.
  int concurrent = 1;
};

// What closed forms need to know of a fabric. Rates in bytes/s, one direction.
struct Wire {
  int node_gpus = 8;
  ScaleUp scale_up = ScaleUp::nvswitch;
  bool in_switch_reduction = false;  // the NVSwitch adds (NVLS: Hopper and later)
  double scale_up_rate = 0.0;        // per GPU, to its NVLink peers
  double pcie_rate = 0.0;            // per GPU
  double scale_up_latency_s = 0.0;   // a step from GPU to GPU
  int nics = 0;
  double nic_rate = 0.0;           // each, payload
  double network_latency_s = 0.0;  // NIC to NIC over one switch, PCIe on both sides included
  double hop_latency_s = 0.0;      // for each switch layer more, up and down
  int pod_nodes = 0;               // nodes below one leaf (of a rail); 0 = all
  double oversubscription = 1.0;   // of what leaves a leaf
};
// A network without oversubscription or layers.
Wire wire_of(const hardware::NodeSpec& node);
Wire wire_of(const Fabric& fabric);

// Few numbers, alike for every GPU and fabric. Inside a node: fitted on the half-precision NCCL
// tables of A100, H100, H200 and B200 (validation/measurements/kernels). Between nodes: efficiency
// as ib_write and NCCL reach it on 400 Gb/s ports, steps as NCCL's own tuning table; not fitted.
// PCIe: four bridged A100 and H100 (validation/measurements/network). Direct kernels: as
// kernels::CollectiveParameters. How far off they are: `foretoken validate kernels --only
// collective`.
struct Parameters {
  // Software before the first byte, by protocol.
  std::array<double, 3> launch_s{6.0e-6, 13.4e-6, 22.0e-6};
  // On top of the link's own step latency, by protocol.
  std::array<double, 3> scale_up_step_s{0.0, 0.0, 0.0};
  std::array<double, 3> network_step_s{0.0, 2.0e-6, 6.0e-6};
  // Share of the link's payload rate.
  std::array<double, 3> scale_up_efficiency{0.28, 0.42, 0.657};
  std::array<double, 3> network_efficiency{0.28, 0.6, 0.90};
  double pcie_efficiency = 0.75;  // of the slot's rate; LL and LL128 in proportion
  double tree_efficiency = 0.92;  // of the ring's rate
  double nvls_efficiency = 0.67;  // of the link's rate, in-switch reduction
  double nvls_launch_s = 76.0e-6;
  double direct_launch_s = 6.7e-6;  // an engine's own kernel, straight loads from peers
  double direct_round_s = 2.0e-6;   // each barrier among its GPUs
  double direct_per_gpu_s = 0.22e-6;
  double direct_efficiency = 0.58;
  double peer_s = 0.57e-6;  // posting one more message in an all-to-all
};

enum class Level { scale_up, network };
enum class Pattern {
  ring,            // every GPU to the next
  chain,           // as ring, without the last link
  pairs,           // every GPU to every other of its node (scale_up) or to all nodes (network)
  rail_pairs,      // every GPU to the one of its rank in every other node
  through_switch,  // every GPU to the switch and back
  tree,            // every node to its parent and children
  single           // rank 0 to the last rank
};

// Bytes over the links of one level, in `steps` that wait for each other.
struct Phase {
  Level level = Level::scale_up;
  Pattern pattern = Pattern::ring;
  double bytes = 0.0;  // that a GPU sends (the busiest, where they differ)
  double steps = 1.0;
  double latency_s = 0.0;   // of all steps
  double rate = 0.0;        // that the GPU has on that level alone, bytes/s
  double efficiency = 1.0;  // share of the rate that the bytes get; the rest is protocol
  // What the GPU's own engines can move (SMs of a copy kernel), bytes/s of payload.
  double cap = std::numeric_limits<double>::infinity();
  [[nodiscard]] double seconds() const {
    return bytes > 0 ? bytes / std::min(rate * efficiency, cap) : 0.0;
  }
  bool overlapped = false;  // flows at the same time as the phase before
};

struct Plan {
  Algorithm algorithm = Algorithm::ring;
  Protocol protocol = Protocol::simple;
  double launch_s = 0.0;
  std::vector<Phase> phases;
  // Overlapped phases count with the longest latency and the longest wire time among them.
  [[nodiscard]] double latency_s() const;
  [[nodiscard]] double wire_s() const;
  [[nodiscard]] double seconds() const { return launch_s + latency_s() + wire_s(); }
};

struct Price {
  double seconds = 0.0;
  Plan plan;
  double wire_s = 0.0;  // bytes over rates
  double algbw = 0.0;   // bytes/s: bytes of the call over seconds
  double busbw = 0.0;   // algbw x the operation's factor (nccl-tests, doc/PERFORMANCE.md)
  double scale_up_bytes = 0.0, network_bytes = 0.0;  // sent by one GPU
};

// busbw over algbw: all-reduce 2(n-1)/n; all-gather, reduce-scatter, all-to-all (n-1)/n; else 1.
double bus_factor(Operation operation, int gpus);

// The plan of an algorithm and protocol; nothing where it cannot run (nvls without such a switch).
std::optional<Plan> plan(const Call& call, const Wire& wire, Algorithm algorithm, Protocol protocol,
                         const Parameters& parameters = {});
// Throws InputError for a group that the wire cannot hold (more GPUs in a node than there are, no
// NIC between nodes).
Price price(const Call& call, const Wire& wire, const Parameters& parameters = {});

// Time below which no algorithm can be: bytes that must leave or enter a GPU over its own links.
double least_seconds(const Call& call, const Wire& wire);

}  // namespace foretoken::models::collective
