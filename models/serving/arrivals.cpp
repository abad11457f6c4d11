#include "models/serving/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/serving/time_warp.hpp"
#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Duration;
using sim::core::Random;

enum class Purpose : std::uint32_t {
  gap = 1,
  input = 2,
  output = 3,
  pair = 4,
  of_class = 5,
  think = 6,
  go_on = 7,
  state = 8,
};

Random stream(std::uint64_t seed, std::uint64_t entity, Purpose purpose) {
  return {seed, static_cast<std::uint32_t>(entity), static_cast<std::uint32_t>(purpose)};
}

// Lengths come from a stream of their own for each request, so that they do not depend on the
// order in which clients send.
std::int32_t draw_length(const LengthSpec& spec, std::uint64_t seed, Purpose purpose,
                         std::uint64_t request) {
  if (spec.mean > 0) {
    Random random = stream(seed, request, purpose);
    const double length =
        random.lognormal(std::log(spec.mean) - spec.sigma * spec.sigma / 2, spec.sigma);
    return static_cast<std::int32_t>(std::clamp(std::round(length), 1.0, double(spec.tokens)));
  }
  const auto low = std::max<std::int64_t>(1, std::llround(spec.low_fraction * spec.tokens));
  if (low >= spec.tokens) return spec.tokens;
  Random random = stream(seed, request, purpose);
  return static_cast<std::int32_t>(random.integer(low, spec.tokens));
}

class Trace final : public OpenArrivals {
 public:
  Trace(const TraceArrivals& trace, const WorkloadSpec& workload)
      : requests_(trace.requests), rate_scale_(trace.rate_scale), limit_(requests_->size()) {
    if (workload.requests) limit_ = std::min(limit_, static_cast<std::size_t>(*workload.requests));
    if (workload.duration) until_ps_ = workload.duration->ps();
  }
  std::optional<TraceRequest> next() override {
    if (at_ >= limit_) return std::nullopt;
    TraceRequest request = (*requests_)[at_];
    if (rate_scale_ != 1.0)
      request.arrival_ps = std::llround(static_cast<double>(request.arrival_ps) / rate_scale_);
    if (request.arrival_ps >= until_ps_) return std::nullopt;
    ++at_;
    return request;
  }

 private:
  std::shared_ptr<const std::vector<TraceRequest>> requests_;
  double rate_scale_;
  std::size_t at_ = 0, limit_;
  std::int64_t until_ps_ = INT64_MAX;
};

// Where the gaps of a random process of mean rate 1 come from.
class Gaps {
 public:
  Gaps() = default;
  Gaps(const Gaps&) = delete;
  Gaps& operator=(const Gaps&) = delete;
  virtual ~Gaps() = default;
  virtual double next_s() = 0;
};

class RenewalGaps final : public Gaps {
 public:
  RenewalGaps(const RenewalArrivals& spec, std::uint64_t seed)
      : spec_(spec), random_(stream(seed, 0, Purpose::gap)) {
    if (spec.shape == GapShape::weibull) shape_ = weibull_shape(spec.cv);
    if (spec.shape == GapShape::gamma) shape_ = 1.0 / (spec.cv * spec.cv);
    mean_s_ = 1.0 / spec.requests_per_s;
  }
  double next_s() override {
    switch (spec_.shape) {
      case GapShape::deterministic:
        return mean_s_;
      case GapShape::gamma:
        return random_.gamma(shape_, mean_s_ / shape_);
      case GapShape::weibull:
        return random_.weibull(shape_, mean_s_ / std::tgamma(1.0 + 1.0 / shape_));
    }
    return mean_s_;
  }

 private:
  RenewalArrivals spec_;
  Random random_;
  double shape_ = 1.0, mean_s_ = 1.0;
};

class PoissonGaps final : public Gaps {
 public:
  PoissonGaps(double rate, std::uint64_t seed)
      : rate_(rate), random_(stream(seed, 0, Purpose::gap)) {}
  double next_s() override { return random_.exponential(1.0 / rate_); }

 private:
  double rate_;
  Random random_;
};

// Memoryless in both rate and stay: what is left of a gap starts afresh with the next state.
class ModulatedGaps final : public Gaps {
 public:
  ModulatedGaps(const ModulatedArrivals& spec, std::uint64_t seed)
      : states_(spec.states),
        gaps_(stream(seed, 0, Purpose::gap)),
        stays_(stream(seed, 0, Purpose::state)) {
    enter(stays_.below(states_.size()));
  }
  double next_s() override {
    double waited = 0.0;
    while (true) {
      const double rate = states_[at_].requests_per_s;
      const double gap = rate > 0.0 ? gaps_.exponential(1.0 / rate) : 2.0 * left_s_;
      if (gap <= left_s_) {
        left_s_ -= gap;
        return waited + gap;
      }
      waited += left_s_;
      const std::size_t other = stays_.below(states_.size() - 1);
      enter(other < at_ ? other : other + 1);
    }
  }

