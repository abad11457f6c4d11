#pragma once
// What a serving run returns. Plain data; analysis turns it into files and text.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/serving/cluster.hpp"
#include "models/serving/request_watch.hpp"
#include "models/serving/shared_network.hpp"
#include "models/serving/sketches.hpp"
#include "sim/core/provenance.hpp"
#include "sim/engine/simulation.hpp"

namespace foretoken::models::serving {

enum class RequestOutcome : std::uint8_t { completed, rejected, unfinished, timed_out, failed };

// One vector a column, a row a request that is kept, in order of arrival. Times in seconds.
struct RequestTable {
  std::int64_t one_in = 1;           // a row for one request of so many in a row; 0: for none
  std::vector<std::int64_t> number;  // of the request of each row; empty where all are kept
  std::vector<double> arrival_s, scheduled_s, first_token_s, last_token_s;
  std::vector<std::int32_t> input_tokens, output_tokens, preemptions, replica;
  std::vector<std::int32_t> tenant, priority;  // empty where no request has either
  std::vector<double> deadline_s;              // points in time; empty where none has one
  std::vector<RequestOutcome> outcome;
  std::vector<RequestReason> reason;  // why it did not complete
  [[nodiscard]] std::size_t size() const { return arrival_s.size(); }
  // Whether every request has a row.
  [[nodiscard]] bool complete() const { return one_in == 1; }
  [[nodiscard]] std::int64_t number_of(std::size_t row) const {
    return number.empty() ? static_cast<std::int64_t>(row) : number[row];
  }
  // Nothing where that request has none.
  [[nodiscard]] std::optional<std::size_t> row_of(std::int64_t request) const;
};

// Samples on a fixed grid of simulated time; each value is the time-weighted mean over the bin.
struct TimeSeries {
  double bin_s = 0.0;
  std::vector<double> running, waiting, kv_used_fraction, batch_tokens, gpu_watts,
      output_tokens_per_s;
};

// Engine iterations, oldest first; `kept_every` > 1 when thinned to bound memory.
struct StepTable {
  std::int64_t kept_every = 1;
  std::vector<double> start_s, duration_s;
  std::vector<std::int32_t> replica, prefill_tokens, decode_sequences, kv_blocks;
  std::vector<std::int32_t> prefill_sequences, waiting, swapped_blocks;
};

// Where the time of a step goes, summed over the run, in GPU-seconds of one replica.
struct TimeAccount {
  double gemm_s = 0, attention_s = 0, experts_s = 0, communication_s = 0, elementwise_s = 0,
         host_s = 0, idle_s = 0;
};

struct MemoryAccount {  // bytes on one GPU
  double capacity = 0, usable = 0, weights = 0, activations = 0, reserve = 0, kv = 0;
  double host_weights = 0;     // in the host memory of the node, of one replica
  std::int64_t kv_blocks = 0;  // of one attention rank
  std::int64_t kv_tokens = 0;  // that those hold
};

struct EnergyAccount {  // joules over the measured window
  double gpu_j = 0;     // all GPUs of the deployment
  double server_j = 0;  // whole nodes at the wall, PSU loss included; times PUE = facility
  double mean_gpu_watts = 0, peak_gpu_watts = 0;  // one GPU; peak over time-series bins
  sim::core::Provenance provenance = sim::core::Provenance::analytical;
};

// One pool over the measured window.
struct PoolResult {
  PoolRole role = PoolRole::whole;
  int replicas = 0, gpus_per_replica = 1, gpus_per_node = 8;
  double window_s = 0;         // of arrivals, the warm-up left out: for the tokens below
  double replica_seconds = 0;  // wanted in service over it
  double busy_seconds = 0;     // of replicas, running steps
  std::int64_t prefill_tokens = 0, cached_tokens = 0, output_tokens = 0;  // made in the window
  std::int64_t steps = 0;
  // Means over the time in which a replica decodes: sequences, and tokens of KV of one.
  double decode_sequences = 0, decode_context = 0;
  MemoryAccount memory;
  EnergyAccount energy;
  [[nodiscard]] double node_seconds() const {
    return replica_seconds * gpus_per_replica / gpus_per_node;
  }
};

struct RemoteResult {  // served by somebody else's interface
  std::int64_t requests = 0, input_tokens = 0, output_tokens = 0;
  double cost_usd = 0;
};

struct ServingResult {
  RequestTable requests;
  TimeSeries series;
  StepTable steps;
  TimeAccount time;
  MemoryAccount memory;
  EnergyAccount energy;
  std::int64_t arrived = 0, completed = 0, rejected = 0, unfinished = 0;
  std::int64_t timed_out = 0, failed = 0, retries = 0;
  std::vector<PoolResult> pools;  // in the order of the scenario
  RemoteResult remote;
  std::optional<NetworkResult> network;  // what the shared fabric carried, where there is one
  std::shared_ptr<const collective::Fabric> fabric;
  Sketches sketches;  // latencies of all requests, where not all are kept
  std::vector<std::pair<RequestReason, std::int64_t>> reasons;  // of those that did not complete
  std::int64_t total_steps = 0, preemptions = 0;
  // Of the fullest replica: requests inside at once, and the KV blocks that all inside at once
  // would hold if each had all its tokens.
  std::int64_t most_inside = 0, most_blocks = 0;
  std::int64_t recomputed_tokens = 0;                // processed again after preemptions
  std::int64_t input_tokens = 0, output_tokens = 0;  // of completed requests
  double window_start_s = 0, window_end_s = 0;       // measured window
  std::vector<RequestEvent> watched;                 // of ServingSpec::watch
  std::vector<std::string> conservation_errors;      // empty = every check passed
  // Tables and models the step time rests on, with their weight in it and expected error.
  struct Source {
    std::string name;
    sim::core::Provenance provenance;
    double share;
    double relative_error;
  };
  std::vector<Source> sources;
  sim::core::Provenance latency_provenance = sim::core::Provenance::analytical;
  double latency_relative_error = 0.0;
  double ttft_relative_error = 0.0;
  bool error_of_servers = false;  // those found on real servers of the engine, not on operators
  sim::engine::RunReport run;
};

}  // namespace foretoken::models::serving
