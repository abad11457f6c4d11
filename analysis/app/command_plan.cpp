// foretoken plan: the cheapest deployment that meets the SLO, and why the others lost.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <initializer_list>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/progress.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/training_commands.hpp"
#include "analysis/number_text.hpp"
#include "analysis/study/plan.hpp"
#include "scenarios/loader/scenario_training.hpp"

namespace foretoken::analysis::app {
namespace {

using Json = nlohmann::ordered_json;
using study::PlanResult;
using study::Ranked;

CommandPage plan_page() {
  CommandPage page;
  page.synopsis = "plan FILE [options]";
  page.about =
      "Serving: finds the cheapest deployment for a scenario's traffic within its SLO, among the\n"
      "hardware, layouts, formats and batch limits that the plan file lists. Bounds that can be\n"
      "proved drop what cannot win, simulation decides about the rest. Exit 4 when nothing meets\n"
      "the SLO. Training: ranks every layout of the scenario's model on its cluster.\n";
  page.examples =
      "  foretoken plan scenarios/plan/r1-azure.yaml --threads 2\n"
      "  foretoken plan my-plan.yaml --max-gpus 32 --budget 8000000CNY --json\n"
      "  foretoken plan scenarios/training/llama-3.1-405b-h100.yaml --set hardware.nodes=64\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"max-gpus", "N", "serving: no more GPUs than this"},
      {"budget", "MONEY", "serving: for everything over the scenario's horizon, e.g. 8000000CNY"},
      {"power-limit", "KW", "serving: at the facility, in kW"},
      {"top", "N", "deployments or layouts to rank", "10"},
      {"simulate", "K", "training: of the best layouts, simulate so many (default: 10)"},
      {"time-limit", "TIME",
       "training: stop trying layouts after this much wall time (default: 60s)"},
      {"set", "PATH=VALUE", "training: replace one value of the scenario; may be repeated", "",
       true},
      {"threads", "N",
       "simulations at a time; the result does not depend on it (default: all cores)"},
      {"json", "", "print only the result, as JSON"},
  };
  return page;
}

// An option that this kind of plan would ignore.
void refuse(const ParsedLine& line, std::initializer_list<const char*> options, const char* kind) {
  for (const char* option : options)
    if (line.has(option))
      throw UsageError(fmt::format("--{} is for plans of {}, and this is none", option, kind));
}

void tighten(const ParsedLine& line, study::PlanLimits& limits) {
  if (line.has("max-gpus"))
    limits.gpus = static_cast<int>(line.integer("max-gpus", 1, 1'000'000'000));
  if (line.has("power-limit")) limits.facility_watts = line.number("power-limit", 1e-3, 1e9) * 1e3;
  if (!line.has("budget")) return;
  const std::string& text = line.text("budget");
  double amount = 0.0;
  const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string currency(stop, text.data() + text.size());
  if (status != std::errc{} || !(amount > 0) || (currency != "CNY" && currency != "USD"))
    throw UsageError("--budget " + text + ": an amount with its currency, e.g. 8000000CNY");
  limits.budget_cny.reset();
  limits.budget_usd.reset();
  (currency == "CNY" ? limits.budget_cny : limits.budget_usd) = amount;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string replay(const study::PlanSpec& plan, const Ranked& ranked) {
  std::vector<std::string> words{"foretoken", "run", plan.scenario.lexically_normal().string()};
  for (const std::string& assignment : ranked.overrides) {
    words.emplace_back("--set");
    words.push_back(assignment);
  }
  return shell_quoted(words);
}

Json json_of(const study::PlanSpec& plan, const Ranked& r) {
  const Metrics& m = r.metrics;
  Json json;
  json["deployment"] = r.deployment;
  json["gpus"] = r.candidate.gpus;
  json["nodes"] = r.candidate.nodes;
  json["cost"] = {
      {"per_hour", {{"cny", m.cost.total_cny_per_hour}, {"usd", m.cost.total_usd_per_hour}}},
      {"per_month",
       {{"cny", m.cost.total_cny_per_hour * 730.0}, {"usd", m.cost.total_usd_per_hour * 730.0}}},
      {"per_million_output_tokens",
       {{"cny", number(m.cost.cny_per_million_output_tokens)},
        {"usd", number(m.cost.usd_per_million_output_tokens)}}}};
  json["power"] = {{"mean_gpu_watts", number(m.energy.mean_gpu_watts)},
                   {"server_watts", number(m.energy.mean_server_watts)},
                   {"facility_watts", number(m.energy.mean_facility_watts)}};
  json["metrics"] = {{"p50_ttft_ms", number(m.ttft.p50 * 1e3)},
                     {"p99_ttft_ms", number(m.ttft.p99 * 1e3)},
                     {"p50_tpot_ms", number(m.tpot.p50 * 1e3)},
                     {"p99_tpot_ms", number(m.tpot.p99 * 1e3)},
                     {"p99_e2el_ms", number(m.e2el.p99 * 1e3)},
                     {"output_throughput", number(m.output_rate.value)},
                     {"output_tokens_per_s_per_gpu", number(m.output_per_gpu.value)},
                     {"slo_attainment", number(m.slo.attainment)},
                     {"peak_kv_used", number(m.peak_kv_used)},
                     {"completed", m.completed}};
  json["relative_error_of_latencies"] =
      m.latency.relative_error ? number(*m.latency.relative_error) : Json(nullptr);
  json["headroom"] = number(r.headroom);
  json["inside_error"] = m.slo.inside_error;
  json["first_to_break"] = r.first_to_break;
  json["replay"] = replay(plan, r);
  return json;
}

std::string json_text(const study::PlanSpec& plan, const PlanResult& result) {
  Json json;
  json["plan"] = plan.name;
  json["candidates"] = result.candidates;
  json["simulated"] = result.simulated;
  json["simulated_in_part"] = result.prefixes;
  json["dropped"] = Json::object();
  for (const auto& [bound, n] : result.dropped) json["dropped"][bound] = n;
  json["ranked"] = Json::array();
  for (const Ranked& ranked : result.ranked) json["ranked"].push_back(json_of(plan, ranked));
  json["rejected"] = Json::array();
  for (const auto& [deployment, why] : result.rejected)
    json["rejected"].push_back({{"deployment", deployment}, {"why", why}});
  if (result.breaks_at)
    json["breaks_at"] = {{"load_factor", result.breaks_at->factor},
                         {"not_found_below", result.breaks_at->beyond},
                         {"first_to_break", result.breaks_at->term}};
  json["ways_to_pay"] = Json::array();
  for (const auto& way : result.ways_to_pay)
    json["ways_to_pay"].push_back(
        {{"way", way.name},
         {"per_hour", {{"cny", way.cny_per_hour}, {"usd", way.usd_per_hour}}},
         {"break_even_months", way.break_even_months ? Json(*way.break_even_months) : Json()}});
  if (result.api)
    json["all_by_api"] = {
        {"per_hour", {{"cny", result.api->cny_per_hour}, {"usd", result.api->usd_per_hour}}},
        {"usd_per_million_output_tokens", number(result.api->usd_per_million_output)},
        {"meets_slo", result.api->meets},
        {"why_not", result.api->why}};
  json["nearest"] = result.nearest ? json_of(plan, *result.nearest) : Json(nullptr);
  if (!result.day.empty()) {
    json["nodes_by_hour"] = Json::array();
    for (const auto& hour : result.day)
      json["nodes_by_hour"].push_back(
          {{"hour", hour.hour}, {"load", hour.load}, {"nodes", hour.nodes}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string card_of(const Ranked& r) {
  const Metrics& m = r.metrics;
  std::string out = fmt::format(
      "  TTFT p99 {}   TPOT p99 {}   {} of requests within all limits\n"
      "  output {} tokens/s = {} a GPU   {:.1f} kW at the facility\n"
      "  CNY {} = USD {} a month   CNY {} = USD {} per million output tokens\n",
      time_text(m.ttft.p99), time_text(m.tpot.p99), percent_text(m.slo.attainment),
      significant(m.output_rate.value, 4), significant(m.output_per_gpu.value, 3),
      m.energy.mean_facility_watts * 1e-3, money_text(m.cost.total_cny_per_hour * 730.0),
      money_text(m.cost.total_usd_per_hour * 730.0),
      money_text(m.cost.cny_per_million_output_tokens),
      money_text(m.cost.usd_per_million_output_tokens));
  if (!r.first_to_break.empty())
    out += fmt::format("  {}: {}\n", m.slo.met ? "tightest" : "the limit that binds",
                       r.first_to_break);
  return out;
}

std::string day_text(const PlanResult& result) {
  std::string out = "\nNodes at each hour of the day\n ";
  for (const auto& hour : result.day)
    out += fmt::format(
        " {:02}h {}{}", hour.hour,
        hour.nodes > 0 || hour.load == 0.0 ? std::to_string(hour.nodes) : std::string("more"),
        hour.hour == 11 ? "\n " : "");
  return out + "\n";
}

std::string ways_text(const PlanResult& result) {
  std::string out;
  const auto month = [](double cny, double usd) {
    return fmt::format("CNY {} = USD {} a month", money_text(cny * 730.0), money_text(usd * 730.0));
  };
  if (result.ways_to_pay.size() > 1 || result.api) out += "\nWays to pay for it\n";
  if (result.ways_to_pay.size() > 1 || result.api)
    for (const auto& way : result.ways_to_pay) {
      out += fmt::format("  {:<18} {}", way.name, month(way.cny_per_hour, way.usd_per_hour));
      if (way.break_even_months)
        out +=
            fmt::format("; pays after {:.0f} months of the cheapest rent", *way.break_even_months);
      out += "\n";
    }
  if (result.api)
    out += fmt::format("  {:<18} {}; {}\n", "all by API",
                       month(result.api->cny_per_hour, result.api->usd_per_hour),
                       result.api->meets ? "within the SLO as its terms state it"
                                         : "misses the SLO: " + result.api->why);
  return out;
}

std::string breaks_text(const study::BreakingLoad& breaks) {
  if (breaks.beyond)
    return fmt::format("  holds up to {:.1f} times this load at least\n", breaks.factor);
  return fmt::format("  breaks at {:.2f} times this load: {}\n", breaks.factor, breaks.term);
}

std::string answer(const study::PlanSpec& plan, const PlanResult& result) {
  std::string out = plan.name + "\n";
  if (result.ranked.empty()) {
    out += "Nothing here meets the SLO.\n";
    if (result.nearest)
      out += fmt::format("Nearest: {}\n{}", result.nearest->deployment, card_of(*result.nearest));
    out += ways_text(result);
  } else {
    const Ranked& best = result.ranked.front();
    out += fmt::format(
        "Recommended: {}\n  {} headroom{}\n{}", best.deployment, percent_text(best.headroom),
        best.metrics.slo.inside_error ? "; the stated error of latencies is larger than that" : "",
        card_of(best));
    if (result.breaks_at) out += breaks_text(*result.breaks_at);
    out += ways_text(result);
    if (result.ranked.size() > 1) out += "\nRunners-up\n";
    for (std::size_t i = 1; i < result.ranked.size(); ++i) {
      const Ranked& r = result.ranked[i];
      out += fmt::format("  {:+.1f} % cost, {} headroom  {}\n",
                         100.0 * (r.cost_per_hour / best.cost_per_hour - 1.0),
                         percent_text(r.headroom), r.deployment);
    }
  }
  out += "\nWhy the others lost\n";
  constexpr std::size_t kShown = 12;
  for (std::size_t i = 0; i < result.rejected.size() && i < kShown; ++i)
    out += fmt::format("  {}: {}\n", result.rejected[i].deployment,
                       result.rejected[i].why.substr(0, 160));
  if (!result.day.empty()) out += day_text(result);
  out += fmt::format("\n{} candidates, {} simulated whole and {} in part; dropped by",
                     result.candidates, result.simulated, result.prefixes);
  for (const auto& [bound, n] : result.dropped) out += fmt::format(" {}: {},", bound, n);
  out.back() = '\n';
  if (!result.ranked.empty()) out += "reproduce: " + replay(plan, result.ranked.front()) + "\n";
  return out;
}

}  // namespace

int plan_command(const Invocation& invocation) {
  const auto line = parse(plan_page(), invocation);
  if (!line) return kOk;
  if (scenarios::loader::is_training_scenario(line->arguments[0])) {
    refuse(*line, {"max-gpus", "budget", "power-limit"}, "serving");
    return plan_training_command(invocation, *line);
  }
  refuse(*line, {"simulate", "time-limit"}, "training");
  if (line->has("set"))
    throw UsageError(
        "--set is for plans of training; write 'set: {PATH: VALUE}' into the plan file instead");
  const auto plan = study::read_plan(line->arguments[0]);
  study::PlanOptions options;
  options.limits = plan.limits;
  tighten(*line, options.limits);
  options.ranked = static_cast<std::size_t>(line->integer("top", 1, 1000));
  options.threads = line->has("threads")
                        ? static_cast<int>(line->integer("threads", 1, 1024))
                        : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const scenarios::loader::Catalogue catalogue(invocation.home);
  study::CalibrationStore calibrations(calibration_file(invocation.home));
  const study::Evaluator evaluator(plan.scenario, catalogue, calibrations);
  const InterruptGuard interrupt;
  options.interrupt = interrupt.flag();
  if (stderr_is_terminal())
    options.progress = [](std::size_t simulated, std::size_t looked_at) {
      fmt::print(stderr, "\r{} candidates looked at, {} simulated", looked_at, simulated);
    };
  try {
    const PlanResult result = study::make_plan(plan, evaluator, calibrations, options);
    if (options.progress) fmt::print(stderr, "\n");
    std::cout << (line->has("json") ? json_text(plan, result) : answer(plan, result));
    const bool by_api = result.api && result.api->meets;
    return result.ranked.empty() && !by_api ? kInfeasible : kOk;
  } catch (const study::Interrupted&) {
    fmt::print(stderr, "foretoken: interrupted\n");
    return kInterrupted;
  }
}

}  // namespace foretoken::analysis::app
