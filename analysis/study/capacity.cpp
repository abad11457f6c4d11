#include "analysis/study/capacity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/number_text.hpp"
#include "analysis/study/aggregate.hpp"

namespace foretoken::analysis::study {
namespace {

using models::serving::WorkloadSpec;

constexpr double kLeast = 1.0 / 4096, kMost = 1048576.0;  // factors on the stated load
constexpr std::size_t kSections = 3;  // loads tried at a time; fixed, so threads change nothing
constexpr double kCurve[] = {0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.15, 1.3};

enum class Test { as_predicted, if_slower, if_faster };

struct Tried {
  LoadPoint point;
  bool met = false, met_if_slower = false, met_if_faster = false;
  double relative_error = 0.0;
  std::string tightest;
  double tightest_s = 0.0;
};

double share(double value) { return std::isfinite(value) ? value : 0.0; }

// Whether the SLO holds with every latency `stretch` times the predicted one.
bool terms_met(const SloReport& slo, double stretch) {
  return std::all_of(slo.terms.begin(), slo.terms.end(), [&](const SloOutcome& term) {
    return term.value_s * stretch <= term.term.limit_s;
  });
}

const SloOutcome* tightest_term(const SloReport& slo) {
  const auto least = std::min_element(
      slo.terms.begin(), slo.terms.end(),
      [](const SloOutcome& a, const SloOutcome& b) { return a.margin < b.margin; });
  return least == slo.terms.end() ? nullptr : &*least;
}

LoadPoint point_of(const Metrics& m, double load) {
  LoadPoint p;
  p.load = load;
  p.ttft_p50_s = m.ttft.p50;
  p.ttft_p99_s = m.ttft.p99;
  p.tpot_p50_s = m.tpot.p50;
  p.tpot_p99_s = m.tpot.p99;
  p.e2el_p99_s = m.e2el.p99;
  p.attainment = m.slo.attainment;
  p.goodput = m.slo.goodput;
  p.output_tokens_per_s = m.output_rate.value;
  p.request_rate = m.request_rate.value;
  p.mean_kv_used = m.mean_kv_used;
  p.peak_waiting = m.peak_waiting;
  return p;
}

// All loads tried with one seed.
class Search {
 public:
  Search(const Evaluator& evaluator, const Scenario& scenario, const CapacityOptions& options,
         std::uint64_t seed)
      : evaluator_(evaluator),
        scenario_(scenario),
        options_(options),
        seed_(seed),
        stated_(stated_load(scenario.serving.workload)),
        whole_(std::holds_alternative<models::serving::ClosedLoopArrivals>(
            scenario.serving.workload.arrivals)) {}

