#pragma once
// KV caches handed over, KV of prompts read from storage, weights loaded, and what the steps of
// replicas exchange between nodes, over one fabric at the same time: what each takes follows from
// what else is on its links meanwhile.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "models/collective/fabric.hpp"
#include "models/serving/messages.hpp"
#include "sim/core/time.hpp"
#include "sim/net/traffic.hpp"

namespace foretoken::models::serving {

enum class NetworkUse : std::uint16_t { kv, cache, weights, steps };
inline constexpr std::size_t kNetworkUses = 4;
const char* in_words(NetworkUse use);

struct SharedFabric {
  std::shared_ptr<const collective::Fabric> fabric;
  bool flows = true;   // or each move alone, without sharing
  double bin_s = 1.0;  // of the series of links
};

// The GPUs of one replica, attention rank by attention rank.
struct ReplicaPlace {
  std::vector<sim::net::NodeId> gpus;
  int rank_gpus = 1;  // that hold one request's KV
};

// Replicas in order, each pool beginning on a node of its own. `gpus`: of one replica of a pool.
struct PoolPlace {
  int replicas = 1, gpus = 1, rank_gpus = 1, nodes = 1;
};
std::vector<ReplicaPlace> place_replicas(const collective::Fabric& fabric,
                                         std::span<const PoolPlace> pools);

struct LinkUse {
  sim::net::LinkId link;
  std::vector<float> bytes, waiting_s;  // by bin
  std::array<double, kNetworkUses> used_bytes{}, waited_s{};
  template <class A>
  void fields(A& archive) {
    archive(link, bytes, waiting_s, used_bytes, waited_s);
  }
};

// What a run put on the fabric.
struct NetworkResult {
  struct Use {
    std::int64_t moves = 0;  // that ended; of steps: 0
    double bytes = 0.0;
    double seconds = 0.0;  // of all moves, from start to end; of all steps that cross nodes
    double alone_s = 0.0;  // the same with nothing else on the fabric
  };
  struct Wait {  // `who` lost `seconds` on `link` to `whom`
    NetworkUse who, whom;
    sim::net::LinkId link;
    double seconds;
  };
  bool flows = true;
  std::array<Use, kNetworkUses> uses;
  double end_s = 0.0, bin_s = 0.0;
  std::vector<LinkUse> links;  // with flows: those that carried anything
  std::vector<Wait> waits;     // largest first
  std::int64_t open = 0;       // moves that had not ended when the run did
  template <class A>
  void fields(A& archive) {
    archive(flows, uses, end_s, bin_s, links, waits, open);
  }
};

class SharedNetwork {
 public:
  // `messages`: that each GPU sends of one request's KV (one a layer).
  SharedNetwork(const SharedFabric& spec, std::vector<ReplicaPlace> places, double messages);

  enum class Source : std::uint8_t { replica, hosts, storage };
  struct Move {
    NetworkUse use = NetworkUse::kv;
    Source source = Source::replica;
    std::uint32_t from = 0, to = 0;  // replicas
    double bytes = 0.0;
    double most_bytes_per_s = 0.0;  // of this move; 0 = what the fabric gives
    double latency_s = 0.0;         // on top of the fabric's
    std::uint64_t spread = 0;       // which ranks, hosts and storage nodes of those there are
  };
  // Starts a move at `now`; advance() hands back the ticket once it is over.
  void start(const Move& move, sim::core::Time now, std::uint32_t ticket);
  [[nodiscard]] bool has_storage() const { return !fabric_->storage.empty(); }
  // Whether steps of a replica share this network: its GPUs stand on several nodes, and flows do.
  [[nodiscard]] bool carries_steps(std::uint32_t replica) const;
  void set_load(std::uint32_t replica, const StepLoad& load, sim::core::Time now);
  // Replicas whose steps are held up otherwise than when last asked, and by how much: see kStretch.
  struct Stretch {
    std::uint32_t replica;
    double times;
  };
  std::span<const Stretch> stretches(sim::core::Time now);

  // Time::never() if nothing is on its way.
  [[nodiscard]] sim::core::Time next_event();
  // Tickets of all moves that are over at `now`, in order of time.
  std::span<const std::uint32_t> advance(sim::core::Time now);

  [[nodiscard]] NetworkResult result();

 private:
  struct Begun {
    std::uint32_t ticket = 0;
    NetworkUse use = NetworkUse::kv;
    sim::core::Time at;
    double bytes = 0.0, alone_s = 0.0;
  };
  struct Due {
    sim::core::Time at;
    std::uint64_t sequence = 0;
    Begun begun;
  };
  // The steps of one replica: every GPU sends to the one of its place in the replica's next node.
  // Their bursts get the share that one more flow would; over time they take what they send.
  struct Steps {
    sim::net::StreamId stream;  // invalid: they stay inside a node
    StepLoad load;
    double burst = 0.0;  // rate of one GPU, with the fabric to itself
    double gpus = 0.0;   // that send
    double stretch = 1.0;
    sim::net::LinkId held;  // the link that holds them up
    sim::core::Time since;
  };
  void open_steps(std::uint32_t replica);
  void set_rate(const Steps& steps, sim::core::Time now);
  static void book(const Steps& steps, sim::core::Time now, NetworkResult::Use& use);
  [[nodiscard]] sim::net::Job job_of(const Move& move) const;
  [[nodiscard]] double alone(const sim::net::Job& job);
  void over(const Begun& begun, sim::core::Time at);

  std::shared_ptr<const collective::Fabric> fabric_;
  bool flows_;
  std::vector<ReplicaPlace> places_;
  double messages_;
  sim::net::Traffic traffic_;
  sim::net::Router router_;
  std::vector<Begun> begun_;  // by job
  std::vector<Due> due_;      // heap, earliest first: moves without sharing
  std::vector<std::uint32_t> done_;
  std::vector<sim::net::LinkId> path_;
  std::vector<Steps> steps_;  // by replica
  std::vector<Stretch> stretches_;
  std::vector<double> link_bytes_;  // scratch of alone(), by link
  NetworkResult result_;
  std::uint64_t sequence_ = 0;
  sim::core::Time now_;
};

}  // namespace foretoken::models::serving
