#include "analysis/study/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "analysis/number_text.hpp"
#include "analysis/study/plan_after.hpp"
#include "analysis/study/plan_bounds.hpp"
#include "analysis/study/plan_runs.hpp"
#include "models/serving/serving.hpp"

namespace foretoken::analysis::study {
namespace {

using models::serving::StepModel;
using sim::core::InfeasibleError;

// Candidates decided on before results are looked at again: fixed, so that threads change nothing.
constexpr std::size_t kRound = 24;
constexpr std::size_t kShownRejections = 40;  // of those simulated, nearest first
constexpr std::size_t kExamples = 6;          // of those a bound dropped, for each bound

enum class Outcome { meets, misses, dropped };

struct Decided {
  Outcome outcome = Outcome::dropped;
  std::string bound, why;  // of a drop
  std::optional<Metrics> metrics;
  double cost_per_hour = 0.0;
  double violation = 0.0;  // worst value over its limit, of a miss
  std::string worst_term;
  double over = std::numeric_limits<double>::infinity();  // by which a bound is broken
  std::size_t simulated = 0, prefixes = 0;
  bool borrowed = false;  // see Tried
};

double cost_of(const Scenario& scenario, const Metrics& m) {
  return scenario.cost.currency == models::cost::Currency::CNY ? m.cost.total_cny_per_hour
                                                               : m.cost.total_usd_per_hour;
}

// Step times of one family, built when first needed, up to the largest batch limits of the plan.
class TimerStore {
 public:
  TimerStore(const CandidateSet& set, CalibrationStore& calibrations)
      : calibrations_(calibrations), timers_(set.timers), once_(set.timers) {
    for (const Candidate& c : set.candidates) {
      const auto& batching = scenario_of(c, set.bases[c.base]).serving.deployment.batching;
      most_tokens_ = std::max(most_tokens_, batching.max_tokens);
      most_sequences_ = std::max(most_sequences_, batching.max_sequences);
    }
  }
  const StepModel& of(const Candidate& candidate, const Scenario& scenario) {
    std::call_once(once_[candidate.timer], [&] {
      auto deployment = scenario.serving.deployment;
      deployment.batching.max_tokens = most_tokens_;
      deployment.batching.max_sequences = most_sequences_;
      timers_[candidate.timer] = std::make_unique<StepModel>(
          deployment, std::make_shared<const models::serving::StepTables>(
                          deployment, kernels_of(deployment, scenario)));
    });
    return *timers_[candidate.timer];
  }

 private:
  // Layouts of one node under one engine ask for many of the same operators.
  std::shared_ptr<const models::serving::KernelSet> kernels_of(
      const models::serving::DeploymentSpec& deployment, const Scenario& scenario) {
    const auto calibration = calibrations_.of(scenario);
    const std::scoped_lock lock(mutex_);
    auto& kernels = kernels_[deployment.node.name + "\n" + deployment.engine.name];
    if (!kernels)
      kernels = models::serving::make_kernels(deployment.node, deployment.engine, calibration);
    return kernels;
  }

  CalibrationStore& calibrations_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const models::serving::KernelSet>> kernels_;
  int most_tokens_ = 1, most_sequences_ = 1;
  std::vector<std::unique_ptr<StepModel>> timers_;
  std::vector<std::once_flag> once_;
};

class Planner {
 public:
  Planner(const PlanSpec& plan, const Evaluator& evaluator, CalibrationStore& calibrations,
          const PlanOptions& options)
      : plan_(plan),
        options_(options),
        set_(make_candidates(plan, evaluator)),
        timers_(set_, calibrations),
        traffic_(traffic_of(set_.bases.front())) {
    if (set_.bases.front().slo.empty())
      throw sim::core::InputError(plan.scenario.string() +
                                  ": a plan needs an slo: [ttft.p99 <= 2s, ...]");
    rules_.span_s = traffic_.span_s;
    rules_.requests = traffic_.input.size();
    rules_.interrupt = options.interrupt;
    rules_.in_part = !options.by_brute_force && traffic_.open && traffic_.span_s > 0.0 &&
                     !set_.bases.front().serving.workload.requests &&
                     set_.bases.front().serving.workload.warmup.ps() == 0;
    result_.candidates = set_.candidates.size();
    result_.rejected = set_.rejected;
  }

