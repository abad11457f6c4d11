#include "models/serving/collect.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/serving/pools.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

constexpr double kNever = std::numeric_limits<double>::quiet_NaN();

double seconds(std::int64_t ps) { return ps < 0 ? kNever : static_cast<double>(ps) * 1e-12; }

RequestOutcome outcome_of(RequestReason reason) {
  switch (reason) {
    case RequestReason::none:
      return RequestOutcome::completed;
    case RequestReason::too_long:
    case RequestReason::never_fits:
    case RequestReason::turned_away:
      return RequestOutcome::rejected;
    case RequestReason::timed_out:
      return RequestOutcome::timed_out;
    case RequestReason::lost:
    case RequestReason::no_replica:
    case RequestReason::no_router:
      return RequestOutcome::failed;
    case RequestReason::still_inside:
      break;
  }
  return RequestOutcome::unfinished;
}

void size_table(RequestTable& table, const std::vector<IssuedRequest>& issued) {
  const std::size_t n = issued.size();
  for (auto* column :
       {&table.arrival_s, &table.scheduled_s, &table.first_token_s, &table.last_token_s})
    column->assign(n, kNever);
  for (auto* column :
       {&table.input_tokens, &table.output_tokens, &table.preemptions, &table.replica})
    column->assign(n, 0);
  table.outcome.assign(n, RequestOutcome::unfinished);
  table.reason.assign(n, RequestReason::still_inside);
  for (std::size_t i = 0; i < n; ++i) {
    table.arrival_s[i] = seconds(issued[i].arrival_ps);
    table.input_tokens[i] = issued[i].input;
    table.output_tokens[i] = issued[i].output;
    table.replica[i] = issued[i].replica;
    if (issued[i].reason == RequestReason::none) continue;
    table.reason[i] = issued[i].reason;
    table.outcome[i] = outcome_of(issued[i].reason);
  }
  const auto any = [&issued](const auto& has) {
    return std::any_of(issued.begin(), issued.end(), has);
  };
  if (any([](const IssuedRequest& r) { return r.tenant != 0; }))
    for (const IssuedRequest& r : issued) table.tenant.push_back(r.tenant);
  if (any([](const IssuedRequest& r) { return r.priority != 0; }))
    for (const IssuedRequest& r : issued) table.priority.push_back(r.priority);
  if (any([](const IssuedRequest& r) { return r.deadline_ps >= 0; }))
    for (const IssuedRequest& r : issued)
      table.deadline_s.push_back(r.deadline_ps < 0 ? kNever
                                                   : seconds(r.arrival_ps + r.deadline_ps));
}

// Rows of the table by number of request.
struct Rows {
  const RecordRule& rule;
  std::size_t count;
  [[nodiscard]] std::optional<std::size_t> of(std::uint32_t request) const {
    if (!rule.keeps(request) || rule.row_of(request) >= count) return std::nullopt;
    return rule.row_of(request);
  }
};

// What requests that the run ended upon have got so far.
void fill_inside(RequestTable& table, const Rows& rows, const Replica& replica) {
  const Batch& batch = replica.batch();
  const auto fill = [&](Slot slot) {
    const Sequence& sequence = batch.sequence(slot);
    const auto i = rows.of(sequence.request);
    if (!i) return;
    table.scheduled_s[*i] = seconds(sequence.scheduled_ps);
    if (sequence.first_ps >= 0)
      table.first_token_s[*i] = seconds(sequence.first_ps + replica.response_delay().ps());
  };
  for (const Slot slot : batch.waiting()) fill(slot);
  for (const Slot slot : batch.prefilling()) fill(slot);
  for (const Slot slot : batch.decoding()) fill(slot);
}

// Of what the front end holds until `end_ps`, what the rule keeps.
std::vector<IssuedRequest> kept_requests(const FrontEnd& front_end, const RecordRule& rule,
                                         std::int64_t end_ps) {
  std::vector<IssuedRequest> kept;
  for (std::size_t row = 0; row < front_end.issued().size(); ++row) {
    if (front_end.issued()[row].arrival_ps > end_ps) break;
    if (rule.keeps(static_cast<std::uint32_t>(front_end.records().number_of(row))))
      kept.push_back(front_end.issued()[row]);
  }
  return kept;
}

