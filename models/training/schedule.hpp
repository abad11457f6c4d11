#pragma once
// Pipeline schedules: what each GPU of a pipeline does in which order, and when. An order is
// static, as frameworks run it; times follow from dependencies, so that one event per stage and
// micro-batch is all there is to simulate. GPUs of other data ranks behave alike and are not
// simulated again.
#include <cstdint>
#include <functional>
#include <vector>

#include "models/training/spec.hpp"
#include "sim/core/time.hpp"

namespace foretoken::models::training {

enum class Work : std::uint8_t {
  forward,
  backward,   // both gradients
  input,      // gradient of activations alone
  weight,     // gradient of weights alone
  overlapped  // a forward and a backward of two micro-batches at once (DualPipe)
};

struct Task {
  Work work = Work::forward;
  std::uint8_t direction = 0;  // which end the micro-batch came in (DualPipe)
  std::int16_t position = 0;   // in the pipeline, 0 = first
  std::int32_t micro_batch = 0;
  // Of the backward half of an overlapped task.
  std::uint8_t direction2 = 0;
  std::int16_t position2 = 0;
  std::int32_t micro_batch2 = 0;
};

using Order = std::vector<std::vector<Task>>;  // by GPU of the pipeline

// `positions` as positions(spec); micro-batches of one step.
Order pipeline_order(const TrainingSpec& spec);

// Largest number of micro-batches whose activations a GPU holds at once, by position and
// direction: held[direction][position] at the moment when the GPU's activations, weighted with
// `bytes` by position, are most.
struct InFlight {
  std::vector<double> bytes;  // by GPU: peak of activations
};
InFlight in_flight(const TrainingSpec& spec, const Order& order,
                   const std::vector<double>& bytes_by_position);

// Durations of one micro-batch at a position.
struct ChunkTimes {
  double forward_s = 0, input_s = 0, weight_s = 0;
};

struct Span {  // of a stream of one GPU
  Task task;
  std::int16_t device = 0;
  bool message = false;
  sim::core::Time start, end;
};

struct PipelineRun {
  sim::core::Time end;
  std::vector<sim::core::Duration> busy;     // compute, by GPU
  std::vector<sim::core::Duration> sending;  // by GPU
  std::vector<Span> spans;                   // if asked for, by end
  std::int64_t events = 0;
};

struct PipelineTimes {
  std::vector<ChunkTimes> positions;
  double send_s = 0;  // hidden states, or their gradients, to the neighbour
  // Duration of an overlapped pair: forward at one position, backward at another.
  std::function<double(int, int)> overlapped_s;
};

// Runs the order: a task starts when its GPU is free and what it needs has arrived; messages
// leave on a stream of their own, one after another. Throws std::logic_error on an order that
// cannot finish.
PipelineRun run_pipeline(const TrainingSpec& spec, const Order& order, const PipelineTimes& times,
                         bool keep_spans);

// The same in closed form, exact for equal stages and free messages (tests compare them):
// the published bubble of the schedule on top of the slowest GPU's work.
double pipeline_closed_form(const TrainingSpec& spec, const PipelineTimes& times);

}  // namespace foretoken::models::training
