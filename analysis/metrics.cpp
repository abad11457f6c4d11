// Request table and accounts of a run -> Metrics.
#include <algorithm>
#include <cmath>

#include "analysis/slo.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {
namespace {

using models::serving::RequestOutcome;
using models::serving::RequestTable;
using sim::core::Provenance;

constexpr double kInfinite = std::numeric_limits<double>::infinity();

struct Window {
  double start_s, end_s;
  [[nodiscard]] bool holds(double t) const { return t >= start_s && t <= end_s; }
};

std::size_t& count_of(RequestOutcome outcome, Metrics& m) {
  switch (outcome) {
    case RequestOutcome::completed:
      return m.completed;
    case RequestOutcome::rejected:
      return m.rejected;
    case RequestOutcome::timed_out:
      return m.timed_out;
    case RequestOutcome::failed:
      return m.failed;
    case RequestOutcome::unfinished:
      break;
  }
  return m.unfinished;
}

// Latencies of the requests that arrived in the window, and how many met which end.
RequestLatencies collect_latencies(const RequestTable& r, const Window& window, Metrics& m) {
  RequestLatencies all;
  std::vector<double> ttft, tpot, e2el, queueing, prefill, decode;
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (!window.holds(r.arrival_s[i])) continue;
    ++m.arrived;
    if (r.outcome[i] != RequestOutcome::completed) {
      ++count_of(r.outcome[i], m);
      for (auto* column : {&all.ttft_s, &all.tpot_s, &all.e2el_s}) column->push_back(kInfinite);
      continue;
    }
    ++m.completed;
    const double first = r.first_token_s[i] - r.arrival_s[i];
    const double generating = r.last_token_s[i] - r.first_token_s[i];
    const bool several = r.output_tokens[i] >= 2;
    const double between = several ? generating / (r.output_tokens[i] - 1) : 0.0;
    all.ttft_s.push_back(first);
    all.tpot_s.push_back(between);
    all.e2el_s.push_back(r.last_token_s[i] - r.arrival_s[i]);
    if (several) tpot.push_back(between);
    queueing.push_back(r.scheduled_s[i] - r.arrival_s[i]);
    prefill.push_back(r.first_token_s[i] - r.scheduled_s[i]);
    decode.push_back(generating);
  }
  for (std::size_t i = 0; i < all.e2el_s.size(); ++i) {
    if (!std::isfinite(all.e2el_s[i])) continue;
    ttft.push_back(all.ttft_s[i]);
    e2el.push_back(all.e2el_s[i]);
  }
  m.ttft = describe(std::move(ttft));
  m.tpot = describe(std::move(tpot));
  m.e2el = describe(std::move(e2el));
  m.queueing = describe(std::move(queueing));
  m.prefill = describe(std::move(prefill));
  m.decode = describe(std::move(decode));
  return all;
}

// A run that did not keep all requests still has its counters, over the whole run.
void count_without_table(const ServingResult& result, Metrics& m) {
  m.arrived = static_cast<std::size_t>(result.arrived);
  m.completed = m.finished_in_window = static_cast<std::size_t>(result.completed);
  m.rejected = static_cast<std::size_t>(result.rejected);
  m.unfinished = static_cast<std::size_t>(result.unfinished);
  m.timed_out = static_cast<std::size_t>(result.timed_out);
  m.failed = static_cast<std::size_t>(result.failed);
  m.input_tokens = result.input_tokens;
  m.output_tokens = result.output_tokens;
  if (result.sketches.empty() || result.pools.empty()) return;
  // Pools count what they made while requests arrived, the warm-up left out.
  m.window_s = result.pools.front().window_s;
  m.finished_in_window = result.sketches.e2el.count();
  m.input_tokens = result.remote.input_tokens;
  m.output_tokens = result.remote.output_tokens;
  for (const auto& pool : result.pools) {
    m.input_tokens += pool.prefill_tokens + pool.cached_tokens;
    m.output_tokens += pool.output_tokens;
  }
}