void fill_requests(ServingResult& result, const FrontEnd& front_end,
                   const std::vector<Replica*>& replicas, const RecordRule& rule,
                   std::int64_t end_ps) {
  RequestTable& table = result.requests;
  table.one_in = rule.one_in();
  const std::vector<IssuedRequest> issued = kept_requests(front_end, rule, end_ps);
  size_table(table, issued);
  const Rows rows{rule, issued.size()};
  if (!rule.all())
    for (std::size_t i = 0; i < issued.size(); ++i) table.number.push_back(rule.number_of(i));
  for (const Replica* replica : replicas)
    for (const RequestRecord& record : replica->records()) {
      const auto row = rows.of(record.request);
      if (!row) continue;
      const std::size_t i = *row;
      table.scheduled_s[i] = seconds(record.scheduled_ps);
      table.first_token_s[i] = seconds(record.first_ps);
      table.last_token_s[i] = seconds(record.last_ps);
      table.preemptions[i] += record.preemptions;
      table.outcome[i] = record.outcome;
      table.reason[i] = record.outcome == RequestOutcome::completed  ? RequestReason::none
                        : record.outcome == RequestOutcome::rejected ? RequestReason::never_fits
                                                                     : RequestReason::still_inside;
    }
  for (const Replica* replica : replicas) fill_inside(table, rows, *replica);
  for (const FrontEnd::RemoteAnswer& answer : front_end.remote()) {
    const auto row = rows.of(answer.request);
    if (!row) continue;
    const std::size_t i = *row;
    table.scheduled_s[i] = table.arrival_s[i];
    table.first_token_s[i] = seconds(answer.first_ps);
    table.last_token_s[i] = seconds(answer.last_ps);
    table.outcome[i] = RequestOutcome::completed;
    table.reason[i] = RequestReason::none;
  }
}

void fill_counts(ServingResult& result, const FrontEnd& front_end,
                 const std::vector<Replica*>& replicas, std::int64_t arrived) {
  const FrontEndCounts& front = front_end.counts();
  result.arrived = arrived;
  result.retries = front.retries;
  result.network = front_end.network();
  result.fabric = front_end.fabric();
  std::int64_t never_fits = 0;
  for (const Replica* replica : replicas) {
    const ReplicaCounts& counts = replica->counts();
    result.completed += counts.completed;
    never_fits += counts.rejected;
    result.output_tokens += counts.output_tokens;
    result.input_tokens += counts.input_tokens;
    result.preemptions += replica->batch().preemptions();
    result.most_inside = std::max(result.most_inside, replica->batch().most_inside());
    result.most_blocks = std::max(result.most_blocks, replica->batch().most_blocks());
    result.recomputed_tokens += replica->batch().recomputed_tokens();
    result.sketches.merge(replica->sketches());
  }
  result.sketches.merge(front_end.sketches());
  const auto ended = [&front](RequestReason r) { return front.ended[static_cast<std::size_t>(r)]; };
  result.remote.requests = ended(RequestReason::none);
  result.remote.input_tokens = front.remote_input;
  result.remote.output_tokens = front.remote_output;
  result.completed += result.remote.requests;
  result.timed_out = ended(RequestReason::timed_out);
  result.failed = ended(RequestReason::lost) + ended(RequestReason::no_replica) +
                  ended(RequestReason::no_router);
  result.rejected = never_fits + ended(RequestReason::too_long) + ended(RequestReason::turned_away);
  result.unfinished =
      result.arrived - result.completed - result.rejected - result.timed_out - result.failed;
  for (std::size_t r = 1; r < kReasons; ++r) {
    const auto reason = static_cast<RequestReason>(r);
    const std::int64_t count = reason == RequestReason::never_fits     ? never_fits
                               : reason == RequestReason::still_inside ? result.unfinished
                                                                       : ended(reason);
    if (count > 0) result.reasons.emplace_back(reason, count);
  }
}

