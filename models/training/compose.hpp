#pragma once
// From raw times of a step and the software's constants to the time of the step.
#include "models/training/account.hpp"
#include "models/training/schedule.hpp"

namespace foretoken::models::training {

// The software's constants for one job, looked up once.
struct Factors {
  std::array<double, kParts> times{};  // of each part; of messages: the share not hidden
  double optimizer = 1, gradients = 1, parameters = 1;  // of the latter two: the share exposed
  double slowdown = 1;                                  // of compute beside messages
  double straggler = 0;  // of a step, for each doubling of GPUs past kStragglerFrom
  double step_s = 0;     // host work and logging of a step
  double launch_s = 0;
  double host_experts_s = 0;  // the least a layer with experts takes: the host feeds it no faster
  double release = 1;  // of the whole step: how this release differs from the software's mean
};
inline constexpr double kStragglerFrom = 512;
Factors factors_of(const TrainingSpec& spec, const StepAccount& account);

// Names of constants that a job's time depends on, the most special spelling of each: what a fit
// may move.
std::string gemm_constant(const TrainingSpec& spec);

struct Waterfall {  // seconds of the step on the slowest GPU
  std::array<double, kParts> parts{};
  double bubble_s = 0, send_s = 0, gradients_s = 0, parameters_s = 0, optimizer_s = 0;
  double straggler_s = 0, host_s = 0;
};

struct StepTime {
  double seconds = 0;
  double pipeline_s = 0;
  double bubble_fraction = 0;  // of the pipeline's time, mean over its GPUs
  double mfu = 0;
  Waterfall waterfall;
};

// A forward and a backward pass of two micro-batches at once (DualPipe): each one's messages behind
// the other's compute, which loses the SMs that the messages hold; of 4 messages a layer the last
// has nothing left to hide behind.
struct OverlappedPair {
  double compute_s = 0, messages_s = 0, span_s = 0;
};
OverlappedPair overlapped_pair(const Load& forward, const Load& backward, const Factors& factors);

// Durations that the pipeline needs, with the constants applied.
// Refers to `account`, which must outlive it.
PipelineTimes pipeline_times(const TrainingSpec& spec, const StepAccount& account,
                             const Factors& factors);
// A step, given how long its pipeline takes (closed form or simulated) and the share of it that
// GPUs stand idle.
StepTime compose_step(const TrainingSpec& spec, const StepAccount& account, const Factors& factors,
                      double pipeline_s);
StepTime estimate_step(const TrainingSpec& spec, const StepAccount& account);

}  // namespace foretoken::models::training