  void try_all(std::vector<double> factors) {
    std::vector<double> fresh;
    for (double& factor : factors) {
      factor = exact(factor);
      if (!tried_.contains(factor) && std::find(fresh.begin(), fresh.end(), factor) == fresh.end())
        fresh.push_back(factor);
    }
    std::vector<Tried> found(fresh.size());
    for_each_in_order(fresh.size(), options_.threads, options_.interrupt,
                      [&](std::size_t i) { found[i] = simulate(fresh[i]); });
    for (std::size_t i = 0; i < fresh.size(); ++i) tried_[fresh[i]] = std::move(found[i]);
  }
  [[nodiscard]] const Tried& at(double factor) {
    factor = exact(factor);
    if (!tried_.contains(factor)) try_all({factor});
    return tried_.at(factor);
  }
  // The largest factor that passes, 0 if none does. Loads are assumed to pass below and fail above.
  double largest(Test test) {
    double low = 0.0, high = 0.0;
    for (double factor = 1.0; high == 0.0 && factor <= kMost; factor *= 2.0)
      (passes(factor, test) ? low : high) = exact(factor);
    if (high == 0.0) return low;
    for (double factor = 0.5; low == 0.0; factor *= 0.5) {
      if (factor < kLeast || exact(factor) >= high) return 0.0;
      (passes(factor, test) ? low : high) = exact(factor);
    }
    while (high / low > 1.0 + options_.precision && (!whole_ || stated_ * (high - low) > 1.5)) {
      std::vector<double> inside;
      for (std::size_t i = 1; i <= kSections; ++i)
        inside.push_back(exact(low * std::pow(high / low, static_cast<double>(i) /
                                                              static_cast<double>(kSections + 1))));
      try_all(inside);
      const double was_low = low, was_high = high;
      for (const double factor : inside) {
        if (factor <= was_low || factor >= was_high) continue;
        if (passes(factor, test)) {
          low = std::max(low, factor);
        } else {
          high = factor;
          break;
        }
      }
      if (low == was_low && high == was_high) break;
    }
    return low;
  }
  // At the least load with anything served: what binds, and by how much it is missed.
  [[nodiscard]] std::string nearest_miss() const {
    for (const auto& [factor, tried] : tried_)
      if (std::isfinite(tried.point.e2el_p99_s))
        return fmt::format("at {} {} the limit that binds is {}, and it is {}",
                           significant(tried.point.load, 3), whole_ ? "in flight" : "requests/s",
                           tried.tightest, time_text(tried.tightest_s));
    return "nothing is served at any load";
  }
  [[nodiscard]] double stated() const { return stated_; }
  [[nodiscard]] std::size_t simulations() const { return tried_.size(); }

 private:
  // A closed loop has whole requests in flight.
  [[nodiscard]] double exact(double factor) const {
    return whole_ ? std::max(1.0, std::round(factor * stated_)) / stated_ : factor;
  }
  [[nodiscard]] bool passes(double factor, Test test) {
    const Tried& tried = at(factor);
    return test == Test::as_predicted ? tried.met
           : test == Test::if_slower  ? tried.met_if_slower
                                      : tried.met_if_faster;
  }
  [[nodiscard]] Tried simulate(double factor) const {
    Scenario scenario = scenario_;
    scenario.serving.seed = seed_;
    scale_load(scenario.serving.workload, factor);
    const Evaluation done = evaluator_.evaluate(std::move(scenario), false, options_.interrupt);
    if (done.status == Status::infeasible) throw sim::core::InfeasibleError(done.error);
    if (!done.metrics) throw sim::core::InputError(done.error);
    const Metrics& m = *done.metrics;
    Tried tried;
    tried.point = point_of(m, factor * stated_);
    tried.relative_error = m.latency.relative_error.value_or(0.0);
    if (const SloOutcome* term = tightest_term(m.slo)) {
      tried.tightest = term->term.text;
      tried.tightest_s = term->value_s;
    }
    if (options_.attainment) {
      tried.met = share(m.slo.attainment) >= *options_.attainment;
      tried.met_if_slower = share(m.slo.attainment_low) >= *options_.attainment;
      tried.met_if_faster = share(m.slo.attainment_high) >= *options_.attainment;
    } else {
      tried.met = m.slo.met;
      tried.met_if_slower = terms_met(m.slo, 1.0 + tried.relative_error);
      tried.met_if_faster = terms_met(m.slo, 1.0 / (1.0 + tried.relative_error));
    }
    tried.point.met = tried.met;
    if (options_.progress) options_.progress(tried.point.load, tried.met);
    return tried;
  }