void fill_series(ServingResult& result, const std::vector<Replica*>& replicas,
                 std::int64_t end_ps) {
  std::int64_t bin_ps = 0;
  for (Replica* replica : replicas)
    bin_ps = std::max(bin_ps, replica->recorder().series().bin_ps());
  std::vector<SeriesBin> sum;
  for (Replica* replica : replicas) {
    Series& series = replica->recorder().series();
    series.rebin(bin_ps);
    sum.resize(std::max(sum.size(), series.bins().size()));
    for (std::size_t i = 0; i < series.bins().size(); ++i) sum[i] += series.bins()[i];
  }
  const auto count = static_cast<double>(replicas.size());
  const double idle = replicas.front()->recorder().idle_watts();
  TimeSeries& out = result.series;
  out.bin_s = static_cast<double>(bin_ps) * 1e-12;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    // The last bin covers only the time until the run's end.
    const auto begin = static_cast<std::int64_t>(i) * bin_ps;
    const double span = seconds(std::min(begin + bin_ps, std::max(end_ps, begin + 1)) - begin);
    const SeriesBin& bin = sum[i];
    out.running.push_back(bin.running / span);
    out.waiting.push_back(bin.waiting / span);
    out.kv_used_fraction.push_back(bin.kv_fraction / span / count);
    out.batch_tokens.push_back(bin.busy > 0 ? bin.batch_tokens / bin.busy : 0.0);
    const double idle_s = std::max(0.0, count * span - bin.busy);
    out.gpu_watts.push_back((bin.joules + idle * idle_s) / (count * span));
    out.output_tokens_per_s.push_back(bin.output_tokens / span);
  }
}

void fill_steps(ServingResult& result, const std::vector<Replica*>& replicas) {
  std::int64_t every = 1;
  for (Replica* replica : replicas)
    every = std::max(every, replica->recorder().steps().kept_every());
  struct Row {
    StepRecord step;
    std::int32_t replica;
  };
  std::vector<Row> rows;
  for (std::size_t r = 0; r < replicas.size(); ++r) {
    StepLog& log = replicas[r]->recorder().steps();
    log.thin_to(every);
    for (const StepRecord& step : log.steps()) rows.push_back({step, static_cast<std::int32_t>(r)});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    if (a.step.start_ps != b.step.start_ps) return a.step.start_ps < b.step.start_ps;
    return a.replica != b.replica ? a.replica < b.replica : a.step.end_ps < b.step.end_ps;
  });
  StepTable& out = result.steps;
  out.kept_every = every;
  for (const Row& row : rows) {
    out.start_s.push_back(seconds(row.step.start_ps));
    out.duration_s.push_back(seconds(row.step.end_ps - row.step.start_ps));
    out.replica.push_back(row.replica);
    out.prefill_tokens.push_back(row.step.prefill_tokens);
    out.decode_sequences.push_back(row.step.decode_sequences);
    out.kv_blocks.push_back(static_cast<std::int32_t>(row.step.kv_blocks));
    out.prefill_sequences.push_back(row.step.prefill_sequences);
    out.waiting.push_back(row.step.waiting);
    out.swapped_blocks.push_back(row.step.swapped_blocks);
  }
}

// Means over replicas, so that the parts and idle add up to the time of the run.
void fill_time(ServingResult& result, const RunTotals& sum, double replicas, std::int64_t end_ps) {
  TimeAccount& t = result.time;
  t.gemm_s = sum.cost.gemm_s / replicas;
  t.attention_s = sum.cost.attention_s / replicas;
  t.experts_s = sum.cost.experts_s / replicas;
  t.communication_s = sum.cost.communication_s / replicas;
  t.elementwise_s = sum.cost.elementwise_s / replicas;
  t.host_s = sum.cost.host_s / replicas;
  t.idle_s = std::max(0.0, seconds(end_ps) - static_cast<double>(sum.busy_ps) * 1e-12 / replicas);
}

// Joules of one pool over the measured window. GPUs not busy idle; hosts go from idle to load with
// the share of time their GPUs are busy; GPUs of the nodes that no replica uses idle all the time.
EnergyAccount energy_of(const DeploymentSpec& d, const RunTotals& sum, double window,
                        double idle_watts) {
  const double per_replica = d.layout.gpus();
  const double used = per_replica * d.replicas;
  const double busy = sum.measured_busy_s;  // summed over replicas
  EnergyAccount e;
  e.provenance = d.power.provenance;
  e.gpu_j =
      per_replica * (sum.measured_joules + idle_watts * std::max(0.0, window * d.replicas - busy));
  if (window <= 0) return e;
  const double spare = std::max(0.0, static_cast<double>(d.nodes) * d.node.gpus - used);
  const double busy_share = std::min(1.0, busy / (window * d.replicas));
  const double host = d.nodes * (d.node.host_idle.value() +
                                 (d.node.host_load - d.node.host_idle).value() * busy_share);
  e.server_j = (e.gpu_j + (spare * idle_watts + host) * window) / d.node.psu_efficiency;
  e.mean_gpu_watts = e.gpu_j / (used * window);
  return e;
}

