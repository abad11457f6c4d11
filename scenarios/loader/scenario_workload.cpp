#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/serving/arrivals.hpp"
#include "scenarios/loader/client_pool_file.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"
#include "scenarios/loader/trace.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::serving::Arrivals;
using models::serving::ClosedLoopArrivals;
using models::serving::GapShape;
using models::serving::LengthSpec;
using models::serving::ModulatedArrivals;
using models::serving::PoissonArrivals;
using models::serving::PoolArrivals;
using models::serving::RateProfile;
using models::serving::RenewalArrivals;
using models::serving::RequestClass;
using models::serving::SessionArrivals;
using models::serving::TraceArrivals;
using models::serving::WorkloadSpec;
using sim::core::Duration;
using sim::core::Hertz;

constexpr int kMaxTokens = 100'000'000;

// A trace or a file of lengths, with what reading it changed as warnings.
std::optional<Trace> load_trace(const YamlNode& name, const LoadContext& context) {
  const auto file = context.locate(name, "workloads");
  if (!file) return std::nullopt;
  try {
    Trace trace = read_trace_file(*file);
    context.hash(*file);
    for (const std::string& note : trace.notes)
      name.warning(fmt::format("{}: {}", file->filename().string(), note));
    return trace;
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
    return std::nullopt;
  }
}

Arrivals read_trace_arrivals(const YamlNode& arrivals, const LoadContext& context) {
  TraceArrivals result;
  const YamlNode name = arrivals.any_child("trace");
  result.rate_scale = arrivals.value_or<Ratio>("rate_scale", Ratio{1.0}, kPositive).value;
  const auto trace = load_trace(name, context);
  if (!trace) return result;
  if (!trace->timed) {
    name.error(
        "holds lengths only, no arrival times: name it under workload.lengths: {trace: ...}, with "
        "arrivals such as poisson: 5/s");
    return result;
  }
  result.requests = trace->requests;
  result.prefix = trace->prefix;
  return result;
}

Arrivals read_pool_arrivals(const YamlNode& arrivals, const LoadContext& context) {
  PoolArrivals result;
  result.rate_scale = arrivals.value_or<Ratio>("rate_scale", Ratio{1.0}, kPositive).value;
  result.from_s = arrivals.value_or<Seconds>("from", Seconds{0.0}, {0.0, 9e6}).value;
  const YamlNode name = arrivals.any_child("clients");
  const auto file = context.locate(name, "workloads");
  if (!file) return result;
  try {
    result.pool = read_client_pool(*file);
    if (std::filesystem::is_regular_file(*file)) context.hash(*file);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
  }
  return result;
}

Arrivals read_modulated(const YamlNode& arrivals) {
  ModulatedArrivals result;
  for (const YamlNode& item : arrivals.any_child("mmpp").items()) {
    ModulatedArrivals::State state;
    state.requests_per_s = item.required<Hertz>("rate").value();
    state.dwell_s = item.required<Seconds>("dwell", kPositive).value;
    result.states.push_back(state);
  }
  double most = 0.0;
  for (const auto& state : result.states) most = std::max(most, state.requests_per_s);
  if (result.states.size() < 2 || most <= 0.0)
    arrivals.any_child("mmpp").error(
        "give two states or more, one of them with arrivals: mmpp: [{rate: 10/s, dwell: 30s}, "
        "{rate: 1/s, dwell: 2min}]");
  return result;
}

Arrivals read_renewal(const YamlNode& arrivals, const char* key, GapShape shape) {
  RenewalArrivals result;
  result.shape = shape;
  result.requests_per_s = arrivals.required<Hertz>(key, kPositive).value();
  if (shape != GapShape::deterministic)
    result.cv = arrivals.required<Ratio>("cv", {0.02, 100.0}).value;
  return result;
}

Arrivals read_sessions(const YamlNode& arrivals) {
  SessionArrivals result;
  result.sessions_per_s = arrivals.required<Hertz>("sessions", kPositive).value();
  result.turns = arrivals.required<Ratio>("turns", {1.0, 1e4}).value;
  result.think_s = arrivals.value_or<Seconds>("think_time", Seconds{0.0}).value;
  return result;
}

