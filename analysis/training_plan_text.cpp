// The ranking of layouts in words and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/training_plan.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using scenarios::loader::TrainingScenario;

constexpr double kGb = 1e-9, kHour = 3600, kTrillion = 1e12;

double tokens_per_s(const PlannedLayout& p) { return p.spec.tokens_per_step() / p.step.seconds; }

double gpu_hours(const PlannedLayout& p) {
  return kTrillion / tokens_per_s(p) * p.spec.layout.gpus() / kHour;
}

}  // namespace

std::string plan_text(const TrainingScenario& scenario, const TrainingPlan& plan,
                      const TrainingPlanOptions& options) {
  const auto& best = plan.ranked.front();
  std::string text =
      fmt::format("{} on {} x {}: {} layouts, {} break a rule, {} do not fit, {} ranked{}\n\n",
                  best.spec.model.name, best.spec.layout.gpus(), best.spec.node.gpu.name,
                  plan.candidates, plan.broken, plan.too_large, plan.ranked.size(),
                  plan.cut_short ? " (stopped by --time; more were left)" : "");
  text += fmt::format("  {:<58} {:>8} {:>6} {:>7} {:>8}  {}\n", "layout", "step s", "MFU", "bubble",
                      "memory", "behind the best by");
  for (std::size_t i = 0; i < plan.ranked.size() && i < static_cast<std::size_t>(options.show);
       ++i) {
    const auto& p = plan.ranked[i];
    text += fmt::format("  {:<58} {:>8.3f} {:>5.1f}% {:>6.1f}% {:>5.0f} GB  {}{}\n",
                        layout_text(p.spec), p.step.seconds, 100 * p.step.mfu,
                        100 * p.step.bubble_fraction, p.memory.total() * kGb,
                        i == 0 ? "the best" : p.why, p.simulated ? "" : "  [closed form]");
  }
  const auto error = best.spec.software.error.find("step_time");
  if (error != best.spec.software.error.end())
    text += fmt::format(
        "\nStep times of {} are off by {:.1f} % on average (groups left out): layouts nearer than "
        "that are a draw.\n",
        best.spec.software.name, 100 * error->second);
  if (!plan.rejected.empty()) text += "\nnot ranked, among others:\n";
  std::size_t shown = 0;
  for (const auto& r : plan.rejected)
    if (shown++ < 6) text += fmt::format("  {}: {}\n", r.deployment, r.why);
  text += "\nmemory of the best: " + models::training::describe(best.memory) + "\n";
  text += fmt::format("{:.0f} K GPU-hours a trillion tokens\n", gpu_hours(best) * 1e-3);
  (void)scenario;
  return text;
}

std::string plan_json(const TrainingScenario& scenario, const TrainingPlan& plan,
                      const TrainingPlanOptions& options) {
  Json ranked = Json::array(), rejected = Json::array();
  std::size_t simulated = 0;
  for (const auto& p : plan.ranked) {
    simulated += p.simulated ? 1 : 0;
    if (ranked.size() >= static_cast<std::size_t>(options.show)) continue;
    const auto& l = p.spec.layout;
    ranked.push_back({{"deployment",
                       {{"text", layout_text(p.spec)},
                        {"data", l.data},
                        {"tensor", l.tensor},
                        {"pipeline", l.pipeline},
                        {"virtual_stages", l.virtual_stages},
                        {"context", l.context},
                        {"expert", l.expert},
                        {"sharding", std::string(to_string(l.sharding))},
                        {"schedule", std::string(to_string(p.spec.schedule))},
                        {"recompute", std::string(to_string(p.spec.recompute))},
                        {"micro_batch", p.spec.batch.micro}}},
                      {"cost", {{"gpu_hours_per_trillion_tokens", gpu_hours(p)}}},
                      {"power", nullptr},
                      {"metrics",
                       {{"step_time_s", p.step.seconds},
                        {"mfu_pct", 100 * p.step.mfu},
                        {"bubble_pct", 100 * p.step.bubble_fraction},
                        {"tokens_per_s", tokens_per_s(p)},
                        {"simulated", p.simulated}}},
                      {"headroom",
                       {{"memory_bytes", p.memory.capacity - p.memory.total()},
                        {"memory_total_bytes", p.memory.total()}}},
                      {"why", p.why}});
  }
  for (const auto& r : plan.rejected)
    rejected.push_back({{"deployment", r.deployment}, {"why", r.why}});
  const Json json = {
      {"scenario", scenario.name}, {"kind", "training"},          {"candidates", plan.candidates},
      {"broken", plan.broken},     {"too_large", plan.too_large}, {"fit", plan.ranked.size()},
      {"simulated", simulated},    {"cut_short", plan.cut_short}, {"ranked", ranked},
      {"rejected", rejected}};
  return json.dump(2) + "\n";
}

}  // namespace foretoken::analysis
