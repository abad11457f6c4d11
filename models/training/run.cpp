#include "models/training/run.hpp"

#include <algorithm>
#include <cmath>
#include <queue>

#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::training {
namespace {

constexpr double kHour = 3600.0;

int nodes_of(const TrainingSpec& spec) {
  return (spec.layout.gpus() + spec.node.gpus - 1) / std::max(1, spec.node.gpus);
}

// Failures a second of the job: those that take a node out, and those a restart cures.
struct JobRates {
  double node = 0, software = 0;
  [[nodiscard]] double all() const { return node + software; }
};
JobRates job_rates(const TrainingSpec& spec, const FaultRates& faults) {
  const double gpus = spec.layout.gpus(), nodes = nodes_of(spec);
  return {(gpus * faults.gpu + nodes * (faults.node + faults.link)) / kHour,
          gpus * faults.software / kHour};
}

double steps_of(const TrainingSpec& spec, const RunSpec& run) {
  return std::ceil(run.tokens / spec.tokens_per_step());
}

}  // namespace

double young_interval(double cost_s, double mtbf_s) { return std::sqrt(2 * cost_s * mtbf_s); }

double daly_interval(double cost_s, double mtbf_s) {
  if (cost_s >= 2 * mtbf_s) return mtbf_s;
  const double x = cost_s / (2 * mtbf_s);
  return young_interval(cost_s, mtbf_s) * (1 + std::sqrt(x) / 3 + x / 9) - cost_s;
}

// What is written: 16-bit parameters, master copy and moments, each once however many ranks hold
// it; every node writes its part.
CheckpointPlan plan_checkpoints(const TrainingSpec& spec, const RunSpec& run) {
  CheckpointPlan plan;
  const auto count = llm::count_parameters(spec.model);
  const double elements =
      static_cast<double>(count.total) + (spec.mtp ? static_cast<double>(count.mtp) : 0.0);
  plan.bytes =
      elements * (2 + spec.software.main_parameter_bytes + spec.software.optimizer_state_bytes);
  const double nodes = nodes_of(spec);
  double rate = nodes * run.checkpoint.node_bandwidth;
  if (run.checkpoint.storage_bandwidth > 0) rate = std::min(rate, run.checkpoint.storage_bandwidth);
  if (rate > 0) plan.write_s = plan.load_s = plan.bytes / rate;
  // A copy into host memory over PCIe, all GPUs at once.
  const double copy =
      plan.bytes / spec.layout.gpus() / std::max(1.0, spec.node.gpu.pcie_bandwidth.value());
  plan.blocking_s = run.checkpoint.asynchronous ? std::min(copy, plan.write_s) : plan.write_s;
  const double failures = job_rates(spec, run.faults).all();
  plan.mtbf_s = failures > 0 ? 1 / failures : 0;
  if (plan.mtbf_s > 0 && plan.blocking_s > 0) {
    plan.young_s = young_interval(plan.blocking_s, plan.mtbf_s);
    plan.daly_s = daly_interval(plan.blocking_s, plan.mtbf_s);
  }
  plan.interval_s = run.checkpoint.interval_s > 0 ? run.checkpoint.interval_s : plan.daly_s;
  // The next checkpoint starts when the last one is safe.
  if (plan.interval_s > 0) plan.interval_s = std::max(plan.interval_s, plan.write_s);
  return plan;
}

// Work in segments of one interval; a failure costs on average half a segment (and, where the
// checkpoint is still being written behind, that time too), then the restart.
RunAccount expect_run(const TrainingSpec& spec, const RunSpec& run, double step_s) {
  RunAccount account;
  account.steps = steps_of(spec, run);
  account.ideal_s = account.steps * step_s;
  const CheckpointPlan plan = plan_checkpoints(spec, run);
  const double rate = plan.mtbf_s > 0 ? 1 / plan.mtbf_s : 0;
  const double interval = plan.interval_s > 0 ? plan.interval_s : account.ideal_s;
  account.checkpoint_s =
      plan.interval_s > 0 ? std::floor(account.ideal_s / interval) * plan.blocking_s : 0;
  const double each_restart = run.detect_s + run.restart_s + plan.load_s;
  const double behind = run.checkpoint.asynchronous ? plan.write_s : 0;
  const double each_loss = interval / 2 + behind;
  // elapsed = work + failures x cost of each; failures = rate x elapsed.
  const double work = account.ideal_s + account.checkpoint_s;
  const double share = rate * (each_loss + each_restart);
  if (share >= 1)
    throw sim::core::InfeasibleError(
        "failures come faster than the run can make up for: between two of them less is done than "
        "one costs");
  account.failures = rate * work / (1 - share);
  account.lost_s = account.failures * each_loss;
  account.restart_s = account.failures * each_restart;
  return account;
}

RunAccount simulate_run(const TrainingSpec& spec, const RunSpec& run, double step_s) {
  const CheckpointPlan plan = plan_checkpoints(spec, run);
  const JobRates rates = job_rates(spec, run.faults);
  sim::core::Random random(run.seed, 0, 0x7261);
  RunAccount account;
  account.steps = steps_of(spec, run);
  account.ideal_s = account.steps * step_s;
  const double behind = run.checkpoint.asynchronous ? plan.write_s : 0;
  const double interval = plan.interval_s > 0 ? plan.interval_s : account.ideal_s;
  std::priority_queue<double, std::vector<double>, std::greater<>> repairs;  // when nodes return
  int spares = run.spare_nodes;
  double now = 0, done = 0;  // seconds of work that are safe
  double next = rates.all() > 0 ? random.exponential(1 / rates.all()) : -1;
  constexpr double kMostFailures = 1e7;
  while (done < account.ideal_s) {
    const double segment = std::min(interval, account.ideal_s - done);
    const bool last = done + segment >= account.ideal_s;
    const double length = segment + (last || plan.interval_s <= 0 ? 0 : plan.blocking_s);
    if (next < 0 || now + length <= next) {
      now += length;
      done += segment;
      account.checkpoint_s += length - segment;
      continue;
    }
    // Lost: this segment's work so far, and what of the checkpoint before it was not yet safe.
    const double lost = std::max(0.0, next - now);
    const double unsafe = lost < behind && done > 0 ? std::min(interval, done) : 0.0;
    account.lost_s += lost + unsafe;
    done -= unsafe;
    account.failures += 1;
    if (account.failures > kMostFailures)
      throw sim::core::InfeasibleError("the run does not end: it fails faster than it advances");
    now = next;
    while (!repairs.empty() && repairs.top() <= now) {
      repairs.pop();
      ++spares;
    }
    double wait = 0;
    if (random.chance(rates.node / rates.all())) {
      repairs.push(now + run.faults.repair_h * kHour);
      if (spares > 0) {
        --spares;
      } else {
        wait = std::max(0.0, repairs.top() - now);
        repairs.pop();
      }
    }
    const double restart = run.detect_s + run.restart_s + plan.load_s;
    account.waiting_s += wait;
    account.restart_s += restart;
    now += wait + restart;
    next = now + random.exponential(1 / rates.all());
  }
  return account;
}

}  // namespace foretoken::models::training