  PlanResult run() {
    order_by_cost();
    std::size_t next = 0, extra = 0;
    while (next < order_.size()) {
      const double best = best_cost();
      if (least_cost_[order_[next]] > best) {
        if (result_.ranked.size() >= options_.ranked || extra >= options_.extra) break;
        extra += kRound;
      }
      const std::size_t n = std::min(kRound, order_.size() - next);
      round(next, n);
      next += n;
      if (options_.progress) options_.progress(result_.simulated, next);
    }
    for (; next < order_.size(); ++next) drop_for_cost(order_[next]);
    finish();
    return std::move(result_);
  }

 private:
  [[nodiscard]] Scenario scenario_of_number(std::size_t number) const {
    const Candidate& c = set_.candidates[number];
    Scenario scenario = scenario_of(c, set_.bases[c.base]);
    scenario.serving.record_steps = false;
    return scenario;
  }

  void order_by_cost() {
    for (const Candidate& c : set_.candidates) {
      least_cost_.push_back(least_cost_per_hour(scenario_of(c, set_.bases[c.base])));
      order_.push_back(c.number);
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return least_cost_[a] < least_cost_[b]; });
  }

  [[nodiscard]] double best_cost() const {
    double best = std::numeric_limits<double>::infinity();
    for (const Ranked& ranked : result_.ranked) best = std::min(best, ranked.cost_per_hour);
    return best;
  }

  // Those that one run may answer for are decided one after the other, so that threads change
  // nothing.
  void round(std::size_t begin, std::size_t n) {
    std::vector<std::pair<std::vector<Tried>*, std::vector<std::size_t>>> families;
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<Tried>* known = &known_[family_of(set_.candidates[order_[begin + i]])];
      const auto found = std::find_if(families.begin(), families.end(),
                                      [&](const auto& family) { return family.first == known; });
      if (found == families.end())
        families.push_back({known, {i}});
      else
        found->second.push_back(i);
    }
    std::vector<Decided> decided(n);
    for_each_in_order(families.size(), options_.threads, options_.interrupt, [&](std::size_t f) {
      for (const std::size_t i : families[f].second)
        decided[i] = decide(order_[begin + i], *families[f].first);
    });
    for (std::size_t i = 0; i < n; ++i) take(order_[begin + i], std::move(decided[i]));
  }

  // All but the payment and the limit of running sequences.
  static std::string family_of(const Candidate& c) {
    return fmt::format("{} {} {} {} {} {}", c.timer, c.nodes, c.replicas, c.policy, c.max_tokens,
                       c.api_share);
  }

  [[nodiscard]] std::optional<std::string> over_limits(const Scenario& scenario, double cost,
                                                       double watts) const {
    const auto& d = scenario.serving.deployment;
    const PlanLimits& limits = options_.limits;
    const int gpus = d.nodes * d.node.gpus;
    if (limits.gpus && gpus > *limits.gpus)
      return fmt::format("{} GPUs; the limit is {}", gpus, *limits.gpus);
    if (limits.facility_watts && watts > *limits.facility_watts)
      return fmt::format("draws {:.1f} kW at the facility; the limit is {:.1f} kW", watts * 1e-3,
                         *limits.facility_watts * 1e-3);
    const bool cny = scenario.cost.currency == models::cost::Currency::CNY;
    const double hours = 8760.0 * scenario.cost.horizon_years;
    const double rate = scenario.cost.exchange.cny_per_usd;
    const double cny_total = (cny ? cost : cost * rate) * hours;
    if (limits.budget_cny && cny_total > *limits.budget_cny)
      return fmt::format("costs {} CNY over {:g} years; the budget is {}", money_text(cny_total),
                         scenario.cost.horizon_years, money_text(*limits.budget_cny));
    if (limits.budget_usd && cny_total / rate > *limits.budget_usd)
      return fmt::format("costs {} USD over {:g} years; the budget is {}",
                         money_text(cny_total / rate), scenario.cost.horizon_years,
                         money_text(*limits.budget_usd));
    return std::nullopt;
  }

  [[nodiscard]] Decided dropped(const char* bound, std::string why) const {
    Decided decided;
    decided.bound = bound;
    decided.why = std::move(why);
    return decided;
  }

