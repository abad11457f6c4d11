#include "analysis/training_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

namespace training = models::training;
using training::Recompute;
using training::Schedule;
using training::Sharding;
using training::TrainingSpec;

std::vector<int> divisors(int n, int most) {
  std::vector<int> out;
  for (int i = 1; i <= std::min(n, most); ++i)
    if (n % i == 0) out.push_back(i);
  return out;
}

class Search {
 public:
  Search(const scenarios::loader::TrainingScenario& scenario,
         const std::shared_ptr<const models::kernels::Calibration>& calibration,
         const TrainingPlanOptions& options)
      : scenario_(scenario),
        options_(options),
        machine_(scenario.training.node, scenario.training.software.network, calibration),
        start_(std::chrono::steady_clock::now()) {}

  TrainingPlan run() {
    const TrainingSpec& base = scenario_.training;
    const int gpus = scenario_.nodes * base.node.gpus;
    constexpr int kMostContext = 16, kMostPipeline = 128, kMostExpert = 256;
    // Tensor groups that leave the node never pay.
    for (const int tensor : divisors(gpus, base.node.gpus))
      for (const int context : divisors(gpus / tensor, kMostContext))
        for (const int pipeline : divisors(gpus / tensor / context, kMostPipeline)) {
          if (pipeline > base.model.layers) continue;
          const int data = gpus / tensor / context / pipeline;
          const int group = data * context * tensor;
          for (const int expert :
               base.model.moe ? divisors(group, kMostExpert) : std::vector<int>{1})
            schedules(tensor, context, pipeline, data, expert);
        }
    if (plan_.ranked.empty())
      throw sim::core::InfeasibleError(
          nearest_.empty() ? "no layout of these GPUs keeps every rule; the batch, the layers or "
                             "the heads do not divide"
                           : "no layout fits; the nearest: " + nearest_);
    rank();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] bool late() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count() >
           options_.seconds;
  }

  void schedules(int tensor, int context, int pipeline, int data, int expert) {
    if (late()) {
      plan_.cut_short = true;
      return;
    }
    TrainingSpec spec = scenario_.training;
    spec.layout = {};
    spec.layout.tensor = tensor;
    spec.layout.context = context;
    spec.layout.pipeline = pipeline;
    spec.layout.data = data;
    spec.layout.expert = expert;
    for (const std::int64_t micro : {1, 2, 4, 8}) {
      spec.batch.micro = micro;
      const Schedule given = scenario_.training.schedule;
      const bool split = given == Schedule::dualpipe || given == Schedule::dualpipe_v ||
                         given == Schedule::zb_h1 || given == Schedule::zb_v;
      spec.schedule = split && pipeline > 1 ? given : Schedule::one_f_one_b;
      spec.layout.virtual_stages = 1;
      shardings(spec);
      if (split || pipeline == 1) continue;
      spec.schedule = Schedule::interleaved;
      for (const int chunks : {2, 4, 8, 16}) {
        if (pipeline * chunks > spec.model.layers + 2) break;
        spec.layout.virtual_stages = chunks;
        shardings(spec);
      }
    }
  }

  void shardings(TrainingSpec spec) {
    spec.layout.sharding = Sharding::optimizer;
    const bool fits = candidate(spec);
    if (!fits && spec.layout.pipeline == 1 && spec.layout.data > 1) {
      spec.layout.sharding = Sharding::parameters;
      candidate(spec);
    }
  }

  // The least recomputation that fits. True if one does or the rules are broken.
  bool candidate(TrainingSpec& spec) {
    ++plan_.candidates;
    const auto errors = layout_errors(spec);
    if (!errors.empty()) {
      ++plan_.broken;
      reject(spec, errors.front(), broken_seen_);
      return true;
    }
    const training::Order order = short_order(spec);
    training::MemoryAccount memory;
    for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::full}) {
      if (scenario_.recompute_given && recompute != scenario_.training.recompute) continue;
      spec.recompute = recompute;
      const auto account = training::account_step(spec, machine_);
      memory = training::account_memory(spec, account, order);
      if (!memory.fits()) continue;
      plan_.ranked.push_back({spec, training::estimate_step(spec, account), memory, false, ""});
      return true;
    }
    ++plan_.too_large;
    const double over = memory.total() - memory.capacity;
    if (nearest_.empty() || over < nearest_over_) {
      nearest_over_ = over;
      nearest_ = layout_text(spec) + ": " + training::describe(memory);
    }
    reject(spec, "out of memory: " + training::describe(memory), large_seen_);
    return false;
  }

  void reject(const TrainingSpec& spec, const std::string& why, std::size_t& seen) {
    constexpr std::size_t kKept = 20;  // of each kind
    if (++seen <= kKept) plan_.rejected.push_back({layout_text(spec), why});
  }

  // Activations in flight are most after the first few rounds: as many micro-batches do.
  static training::Order short_order(const TrainingSpec& spec) {
    const std::int64_t rounds = 3LL * spec.layout.pipeline + (spec.layout.pipeline % 2);
    if (spec.micro_batches() <= rounds) return training::pipeline_order(spec);
    TrainingSpec few = spec;
    few.batch.global = rounds * spec.layout.data * spec.batch.micro;
    return training::pipeline_order(few);
  }

  void rank() {
    const auto faster = [](const PlannedLayout& a, const PlannedLayout& b) {
      return a.step.seconds < b.step.seconds;
    };
    std::stable_sort(plan_.ranked.begin(), plan_.ranked.end(), faster);
    const auto best = std::min(plan_.ranked.size(), static_cast<std::size_t>(options_.simulate));
    for (std::size_t i = 0; i < best; ++i) {
      PlannedLayout& p = plan_.ranked[i];
      const auto account = training::account_step(p.spec, machine_);
      const auto factors = training::factors_of(p.spec, account);
      const auto run =
          training::run_pipeline(p.spec, training::pipeline_order(p.spec),
                                 training::pipeline_times(p.spec, account, factors), false);
      p.step = training::compose_step(p.spec, account, factors, run.end.seconds());
      p.simulated = true;
    }
    std::stable_sort(plan_.ranked.begin(), plan_.ranked.begin() + static_cast<std::ptrdiff_t>(best),
                     faster);
    for (std::size_t i = 1; i < plan_.ranked.size(); ++i)
      plan_.ranked[i].why = reason(plan_.ranked[i].step, plan_.ranked.front().step);
  }

  // The two parts of the step that cost most more than in the best one.
  static std::string reason(const training::StepTime& own, const training::StepTime& best) {
    std::vector<std::pair<double, std::string>> excess;
    for (std::size_t i = 0; i < training::kParts; ++i)
      excess.emplace_back(own.waterfall.parts[i] - best.waterfall.parts[i],
                          std::string(to_string(static_cast<training::Part>(i))));
    const auto& a = own.waterfall;
    const auto& b = best.waterfall;
    excess.emplace_back(a.bubble_s - b.bubble_s, "pipeline bubble");
    excess.emplace_back(a.send_s - b.send_s, "stage-to-stage messages");
    excess.emplace_back(a.gradients_s - b.gradients_s, "gradient reduction");
    excess.emplace_back(a.parameters_s - b.parameters_s, "parameter gather");
    excess.emplace_back(a.optimizer_s - b.optimizer_s, "optimizer");
    std::stable_sort(excess.begin(), excess.end(),
                     [](const auto& x, const auto& y) { return x.first > y.first; });
    std::string text = fmt::format("{:+.1f} %", 100 * (own.seconds / best.seconds - 1));
    for (std::size_t i = 0; i < 2 && excess[i].first > 0.002 * best.seconds; ++i)
      text += fmt::format("{} {} {:+.1f} %", i == 0 ? ":" : ",", excess[i].second,
                          100 * excess[i].first / best.seconds);
    return text;
  }

  const scenarios::loader::TrainingScenario& scenario_;
  const TrainingPlanOptions& options_;
  training::MachineTimes machine_;
  std::chrono::steady_clock::time_point start_;
  TrainingPlan plan_;
  std::string nearest_;
  double nearest_over_ = 0;
  std::size_t broken_seen_ = 0, large_seen_ = 0;
};

}  // namespace

std::string layout_text(const TrainingSpec& spec) {
  const auto& l = spec.layout;
  return fmt::format("tp{} pp{}{} dp{}{}{} mbs{} {} {} {}", l.tensor, l.pipeline,
                     l.virtual_stages > 1 ? fmt::format("x{}", l.virtual_stages) : "", l.data,
                     l.context > 1 ? fmt::format(" cp{}", l.context) : "",
                     l.expert > 1 ? fmt::format(" ep{}", l.expert) : "", spec.batch.micro,
                     to_string(spec.schedule), to_string(l.sharding),
                     spec.recompute == Recompute::none
                         ? "no-recompute"
                         : fmt::format("{}-recompute", to_string(spec.recompute)));
}

TrainingPlan plan_training(const scenarios::loader::TrainingScenario& scenario,
                           const std::shared_ptr<const models::kernels::Calibration>& calibration,
                           const TrainingPlanOptions& options) {
  return Search(scenario, calibration, options).run();
}

}  // namespace foretoken::analysis