// Latencies of requests that were forgotten: each column by its own quantiles, in rank order, so
// that joint limits are judged as if the slowest in one were the slowest in all.
RequestLatencies latencies_of_sketches(const models::serving::Sketches& sketches, Metrics& m) {
  m.ttft = describe_sketch(sketches.ttft);
  m.tpot = describe_sketch(sketches.tpot);
  m.e2el = describe_sketch(sketches.e2el);
  m.queueing = describe_sketch(sketches.queueing);
  m.prefill = describe_sketch(sketches.prefill);
  m.decode = describe_sketch(sketches.decode);
  RequestLatencies all;
  all.ttft_s = m.ttft.ascending;
  all.tpot_s = m.tpot.n > 0 ? m.tpot.ascending : std::vector<double>(all.ttft_s.size(), 0.0);
  all.e2el_s = m.e2el.ascending;
  return all;
}

void account_nodes(const ServingResult& result, Metrics& m) {
  using models::serving::PoolRole;
  double input = 0, input_s = 0, output = 0, output_s = 0;
  for (const auto& pool : result.pools) {
    if (pool.role != PoolRole::decode) {
      input += static_cast<double>(pool.prefill_tokens + pool.cached_tokens);
      input_s += pool.node_seconds();
    }
    if (pool.role != PoolRole::prefill) {
      output += static_cast<double>(pool.output_tokens);
      output_s += pool.node_seconds();
    }
  }
  if (input_s > 0) m.input_per_node = input / input_s;
  if (output_s > 0) m.output_per_node = output / output_s;
  m.tokens_per_s_per_user = 1.0 / m.tpot.mean;
  double in_service = 0;
  for (const auto& pool : result.pools) in_service += pool.node_seconds();
  if (!result.pools.empty() && result.pools.front().window_s > 0)
    m.mean_nodes = in_service / result.pools.front().window_s;
}

void count_work(const ServingResult& result, const Window& window, Metrics& m) {
  const RequestTable& r = result.requests;
  if (!r.complete()) return count_without_table(result, m);
  double busy = 0.0;
  std::vector<double> arrivals, ends;
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (r.outcome[i] != RequestOutcome::completed) continue;
    arrivals.push_back(r.arrival_s[i]);
    ends.push_back(r.last_token_s[i]);
    busy += std::max(
        0.0, std::min(window.end_s, r.last_token_s[i]) - std::max(window.start_s, r.arrival_s[i]));
    if (!window.holds(r.last_token_s[i])) continue;
    ++m.finished_in_window;
    m.input_tokens += r.input_tokens[i];
    m.output_tokens += r.output_tokens[i];
  }
  if (m.window_s > 0) m.mean_concurrency = busy / m.window_s;
  // Requests in flight over half-open [arrival, last token), ends before starts on a tie.
  std::sort(arrivals.begin(), arrivals.end());
  std::sort(ends.begin(), ends.end());
  std::size_t ended = 0;
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    while (ended < ends.size() && ends[ended] <= arrivals[i]) ++ended;
    m.peak_concurrency = std::max(m.peak_concurrency, static_cast<std::int64_t>(i + 1 - ended));
  }
}

// Mean over the part of each bin that lies in the window.
double window_mean(const std::vector<double>& bins, double bin_s, const Window& window) {
  double sum = 0.0, weight = 0.0;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double from = static_cast<double>(i) * bin_s;
    const double w = std::min(window.end_s, from + bin_s) - std::max(window.start_s, from);
    if (w <= 0) continue;
    sum += w * bins[i];
    weight += w;
  }
  return weight > 0 ? sum / weight : kMissing;
}

double window_peak(const std::vector<double>& bins, double bin_s, const Window& window) {
  double peak = kMissing;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double from = static_cast<double>(i) * bin_s;
    if (from >= window.end_s || from + bin_s <= window.start_s) continue;
    if (std::isnan(peak) || bins[i] > peak) peak = bins[i];
  }
  return peak;
}