void fill_energy(ServingResult& result, const Gathered& g) {
  const double window = std::max(0.0, result.window_end_s - result.window_start_s);
  EnergyAccount& e = result.energy;
  double used = 0;
  for (const PoolResult& pool : result.pools) {
    e.gpu_j += pool.energy.gpu_j;
    e.server_j += pool.energy.server_j;
    e.provenance = weakest(e.provenance, pool.energy.provenance);
    used += static_cast<double>(pool.replicas) * pool.gpus_per_replica;
  }
  e.provenance = result.pools.size() == 1 ? g.spec.deployment.power.provenance : e.provenance;
  if (window > 0 && used > 0) e.mean_gpu_watts = e.gpu_j / (used * window);
  for (const double watts : result.series.gpu_watts)
    e.peak_gpu_watts = std::max(e.peak_gpu_watts, watts);
}

void fill_pools(ServingResult& result, const Gathered& g, const std::vector<RunTotals>& totals,
                std::int64_t end_ps) {
  const double window = std::max(0.0, result.window_end_s - result.window_start_s);
  // Tokens count until arrivals end, where they have an end of their own.
  const WorkloadSpec& w = g.spec.workload;
  const bool ends = w.duration && !std::holds_alternative<ClosedLoopArrivals>(w.arrivals);
  const double measured = ends
                              ? std::max(0.0, std::min(w.duration->seconds(), result.window_end_s) -
                                                  result.window_start_s)
                              : window;
  const auto wanted = g.front_end.wanted_seconds(end_ps);
  const auto specs = pools_of(g.spec);
  std::size_t first = 0;
  for (std::size_t p = 0; p < specs.size(); ++p) {
    const DeploymentSpec& d = *specs[p];
    PoolResult pool;
    pool.role = d.role;
    pool.replicas = d.replicas;
    pool.gpus_per_replica = d.layout.gpus();
    pool.gpus_per_node = d.node.gpus;
    const double run_s = static_cast<double>(end_ps) * 1e-12;
    pool.window_s = measured;
    pool.replica_seconds = run_s > 0 ? wanted[p] / run_s * measured : 0.0;
    pool.busy_seconds = totals[p].window_busy_s;
    pool.prefill_tokens = totals[p].measured_prefill;
    pool.output_tokens = totals[p].measured_output;
    pool.steps = totals[p].steps;
    if (totals[p].window_sequences > 0) {
      pool.decode_sequences = totals[p].window_sequences / totals[p].window_decode_s;
      pool.decode_context = totals[p].window_context / totals[p].window_sequences;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(d.replicas); ++i)
      pool.cached_tokens += g.replicas[first + i]->counts().cached_tokens;
    pool.memory = g.models[p].memory;
    pool.energy = energy_of(d, totals[p], window, g.replicas[first]->recorder().idle_watts());
    first += static_cast<std::size_t>(d.replicas);
    result.pools.push_back(pool);
  }
}

// --- conservation -----------------------------------------------------------------------------

void expect(ServingResult& result, bool holds, const std::string& broken) {
  if (!holds) result.conservation_errors.push_back(broken);
}

void check_replica(ServingResult& result, const Replica& replica, std::size_t number,
                   bool drained) {
  const Batch& batch = replica.batch();
  const ReplicaCounts& counts = replica.counts();
  const RunTotals& totals = replica.recorder().totals();
  const std::string who = "replica " + std::to_string(number) + ": ";
  const auto inside =
      static_cast<std::int64_t>(batch.waiting().size()) + batch.running() + replica.unseen();
  const std::int64_t accounted = counts.completed + counts.rejected + counts.handed_on +
                                 counts.lost + counts.timed_out + inside;
  expect(result, counts.received == accounted,
         who + std::to_string(counts.received) + " requests came in, " + std::to_string(accounted) +
             " are accounted for");
  if (!drained) return;
  expect(result, inside == 0, who + "requests are left although the run drained");
  expect(result, batch.free_blocks() == batch.total_blocks(),
         who + std::to_string(batch.used_blocks()) + " KV blocks were not given back");
  expect(result, totals.output_tokens == counts.made_output,
         who + std::to_string(totals.output_tokens) + " tokens came out of steps, requests hold " +
             std::to_string(counts.made_output));
  expect(result, batch.swapped_blocks() == 0,
         who + std::to_string(batch.swapped_blocks()) + " KV blocks were left in host memory");
  // What a preemption throws away is processed again.
  const std::int64_t processed = totals.prefill_tokens + totals.decode_tokens;
  expect(result, processed == counts.made_kv + batch.recomputed_tokens(),
         who + std::to_string(processed) + " tokens were processed, requests needed " +
             std::to_string(counts.made_kv) + " and preemptions threw away " +
             std::to_string(batch.recomputed_tokens()));
}

