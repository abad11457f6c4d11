// foretoken compare: two runs or two scenarios side by side.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/number_text.hpp"
#include "analysis/study/compare.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using study::Comparison;

CommandPage compare_page() {
  CommandPage page;
  page.synopsis = "compare A B [options]";
  page.about =
      "Says what differs between two runs: inputs, results, and whether a difference is more than\n"
      "chance. A and B are folders written by 'foretoken run', or scenario files, which are then\n"
      "simulated with the same seeds. The interval is that of chance alone, not of the models.\n";
  page.examples =
      "  foretoken compare runs/h200 runs/b200\n"
      "  foretoken compare a.yaml b.yaml --repeats 5 --threads 2\n";
  page.min_arguments = page.max_arguments = 2;
  page.options = {
      {"repeats", "N", "paired seeds, for scenario files", "5"},
      {"threads", "N", "simulations at a time; the result does not depend on it", "1"},
      {"json", "", "print only the result, as JSON"},
  };
  return page;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string json_of(const Comparison& c) {
  Json json;
  json["a"] = c.name_a;
  json["b"] = c.name_b;
  json["repeats"] = c.repeats;
  json["paired"] = c.paired;
  json["inputs"] = Json::array();
  for (const auto& input : c.inputs)
    json["inputs"].push_back({{"path", input.path}, {"a", input.a}, {"b", input.b}});
  json["results"] = Json::array();
  for (const auto& r : c.results)
    json["results"].push_back(
        {{"metric", r.metric},
         {"a", number(r.a)},
         {"b", number(r.b)},
         {"difference", number(r.difference)},
         {"low", number(r.low)},
         {"high", number(r.high)},
         {"significant", r.significant ? Json(*r.significant) : Json(nullptr)},
         {"method", r.method}});
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string answer(const Comparison& c) {
  std::string out = fmt::format("A  {}\nB  {}\n\nInputs that differ\n", c.name_a, c.name_b);
  for (const auto& input : c.inputs)
    out += fmt::format("  {}: {} -> {}\n", input.path, input.a.empty() ? "(none)" : input.a,
                       input.b.empty() ? "(none)" : input.b);
  if (c.inputs.empty()) out += "  none\n";
  out += fmt::format("\n  {:<40} {:>11} {:>11} {:>9}  {}\n", "result", "A", "B", "change",
                     "95 % interval of B - A");
  for (const auto& r : c.results) {
    const std::string change = r.a != 0.0 && std::isfinite(r.difference)
                                   ? fmt::format("{:+.1f} %", 100.0 * r.difference / r.a)
                                   : "-";
    const bool same = r.difference == 0.0 && r.low == 0.0 && r.high == 0.0;
    const std::string verdict =
        same             ? "the same"
        : !r.significant ? r.method
        : *r.significant ? fmt::format("{} to {}", significant(r.low, 3), significant(r.high, 3))
                         : fmt::format("{} to {}: could be chance", significant(r.low, 3),
                                       significant(r.high, 3));
    out += fmt::format("  {:<40} {:>11} {:>11} {:>9}  {}\n", r.metric, significant(r.a, 4),
                       significant(r.b, 4), change, verdict);
  }
  if (c.repeats > 0)
    out += fmt::format("\n  {} seeds, paired\n", c.repeats);
  else
    out += c.paired ? "\n  the same requests in both: compared one by one\n"
                    : "\n  different requests: compared as two samples\n";
  return out;
}

}  // namespace

int compare_command(const Invocation& invocation) {
  const auto line = parse(compare_page(), invocation);
  if (!line) return kOk;
  const fs::path a = line->arguments[0], b = line->arguments[1];
  if (fs::is_directory(a) != fs::is_directory(b))
    throw UsageError("compare takes two folders of runs or two scenario files, not one of each");
  Comparison comparison;
  if (fs::is_directory(a)) {
    comparison = study::compare_runs(a, b);
  } else {
    const scenarios::loader::Catalogue catalogue(invocation.home);
    study::CalibrationStore calibrations(calibration_file(invocation.home));
    const InterruptGuard interrupt;
    try {
      comparison = study::compare_scenarios(
          {a, catalogue, calibrations}, {b, catalogue, calibrations},
          static_cast<int>(line->integer("repeats", 1, 1000)),
          static_cast<int>(line->integer("threads", 1, 1024)), interrupt.flag());
    } catch (const study::Interrupted&) {
      fmt::print(stderr, "foretoken: interrupted\n");
      return kInterrupted;
    }
  }
  std::cout << (line->has("json") ? json_of(comparison) : answer(comparison));
  return kOk;
}

}  // namespace foretoken::analysis::app