void account_series(const ServingResult& result, const Window& window, Metrics& m) {
  const auto& s = result.series;
  m.mean_kv_used = window_mean(s.kv_used_fraction, s.bin_s, window);
  m.peak_kv_used = window_peak(s.kv_used_fraction, s.bin_s, window);
  m.mean_running = window_mean(s.running, s.bin_s, window);
  m.mean_waiting = window_mean(s.waiting, s.bin_s, window);
  m.peak_waiting = window_peak(s.waiting, s.bin_s, window);
  const auto& t = result.time;
  const double busy =
      t.gemm_s + t.attention_s + t.experts_s + t.communication_s + t.elementwise_s + t.host_s;
  if (busy + t.idle_s > 0) m.idle_share = t.idle_s / (busy + t.idle_s);
}

PerGpu per_gpu(std::int64_t tokens, const Metrics& m) {
  PerGpu out;
  out.numerator = static_cast<double>(tokens);
  out.gpu_seconds = m.window_s * m.gpus;
  if (out.gpu_seconds > 0) out.value = out.numerator / out.gpu_seconds;
  return out;
}

// Whether steps slower by the stated error would still keep up with the offered load: requests in
// flight grow at least in proportion to the step time and, as larger batches are slower, by more;
// the square leaves room for that.
bool has_slack(const Scenario& scenario, const ServingResult& result, const Metrics& m,
               double drain_s) {
  if (m.closed_loop || m.e2el.n == 0 || drain_s > 2.0 * m.e2el.p99) return false;
  const auto& d = scenario.serving.deployment;
  const double growth = std::pow(1.0 + result.latency_relative_error, 2);
  const double places =
      static_cast<double>(d.batching.max_sequences) * d.layout.data_attention * d.replicas;
  return (m.mean_running + m.mean_waiting) * growth < places && m.mean_kv_used * growth < 1.0;
}

// An open-loop deployment with slack serves what is offered whatever its speed: only the drain
// after the last arrival scales with the step time. Saturated or closed loop, all of it does.
Figure throughput_trust(const Scenario& scenario, const ServingResult& result, const Metrics& m) {
  Figure out;
  out.provenance = result.latency_provenance;
  out.relative_error = result.latency_relative_error;
  out.basis = "set by the step time";
  if (!result.requests.complete() || result.requests.size() == 0 || m.window_s <= 0) return out;
  const double last =
      *std::max_element(result.requests.arrival_s.begin(), result.requests.arrival_s.end());
  const double drain_s = std::clamp(result.window_end_s - last, 0.0, m.window_s);
  if (!has_slack(scenario, result, m, drain_s)) return out;
  out.relative_error = result.latency_relative_error * drain_s / m.window_s;
  out.basis = "set by the offered load; only the drain after the last arrival depends on speed";
  return out;
}

void account_energy(const Scenario& scenario, const ServingResult& result, Metrics& m) {
  EnergyFigures& e = m.energy;
  e.pue = scenario.cost.pue;
  // Where requests are forgotten tokens count until arrivals end, and energy until the last is
  // done.
  const double span_s = result.window_end_s - result.window_start_s;
  const double share = span_s > 0 ? std::min(1.0, m.window_s / span_s) : 1.0;
  e.window_j_gpu = result.energy.gpu_j * share;
  e.window_j_server = result.energy.server_j * share;
  // Racks: the nodes' part of switches that are no node's own.
  double rack = 0.0;
  const auto add_rack = [&rack](const auto& pool) {
    rack += pool.nodes * pool.node.rack_share.value();
  };
  add_rack(scenario.serving.deployment);
  for (const auto& pool : scenario.serving.pools) add_rack(pool);
  e.window_j_facility = (e.window_j_server + rack * std::max(0.0, m.window_s)) * e.pue;
  e.mean_gpu_watts = result.energy.mean_gpu_watts;
  e.peak_gpu_watts = result.energy.peak_gpu_watts;
  if (m.window_s > 0) {
    e.mean_server_watts = e.window_j_server / m.window_s;
    e.mean_facility_watts = e.window_j_facility / m.window_s;
  }
  if (m.output_tokens > 0) {
    const auto tokens = static_cast<double>(m.output_tokens);
    e.j_per_output_token_gpu = e.window_j_gpu / tokens;
    e.j_per_output_token_server = e.window_j_server / tokens;
    e.j_per_output_token_facility = e.window_j_facility / tokens;
  }
}