void check(ServingResult& result, const std::vector<Replica*>& replicas, bool drained) {
  expect(result, result.unfinished >= 0, "more requests ended than arrived");
  if (drained)
    expect(result, result.unfinished == 0,
           std::to_string(result.unfinished) + " requests were lost between client and replica");
  for (std::size_t r = 0; r < replicas.size(); ++r) check_replica(result, *replicas[r], r, drained);
  const RequestTable& t = result.requests;
  std::int64_t disordered = 0;
  for (std::size_t i = 0; i < t.size(); ++i)
    if (t.outcome[i] == RequestOutcome::completed)
      disordered +=
          !(t.arrival_s[i] <= t.scheduled_s[i] && t.scheduled_s[i] <= t.first_token_s[i] &&
            t.first_token_s[i] <= t.last_token_s[i]);
  expect(result, disordered == 0,
         std::to_string(disordered) + " requests went through their stages out of order");
}

}  // namespace

std::vector<RunTotals> totals_of_pools(const Gathered& g) {
  std::vector<RunTotals> totals;
  std::size_t at = 0;
  for (const DeploymentSpec* pool : pools_of(g.spec)) {
    RunTotals sum;
    for (int i = 0; i < pool->replicas; ++i) sum += g.replicas[at++]->recorder().totals();
    totals.push_back(sum);
  }
  return totals;
}

ServingResult collect(const Gathered& g, const sim::engine::RunReport& run) {
  ServingResult result;
  result.run = run;
  result.memory = g.models.front().memory;
  const auto totals = totals_of_pools(g);
  RunTotals sum;
  for (const RunTotals& pool : totals) sum += pool;
  const bool drained = run.reason == sim::engine::StopReason::drained;
  // Events may go on after the last request: repairs, schedules.
  const std::int64_t end_ps = drained ? sum.last_end_ps : std::max(run.end.ps(), sum.last_end_ps);
  // Requests sent ahead of their time that the run did not reach have not arrived.
  const auto& issued = g.front_end.issued();
  const std::int64_t reached_ps = drained ? INT64_MAX : run.end.ps();
  std::int64_t arrived = g.front_end.counts().arrived;
  if (g.front_end.records().all())
    arrived = std::upper_bound(issued.begin(), issued.end(), reached_ps,
                               [](std::int64_t ps, const IssuedRequest& request) {
                                 return ps < request.arrival_ps;
                               }) -
              issued.begin();
  fill_counts(result, g.front_end, g.replicas, arrived);
  fill_requests(result, g.front_end, g.replicas, {g.spec.record_one_in, g.spec.seed}, reached_ps);
  std::int64_t last_ps = 0;
  for (const Replica* replica : g.replicas) last_ps = std::max(last_ps, replica->counts().last_ps);
  result.window_start_s = g.spec.workload.warmup.seconds();
  result.window_end_s =
      std::max(result.window_start_s, drained ? seconds(last_ps) : seconds(end_ps));
  result.total_steps = sum.steps;
  for (const Replica* replica : g.replicas)
    if (!replica->watch().events().empty()) result.watched = replica->watch().events();
  fill_time(result, sum, static_cast<double>(g.replicas.size()), std::max(end_ps, last_ps));
  fill_series(result, g.replicas, std::max(end_ps, last_ps));
  fill_steps(result, g.replicas);
  fill_pools(result, g, totals, std::max(end_ps, last_ps));
  fill_energy(result, g);
  const auto& remote = g.spec.cluster.remote;
  result.remote.cost_usd =
      (static_cast<double>(result.remote.input_tokens) * remote.usd_per_million_input +
       static_cast<double>(result.remote.output_tokens) * remote.usd_per_million_output) *
      1e-6;
  check(result, g.replicas, drained);
  return result;
}

}  // namespace foretoken::models::serving