 private:
  void enter(std::size_t state) {
    at_ = state;
    left_s_ = stays_.exponential(states_[at_].dwell_s);
  }
  std::vector<ModulatedArrivals::State> states_;
  Random gaps_, stays_;
  std::size_t at_ = 0;
  double left_s_ = 0.0;
};

// Requests at the ends of gaps, the clock sped up and slowed down by a profile.
class RandomArrivals final : public OpenArrivals {
 public:
  RandomArrivals(std::unique_ptr<Gaps> gaps, const WorkloadSpec& workload)
      : gaps_(std::move(gaps)),
        warp_(workload.profile),
        limit_(workload.requests),
        sessions_(std::holds_alternative<SessionArrivals>(workload.arrivals)) {
    if (workload.duration) until_ps_ = workload.duration->ps();
  }
  std::optional<TraceRequest> next() override {
    if (limit_ && number_ >= *limit_) return std::nullopt;
    const double gap_s = gaps_->next_s();
    if (warp_.none()) {
      now_ps_ += Duration::from_seconds(gap_s).ps();
    } else {
      const double at_s = warp_.advance(gap_s);
      if (!(at_s < kLastSecond)) return std::nullopt;
      now_ps_ = Duration::from_seconds(at_s).ps();
    }
    if (now_ps_ >= until_ps_) return std::nullopt;
    TraceRequest request;
    request.arrival_ps = now_ps_;
    if (sessions_) request.session = static_cast<std::int32_t>(number_);
    ++number_;
    return request;
  }

 private:
  static constexpr double kLastSecond = 9e6;  // simulated time reaches 106 days
  std::unique_ptr<Gaps> gaps_;
  TimeWarp warp_;
  std::optional<std::int64_t> limit_;
  bool sessions_;
  std::int64_t number_ = 0, now_ps_ = 0, until_ps_ = INT64_MAX;
};

void check_length(const LengthSpec& length, const char* name, std::vector<std::string>& errors) {
  if (length.tokens < 1)
    errors.push_back(std::string("workload.") + name + " must be at least one token");
  if (!(length.low_fraction > 0.0 && length.low_fraction <= 1.0))
    errors.push_back(std::string("workload.") + name + ": the low fraction must be in (0, 1]");
}

void check_trace(const TraceArrivals& trace, std::vector<std::string>& errors) {
  if (!trace.requests || trace.requests->empty()) {
    errors.emplace_back("the trace holds no request");
    return;
  }
  if (!(trace.rate_scale > 0.0)) errors.emplace_back("rate_scale must be positive");
  std::int64_t before = 0;
  for (std::size_t i = 0; i < trace.requests->size(); ++i) {
    const TraceRequest& r = (*trace.requests)[i];
    if (r.input_tokens < 1 || r.output_tokens < 1)
      errors.push_back("request " + std::to_string(i) +
                       " of the trace has a length below one token");
    if (r.arrival_ps < before)
      errors.push_back("request " + std::to_string(i) +
                       " of the trace arrives before the one ahead");
    before = r.arrival_ps;
    if (errors.size() > 20) return;
  }
}

}  // namespace

double weibull_shape(double cv) {
  // cv^2 = Gamma(1 + 2/k) / Gamma(1 + 1/k)^2 - 1 falls with k.
  double low = 0.05, high = 50.0;
  for (int i = 0; i < 100; ++i) {
    const double k = std::sqrt(low * high);
    const double log_ratio = std::lgamma(1.0 + 2.0 / k) - 2.0 * std::lgamma(1.0 + 1.0 / k);
    (std::expm1(log_ratio) > cv * cv ? low : high) = k;
  }
  return std::sqrt(low * high);
}

std::unique_ptr<OpenArrivals> make_open_arrivals(const WorkloadSpec& workload, std::uint64_t seed) {
  std::unique_ptr<Gaps> gaps;
  if (const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals))
    return std::make_unique<Trace>(*trace, workload);
  if (const auto* pool = std::get_if<PoolArrivals>(&workload.arrivals))
    return make_pool_arrivals(*pool, workload, seed);
  if (const auto* poisson = std::get_if<PoissonArrivals>(&workload.arrivals))
    gaps = std::make_unique<PoissonGaps>(poisson->requests_per_s, seed);
  if (const auto* sessions = std::get_if<SessionArrivals>(&workload.arrivals))
    gaps = std::make_unique<PoissonGaps>(sessions->sessions_per_s, seed);
  if (const auto* renewal = std::get_if<RenewalArrivals>(&workload.arrivals))
    gaps = std::make_unique<RenewalGaps>(*renewal, seed);
  if (const auto* modulated = std::get_if<ModulatedArrivals>(&workload.arrivals))
    gaps = std::make_unique<ModulatedGaps>(*modulated, seed);
  if (!gaps) return nullptr;
  return std::make_unique<RandomArrivals>(std::move(gaps), workload);
}