  [[nodiscard]] Decided decide(std::size_t number, std::vector<Tried>& known) {
    const Scenario scenario = scenario_of_number(number);
    const auto& serving = scenario.serving;
    if (auto why = over_limits(scenario, least_cost_[number], idle_facility_watts(scenario)))
      return dropped("limits", *why);
    try {
      (void)models::serving::account_memory(
          serving.deployment, traffic_.open ? traffic_.input.back() + traffic_.output.back() : 0);
    } catch (const InfeasibleError& error) {
      return dropped("memory", error.what());
    }
    const StepModel& timer = timers_.of(set_.candidates[number], scenario);
    if (!options_.by_brute_force)
      if (auto bound = broken_bound(scenario, traffic_, timer)) {
        Decided decided = dropped(bound->name.c_str(), bound->why);
        decided.over = bound->over;
        return decided;
      }
    if (!options_.by_brute_force)
      if (auto same = same_run(scenario, known)) return judge(scenario, std::move(*same));
    known.push_back(try_deployment(scenario, timer, rules_));
    return judge(scenario, known.back());
  }

  // All of the traffic and no bound: for the nearest miss.
  [[nodiscard]] Decided simulate_whole(std::size_t number) {
    const Scenario scenario = scenario_of_number(number);
    RunRules rules = rules_;
    rules.in_part = false;
    return judge(scenario,
                 try_deployment(scenario, timers_.of(set_.candidates[number], scenario), rules));
  }

  [[nodiscard]] Decided judge(const Scenario& scenario, Tried tried) const {
    Decided decided;
    decided.simulated = tried.simulated;
    decided.prefixes = tried.prefixes;
    decided.borrowed = tried.borrowed;
    if (!tried.late.empty()) {
      decided.bound = "prefix";
      decided.why = std::move(tried.late);
      return decided;
    }
    const Metrics& metrics = *tried.metrics;
    decided.cost_per_hour = cost_of(scenario, metrics);
    decided.outcome = metrics.slo.met ? Outcome::meets : Outcome::misses;
    for (const SloOutcome& term : metrics.slo.terms) {
      const double over = std::isnan(term.value_s) ? std::numeric_limits<double>::infinity()
                                                   : term.value_s / term.term.limit_s;
      if (over <= decided.violation) continue;
      decided.violation = over;
      decided.worst_term = fmt::format("{}: {}", term.term.text, time_text(term.value_s));
    }
    if (decided.outcome == Outcome::meets)
      if (auto why =
              over_limits(scenario, decided.cost_per_hour, metrics.energy.mean_facility_watts)) {
        decided.outcome = Outcome::dropped;
        decided.bound = "limits";
        decided.why = *why;
      }
    decided.metrics = std::move(tried.metrics);
    return decided;
  }

  [[nodiscard]] Ranked ranked_of(std::size_t number, Decided decided) const {
    const Candidate& c = set_.candidates[number];
    Ranked ranked{c,
                  describe(c, scenario_of_number(number)),
                  overrides_of(plan_, c),
                  std::move(*decided.metrics),
                  decided.cost_per_hour,
                  0.0,
                  {}};
    ranked.headroom = 1.0 - decided.violation;
    ranked.first_to_break = decided.worst_term;
    constexpr double kNearlyFull = 0.95;
    if (ranked.metrics.peak_kv_used > kNearlyFull)
      ranked.first_to_break = "KV cache: " + percent_text(ranked.metrics.peak_kv_used) + " at peak";
    return ranked;
  }

  void take(std::size_t number, Decided decided) {
    result_.simulated += decided.simulated;
    result_.prefixes += decided.prefixes;
    if (decided.borrowed) borrowed_.insert(number);
    if (decided.outcome == Outcome::meets) {
      result_.ranked.push_back(ranked_of(number, std::move(decided)));
      return;
    }
    if (decided.outcome == Outcome::misses) {
      misses_.push_back({decided.violation,
                         {describe(set_.candidates[number], scenario_of_number(number)),
                          "misses " + decided.worst_term}});
      ++result_.dropped["simulated, misses the SLO"];
      if (!nearest_ || decided.violation < nearest_violation_) {
        nearest_violation_ = decided.violation;
        nearest_ = ranked_of(number, std::move(decided));
      }
      return;
    }
    const std::size_t known = result_.dropped[decided.bound]++;
    if (decided.bound != "memory" && decided.bound != "limits")
      fallen_.emplace_back(decided.over, number);
    if (known < kExamples)
      result_.rejected.push_back(
          {describe(set_.candidates[number], scenario_of_number(number)), decided.why});
  }