bool price_is_the_users(const Scenario& scenario) {
  const std::string file = scenario.file.filename().string();
  return std::any_of(scenario.resolved.begin(), scenario.resolved.end(), [&](const auto& v) {
    const bool price = v.path == "cost.node_price" || v.path == "cost.gpu_hour";
    return price && (v.origin.rfind(file, 0) == 0 || v.origin == "--set");
  });
}

// Rent is paid for what is in service, where that changes.
double rented_gpus(const Scenario& scenario, const Metrics& m) {
  const auto changes = [](const models::serving::DeploymentSpec& d) {
    return !d.schedule.empty() || d.autoscale.requests_per_replica > 0;
  };
  const auto& serving = scenario.serving;
  const bool any = changes(serving.deployment) ||
                   std::any_of(serving.pools.begin(), serving.pools.end(), changes);
  return any && m.mean_nodes > 0 ? m.mean_nodes * serving.deployment.node.gpus : m.gpus;
}

// What a remote interface charges for its share of the requests, spread over the whole run.
void add_remote_cost(const Scenario& scenario, const models::serving::RemoteResult& remote,
                     double run_s, Metrics& m) {
  const double hours = run_s / 3600.0;
  if (remote.requests == 0 || !(hours > 0.0)) return;
  auto& c = m.cost;
  const double usd = remote.cost_usd / hours;
  const double cny = usd * scenario.cost.exchange.cny_per_usd;
  const double more = c.total_usd_per_hour > 0 ? 1.0 + usd / c.total_usd_per_hour : 1.0;
  c.per_hour.push_back({"api", cny, usd});
  c.total_cny_per_hour += cny;
  c.total_usd_per_hour += usd;
  for (double* per_million : {&c.cny_per_million_output_tokens, &c.usd_per_million_output_tokens,
                              &c.cny_per_million_total_tokens, &c.usd_per_million_total_tokens})
    *per_million *= more;
  c.formula += "; per hour also what the remote interface charges for its requests";
}

}  // namespace

void account_cost(const Scenario& scenario, const models::serving::RemoteResult& remote,
                  double run_s, Metrics& m) {
  const bool work = m.output_tokens > 0 && m.window_s > 0;
  m.cost = models::cost::cost_of_run(
      scenario.cost, m.nodes, rented_gpus(scenario, m), work ? m.energy.mean_facility_watts : 0.0,
      work ? m.output_rate.value : 0.0, work ? m.total_rate.value : 0.0);
  if (!work) {
    m.cost.cny_per_million_output_tokens = m.cost.usd_per_million_output_tokens = kMissing;
    m.cost.cny_per_million_total_tokens = m.cost.usd_per_million_total_tokens = kMissing;
  }
  add_remote_cost(scenario, remote, run_s, m);
  m.money = m.throughput;
  if (price_is_the_users(scenario)) {
    m.money.provenance = sim::core::weakest(m.throughput.provenance, m.power.provenance);
    m.money.basis = "price stated in the scenario; error of the throughput alone";
  } else {
    // Nobody knows how far a list price is from the quotation this buyer will get: the interval is
    // that of the tokens alone.
    m.money.provenance = Provenance::assumed;
    m.money.basis = "price from a dated card, not a quotation; error of the throughput alone";
  }
  m.money.value = m.cost.cny_per_million_output_tokens;
}

