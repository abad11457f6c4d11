#include "analysis/study/plan_bounds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "analysis/number_text.hpp"
#include "models/serving/arrivals.hpp"
#include "models/serving/serving.hpp"

namespace foretoken::analysis::study {
namespace {

using models::serving::StepInput;
using models::serving::StepModel;
using scenarios::loader::SloTerm;

double quantile_of(const SloTerm& term) {
  if (term.statistic.size() < 2 || term.statistic.front() != 'p') return kMissing;
  return std::stod(term.statistic.substr(1)) / 100.0;
}

// The share of requests that must meet every limit, and how late the last of them may end.
struct Due {
  double share = 0.0;    // 0: the SLO bounds no quantile of them
  double slack_s = 0.0;  // after its arrival
};

Due due_of(const Scenario& scenario, const Traffic& traffic) {
  // A request late in one limit may be early in another: shares that may miss add up.
  double missing = 0.0;
  std::optional<double> first_s, token_s, whole_s;
  for (const SloTerm& term : scenario.slo) {
    const double q = quantile_of(term);
    if (std::isnan(q)) continue;
    missing += 1.0 - q;
    auto& limit = term.metric == "ttft" ? first_s : term.metric == "tpot" ? token_s : whole_s;
    limit = limit ? std::min(*limit, term.limit_s) : term.limit_s;
  }
  Due due;
  if (!whole_s && !(first_s && token_s)) return due;
  due.share = std::max(0.0, 1.0 - missing);
  due.slack_s = std::numeric_limits<double>::infinity();
  if (whole_s) due.slack_s = *whole_s;
  if (first_s && token_s)
    due.slack_s = std::min(due.slack_s, *first_s + *token_s * traffic.output.back());
  return due;
}

double seconds(const StepModel& timer, const StepInput& step) { return timer.cost(step).seconds; }

// Sum over the smallest `share` of ascending values.
double sum_of_smallest(const std::vector<std::int32_t>& ascending, double share) {
  const auto n =
      static_cast<std::size_t>(std::floor(share * static_cast<double>(ascending.size())));
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += ascending[i];
  return sum;
}

double least_seconds_per_decode(const StepModel& timer, int max_sequences, std::int64_t context) {
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t batch = 1;; batch = std::min<std::int64_t>(2 * batch, max_sequences)) {
    const StepInput step{
        static_cast<std::int32_t>(batch), batch * context, {}, static_cast<std::int32_t>(batch)};
    least = std::min(least, seconds(timer, step) / static_cast<double>(batch));
    if (batch == max_sequences) return least;
  }
}

double least_seconds_per_prompt_token(const StepModel& timer, int max_tokens) {
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t tokens = std::min(64, max_tokens);;
       tokens = std::min<std::int64_t>(2 * tokens, max_tokens)) {
    const models::llm::Chunk chunk{tokens, 0};
    least = std::min(least, seconds(timer, {0, 0, {&chunk, 1}, 0}) / static_cast<double>(tokens));
    if (tokens == max_tokens) return least;
  }
}

double prompt_alone(const StepModel& timer, std::int64_t tokens, int max_tokens) {
  double total = 0.0;
  for (std::int64_t done = 0; done < tokens;) {
    const std::int64_t now = std::min<std::int64_t>(tokens - done, max_tokens);
    const models::llm::Chunk chunk{now, done};
    total += seconds(timer, {0, 0, {&chunk, 1}, done + now == tokens ? 1 : 0});
    done += now;
  }
  return total;
}

std::optional<Bound> latency_bound(const Scenario& scenario, const Traffic& traffic,
                                   const StepModel& timer) {
  for (const SloTerm& term : scenario.slo) {
    const double q = quantile_of(term);
    if (std::isnan(q)) continue;
    if (term.metric == "tpot") {
      const double least = seconds(timer, {1, traffic.input.front(), {}, 1});
      if (least > term.limit_s)
        return Bound{"one token",
                     fmt::format("a token takes {} even alone; the limit is {}", time_text(least),
                                 time_text(term.limit_s)),
                     least / term.limit_s};
    } else if (term.metric == "ttft") {
      // At least a share 1-q of the prompts is as long as this one.
      const auto rank = static_cast<std::size_t>(q * static_cast<double>(traffic.input.size() - 1));
      const std::int32_t tokens = traffic.input[rank];
      const double least =
          prompt_alone(timer, tokens, scenario.serving.deployment.batching.max_tokens);
      if (least > term.limit_s)
        return Bound{
            "one prompt",
            fmt::format("{} of the prompts have {} tokens or more and take {} even alone; "
                        "the limit is {}",
                        percent_text(1.0 - q), tokens, time_text(least), time_text(term.limit_s)),
            least / term.limit_s};
    }
  }
  return std::nullopt;
}