Lengths draw_lengths(const WorkloadSpec& workload, std::uint64_t seed, std::uint64_t request) {
  if (workload.lengths) {
    Random random = stream(seed, request, Purpose::pair);
    const TraceRequest& pair = (*workload.lengths)[random.below(workload.lengths->size())];
    return {pair.input_tokens, pair.output_tokens};
  }
  return {draw_length(workload.input, seed, Purpose::input, request),
          draw_length(workload.output, seed, Purpose::output, request)};
}

void finish_request(TraceRequest& arrival, const WorkloadSpec& workload, std::uint64_t seed,
                    std::uint64_t request) {
  const auto scaled = [](std::int32_t tokens, double scale) {
    if (scale == 1.0) return tokens;
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(std::llround(tokens * scale), 1, INT32_MAX / 4));
  };
  if (arrival.output_tokens == 0) {
    const Lengths lengths = draw_lengths(workload, seed, request);
    arrival.input_tokens = lengths.input;
    arrival.output_tokens = lengths.output;
  }
  arrival.input_tokens = scaled(arrival.input_tokens, workload.input_scale);
  arrival.output_tokens = scaled(arrival.output_tokens, workload.output_scale);
  if (std::holds_alternative<SessionArrivals>(workload.arrivals))
    arrival.input_tokens += arrival.shared_tokens;
  if (workload.classes.empty()) return;
  double total = 0.0;
  for (const RequestClass& one : workload.classes) total += one.share;
  double at = stream(seed, request, Purpose::of_class).uniform() * total;
  std::size_t chosen = 0;
  while (chosen + 1 < workload.classes.size() && at >= workload.classes[chosen].share)
    at -= workload.classes[chosen++].share;
  arrival.tenant = static_cast<std::int32_t>(chosen);
  arrival.priority = workload.classes[chosen].priority;
  arrival.deadline_ps = workload.classes[chosen].deadline_ps;
}

double draw_think(double mean_s, std::uint64_t seed, std::uint64_t request) {
  return mean_s > 0.0 ? stream(seed, request, Purpose::think).exponential(mean_s) : 0.0;
}

bool draw_continues(const SessionArrivals& sessions, std::uint64_t seed, std::uint64_t request) {
  return stream(seed, request, Purpose::go_on).chance(1.0 - 1.0 / sessions.turns);
}

double offered_rate(const WorkloadSpec& workload) {
  struct Visitor {
    double operator()(const TraceArrivals& a) const {
      if (!a.requests || a.requests->empty() || a.requests->back().arrival_ps == 0) return 0.0;
      return a.rate_scale * static_cast<double>(a.requests->size()) /
             (1e-12 * static_cast<double>(a.requests->back().arrival_ps));
    }
    double operator()(const PoissonArrivals& a) const { return a.requests_per_s; }
    double operator()(const RenewalArrivals& a) const { return a.requests_per_s; }
    double operator()(const ModulatedArrivals& a) const {
      double requests = 0.0, seconds = 0.0;
      for (const auto& state : a.states) {
        requests += state.requests_per_s * state.dwell_s;
        seconds += state.dwell_s;
      }
      return seconds > 0.0 ? requests / seconds : 0.0;
    }
    double operator()(const PoolArrivals& a) const {
      return a.pool ? a.rate_scale * mean_rate(*a.pool) : 0.0;
    }
    double operator()(const ClosedLoopArrivals&) const { return 0.0; }
    double operator()(const SessionArrivals& a) const { return a.sessions_per_s * a.turns; }
  };
  return std::visit(Visitor{}, workload.arrivals) * mean_factor(workload.profile);
}

std::int64_t longest_request(const WorkloadSpec& workload) {
  const auto longest_of = [](const std::vector<TraceRequest>& list, double input, double output) {
    std::int64_t longest = 0;
    for (const TraceRequest& r : list)
      longest = std::max<std::int64_t>(
          longest, std::llround(r.input_tokens * input) + std::llround(r.output_tokens * output));
    return longest;
  };
  const double input = workload.input_scale, output = workload.output_scale;
  if (const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals))
    return longest_of(*trace->requests, input, output);
  if (const auto* pool = std::get_if<PoolArrivals>(&workload.arrivals))
    return static_cast<std::int64_t>(static_cast<double>(longest_request(*pool->pool)) *
                                     std::max(input, output));
  if (workload.lengths) return longest_of(*workload.lengths, input, output);
  return std::llround(workload.input.tokens * input) +
         std::llround(workload.output.tokens * output);
}

