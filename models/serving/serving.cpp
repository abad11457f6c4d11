#include "models/serving/serving.hpp"

#include <algorithm>
#include <cmath>

#include "models/llm/memory.hpp"
#include "models/serving/collect.hpp"
#include "models/serving/pools.hpp"
#include "models/serving/simulate.hpp"
#include "models/serving/step_model.hpp"
#include "sim/core/error.hpp"
#include "sim/engine/transport.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Duration;

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
  return std::max(kLeastPerReplica, rows / static_cast<std::size_t>(std::max(1, replicas)));
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

// Until when tokens count for the rates of pools: the end of arrivals, where they have one.
std::int64_t measured_until_ps(const WorkloadSpec& workload) {
  const bool closed = std::holds_alternative<ClosedLoopArrivals>(workload.arrivals);
  return workload.duration && !closed ? workload.duration->ps() : INT64_MAX;
}

ReplicaSpec replica_spec(const ServingSpec& spec, const DeploymentSpec& d,
                         const MemoryAccount& memory, const Hops& hops) {
  const int ranks = d.layout.data_attention;
  ReplicaSpec replica;
  replica.batching = d.batching;
  replica.ranks = ranks;
  replica.admission.max_sequences = d.batching.max_sequences * ranks;
  replica.kv_blocks = memory.kv_blocks * ranks;
  replica.admission.request_blocks = memory.kv_blocks;  // a request lives on one rank
  replica.admission.watermark_blocks = static_cast<std::int32_t>(
      std::llround(d.engine.kv_watermark * static_cast<double>(replica.kv_blocks)));
  replica.admission.whole_prompt = d.engine.admit_whole_prompt;
  replica.admission.reserve_output = reserved_output(d.batching.policy, d.engine.kv_reserve_output);
  replica.admission.finds_its_blocks = d.batching.prefix_caching;
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
  replica.stream_token_ps = d.engine.stream_chunk_s * 1e12 / std::max(1, d.engine.stream_interval);
  replica.poll_steps = std::max(1, d.engine.poll_steps);
  replica.plans_ahead = d.engine.overlap_schedule;
  replica.decode_runs = spec.decode_runs && spec.watch < 0;  // a watched run shows every step
  replica.records = {spec.record_one_in, spec.seed};
  replica.recorder.gpu = d.node.gpu;
  replica.recorder.power = d.power;
  replica.recorder.total_blocks = replica.kv_blocks;
  replica.recorder.measured_from_ps = spec.workload.warmup.ps();
  replica.recorder.measured_until_ps = measured_until_ps(spec.workload);
  int replicas = 0;
  for (const DeploymentSpec* pool : pools_of(spec)) replicas += pool->replicas;
  replica.recorder.grid = grid_for(spec.workload, replicas);
  replica.recorder.step_capacity = spec.record_steps ? share_of(kStepRows, replicas) : 0;
  replica.role = d.role;
  replica.timeout = spec.cluster.rules.timeout;
  return replica;
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

std::vector<PoolPlan> plans_of(const ServingSpec& spec) {
  const double horizon_s = expected_seconds(spec.workload);
  std::vector<PoolPlan> plans;
  for (const DeploymentSpec* d : pools_of(spec)) {
    PoolPlan plan{d->role, static_cast<std::uint32_t>(d->replicas), d->schedule, d->autoscale, {}};
    const PoolShape shape{d->replicas, d->layout.gpus(), d->node.gpus,
                          spec.cluster.faults.nodes_per_switch};
    if (spec.cluster.faults.any())
      plan.outages = outages_of(spec.cluster.faults, static_cast<int>(plans.size()), shape,
                                Duration::from_seconds(horizon_s).ps(), spec.seed);
    plans.push_back(std::move(plan));
  }
  return plans;
}

// Builds the fabric of all pools and says where their replicas are on it.
void place_on_network(const ServingSpec& spec, const std::vector<PoolModel>& models,
                      FrontEndSpec& own) {
  std::vector<PoolPlace> places;
  int nodes = 0;
  for (const DeploymentSpec* d : pools_of(spec)) {
    if (d->node.name != spec.deployment.node.name)
      throw sim::core::InputError("one network joins nodes of one kind; the pools stand on " +
                                  spec.deployment.node.name + " and " + d->node.name);
    places.push_back(
        {d->replicas, d->layout.gpus(), d->layout.gpus() / d->layout.data_attention, d->nodes});
    nodes += d->nodes;
  }
  constexpr double kBins = 200.0, kShortestBin = 0.01;
  own.network = SharedFabric{
      std::make_shared<const collective::Fabric>(build_fabric(
          collective::server_of(spec.deployment.node), nodes, spec.cluster.network->shape)),
      spec.cluster.network->flows, std::max(kShortestBin, expected_seconds(spec.workload) / kBins)};
  own.places = place_replicas(*own.network->fabric, places);
  own.kv_messages = std::max(1, spec.deployment.model.layers);
  for (std::size_t p = 0; p < places.size(); ++p)
    own.weight_bytes.push_back(models[p].memory.weights * places[p].gpus);
}

// One partition for the front end and one for each replica. Replicas report back only if clients
// or router wait for it; without that they run as far ahead as their arrivals are known.
System build(const ServingSpec& spec, const std::vector<PoolModel>& models) {
  System system;
  Hops hops = hops_of(spec.deployment.engine);
  FrontEndSpec own;
  own.kv_bytes_per_token = kv_bytes_per_token(spec.deployment);
  own.cache_block_tokens = spec.deployment.engine.kv_block_tokens;
  own.records = {spec.record_one_in, spec.seed};
  const std::int64_t horizon_ps = Duration::from_seconds(expected_seconds(spec.workload)).ps();
  const FaultSpec& faults = spec.cluster.faults;
  own.storage_outages = outages_of(faults, FaultKind::storage, horizon_ps, spec.seed);
  own.router_outages = outages_of(faults, FaultKind::router, horizon_ps, spec.seed);
  if (spec.cluster.network) {
    place_on_network(spec, models, own);
    // No message between servers is faster than the fabric: what partitions may look ahead.
    const Duration least = own.network->fabric->topology.lookahead_between_servers();
    hops.request = std::max(hops.request, least);
    hops.response = std::max(hops.response, least);
    own.network_delay = std::max(least, kLeastHop);
  }
  own.request_delay = hops.request;
  const auto plans = plans_of(spec);
  auto front_end = std::make_unique<FrontEnd>(spec, own, plans);
  system.front_end = front_end.get();
  const auto front =
      system.simulation.add_process(std::move(front_end), system.simulation.add_partition());
  std::vector<sim::engine::ChannelId> channels;
  const auto pools = pools_of(spec);
  for (std::size_t p = 0; p < pools.size(); ++p) {
    ReplicaSpec replica_template = replica_spec(spec, *pools[p], models[p].memory, hops);
    replica_template.network_delay = own.network_delay;
    for (std::size_t i = 0; i < plans[p].replicas; ++i) {
      replica_template.index = static_cast<std::uint32_t>(system.replicas.size());
      if (!plans[p].outages.empty()) replica_template.outages = plans[p].outages[i];
      auto replica = std::make_unique<Replica>(replica_template, *models[p].timer);
      system.replicas.push_back(replica.get());
      const auto id =
          system.simulation.add_process(std::move(replica), system.simulation.add_partition());
      channels.push_back(system.simulation.connect(front, id, hops.request));
      if (system.front_end->needs_feedback())
        system.replicas.back()->report_to(system.simulation.connect(id, front, hops.response));
      if (!system.front_end->carries_steps(replica_template.index)) continue;
      system.replicas.back()->report_load_to(
          system.simulation.connect(id, front, own.network_delay));
      system.front_end->connect_network(replica_template.index,
                                        system.simulation.connect(front, id, own.network_delay));
    }
  }
  system.front_end->connect(std::move(channels));
  return system;
}

// A step's trust is that of the least trusted source that makes up a noticeable part of it; its
// expected error the mean over sources, taken as if all erred the same way.
void summarise_sources(const EngineSpec& engine, ServingResult& result) {
  constexpr double kNoticeable = 0.03;
  result.latency_provenance = sim::core::Provenance::measured;
  for (const auto& source : result.sources) {
    result.latency_relative_error += source.share * source.relative_error;
    if (source.share >= kNoticeable)
      result.latency_provenance = weakest(result.latency_provenance, source.provenance);
  }
  result.ttft_relative_error = result.latency_relative_error;
  result.error_of_servers = engine.served_tpot_error > 0 && engine.served_ttft_error > 0;
  if (!result.error_of_servers) return;
  // Whole servers were looked at: what was found there covers scheduler, host and client as well.
  result.latency_relative_error = engine.served_tpot_error;
  result.ttft_relative_error = engine.served_ttft_error;
  result.latency_provenance = weakest(result.latency_provenance, sim::core::Provenance::calibrated);
}

ServingResult run(const ServingSpec& spec, const std::vector<PoolModel>& models,
                  const sim::engine::RunOptions& options, std::vector<RunTotals>* totals) {
  check_pools(spec);
  check_workload(spec.workload);
  check_context(spec);
  System system = build(spec, models);
  auto report = system.simulation.run(options);
  if (options.transport != nullptr && options.transport->rank() != 0) {
    ServingResult elsewhere;  // the processes are gathered on rank 0
    elsewhere.run = report;
    return elsewhere;
  }
  if (report.reason == sim::engine::StopReason::until) report.end = options.until;
  for (Replica* replica : system.replicas) replica->finish(report.end);
  const Gathered gathered{spec, models, *system.front_end, system.replicas};
  if (totals != nullptr) *totals = totals_of_pools(gathered);
  return collect(gathered, report);
}

// Sources of all pools, each with its part of the pool's share in the busy GPU time.
std::vector<ServingResult::Source> sources_of(const ServingSpec& spec,
                                              const std::vector<std::unique_ptr<StepModel>>& timers,
                                              const std::vector<RunTotals>& totals) {
  const auto pools = pools_of(spec);
  double all = 0;
  for (std::size_t p = 0; p < pools.size(); ++p)
    all += totals[p].cost.seconds * pools[p]->layout.gpus();
  std::vector<ServingResult::Source> sum;
  for (std::size_t p = 0; p < pools.size(); ++p) {
    if (totals[p].steps == 0 || all <= 0) continue;
    const double weight = totals[p].cost.seconds * pools[p]->layout.gpus() / all;
    for (ServingResult::Source source : timers[p]->sources(totals[p])) {
      source.share *= weight;
      const auto same = std::find_if(sum.begin(), sum.end(),
                                     [&](const auto& s) { return s.name == source.name; });
      if (same == sum.end()) {
        sum.push_back(source);
        continue;
      }
      const double share = same->share + source.share;
      same->relative_error =
          (same->relative_error * same->share + source.relative_error * source.share) /
          std::max(share, 1e-300);
      same->provenance = weakest(same->provenance, source.provenance);
      same->share = share;
    }
  }
  std::sort(sum.begin(), sum.end(), [](const auto& a, const auto& b) {
    return a.share != b.share ? a.share > b.share : a.name < b.name;
  });
  return sum;
}

}  // namespace