  // Nothing meets the SLO, and bounds dropped all there was: the nearest miss among those that
  // broke theirs by least, simulated.
  void look_for_nearest() {
    constexpr std::size_t kTried = 8;
    std::stable_sort(fallen_.begin(), fallen_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    const std::size_t n = std::min(kTried, fallen_.size());
    std::vector<Decided> decided(n);
    for_each_in_order(n, options_.threads, options_.interrupt,
                      [&](std::size_t i) { decided[i] = simulate_whole(fallen_[i].second); });
    for (std::size_t i = 0; i < n; ++i) {
      result_.simulated += decided[i].simulated;
      if (!decided[i].metrics || (nearest_ && decided[i].violation >= nearest_violation_)) continue;
      nearest_violation_ = decided[i].violation;
      nearest_ = ranked_of(fallen_[i].second, std::move(decided[i]));
    }
  }

  // Those shown with another's run get their own: its shares of the KV cache are theirs.
  void simulate_borrowers() {
    std::vector<Ranked*> shown;
    for (Ranked& ranked : result_.ranked)
      if (borrowed_.contains(ranked.candidate.number)) shown.push_back(&ranked);
    for_each_in_order(shown.size(), options_.threads, options_.interrupt, [&](std::size_t i) {
      const std::size_t number = shown[i]->candidate.number;
      *shown[i] = ranked_of(number, simulate_whole(number));
    });
    result_.simulated += shown.size();
  }

  void drop_for_cost(std::size_t number) {
    const std::size_t known = result_.dropped["cost"]++;
    if (known < kExamples)
      result_.rejected.push_back(
          {describe(set_.candidates[number], scenario_of_number(number)),
           fmt::format("costs at least {} an hour; the best {}", money_text(least_cost_[number]),
                       money_text(best_cost()))});
  }

  void finish() {
    std::stable_sort(result_.ranked.begin(), result_.ranked.end(),
                     [](const Ranked& a, const Ranked& b) {
                       return a.cost_per_hour != b.cost_per_hour ? a.cost_per_hour < b.cost_per_hour
                                                                 : a.headroom > b.headroom;
                     });
    if (result_.ranked.size() > options_.ranked) result_.ranked.resize(options_.ranked);
    simulate_borrowers();
    std::stable_sort(misses_.begin(), misses_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    if (misses_.size() > kShownRejections) misses_.resize(kShownRejections);
    std::vector<Rejection> rejected;
    for (auto& [violation, miss] : misses_) rejected.push_back(std::move(miss));
    rejected.insert(rejected.end(), result_.rejected.begin(), result_.rejected.end());
    result_.rejected = std::move(rejected);
    if (plan_.api) result_.api = all_by_api(*plan_.api, set_.bases.front(), traffic_);
    if (result_.ranked.empty()) {
      if (!nearest_) look_for_nearest();
      result_.nearest = std::move(nearest_);
    } else {
      look_after_winner();
    }
  }

  void look_after_winner() {
    const Ranked& winner = result_.ranked.front();
    const Scenario scenario = scenario_of_number(winner.candidate.number);
    const StepModel& timer = timers_.of(winner.candidate, scenario);
    std::atomic<std::size_t> simulated{0};
    const Simulate again = [&](const Scenario& other) {
      ++simulated;
      return summarise(other, run_once(other, timer, options_.interrupt));
    };
    result_.ways_to_pay = ways_to_pay(winner, set_);
    if (!plan_.day.empty()) result_.day = nodes_by_hour(scenario, plan_.day, again);
    if (options_.breaking)
      result_.breaks_at = breaking_load(scenario, again, options_.threads, options_.interrupt);
    result_.simulated += simulated;
  }

  const PlanSpec& plan_;
  const PlanOptions& options_;
  CandidateSet set_;
  TimerStore timers_;
  Traffic traffic_;
  RunRules rules_;
  std::map<std::string, std::vector<Tried>> known_;  // by family
  std::set<std::size_t> borrowed_;                   // numbers of candidates
  std::vector<double> least_cost_;                   // by candidate number
  std::vector<std::size_t> order_;                   // candidate numbers, cheapest first
  std::vector<std::pair<double, Rejection>> misses_;
  std::vector<std::pair<double, std::size_t>> fallen_;  // dropped by a bound, by how much
  std::optional<Ranked> nearest_;
  double nearest_violation_ = std::numeric_limits<double>::infinity();
  PlanResult result_;
};

}  // namespace

PlanResult make_plan(const PlanSpec& plan, const Evaluator& evaluator,
                     CalibrationStore& calibrations, const PlanOptions& options) {
  return Planner(plan, evaluator, calibrations, options).run();
}

}  // namespace foretoken::analysis::study
