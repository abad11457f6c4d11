// Answers about a training scenario, in words and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/training.hpp"

namespace foretoken::analysis {
namespace {

namespace training = models::training;
using Json = nlohmann::ordered_json;
using scenarios::loader::TrainingScenario;

constexpr double kHour = 3600, kDay = 86400;

struct WaterfallLine {
  std::string name;
  double seconds;
};

// Parts of a step that take any time, in the order of the step.
std::vector<WaterfallLine> waterfall_lines(const training::StepTime& step) {
  std::vector<WaterfallLine> lines;
  const auto& w = step.waterfall;
  for (std::size_t i = 0; i < training::kParts; ++i)
    lines.push_back({std::string(to_string(static_cast<training::Part>(i))), w.parts[i]});
  lines.push_back({"stage-to-stage messages", w.send_s});
  lines.push_back({"pipeline bubble", w.bubble_s});
  lines.push_back({"gradient reduction, exposed", w.gradients_s});
  lines.push_back({"parameter gather, exposed", w.parameters_s});
  lines.push_back({"optimizer", w.optimizer_s});
  lines.push_back({"stragglers", w.straggler_s});
  lines.push_back({"host", w.host_s});
  lines.erase(std::remove_if(lines.begin(), lines.end(),
                             [&](const auto& l) { return l.seconds < 1e-5 * step.seconds; }),
              lines.end());
  return lines;
}

Json layout_json(const training::TrainingSpec& spec) {
  const auto& l = spec.layout;
  return {{"data", l.data},
          {"tensor", l.tensor},
          {"pipeline", l.pipeline},
          {"virtual_stages", l.virtual_stages},
          {"context", l.context},
          {"expert", l.expert},
          {"sharding", std::string(to_string(l.sharding))},
          {"schedule", std::string(to_string(spec.schedule))},
          {"recompute", std::string(to_string(spec.recompute))},
          {"micro_batch", spec.batch.micro},
          {"micro_batches", spec.micro_batches()}};
}

Json memory_json(const training::MemoryAccount& m) {
  return {{"pipeline_rank", m.device},        {"capacity_bytes", m.capacity},
          {"parameters_bytes", m.parameters}, {"gradients_bytes", m.gradients},
          {"optimizer_bytes", m.optimizer},   {"activations_bytes", m.activations},
          {"working_bytes", m.working},       {"reserve_bytes", m.reserve},
          {"total_bytes", m.total()}};
}

Json account_json(const training::RunAccount& a) {
  return {
      {"steps", a.steps},       {"days", a.elapsed_s() / kDay}, {"goodput", a.goodput()},
      {"failures", a.failures}, {"ideal_s", a.ideal_s},         {"checkpoint_s", a.checkpoint_s},
      {"lost_s", a.lost_s},     {"restart_s", a.restart_s},     {"waiting_s", a.waiting_s}};
}

double hours(const training::RunAccount& account) { return account.elapsed_s() / kHour; }

Json run_json(const TrainingScenario& scenario, const TrainingPrediction& p) {
  const auto& a = p.history.steps > 0 ? p.history : p.expected;
  Json json = {{"tokens", scenario.run.tokens},
               {"days", a.elapsed_s() / kDay},
               {"goodput", a.goodput()},
               {"gpu_hours", hours(a) * p.spec.layout.gpus()},
               {"energy_mwh", hours(a) * p.facility_watts * 1e-6},
               {"cost_cny", hours(a) * p.cost.total_cny_per_hour},
               {"cost_usd", hours(a) * p.cost.total_usd_per_hour},
               {"expected", account_json(p.expected)}};
  if (p.history.steps > 0) json["simulated"] = account_json(p.history);
  const auto& c = p.checkpoints;
  json["checkpoints"] = {{"bytes", c.bytes},           {"write_s", c.write_s},
                         {"blocking_s", c.blocking_s}, {"mtbf_s", c.mtbf_s},
                         {"young_s", c.young_s},       {"daly_s", c.daly_s},
                         {"interval_s", c.interval_s}};
  return json;
}

std::string waterfall_text(const training::StepTime& step) {
  std::string text =
      fmt::format("\n  {:<38} {:>10} {:>7}\n", "where the step goes (slowest GPU)", "ms", "share");
  for (const auto& line : waterfall_lines(step))
    text += fmt::format("  {:<38} {:>10.2f} {:>6.1f}%\n", line.name, line.seconds * 1e3,
                        100 * line.seconds / step.seconds);
  return text;
}

std::string run_text(const TrainingScenario& scenario, const TrainingPrediction& p) {
  if (scenario.run.tokens <= 0) return "";
  const auto& c = p.checkpoints;
  const bool simulated = p.history.steps > 0;
  const auto& a = simulated ? p.history : p.expected;
  std::string text = fmt::format(
      "\n{:.3g} tokens: {:.0f} steps, {:.1f} days, goodput {:.1f} %, {:.0f} K GPU-hours, {:.0f} "
      "MWh, "
      "{:.2f} M CNY = {:.2f} M USD   [{}]\n",
      scenario.run.tokens, a.steps, a.elapsed_s() / kDay, 100 * a.goodput(),
      hours(a) * p.spec.layout.gpus() * 1e-3, hours(a) * p.facility_watts * 1e-6,
      hours(a) * p.cost.total_cny_per_hour * 1e-6, hours(a) * p.cost.total_usd_per_hour * 1e-6,
      simulated ? "one simulated history" : "expected");
  text += fmt::format(
      "  {:.0f} failures ({}), one every {:.1f} h: {:.1f} h of work lost, {:.1f} h restarting, "
      "{:.1f} h waiting for nodes, {:.1f} h in checkpoints\n",
      a.failures, scenario.run.faults.name, c.mtbf_s / kHour, a.lost_s / kHour, a.restart_s / kHour,
      a.waiting_s / kHour, a.checkpoint_s / kHour);
  text += fmt::format(
      "  checkpoint {:.2f} TB, {:.0f} s to write, {:.1f} s blocking; best interval {:.1f} min "
      "(Young {:.1f}), used {:.1f} min\n",
      c.bytes * 1e-12, c.write_s, c.blocking_s, c.daly_s / 60, c.young_s / 60, c.interval_s / 60);
  if (simulated)
    text +=
        fmt::format("  expected in closed form: {:.1f} days, goodput {:.1f} %, {:.0f} failures\n",
                    p.expected.elapsed_s() / kDay, 100 * p.expected.goodput(), p.expected.failures);
  return text;
}

}  // namespace

std::string training_text(const TrainingScenario& scenario, const TrainingPrediction& p) {
  const auto& l = p.spec.layout;
  std::string text = fmt::format(
      "{} on {} x {}, {}\n  data {} x tensor {} x pipeline {}{} x context {}{}, {}, {}, {}, "
      "recompute {}; {} micro-batches of {} x {}\n",
      p.spec.model.name, l.gpus(), p.spec.node.gpu.name, p.spec.software.name, l.data, l.tensor,
      l.pipeline, l.virtual_stages > 1 ? fmt::format(" (x{} chunks)", l.virtual_stages) : "",
      l.context, l.expert > 1 ? fmt::format(", expert {}", l.expert) : "", to_string(l.sharding),
      to_string(p.spec.schedule), to_string(p.spec.arithmetic), to_string(p.spec.recompute),
      p.spec.micro_batches(), p.spec.batch.micro, p.spec.batch.sequence);
  text += fmt::format(
      "\nstep {:.3f} s +-{:.1f} %   MFU {:.1f} %   bubble {:.1f} %   {:.0f} tokens/s/GPU   {:.0f} "
      "K "
      "GPU-hours a trillion tokens{}\n",
      p.step.seconds, 100 * p.relative_error, 100 * p.step.mfu, 100 * p.step.bubble_fraction,
      p.tokens_per_s / l.gpus(), p.gpu_hours_per_trillion_tokens * 1e-3,
      p.pipeline.events > 0
          ? fmt::format("   [{} events; closed form {:.3f} s]", p.pipeline.events, p.closed_form_s)
          : "   [closed form]");
  text += "memory: " + training::describe(p.memory) + "\n";
  text += fmt::format("power: {:.0f} W a GPU, {:.2f} MW at the meter\n", p.gpu_watts,
                      p.facility_watts * 1e-6);
  return text + waterfall_text(p.step) + run_text(scenario, p);
}

std::string training_json(const TrainingScenario& scenario, const TrainingPrediction& p,
                          const RunInfo* info) {
  Json parts = Json::object();
  for (const auto& line : waterfall_lines(p.step)) parts[line.name] = line.seconds * 1e3;
  Json json = {{"scenario", scenario.name},
               {"kind", "training"},
               {"model", p.spec.model.name},
               {"gpu", p.spec.node.gpu.name},
               {"gpus", p.spec.layout.gpus()},
               {"software", p.spec.software.name},
               {"arithmetic", std::string(to_string(p.spec.arithmetic))},
               {"layout", layout_json(p.spec)},
               {"step_time_s", p.step.seconds},
               {"step_error_pct", 100 * p.relative_error},
               {"closed_form_s", p.closed_form_s},
               {"mfu_pct", 100 * p.step.mfu},
               {"bubble_pct", 100 * p.step.bubble_fraction},
               {"tokens_per_s", p.tokens_per_s},
               {"tokens_per_s_per_gpu", p.tokens_per_s / p.spec.layout.gpus()},
               {"gpu_hours_per_trillion_tokens", p.gpu_hours_per_trillion_tokens},
               {"memory", memory_json(p.memory)},
               {"waterfall_ms", parts},
               {"gpu_watts", p.gpu_watts},
               {"facility_watts", p.facility_watts}};
  if (scenario.run.tokens > 0) json["run"] = run_json(scenario, p);
  if (info != nullptr)
    json["simulation"] = {{"events", p.pipeline.events},
                          {"wall_s", info->wall_s},
                          {"cpu_s", info->cpu_s},
                          {"peak_rss_mib", info->peak_rss_mib}};
  return json.dump(2) + "\n";
}

}  // namespace foretoken::analysis