// Rate over time: hours of a day, a ramp, or points.
RateProfile read_profile(const YamlNode& workload) {
  RateProfile profile;
  if (!workload.has("profile")) return profile;
  const YamlNode node = workload.required_child("profile");
  const bool hours = node.has("hours"), ramp = node.has("ramp_to"), points = node.has("points");
  if (hours + ramp + points != 1) {
    if (node.exists())
      node.error(
          "give one of hours: [24 numbers], ramp_to: 3 (with over: 10min), or points: "
          "[{at: 0s, factor: 1}, ...] (with period: 24h, if it repeats)");
    for (const char* key : {"over", "period"}) (void)node.has(key);
    return profile;
  }
  if (hours) {
    double sum = 0.0;
    std::vector<double> levels;
    for (const YamlNode& item : node.any_child("hours").items()) {
      levels.push_back(item.as<Ratio>().value);
      sum += levels.back();
    }
    if (levels.size() != 24 || sum <= 0.0) {
      node.any_child("hours").error(
          fmt::format("{} hours; a day has 24, one above zero at least", levels.size()));
      return profile;
    }
    constexpr double kHour = 3600.0;
    for (std::size_t i = 0; i < levels.size(); ++i)
      profile.points.push_back({(static_cast<double>(i) + 0.5) * kHour, levels[i] * 24.0 / sum});
    profile.period_s = 24.0 * kHour;
  } else if (ramp) {
    const double to = node.required<Ratio>("ramp_to", kPositive).value;
    const double over_s = node.required<Seconds>("over", kPositive).value;
    profile.points = {{0.0, 1.0}, {over_s, to}};
  } else {
    for (const YamlNode& item : node.any_child("points").items())
      profile.points.push_back(
          {item.required<Seconds>("at").value, item.required<Ratio>("factor", {0.0, 1e6}).value});
    profile.period_s = node.value_or<Seconds>("period", Seconds{0.0}).value;
    for (std::size_t i = 1; i < profile.points.size(); ++i)
      if (profile.points[i].at_s <= profile.points[i - 1].at_s)
        node.any_child("points").error("points must come in order of time");
    if (profile.period_s > 0.0 && !profile.points.empty() &&
        profile.points.back().at_s >= profile.period_s)
      node.any_child("points").error("the last point lies behind the end of the period");
    if (std::none_of(profile.points.begin(), profile.points.end(),
                     [](const auto& point) { return point.factor > 0.0; }))
      node.any_child("points").error("the rate is zero everywhere");
  }
  return profile;
}

std::vector<RequestClass> read_classes(const YamlNode& workload) {
  std::vector<RequestClass> classes;
  double total = 0.0;
  for (const YamlNode& item : workload.any_child("classes").items()) {
    RequestClass one;
    one.name = item.required<std::string>("name");
    one.share = item.value_or<Ratio>("share", Ratio{1.0}, {0.0, 1e9}).value;
    one.priority = item.value_or<int>("priority", 0, {0.0, 127.0});
    if (const auto deadline = item.optional<Duration>("deadline", kPositive))
      one.deadline_ps = deadline->ps();
    total += one.share;
    classes.push_back(std::move(one));
  }
  if (!classes.empty() && total <= 0.0)
    workload.any_child("classes").error("the shares of the classes are all zero");
  return classes;
}

LengthSpec read_length(const YamlNode& workload, std::string_view key) {
  const YamlNode given = workload.any_child(key);
  if (given.is_scalar()) {
    given.error(fmt::format("write {}: {{tokens: {}}}", key, given.text()));
    return {};
  }
  const YamlNode node = workload.required_child(key);
  LengthSpec length;
  length.tokens = node.required<int>("tokens", {1, kMaxTokens});
  length.low_fraction =
      node.value_or<Ratio>("low_fraction", Ratio{1.0}, {kPositive.min, 1.0}).value;
  if (!node.has("mean") && !node.has("sigma")) return length;
  if (node.has("low_fraction"))
    node.error_at_key("low_fraction",
                      "lengths are uniform (low_fraction) or log-normal (mean, sigma)");
  length.mean = node.required<Ratio>("mean", {1.0, static_cast<double>(kMaxTokens)}).value;
  length.sigma = node.required<Ratio>("sigma", {0.0, 5.0}).value;
  if (length.mean > length.tokens && length.tokens > 0)
    node.error_at_key(
        "mean", fmt::format("the mean is above the longest length of {} tokens", length.tokens));
  length.low_fraction = 1.0 / std::max(1, length.tokens);
  return length;
}

