#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"
#include "scenarios/loader/trace.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::serving::Arrivals;
using models::serving::ClosedLoopArrivals;
using models::serving::LengthSpec;
using models::serving::PoissonArrivals;
using models::serving::TraceArrivals;
using models::serving::WorkloadSpec;
using sim::core::Duration;
using sim::core::Hertz;

constexpr int kMaxTokens = 100'000'000;

TraceArrivals read_trace_arrivals(const YamlNode& arrivals, const LoadContext& context) {
  TraceArrivals result;
  const YamlNode name = arrivals.any_child("trace");
  const auto file = context.locate(name, "workloads");
  result.rate_scale = arrivals.value_or<Ratio>("rate_scale", Ratio{1.0}, kPositive).value;
  if (!file) return result;
  try {
    result.requests = read_trace(*file);
    context.hash(*file);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
  }
  return result;
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
  return length;
}

// Exactly one way of arriving.
std::optional<Arrivals> read_arrivals(const YamlNode& workload, const LoadContext& context) {
  const char* const shape =
      "give one of trace: NAME, poisson: 5/s or closed_loop: CONCURRENCY under arrivals";
  const YamlNode given = workload.any_child("arrivals");
  if (given.is_scalar()) {
    given.error(shape);
    return std::nullopt;
  }
  const YamlNode arrivals = workload.required_child("arrivals");
  const bool trace = arrivals.has("trace"), poisson = arrivals.has("poisson"),
             closed = arrivals.has("closed_loop");
  if (trace + poisson + closed != 1) {
    (void)arrivals.has("rate_scale");
    if (arrivals.exists()) arrivals.error(shape);
    return std::nullopt;
  }
  if (trace) return read_trace_arrivals(arrivals, context);
  if (poisson) return PoissonArrivals{arrivals.required<Hertz>("poisson", kPositive).value()};
  return ClosedLoopArrivals{arrivals.required<int>("closed_loop", {1, 1'000'000})};
}

void check_trace(const YamlNode& workload, const WorkloadSpec& spec, const TraceArrivals& trace) {
  for (const std::string_view key : {"input", "output"}) {
    if (workload.has(key)) {
      workload.error_at_key(key, "a trace brings the lengths of its requests; remove this");
    }
  }
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
  const auto* const poisson = std::get_if<PoissonArrivals>(&spec.arrivals);
  if (poisson != nullptr && spec.duration &&
      poisson->requests_per_s * spec.duration->seconds() > kMostRequests) {
    workload.error_at_key(
        "duration", fmt::format("{:.3g} requests are more than {:.0g}",
                                poisson->requests_per_s * spec.duration->seconds(), kMostRequests));
  }
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
  if (!arrivals) {  // whether there should be lengths is unknown
    (void)workload.has("input");
    (void)workload.has("output");
  } else if (const auto* const trace = std::get_if<TraceArrivals>(&spec.arrivals)) {
    spec.name = workload.child("arrivals").any_child("trace").text();
    check_trace(workload, spec, *trace);
  } else {
    spec.input = read_length(workload, "input");
    spec.output = read_length(workload, "output");
    spec.name = std::holds_alternative<PoissonArrivals>(spec.arrivals) ? "poisson" : "closed_loop";
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
    const auto over = std::count_if(
        trace->requests->begin(), trace->requests->end(), [&model](const auto& request) {
          return std::int64_t{request.input_tokens} + request.output_tokens > model.max_positions;
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
