#pragma once
// What surrounds the engine replicas of a deployment: pools, what the router may do with a request,
// who is in service when, what breaks, and what is sent elsewhere.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/collective/fabric.hpp"
#include "models/serving/prefix_cache.hpp"
#include "sim/core/time.hpp"

namespace foretoken::models::serving {

// What a replica does of a request: all of it, the prompt and the first token, or the rest.
enum class PoolRole : std::uint8_t { whole, prefill, decode };

// How the KV cache of a prompt gets from the replica that made it to the one that decodes.
struct KvTransferSpec {
  double bytes_per_s = 0.0;  // of one request's transfer; 0 = takes no time
  double latency_s = 0.0;
};

// Replicas in service from a time on; the others are switched off or do something else.
struct ServiceStep {
  sim::core::Duration at;
  int replicas = 0;
};

// Adds and removes replicas so that each in service has about so many requests open.
struct AutoscaleSpec {
  int least = 1;
  double requests_per_replica = 0.0;  // 0 = no autoscaling
  sim::core::Duration interval;       // between two looks
  // From the decision to the first request: loading the model; where a network loads the weights
  // from storage, what comes before that.
  sim::core::Duration start_delay;
  sim::core::Duration cool_down;  // a replica stays at least so long after the last change
};

enum class FaultKind : std::uint8_t { gpu, node, link, straggler, leaf_switch, storage, router };
inline constexpr std::size_t kFaultKinds = 7;

// One thing that breaks. A GPU, a node, its network link or the leaf switch of several nodes takes
// every replica with it that has a GPU there: what is inside is lost, KV included. A straggler only
// slows its replica down. Without storage nothing is found in the context cache; without the router
// nothing new gets to a replica, nor from one pool to the next, and what runs runs on.
struct FaultEvent {
  FaultKind kind = FaultKind::node;
  int pool = 0;
  int unit = 0;  // number of the GPU, node or switch inside the pool
  sim::core::Duration at, lasts;
  double slowdown = 1.0;  // of a straggler's steps
};

struct FaultSpec {
  std::vector<FaultEvent> events;
  // Beside those, at random (exponential times, one stream a unit): mean time between failures of
  // one unit and until it is repaired. Index: FaultKind.
  double mean_between_s[kFaultKinds] = {};
  double mean_repair_s[kFaultKinds] = {};
  double straggler_slowdown = 1.5;
  int nodes_per_switch = 1;       // of a pool, in the order of their numbers
  sim::core::Duration detection;  // until the router knows of a failure
  [[nodiscard]] bool any() const {
    for (const double mean : mean_between_s)
      if (mean > 0) return true;
    return !events.empty();
  }
};

// What clients and the router's front do with requests.
struct RequestRules {
  std::int64_t most_open_per_replica = 0;  // more are turned away; 0 = none are
  sim::core::Duration timeout;             // a client waits so long for a start; zero: for ever
  int retries = 0;                         // of a request lost in a failure
  sim::core::Duration retry_delay;
  // Of a closed loop's client whose request did not get through, before it sends its next.
  sim::core::Duration pause = sim::core::Duration::picoseconds(1'000'000'000'000);
};

// A share of the traffic served by somebody else's priced interface over a wide-area network.
struct RemoteApiSpec {
  double share = 0.0;     // of all requests
  bool overflow = false;  // also those that admission control would turn away
  double round_trip_s = 0.0, first_token_s = 0.0, tokens_per_s = 50.0;
  double usd_per_million_input = 0.0, usd_per_million_output = 0.0;
};

// The fabric of all nodes of a deployment.
struct NetworkSpec {
  collective::NetworkShape shape;
  bool flows = true;  // or each move alone on the fabric, without sharing
};

struct ClusterSpec {
  KvTransferSpec transfer;
  // The fabric that hand-overs, cache reads and weight loads share; then `transfer` and the caches'
  // rates are limits of each move. Nothing: each takes what its rate says.
  std::optional<NetworkSpec> network;
  RequestRules rules;
  FaultSpec faults;
  RemoteApiSpec remote;
  // Share of every prompt that a context cache on disk already holds, and how it is read
  // (DeepSeek's production service: 56.3 % of input tokens).
  double cached_input = 0.0;
  double cache_bytes_per_s = 0.0;  // of one request's read; 0 = takes no time
  double cache_latency_s = 0.0;
  // Instead of a share: what the workload's prompts have in common, found in tiers of storage that
  // all replicas reach.
  std::vector<CacheTierSpec> cache_tiers;
};

// Why a request ended without all its tokens.
enum class RequestReason : std::uint8_t {
  none,
  too_long,      // for the model's context
  never_fits,    // into the KV cache of a replica
  turned_away,   // by admission control
  timed_out,     // the client gave up before it was started
  lost,          // in a failure, retries used up
  no_replica,    // none in service, retries used up
  no_router,     // down, retries used up
  still_inside,  // when the run stopped
};
inline constexpr std::size_t kReasons = 9;
const char* in_words(RequestReason reason);

}  // namespace foretoken::models::serving