double simulation_bytes(const ServingSpec& spec) {
  // As found on runs of 0.2 and 1 million requests whose files were written, and of 256 and 2,224
  // replicas (beside their series and steps).
  constexpr double kPerRequest = 200.0, kPerReplica = 100e3;
  int replicas = 0;
  for (const DeploymentSpec* pool : pools_of(spec)) replicas += pool->replicas;
  const double series = static_cast<double>(grid_for(spec.workload, replicas).max_bins) *
                        static_cast<double>(sizeof(SeriesBin));
  const double steps = spec.record_steps ? static_cast<double>(share_of(kStepRows, replicas)) *
                                               static_cast<double>(sizeof(StepRecord))
                                         : 0.0;
  double requests = static_cast<double>(spec.workload.requests.value_or(0));
  if (const auto* trace = std::get_if<TraceArrivals>(&spec.workload.arrivals))
    requests = static_cast<double>(trace->requests->size());
  else if (requests <= 0 && spec.workload.duration)
    requests = offered_rate(spec.workload) * spec.workload.duration->seconds();
  const double kept = spec.record_one_in > 0 ? 1.0 / static_cast<double>(spec.record_one_in) : 0.0;
  return kPerRequest * requests * kept + replicas * (series + steps + kPerReplica);
}

ServingResult simulate_with(const ServingSpec& spec, const StepTimer& timer,
                            const MemoryAccount& memory, const sim::engine::RunOptions& options) {
  return run(spec, std::vector<PoolModel>(1 + spec.pools.size(), PoolModel{&timer, memory}),
             options, nullptr);
}