  const Evaluator& evaluator_;
  const Scenario& scenario_;
  const CapacityOptions& options_;
  std::uint64_t seed_;
  double stated_;
  bool whole_;
  std::map<double, Tried> tried_;
};

void add_curve(Capacity& capacity, Search& search, double factor) {
  std::vector<double> factors;
  for (const double part : kCurve) factors.push_back(factor * part);
  search.try_all(factors);
  double last = 0.0;
  for (const double part : factors) {
    const LoadPoint& point = search.at(part).point;
    if (point.load > last) capacity.curve.push_back(point);
    last = std::max(last, point.load);
  }
  std::vector<double> loads, latencies;
  for (const LoadPoint& point : capacity.curve) {
    loads.push_back(point.load);
    latencies.push_back(point.ttft_p99_s);
  }
  if (const auto knee = knee_of(loads, latencies)) capacity.knee = loads[*knee];
}

}  // namespace

void scale_load(WorkloadSpec& workload, double factor) {
  const auto scale = [&](auto& arrivals) {
    if constexpr (requires { arrivals.rate_scale; }) {
      arrivals.rate_scale *= factor;
    } else if constexpr (requires { arrivals.requests_per_s; }) {
      arrivals.requests_per_s *= factor;
    } else if constexpr (requires { arrivals.concurrency; }) {
      arrivals.concurrency = std::max(
          1, static_cast<int>(std::lround(static_cast<double>(arrivals.concurrency) * factor)));
    } else {
      throw sim::core::InputError("the load of these arrivals cannot be scaled");
    }
  };
  std::visit(scale, workload.arrivals);
}

double stated_load(const WorkloadSpec& workload) {
  const auto load = [&](const auto& arrivals) {
    if constexpr (requires { arrivals.requests; }) {
      if (!arrivals.requests || arrivals.requests->size() < 2) return 1.0;
      const double span_s = 1e-12 * static_cast<double>(arrivals.requests->back().arrival_ps -
                                                        arrivals.requests->front().arrival_ps);
      return span_s > 0
                 ? static_cast<double>(arrivals.requests->size()) / span_s * arrivals.rate_scale
                 : 1.0;
    } else if constexpr (requires { arrivals.requests_per_s; }) {
      return arrivals.requests_per_s;
    } else if constexpr (requires { arrivals.concurrency; }) {
      return static_cast<double>(arrivals.concurrency);
    } else {
      return 1.0;
    }
  };
  return std::visit(load, workload.arrivals);
}

Capacity find_capacity(const Evaluator& evaluator, const Scenario& scenario,
                       const CapacityOptions& options) {
  if (scenario.slo.empty())
    throw sim::core::InputError(scenario.file.string() +
                                ": capacity needs an slo: [ttft.p99 <= 2s, ...]");
  Capacity capacity;
  capacity.closed_loop = std::holds_alternative<models::serving::ClosedLoopArrivals>(
      scenario.serving.workload.arrivals);
  std::vector<double> low, high;
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    Search search(evaluator, scenario, options,
                  scenario.serving.seed + static_cast<std::uint64_t>(repeat));
    const double factor = search.largest(Test::as_predicted);
    if (factor == 0.0) {
      throw sim::core::InfeasibleError("no load meets the SLO: " + search.nearest_miss());
    }
    capacity.by_seed.push_back(factor * search.stated());
    low.push_back(search.largest(Test::if_slower) * search.stated());
    high.push_back(search.largest(Test::if_faster) * search.stated());
    if (repeat == 0) {
      add_curve(capacity, search, factor);
      const Tried& above = search.at(factor * (1.0 + 2.0 * options.precision));
      capacity.first_to_break = above.tightest;
      capacity.relative_error = search.at(factor).relative_error;
    }
    capacity.simulations += search.simulations();
  }
  const Aggregate over = aggregate(capacity.by_seed);
  capacity.load = over.mean;
  if (over.n > 1) {
    capacity.interval_low = over.mean - over.half_width;
    capacity.interval_high = over.mean + over.half_width;
  }
  capacity.error_low = aggregate(low).mean;
  capacity.error_high = aggregate(high).mean;
  return capacity;
}

std::optional<std::size_t> knee_of(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.size() < 3 || !(x.back() > x.front()) || !(y.back() > y.front())) return std::nullopt;
  std::optional<std::size_t> knee;
  double farthest = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double along = (x[i] - x.front()) / (x.back() - x.front());
    const double up = (y[i] - y.front()) / (y.back() - y.front());
    if (along - up > farthest + 1e-9) {
      farthest = along - up;
      knee = i;
    }
  }
  return knee;
}

}  // namespace foretoken::analysis::study