namespace {

void set_trust(const Scenario& scenario, const ServingResult& result, Metrics& m) {
  m.latency = {m.ttft.p50, result.latency_provenance, result.latency_relative_error,
               result.error_of_servers
                   ? "mean error over runs of real servers of the engine, deployments left out"
                   : "operator times weighted by their share of the step time"};
  m.ttft_trust = m.latency;
  m.ttft_trust.relative_error = result.ttft_relative_error;
  m.throughput = throughput_trust(scenario, result, m);
  m.kv = m.latency;
  m.kv.value = m.mean_kv_used;
  m.kv.basis = "follows the time requests stay (Little's law)";
  m.power = {m.energy.mean_gpu_watts, result.energy.provenance, std::nullopt,
             "component power model over the simulated activity"};
  // Of several pools the worst known card speaks for all.
  double error = scenario.serving.deployment.power.relative_error;
  for (const auto& pool : scenario.serving.pools)
    error = std::max(error, pool.power.relative_error);
  if (error > 0) m.power.relative_error = error;
  m.energy_figure = m.power;
  m.energy_figure.value = m.energy.j_per_output_token_facility;
  // Energy is power over the time that the tokens took: both may be off at once.
  if (m.power.relative_error && m.throughput.relative_error)
    m.energy_figure.relative_error = *m.power.relative_error + *m.throughput.relative_error;
}

}  // namespace

Metrics summarise(const Scenario& scenario, const ServingResult& result) {
  const auto& deployment = scenario.serving.deployment;
  const Window window{result.window_start_s, result.window_end_s};
  Metrics m;
  m.name = scenario.name;
  m.gpus = deployment.layout.gpus() * deployment.replicas;
  m.nodes = deployment.nodes;
  for (const auto& pool : scenario.serving.pools) {
    m.gpus += pool.layout.gpus() * pool.replicas;
    m.nodes += pool.nodes;
  }
  m.window_s = std::max(0.0, window.end_s - window.start_s);
  m.closed_loop = std::holds_alternative<models::serving::ClosedLoopArrivals>(
      scenario.serving.workload.arrivals);

  const bool forgotten = !result.requests.complete();
  if (!m.closed_loop && !forgotten)
    m.saturation = saturation_of(result.requests, window.start_s, result.window_end_s);
  const RequestLatencies requests = forgotten ? latencies_of_sketches(result.sketches, m)
                                              : collect_latencies(result.requests, window, m);
  count_work(result, window, m);
  if (forgotten && m.window_s > 0)  // Little: of those that arrived, over the time they came in
    m.mean_concurrency = m.e2el.mean * static_cast<double>(m.e2el.n) / m.window_s;
  account_series(result, window, m);
  account_energy(scenario, result, m);
  set_trust(scenario, result, m);

  m.request_rate = m.output_rate = m.total_rate = m.throughput;
  if (m.window_s > 0) {
    m.request_rate.value = static_cast<double>(m.finished_in_window) / m.window_s;
    m.output_rate.value = static_cast<double>(m.output_tokens) / m.window_s;
    m.total_rate.value = static_cast<double>(m.input_tokens + m.output_tokens) / m.window_s;
  }
  m.throughput.value = m.output_rate.value;
  m.output_per_gpu = per_gpu(m.output_tokens, m);
  m.input_per_gpu = per_gpu(m.input_tokens, m);
  m.total_per_gpu = per_gpu(m.input_tokens + m.output_tokens, m);
  m.tokens_per_s_per_user_p50 = 1.0 / m.tpot.p50;
  m.tokens_per_s_per_user_p99 = 1.0 / m.tpot.p99;
  account_nodes(result, m);
  const std::size_t missed = m.rejected + m.unfinished + m.timed_out + m.failed;
  m.slo = judge_slo(scenario.slo, requests, m.ttft, m.tpot, m.e2el, missed,
                    result.latency_relative_error, m.window_s);
  account_cost(scenario, result.remote, result.window_end_s, m);
  return m;
}

}  // namespace foretoken::analysis