ServingResult simulate_with(const ServingSpec& spec, const std::vector<PoolModel>& models,
                            const sim::engine::RunOptions& options) {
  SIM_ASSERT(models.size() == 1 + spec.pools.size(), "a step timer for each pool");
  return run(spec, models, options, nullptr);
}

ServingResult simulate(const ServingSpec& spec, const StepModel& timer,
                       const sim::engine::RunOptions& options) {
  SIM_ASSERT(spec.pools.empty(), "tables of one pool serve a deployment of one pool");
  const MemoryAccount memory = account_memory(spec.deployment, longest_request(spec.workload));
  std::vector<RunTotals> totals;
  ServingResult result = run(spec, {PoolModel{&timer, memory}}, options, &totals);
  if (!totals.empty() && totals.front().steps > 0) result.sources = timer.sources(totals.front());
  summarise_sources(spec.deployment.engine, result);
  return result;
}

ServingResult simulate(const ServingSpec& spec,
                       std::shared_ptr<const kernels::Calibration> calibration,
                       const sim::engine::RunOptions& options) {
  check_pools(spec);
  check_workload(spec.workload);
  std::vector<std::unique_ptr<StepModel>> timers;
  std::vector<PoolModel> models;
  for (const DeploymentSpec* pool : pools_of(spec)) {
    const MemoryAccount memory = account_memory(*pool, longest_request(spec.workload));
    timers.push_back(std::make_unique<StepModel>(*pool, calibration));
    models.push_back({timers.back().get(), memory});
  }
  std::vector<RunTotals> totals;
  ServingResult result = run(spec, models, options, &totals);
  if (!totals.empty()) result.sources = sources_of(spec, timers, totals);
  summarise_sources(spec.deployment.engine, result);
  return result;
}

}  // namespace foretoken::models::serving
