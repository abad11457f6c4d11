#include "models/serving/serving.hpp"

#include <algorithm>
#include <cmath>

#include "models/llm/memory.hpp"
#include "models/serving/collect.hpp"
#include "models/serving/simulate.hpp"
#include "models/serving/step_model.hpp"
#include "sim/core/error.hpp"
#include "sim/engine/transport.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Duration;
using sim::core::Time;

// No message takes less than a loop-back TCP round: the lookahead where a card states no client
// overhead.
constexpr Duration kLeastHop = Duration::picoseconds(1'000'000);
constexpr std::size_t kSeriesBins = 2'000, kStepRows = 20'000, kLeastPerReplica = 200;

struct Hops {  // the card's client overhead, half on the way in and half on the way out
  Duration request, response;
};

Hops hops_of(const EngineSpec& engine) {
  const Duration half = Duration::from_seconds(engine.client_s / 2);
  return {std::max(half, kLeastHop), std::max(half, kLeastHop)};
}

// Shares a number of rows among replicas so that memory does not grow with them.
std::size_t share_of(std::size_t rows, int replicas) {
  return std::max(kLeastPerReplica, rows / static_cast<std::size_t>(replicas));
}

// Expected end of arrivals, to choose the grid of the time series; it doubles if that was short.
double expected_seconds(const WorkloadSpec& workload) {
  if (workload.duration) return workload.duration->seconds();
  if (const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals))
    return static_cast<double>(trace->requests->back().arrival_ps) * 1e-12 / trace->rate_scale;
  const double rate = offered_rate(workload);
  return rate > 0.0 ? static_cast<double>(workload.requests.value_or(1)) / rate : 1.0;
}

// Bins of 1, 2 or 5 times a power of ten, at least a millisecond, filling half the grid.
SeriesGrid grid_for(const WorkloadSpec& workload, int replicas) {
  const std::size_t bins = replicas <= 16 ? kSeriesBins : share_of(16 * kSeriesBins, replicas);
  const double wanted =
      std::max(1e-3, 2.0 * expected_seconds(workload) / static_cast<double>(bins));
  const double decade = std::pow(10.0, std::floor(std::log10(wanted)));
  double bin_s = 10.0 * decade;
  for (const double f : {5.0, 2.0, 1.0})
    if (f * decade >= wanted * (1 - 1e-12)) bin_s = f * decade;
  return {Duration::from_seconds(bin_s).ps(), bins};
}

ReplicaSpec replica_spec(const ServingSpec& spec, const MemoryAccount& memory, const Hops& hops) {
  const DeploymentSpec& d = spec.deployment;
  const int ranks = d.layout.data_attention;
  ReplicaSpec replica;
  replica.batching = d.batching;
  replica.ranks = ranks;
  replica.admission.max_sequences = d.batching.max_sequences * ranks;
  replica.kv_blocks = memory.kv_blocks * ranks;
  replica.admission.request_blocks = memory.kv_blocks;  // a request lives on one rank
  replica.admission.watermark_blocks = static_cast<std::int32_t>(
      std::llround(d.engine.kv_watermark * static_cast<double>(replica.kv_blocks)));
  replica.admission.reserve_output = reserved_output(d.batching.policy, d.engine.kv_reserve_output);
  const double block_bytes =
      llm::kv_bytes_per_token_per_gpu(d.model, d.layout, d.precision) * d.engine.kv_block_tokens;
  if (d.batching.swap_bytes > 0 && block_bytes > 0) {
    replica.admission.swap_blocks =
        static_cast<std::int64_t>(d.batching.swap_bytes / block_bytes) * ranks;
    replica.swap_block_s = block_bytes / d.node.gpu.pcie_bandwidth.value() / ranks;
  }
  replica.seed = spec.seed;
  replica.watch = spec.watch;
  replica.block_tokens = d.engine.kv_block_tokens;
  replica.first_chunk_tokens =
      d.engine.first_token_at_once ? 1 : std::max(1, d.engine.stream_interval);
  replica.response_delay = hops.response;
  replica.decode_runs = spec.decode_runs && spec.watch < 0;  // a watched run shows every step
  replica.keep_records = spec.record_requests;
  replica.recorder.gpu = d.node.gpu;
  replica.recorder.power = d.power;
  replica.recorder.total_blocks = replica.kv_blocks;
  replica.recorder.measured_from_ps = spec.workload.warmup.ps();
  replica.recorder.grid = grid_for(spec.workload, d.replicas);
  replica.recorder.step_capacity = spec.record_steps ? share_of(kStepRows, d.replicas) : 0;
  return replica;
}