// Exactly one way of arriving.
std::optional<Arrivals> read_arrivals(const YamlNode& workload, const LoadContext& context) {
  const char* const shape =
      "give one of trace: NAME, poisson: 5/s or closed_loop: CONCURRENCY under arrivals; or gamma, "
      "weibull, deterministic, mmpp, clients, sessions";
  constexpr std::string_view kWays[] = {"trace",   "poisson",       "gamma",
                                        "weibull", "deterministic", "mmpp",
                                        "clients", "closed_loop",   "sessions"};
  const YamlNode given = workload.any_child("arrivals");
  if (given.is_scalar()) {
    given.error(shape);
    return std::nullopt;
  }
  const YamlNode arrivals = workload.required_child("arrivals");
  int ways = 0;
  for (const std::string_view way : kWays) ways += arrivals.has(way);
  if (ways != 1) {
    for (const char* key : {"rate_scale", "cv", "from", "think_time", "turns"})
      (void)arrivals.has(key);
    if (arrivals.exists()) arrivals.error(shape);
    return std::nullopt;
  }
  if (arrivals.has("trace")) return read_trace_arrivals(arrivals, context);
  if (arrivals.has("poisson"))
    return PoissonArrivals{arrivals.required<Hertz>("poisson", kPositive).value()};
  if (arrivals.has("gamma")) return read_renewal(arrivals, "gamma", GapShape::gamma);
  if (arrivals.has("weibull")) return read_renewal(arrivals, "weibull", GapShape::weibull);
  if (arrivals.has("deterministic"))
    return read_renewal(arrivals, "deterministic", GapShape::deterministic);
  if (arrivals.has("mmpp")) return read_modulated(arrivals);
  if (arrivals.has("clients")) return read_pool_arrivals(arrivals, context);
  if (arrivals.has("sessions")) return read_sessions(arrivals);
  ClosedLoopArrivals loop;
  loop.concurrency = arrivals.required<int>("closed_loop", {1, 1'000'000});
  loop.think_s = arrivals.value_or<Seconds>("think_time", Seconds{0.0}).value;
  return loop;
}

// Of arrivals that bring the lengths of their requests.
void refuse_lengths(const YamlNode& workload, const std::string& what) {
  for (const std::string_view key : {"input", "output", "lengths"}) {
    if (workload.has(key)) {
      workload.error_at_key(key, fmt::format("{} the lengths of its requests; remove this", what));
    }
  }
}

void check_trace(const YamlNode& workload, const WorkloadSpec& spec, const TraceArrivals& trace) {
  refuse_lengths(workload, "a trace brings");
  if (workload.has("profile"))
    workload.error_at_key("profile", "a trace brings its own rate over time; remove this");
  if (!trace.requests || trace.requests->empty()) return;
  const double last_s =
      static_cast<double>(trace.requests->back().arrival_ps) * 1e-12 / trace.rate_scale;
  if (spec.warmup.seconds() > last_s) {
    workload.any_child("warmup").error(fmt::format(
        "the last request of the trace arrives after {:.0f} s: none is left to count", last_s));
  }
  if (last_s > 9e6)
    workload.error_at_key("arrivals", "rate_scale stretches the trace beyond 104 days");
}

void check_generated(const YamlNode& workload, const WorkloadSpec& spec) {
  constexpr double kMostRequests = 1e9;
  if (!spec.duration && !spec.requests && !workload.has("duration") && !workload.has("requests")) {
    workload.error("these arrivals have no end: give duration: 1h or requests: 10000");
  }
  const double rate = models::serving::offered_rate(spec);
  if (spec.duration && rate * spec.duration->seconds() > kMostRequests) {
    workload.error_at_key("duration", fmt::format("{:.3g} requests are more than {:.0g}",
                                                  rate * spec.duration->seconds(), kMostRequests));
  }
}

// Pairs of lengths from a file, or a range each.
void read_lengths(const YamlNode& workload, const LoadContext& context, WorkloadSpec& spec) {
  if (!workload.has("lengths")) {
    spec.input = read_length(workload, "input");
    spec.output = read_length(workload, "output");
    return;
  }
  for (const std::string_view key : {"input", "output"})
    if (workload.has(key))
      workload.error_at_key(key, "lengths says where lengths come from; remove this");
  const YamlNode node = workload.required_child("lengths");
  const YamlNode name = node.any_child("trace");
  if (node.required<std::string>("trace").empty()) return;
  if (const auto trace = load_trace(name, context)) spec.lengths = trace->requests;
}