std::optional<Bound> work_bound(const Scenario& scenario, const Traffic& traffic,
                                const StepModel& timer) {
  const Due due = due_of(scenario, traffic);
  if (due.share == 0.0) return std::nullopt;
  const auto& d = scenario.serving.deployment;
  const double decode_s =
      sum_of_smallest(traffic.output, due.share) *
      least_seconds_per_decode(timer, d.batching.max_sequences, traffic.input.front());
  const double prefill_s = sum_of_smallest(traffic.input, due.share) *
                           least_seconds_per_prompt_token(timer, d.batching.max_tokens);
  // A step may do both at the price of one, so the larger of the two, not their sum.
  const double needed_s = std::max(decode_s, prefill_s) / d.replicas;
  const double there_s = traffic.span_s + due.slack_s;
  if (needed_s <= there_s) return std::nullopt;
  return Bound{
      "work",
      fmt::format("{} alone keep {} busy for {}, and the last request is due {} "
                  "after the first",
                  decode_s > prefill_s ? "output tokens" : "prompts",
                  d.replicas == 1 ? "it" : "its replicas", time_text(needed_s), time_text(there_s)),
      needed_s / there_s};
}

}  // namespace

Traffic traffic_of(const Scenario& scenario) {
  Traffic traffic;
  const auto& workload = scenario.serving.workload;
  const auto arrivals = models::serving::make_open_arrivals(workload, scenario.serving.seed);
  if (arrivals == nullptr) return traffic;
  traffic.open = true;
  std::int64_t first_ps = -1, last_ps = 0;
  std::uint64_t number = 0;
  while (auto request = arrivals->next()) {
    models::serving::finish_request(*request, workload, scenario.serving.seed, number++);
    if (first_ps < 0) first_ps = request->arrival_ps;
    last_ps = request->arrival_ps;
    traffic.input.push_back(request->input_tokens);
    traffic.output.push_back(request->output_tokens);
  }
  traffic.span_s = 1e-12 * static_cast<double>(last_ps - std::max<std::int64_t>(first_ps, 0));
  std::sort(traffic.input.begin(), traffic.input.end());
  std::sort(traffic.output.begin(), traffic.output.end());
  return traffic;
}

std::optional<Bound> broken_bound(const Scenario& scenario, const Traffic& traffic,
                                  const StepModel& timer) {
  if (!traffic.open || traffic.input.empty()) return std::nullopt;
  // Who is served elsewhere, and how fast, is not the deployment's.
  const auto& remote = scenario.serving.cluster.remote;
  if (remote.share > 0.0 || remote.overflow) return std::nullopt;
  // Counted requests only would be a weaker claim; with a warm-up the bounds are left out.
  if (scenario.serving.workload.warmup.ps() > 0) return std::nullopt;
  if (auto bound = latency_bound(scenario, traffic, timer)) return bound;
  return work_bound(scenario, traffic, timer);
}

double idle_facility_watts(const Scenario& scenario) {
  const auto& d = scenario.serving.deployment;
  const double node =
      (d.node.host_idle.value() + d.node.gpus * d.node.gpu.idle.value()) / d.node.psu_efficiency;
  return d.nodes * node * scenario.cost.pue;
}

double least_cost_per_hour(const Scenario& scenario) {
  const auto& d = scenario.serving.deployment;
  const auto account =
      models::cost::cost_of_run(scenario.cost, d.nodes, d.replicas * d.layout.gpus(),
                                idle_facility_watts(scenario), 1.0, 1.0);
  return scenario.cost.currency == models::cost::Currency::CNY ? account.total_cny_per_hour
                                                               : account.total_usd_per_hour;
}

}  // namespace foretoken::analysis::study