void check_deployment(const DeploymentSpec& d) {
  std::vector<sim::core::Diagnostic> errors;
  const auto expect = [&errors](bool holds, std::string words) {
    if (!holds) errors.push_back({"", 0, 0, std::move(words), "", false});
  };
  expect(d.replicas >= 1, "deployment.replicas must be at least one");
  expect(d.batching.max_tokens >= 1, "batching.max_tokens must be at least one");
  expect(d.batching.max_sequences >= 1, "batching.max_sequences must be at least one");
  expect(d.engine.kv_block_tokens >= 1, "the engine card's kv_block_tokens must be at least one");
  expect(d.layout.gpus() * d.replicas <= d.nodes * d.node.gpus,
         std::to_string(d.replicas) + " replicas of " + std::to_string(d.layout.gpus()) +
             " GPUs need more than the " + std::to_string(d.nodes * d.node.gpus) +
             " GPUs of the deployment: add nodes or use fewer replicas");
  if (!errors.empty()) throw sim::core::InputError(std::move(errors));
}

// A closed loop whose every request is refused would never pass any time.
void check_context(const ServingSpec& spec) {
  const WorkloadSpec& w = spec.workload;
  if (w.truncate_over_context || !std::holds_alternative<ClosedLoopArrivals>(w.arrivals)) return;
  const auto least = static_cast<std::int64_t>(w.input.low_fraction * w.input.tokens +
                                               w.output.low_fraction * w.output.tokens);
  if (least > spec.deployment.model.max_positions)
    throw sim::core::InputError("even the shortest request of the workload, " +
                                std::to_string(least) + " tokens, is longer than the context of " +
                                spec.deployment.model.name + ", " +
                                std::to_string(spec.deployment.model.max_positions) + " tokens");
}

struct System {
  sim::engine::Simulation simulation;
  FrontEnd* front_end = nullptr;
  std::vector<Replica*> replicas;
};

// One partition for the front end and one for each replica. Replicas report back only if clients
// or router wait for it; without that they run as far ahead as their arrivals are known.
System build(const ServingSpec& spec, const StepTimer& timer, const MemoryAccount& memory) {
  System system;
  const Hops hops = hops_of(spec.deployment.engine);
  auto front_end = std::make_unique<FrontEnd>(spec, hops.request);
  system.front_end = front_end.get();
  const auto front =
      system.simulation.add_process(std::move(front_end), system.simulation.add_partition());
  ReplicaSpec replica_template = replica_spec(spec, memory, hops);
  std::vector<sim::engine::ChannelId> channels;
  for (int i = 0; i < spec.deployment.replicas; ++i) {
    replica_template.index = static_cast<std::uint32_t>(i);
    auto replica = std::make_unique<Replica>(replica_template, timer);
    system.replicas.push_back(replica.get());
    const auto id =
        system.simulation.add_process(std::move(replica), system.simulation.add_partition());
    channels.push_back(system.simulation.connect(front, id, hops.request));
    if (system.front_end->needs_feedback())
      system.replicas.back()->report_to(system.simulation.connect(id, front, hops.response));
  }
  system.front_end->connect(std::move(channels));
  return system;
}

// A step's trust is that of the least trusted source that makes up a noticeable part of it; its
// expected error the mean over sources, taken as if all erred the same way.
void summarise_sources(ServingResult& result) {
  constexpr double kNoticeable = 0.03;
  result.latency_provenance = sim::core::Provenance::measured;
  for (const auto& source : result.sources) {
    result.latency_relative_error += source.share * source.relative_error;
    if (source.share >= kNoticeable)
      result.latency_provenance = weakest(result.latency_provenance, source.provenance);
  }
}

ServingResult run(const ServingSpec& spec, const StepTimer& timer, const MemoryAccount& memory,
                  const sim::engine::RunOptions& options, RunTotals* totals) {
  check_deployment(spec.deployment);
  check_workload(spec.workload);
  check_context(spec);
  System system = build(spec, timer, memory);
  auto report = system.simulation.run(options);
  if (options.transport != nullptr && options.transport->rank() != 0) {
    ServingResult elsewhere;  // the processes are gathered on rank 0
    elsewhere.run = report;
    return elsewhere;
  }
  if (report.reason == sim::engine::StopReason::until) report.end = options.until;
  for (Replica* replica : system.replicas) replica->finish(report.end);
  if (totals != nullptr) *totals = sum_of_totals(system.replicas);
  return collect(spec, memory, *system.front_end, system.replicas, report);
}

}  // namespace

ServingResult simulate_with(const ServingSpec& spec, const StepTimer& timer,
                            const MemoryAccount& memory, const sim::engine::RunOptions& options) {
  return run(spec, timer, memory, options, nullptr);
}

ServingResult simulate(const ServingSpec& spec,
                       std::shared_ptr<const kernels::Calibration> calibration,
                       const sim::engine::RunOptions& options) {
  check_deployment(spec.deployment);
  check_workload(spec.workload);
  const MemoryAccount memory = account_memory(spec.deployment, longest_request(spec.workload));
  const StepModel timer(spec.deployment, std::move(calibration));
  RunTotals totals;
  ServingResult result = run(spec, timer, memory, options, &totals);
  if (totals.steps > 0) result.sources = timer.sources(totals);
  summarise_sources(result);
  return result;
}

}  // namespace foretoken::models::serving