std::string name_of(const YamlNode& workload, const Arrivals& arrivals) {
  for (const char* key : {"trace", "clients"})
    if (workload.child("arrivals").has(key))
      return workload.child("arrivals").any_child(key).text();
  constexpr const char* kNames[] = {"trace",   "poisson",     "renewal", "mmpp",
                                    "clients", "closed_loop", "sessions"};
  if (const auto* renewal = std::get_if<RenewalArrivals>(&arrivals))
    return renewal->shape == GapShape::gamma     ? "gamma"
           : renewal->shape == GapShape::weibull ? "weibull"
                                                 : "deterministic";
  return kNames[arrivals.index()];
}

}  // namespace

WorkloadSpec read_workload(const YamlNode& root, const LoadContext& context) {
  const YamlNode workload = root.required_child("workload");
  WorkloadSpec spec;
  const std::optional<Arrivals> arrivals = read_arrivals(workload, context);
  if (arrivals) spec.arrivals = *arrivals;
  spec.duration = workload.optional<Duration>("duration", kPositive);
  spec.requests = workload.optional<std::int64_t>("requests", {1, 1e9});
  spec.warmup = workload.value_or<Duration>("warmup", Duration());
  spec.truncate_over_context =
      workload.optional_choice<bool>("over_context", {{"reject", false}, {"truncate", true}})
          .value_or(false);
  if (!workload.has("over_context")) workload.resolve("over_context", "reject", "default");
  spec.input_scale = workload.value_or<Ratio>("input_scale", Ratio{1.0}, kPositive).value;
  spec.output_scale = workload.value_or<Ratio>("output_scale", Ratio{1.0}, kPositive).value;
  spec.profile = read_profile(workload);
  spec.classes = read_classes(workload);
  if (!arrivals) {  // whether there should be lengths is unknown
    for (const char* key : {"input", "output", "lengths"}) (void)workload.has(key);
  } else if (const auto* const trace = std::get_if<TraceArrivals>(&spec.arrivals)) {
    spec.name = name_of(workload, *arrivals);
    check_trace(workload, spec, *trace);
  } else {
    spec.name = name_of(workload, *arrivals);
    const bool pool = std::holds_alternative<PoolArrivals>(spec.arrivals);
    if (pool) refuse_lengths(workload, "a client pool brings");
    if (!pool) read_lengths(workload, context, spec);
    if (workload.has("profile") &&
        (pool || std::holds_alternative<ClosedLoopArrivals>(spec.arrivals)))
      workload.error_at_key("profile", pool ? "a client pool brings its own rate over time"
                                            : "a closed loop has no rate of its own to change");
    check_generated(workload, spec);
  }
  if (spec.duration && spec.warmup >= *spec.duration) {
    workload.any_child("warmup").error(
        fmt::format("the warm-up of {} s leaves nothing of the duration of {} s to count",
                    spec.warmup.seconds(), spec.duration->seconds()));
  }
  return spec;
}

void check_workload(const YamlNode& root, const WorkloadSpec& workload,
                    const models::llm::ModelSpec& model) {
  if (model.max_positions <= 0 || workload.truncate_over_context) return;
  const YamlNode node = root.child("workload");
  if (const auto* const trace = std::get_if<TraceArrivals>(&workload.arrivals)) {
    if (!trace->requests) return;
    const auto over =
        std::count_if(trace->requests->begin(), trace->requests->end(), [&](const auto& request) {
          return request.input_tokens * workload.input_scale +
                     request.output_tokens * workload.output_scale >
                 model.max_positions;
        });
    if (over == 0) return;
    const std::string message =
        fmt::format("{} of {} requests are longer than the model's context of {} tokens", over,
                    trace->requests->size(), model.max_positions);
    if (static_cast<std::size_t>(over) == trace->requests->size()) {
      node.error_at_key("arrivals", message + ": nothing to serve");
    } else {
      node.child("arrivals")
          .any_child("trace")
          .warning(message +
                   " and will be rejected; over_context: truncate cuts their prompts instead");
    }
    return;
  }
  if (workload.input.tokens == 0 || workload.output.tokens == 0) return;  // said already
  const auto shortest = [](const LengthSpec& length) {
    return std::max(1.0, std::ceil(length.low_fraction * length.tokens));
  };
  const std::int64_t longest = std::int64_t{workload.input.tokens} + workload.output.tokens;
  if (shortest(workload.input) + shortest(workload.output) > model.max_positions) {
    node.error_at_key("input", fmt::format("every request is longer than the model's context of {} "
                                           "tokens (input + output)",
                                           model.max_positions));
  } else if (longest > model.max_positions) {
    node.any_child("input").warning(fmt::format(
        "requests of up to {} tokens, but the model's context is {}; longer ones will be rejected",
        longest, model.max_positions));
  }
}

}  // namespace foretoken::scenarios::loader