bool fit_context(Lengths& lengths, std::int64_t max_tokens, bool truncate) {
  if (std::int64_t{lengths.input} + lengths.output <= max_tokens) return true;
  if (!truncate || max_tokens < 2) return false;
  lengths.output =
      static_cast<std::int32_t>(std::min<std::int64_t>(lengths.output, max_tokens - 1));
  lengths.input = static_cast<std::int32_t>(max_tokens - lengths.output);
  return true;
}

namespace {

// Problems of arrivals whose lengths are drawn, by kind.
struct ArrivalProblems {
  std::vector<std::string>& errors;

  void need(bool holds, const char* words) const {
    if (!holds) errors.emplace_back(words);
  }
  void operator()(const TraceArrivals& trace) const { check_trace(trace, errors); }
  void operator()(const PoissonArrivals& a) const {
    need(a.requests_per_s > 0.0, "the arrival rate must be positive");
  }
  void operator()(const RenewalArrivals& a) const {
    need(a.requests_per_s > 0.0, "the arrival rate must be positive");
    need(a.shape == GapShape::deterministic || (a.cv >= 0.02 && a.cv <= 100.0),
         "the coefficient of variation of the gaps must be within 0.02 and 100");
  }
  void operator()(const ModulatedArrivals& a) const {
    need(a.states.size() >= 2, "modulated arrivals need two states or more");
    double most = 0.0;
    bool stays = true;
    for (const auto& state : a.states) {
      most = std::max(most, state.requests_per_s);
      stays = stays && state.dwell_s > 0.0 && state.requests_per_s >= 0.0;
    }
    need(stays, "every state needs a positive dwell time and a rate");
    need(most > 0.0, "one state at least must have arrivals");
  }
  void operator()(const PoolArrivals& a) const {
    need(a.pool && !a.pool->clients.empty(), "the client pool is empty");
    need(a.rate_scale > 0.0, "rate_scale must be positive");
  }
  void operator()(const ClosedLoopArrivals& a) const {
    need(a.concurrency >= 1, "the concurrency must be at least one");
  }
  void operator()(const SessionArrivals& a) const {
    need(a.sessions_per_s > 0.0, "the rate of sessions must be positive");
    need(a.turns >= 1.0, "a session has one turn at least");
  }
};

void check_profile(const RateProfile& profile, std::vector<std::string>& errors) {
  if (profile.points.empty()) return;
  double last_s = -1.0, most = 0.0;
  bool ordered = true;
  for (const auto& point : profile.points) {
    ordered = ordered && point.at_s > last_s && point.factor >= 0.0;
    last_s = point.at_s;
    most = std::max(most, point.factor);
  }
  if (!ordered) errors.emplace_back("the points of the rate profile must come in order of time");
  if (!(most > 0.0)) errors.emplace_back("the rate profile is zero everywhere");
  if (profile.period_s > 0.0 && last_s >= profile.period_s)
    errors.emplace_back("the rate profile has points behind the end of its period");
}

}  // namespace

void check_workload(const WorkloadSpec& workload) {
  std::vector<std::string> errors;
  std::visit(ArrivalProblems{errors}, workload.arrivals);
  const bool trace = std::holds_alternative<TraceArrivals>(workload.arrivals);
  if (!trace && !std::holds_alternative<PoolArrivals>(workload.arrivals) && !workload.lengths) {
    check_length(workload.input, "input", errors);
    check_length(workload.output, "output", errors);
  }
  if (workload.lengths && workload.lengths->empty()) errors.emplace_back("the lengths are empty");
  if (!trace && !workload.requests && !workload.duration)
    errors.emplace_back("arrivals without an end: give workload.duration or workload.requests");
  check_profile(workload.profile, errors);
  if (!(workload.input_scale > 0.0 && workload.output_scale > 0.0))
    errors.emplace_back("lengths must be scaled by something positive");
  if (workload.requests && *workload.requests < 1)
    errors.emplace_back("workload.requests must be at least one");
  if (workload.requests && *workload.requests > UINT32_MAX)
    errors.emplace_back("workload.requests: more than 4,294,967,295 cannot be numbered");
  if (errors.empty()) return;
  std::vector<sim::core::Diagnostic> diagnostics;
  for (auto& error : errors) diagnostics.push_back({"", 0, 0, std::move(error), "", false});
  throw sim::core::InputError(std::move(diagnostics));
}

}  // namespace foretoken::models::serving
