#include "analysis/study/plan_runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/number_text.hpp"
#include "models/serving/serving.hpp"

namespace foretoken::analysis::study {
namespace {

using models::serving::RequestOutcome;
using models::serving::StepModel;

constexpr double kPrefixes[] = {1.0 / 16, 1.0 / 4};  // of the traffic's span

// Whether every request ends at the one replica it is sent to, with all its tokens.
bool each_ends(const models::serving::ServingSpec& serving) {
  const auto& cluster = serving.cluster;
  return serving.pools.empty() && cluster.rules.timeout.ps() == 0 &&
         cluster.rules.most_open_per_replica == 0 && !cluster.faults.any() &&
         cluster.remote.share == 0.0 && !cluster.remote.overflow;
}

// Requests that already miss the limit of `term` at `until_s`, when the run was stopped: what came
// out late, and what has not come out although it is due.
std::size_t late_by(const ServingResult& result, const scenarios::loader::SloTerm& term,
                    bool unfinished_count, double until_s) {
  const auto& t = result.requests;
  const auto passed = [&](std::size_t i, double at_s) {
    return (std::isnan(at_s) ? until_s : at_s) - t.arrival_s[i] > term.limit_s;
  };
  std::size_t late = 0;
  for (std::size_t i = 0; i < t.size(); ++i) {
    const bool done = t.outcome[i] == RequestOutcome::completed;
    if (!done && !(unfinished_count && t.outcome[i] == RequestOutcome::unfinished)) continue;
    if (term.metric == "ttft") {
      late += passed(i, t.first_token_s[i]) ? 1 : 0;
    } else if (term.metric == "e2el") {
      late += passed(i, t.last_token_s[i]) ? 1 : 0;
    } else if (done && t.output_tokens[i] > 1) {
      const double tpot = (t.last_token_s[i] - t.first_token_s[i]) / (t.output_tokens[i] - 1);
      late += tpot > term.limit_s ? 1 : 0;
    }
  }
  return late;
}

// Too many requests late with the first part of the traffic alone? Later arrivals cannot undo it.
std::string why_late(const Scenario& scenario, const StepModel& timer, const RunRules& rules,
                     double part) {
  Scenario first = scenario;
  const double until_s = rules.span_s * part;
  const auto until = sim::core::Duration::from_seconds(until_s);
  first.serving.workload.duration = until;
  const ServingResult result = run_once(first, timer, rules.interrupt, sim::core::Time() + until);
  for (const auto& term : scenario.slo) {
    if (term.statistic.front() != 'p') continue;
    const double q = std::stod(term.statistic.substr(1)) / 100.0;
    const double allowed = (1.0 - q) * static_cast<double>(rules.requests) + 1.0;
    const std::size_t late = late_by(result, term, each_ends(scenario.serving), until_s);
    if (static_cast<double>(late) > allowed)
      return fmt::format("{}: {} requests are late after {} of the traffic; {:.0f} may be in all",
                         term.text, late, percent_text(part), allowed);
  }
  return {};
}

std::int64_t blocks_of_replica(const Scenario& scenario) {
  const auto& d = scenario.serving.deployment;
  return models::serving::account_memory(d, 1).kv_blocks * d.layout.data_attention;
}

// Neither the limit on sequences nor the KV cache was ever in the way of `tried`, nor would these.
bool never_binds(const Tried& tried, int max_sequences, std::int64_t kv_blocks,
                 const models::serving::DeploymentSpec& d) {
  const std::int64_t sequences = std::min(tried.max_sequences, max_sequences);
  const std::int64_t blocks = std::min(tried.kv_blocks, kv_blocks);
  const double kept = d.engine.kv_watermark * static_cast<double>(blocks) + 1.0;
  return tried.most_inside < sequences &&
         static_cast<double>(tried.most_blocks) + kept <= static_cast<double>(blocks);
}

// The samples behind percentiles are not needed once the SLO is judged.
void forget_samples(Metrics& m) {
  for (Distribution* d : {&m.ttft, &m.tpot, &m.e2el, &m.queueing, &m.prefill, &m.decode})
    std::vector<double>().swap(d->ascending);
}

}  // namespace

ServingResult run_once(const Scenario& scenario, const StepModel& timer,
                       const std::atomic<bool>* interrupt, sim::core::Time until) {
  sim::engine::RunOptions options;
  options.executor = sim::engine::ExecutorKind::serial;
  options.interrupt = interrupt;
  options.until = until;
  ServingResult result = models::serving::simulate(scenario.serving, timer, options);
  if (result.run.reason == sim::engine::StopReason::interrupted) throw Interrupted();
  if (!result.conservation_errors.empty())
    throw std::logic_error("conservation check failed: " + result.conservation_errors.front());
  return result;
}

Tried try_deployment(const Scenario& scenario, const StepModel& timer, const RunRules& rules) {
  Tried tried;
  tried.max_sequences = scenario.serving.deployment.batching.max_sequences;
  tried.kv_blocks = blocks_of_replica(scenario);
  if (rules.in_part)
    for (const double part : kPrefixes) {
      ++tried.prefixes;
      tried.late = why_late(scenario, timer, rules, part);
      if (!tried.late.empty()) return tried;
    }
  const ServingResult result = run_once(scenario, timer, rules.interrupt);
  tried.simulated = 1;
  tried.metrics = summarise(scenario, result);
  forget_samples(*tried.metrics);
  tried.most_inside = result.most_inside;
  tried.most_blocks = result.most_blocks;
  tried.remote = result.remote;
  tried.run_s = result.window_end_s;
  return tried;
}

std::optional<Tried> same_run(const Scenario& scenario, const std::vector<Tried>& known) {
  const auto& d = scenario.serving.deployment;
  for (const Tried& tried : known) {
    const bool same_limit = tried.max_sequences == d.batching.max_sequences;
    // A larger KV cache may keep more of earlier prompts.
    const bool caches = !scenario.serving.cluster.cache_tiers.empty();
    if (!same_limit &&
        (!tried.metrics || caches || d.batching.policy == models::serving::BatchingPolicy::plugin ||
         !each_ends(scenario.serving) ||
         !never_binds(tried, d.batching.max_sequences, blocks_of_replica(scenario), d)))
      continue;
    Tried same = tried;
    same.simulated = same.prefixes = 0;
    same.borrowed = !same_limit;
    if (same.metrics) account_cost(scenario, same.remote, same.run_s, *same.metrics);
    return same;
  }
  return std::nullopt;
}

}  // namespace foretoken::analysis::study
