// foretoken capacity: the largest load within the SLO.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <iostream>
#include <mutex>

#include "analysis/app/capacity_json.hpp"
#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/progress.hpp"
#include "analysis/app/session.hpp"
#include "analysis/number_text.hpp"
#include "analysis/study/capacity.hpp"

namespace foretoken::analysis::app {
namespace {

using study::Capacity;

CommandPage capacity_page() {
  CommandPage page;
  page.synopsis = "capacity SCENARIO [options]";
  page.about =
      "Finds the largest load, in requests a second or requests in flight, at which the "
      "scenario's\n"
      "SLO is met, and prints latency against load around it with its knee. The interval over\n"
      "seeds says how much is chance, the other how much the validated error of latencies is "
      "worth.\n";
  page.examples =
      "  foretoken capacity scenarios/quickstart.yaml --threads 2\n"
      "  foretoken capacity my.yaml --attainment 99% --repeats 5 --json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"attainment", "SHARE",
       "share of requests within all limits, e.g. 99% (default: the SLO's terms)"},
      {"repeats", "N", "seeds, for an interval", "1"},
      {"precision", "SHARE", "relative, of the load", "0.01"},
      {"set", "PATH=VALUE", "replace one value of the scenario; may be repeated", "", true},
      {"threads", "N", "simulations at a time; the result does not depend on it", "1"},
      {"json", "", "print only the result, as JSON"},
  };
  return page;
}

std::optional<double> share_of(const ParsedLine& line, const std::string& name) {
  if (!line.has(name)) return std::nullopt;
  const std::string& text = line.text(name);
  const bool percent = text.ends_with('%');
  double value = 0.0;
  const char* const end = text.data() + text.size() - (percent ? 1 : 0);
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (percent) value /= 100.0;
  if (status != std::errc{} || stop != end || !(value > 0.0 && value < 1.0))
    throw UsageError(fmt::format("--{} {}: a share between 0 and 1, e.g. 99% or 0.99", name, text));
  return value;
}

std::string answer(const Scenario& scenario, const Capacity& c) {
  const char* unit = c.closed_loop ? "requests in flight" : "requests/s";
  std::string out =
      fmt::format("{}\nServes {} {} within its SLO", scenario.name, significant(c.load, 3), unit);
  if (!c.first_to_break.empty())
    out += fmt::format("; first to break above it: {}", c.first_to_break);
  out += "\n\n";
  if (std::isfinite(c.interval_low))
    out += fmt::format("  over {} seeds      {} to {} (95 %)\n", c.by_seed.size(),
                       significant(c.interval_low, 3), significant(c.interval_high, 3));
  out += fmt::format("  stated error      {} to {}, were every latency {} longer or shorter\n",
                     significant(c.error_low, 3), significant(c.error_high, 3),
                     percent_text(c.relative_error));
  if (c.knee)
    out += fmt::format("  knee              {} {}: p99 TTFT bends most there\n",
                       significant(*c.knee, 3), unit);
  out += fmt::format("\n  {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>12}\n", "load", "TTFT p50",
                     "TTFT p99", "TPOT p50", "TPOT p99", "in SLO", "output tok/s");
  for (const auto& p : c.curve)
    out += fmt::format("  {:>10} {:>10} {:>10} {:>10} {:>10} {:>9} {:>12} {}\n",
                       significant(p.load, 3), time_text(p.ttft_p50_s), time_text(p.ttft_p99_s),
                       time_text(p.tpot_p50_s), time_text(p.tpot_p99_s), percent_text(p.attainment),
                       significant(p.output_tokens_per_s, 4), p.met ? "met" : "missed");
  out += fmt::format("\n  {} simulations\n", c.simulations);
  return out;
}

}  // namespace

int capacity_command(const Invocation& invocation) {
  const auto line = parse(capacity_page(), invocation);
  if (!line) return kOk;
  study::CapacityOptions options;
  options.attainment = share_of(*line, "attainment");
  options.precision = share_of(*line, "precision").value_or(0.01);
  options.repeats = static_cast<int>(line->integer("repeats", 1, 1000));
  options.threads = static_cast<int>(line->integer("threads", 1, 1024));
  const Scenario scenario =
      load_with_warnings(line->arguments[0], invocation.home, line->list("set"));
  const scenarios::loader::Catalogue catalogue(invocation.home);
  study::CalibrationStore calibrations(calibration_file(invocation.home));
  const study::Evaluator evaluator(line->arguments[0], catalogue, calibrations);
  const InterruptGuard interrupt;
  options.interrupt = interrupt.flag();
  std::mutex mutex;
  if (stderr_is_terminal())
    options.progress = [&mutex](double load, bool met) {
      const std::lock_guard lock(mutex);
      fmt::print(stderr, "load {:.4g}: {}\n", load, met ? "met" : "missed");
    };
  try {
    const Capacity capacity = study::find_capacity(evaluator, scenario, options);
    std::cout << (line->has("json") ? capacity_json(scenario, capacity)
                                    : answer(scenario, capacity));
    return kOk;
  } catch (const study::Interrupted&) {
    fmt::print(stderr, "foretoken: interrupted\n");
    return kInterrupted;
  }
}

}  // namespace foretoken::analysis::app
