// Runs a pipeline's order: events of compute and message streams.
#include <algorithm>
#include <queue>
#include <stdexcept>

#include "models/training/schedule.hpp"

namespace foretoken::models::training {
namespace {

using sim::core::Duration;
using sim::core::Time;

constexpr std::int64_t kPending = -1;

class Runner {
 public:
  Runner(const TrainingSpec& spec, const Order& order, const PipelineTimes& times, bool keep)
      : spec_(spec),
        order_(order),
        times_(times),
        keep_(keep),
        positions_(static_cast<int>(times.positions.size())),
        micro_(static_cast<int>(spec.micro_batches())),
        directions_(copies(spec.schedule)),
        send_(Duration::from_seconds(times.send_s).ps()) {
    const std::size_t cells = static_cast<std::size_t>(directions_) *
                              static_cast<std::size_t>(positions_) *
                              static_cast<std::size_t>(micro_);
    activations_.assign(cells, kPending);
    gradients_.assign(cells, kPending);
    for (const ChunkTimes& t : times.positions)
      chunks_.push_back({Duration::from_seconds(t.forward_s).ps(),
                         Duration::from_seconds(t.input_s).ps(),
                         Duration::from_seconds(t.weight_s).ps()});
    // What enters the pipeline is there at once.
    for (int d = 0; d < directions_; ++d)
      for (int m = 0; m < micro_; ++m) activations_[cell(d, 0, m)] = 0;
    const std::size_t devices = order.size();
    free_.assign(devices, 0);
    link_free_.assign(devices, 0);
    next_.assign(devices, 0);
    run_.busy.assign(devices, {});
    run_.sending.assign(devices, {});
  }

  PipelineRun run() {
    std::size_t left = 0;
    for (const auto& tasks : order_) left += tasks.size();
    // Streams run in order, so each GPU advances as far as what has arrived lets it; a pass over
    // the GPUs that were woken repeats until nothing is left.
    std::queue<std::size_t> woken;
    std::vector<bool> waiting(order_.size(), true);
    for (std::size_t i = 0; i < order_.size(); ++i) woken.push(i);
    while (!woken.empty()) {
      const std::size_t device = woken.front();
      woken.pop();
      waiting[device] = false;
      while (next_[device] < order_[device].size()) {
        const Task& task = order_[device][next_[device]];
        const std::int64_t ready = ready_at(task);
        if (ready == kPending) break;
        execute(device, task, ready);
        ++next_[device];
        --left;
        for (const int other : touched_)
          if (const auto o = static_cast<std::size_t>(other); !waiting[o] && o != device) {
            waiting[o] = true;
            woken.push(o);
          }
        touched_.clear();
      }
    }
    if (left > 0)
      throw std::logic_error("the pipeline's order cannot finish: tasks wait in a ring");
    std::int64_t end = 0;
    for (const std::int64_t t : free_) end = std::max(end, t);
    run_.end = Time::from_ps(end);
    if (keep_)
      std::stable_sort(run_.spans.begin(), run_.spans.end(), [](const Span& a, const Span& b) {
        return a.start < b.start || (a.start == b.start && a.device < b.device);
      });
    return std::move(run_);
  }

 private:
  struct Chunk {
    std::int64_t forward, input, weight;
  };

  [[nodiscard]] std::size_t cell(int direction, int position, int micro) const {
    return (static_cast<std::size_t>(direction) * static_cast<std::size_t>(positions_) +
            static_cast<std::size_t>(position)) *
               static_cast<std::size_t>(micro_) +
           static_cast<std::size_t>(micro);
  }
  // The last position's gradient is its own forward pass: recorded when that ends.
  [[nodiscard]] std::int64_t ready_at(const Task& task) const {
    switch (task.work) {
      case Work::forward:
        return activations_[cell(task.direction, task.position, task.micro_batch)];
      case Work::backward:
      case Work::input:
        return gradients_[cell(task.direction, task.position, task.micro_batch)];
      case Work::weight:
        return 0;  // its own input gradient came earlier in the order
      case Work::overlapped: {
        const std::int64_t f = activations_[cell(task.direction, task.position, task.micro_batch)];
        const std::int64_t b = gradients_[cell(task.direction2, task.position2, task.micro_batch2)];
        return f == kPending || b == kPending ? kPending : std::max(f, b);
      }
    }
    return 0;
  }

  [[nodiscard]] std::int64_t length(const Task& task) const {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(task.position)];
    switch (task.work) {
      case Work::forward:
        return chunk.forward;
      case Work::backward:
        return chunk.input + chunk.weight;
      case Work::input:
        return chunk.input;
      case Work::weight:
        return chunk.weight;
      case Work::overlapped:
        return Duration::from_seconds(times_.overlapped_s(task.position, task.position2)).ps();
    }
    return 0;
  }

  void execute(std::size_t device, const Task& task, std::int64_t ready) {
    const std::int64_t start = std::max(free_[device], ready);
    const std::int64_t end = start + length(task);
    free_[device] = end;
    run_.busy[device] += Duration::picoseconds(end - start);
    ++run_.events;
    if (keep_)
      run_.spans.push_back({task, static_cast<std::int16_t>(device), false, Time::from_ps(start),
                            Time::from_ps(end)});
    switch (task.work) {
      case Work::forward:
        return pass_forward(device, task, task.direction, task.position, task.micro_batch, end);
      case Work::backward:
      case Work::input:
        return pass_backward(device, task, task.direction, task.position, task.micro_batch, end);
      case Work::weight:
        return;
      case Work::overlapped:
        pass_forward(device, task, task.direction, task.position, task.micro_batch, end);
        pass_backward(device, task, task.direction2, task.position2, task.micro_batch2, end);
        return;
    }
  }

  void pass_forward(std::size_t device, const Task& task, int direction, int position, int micro,
                    std::int64_t end) {
    if (position + 1 == positions_) {
      gradients_[cell(direction, position, micro)] = end;
      return;
    }
    deliver(device, task, device_of(spec_, position + 1, direction), end,
            activations_[cell(direction, position + 1, micro)]);
  }
  void pass_backward(std::size_t device, const Task& task, int direction, int position, int micro,
                     std::int64_t end) {
    if (position == 0) return;
    deliver(device, task, device_of(spec_, position - 1, direction), end,
            gradients_[cell(direction, position - 1, micro)]);
  }
  void deliver(std::size_t device, const Task& task, int to, std::int64_t end,
               std::int64_t& arrival) {
    std::int64_t at = end;
    if (to != static_cast<int>(device) && send_ > 0) {
      const std::int64_t start = std::max(link_free_[device], end);
      at = start + send_;
      link_free_[device] = at;
      run_.sending[device] += Duration::picoseconds(send_);
      ++run_.events;
      if (keep_)
        run_.spans.push_back({task, static_cast<std::int16_t>(device), true, Time::from_ps(start),
                              Time::from_ps(at)});
    }
    arrival = at;
    touched_.push_back(to);
  }

  const TrainingSpec& spec_;
  const Order& order_;
  const PipelineTimes& times_;
  bool keep_;
  int positions_, micro_, directions_;
  std::int64_t send_;
  std::vector<Chunk> chunks_;
  std::vector<std::int64_t> activations_, gradients_;  // when they are there, by cell
  std::vector<std::int64_t> free_, link_free_;
  std::vector<std::size_t> next_;
  std::vector<int> touched_;
  PipelineRun run_;
};

}  // namespace

PipelineRun run_pipeline(const TrainingSpec& spec, const Order& order, const PipelineTimes& times,
                         bool keep_spans) {
  return Runner(spec, order, times, keep_spans).run();
}

// Work of the slowest GPU for all micro-batches, and the ramps. Bubbles: GPipe and 1F1B
// (p-1)(F+B) and interleaved a chunk of it (Narayanan et al. 2021, section 2.2); ZB-H1
// (p-1)(F+B-W) (Qi et al. 2023, table 1); ZB-V (p-1) of the difference between passes that its
// V cannot hide; DualPipe (p/2-1)(F&B + B - 3W) (DeepSeek-V3 report, table 2).
double pipeline_closed_form(const TrainingSpec& spec, const PipelineTimes& times) {
  const double micro = static_cast<double>(spec.micro_batches());
  const int stages = spec.layout.pipeline;
  std::vector<ChunkTimes> device(static_cast<std::size_t>(stages));
  std::vector<double> pairs(static_cast<std::size_t>(stages));
  double sum = 0, mean_f = 0, mean_i = 0, mean_w = 0;
  const double share = 1.0 / copies(spec.schedule);
  for (int direction = 0; direction < copies(spec.schedule); ++direction)
    for (std::size_t i = 0; i < times.positions.size(); ++i) {
      const ChunkTimes& t = times.positions[i];
      auto& own = device[static_cast<std::size_t>(device_of(spec, static_cast<int>(i), direction))];
      own.forward_s += share * t.forward_s;
      own.input_s += share * t.input_s;
      own.weight_s += share * t.weight_s;
      const double all = share * (t.forward_s + t.input_s + t.weight_s);
      sum += all;
      mean_f += share * t.forward_s / stages;
      mean_i += share * t.input_s / stages;
      mean_w += share * t.weight_s / stages;
    }
  double slowest = 0;
  for (const ChunkTimes& t : device)
    slowest = std::max(slowest, t.forward_s + t.input_s + t.weight_s);
  const double hops = stages > 1 ? 2.0 * (stages - 1) * times.send_s : 0;
  switch (spec.schedule) {
    case Schedule::gpipe:
    case Schedule::one_f_one_b:
      return sum + (micro - 1) * slowest + hops;
    case Schedule::interleaved: {
      const double chunks = spec.layout.virtual_stages;
      return sum / chunks + (micro - 1 / chunks) * slowest + hops;
    }
    case Schedule::zb_h1:
      return micro * slowest + (stages - 1) * (mean_f + mean_i - mean_w) + hops;
    case Schedule::zb_v:
      // A chunk is half a stage; the ramp is a chunk's forward a stage.
      return micro * slowest + (stages - 1) * (mean_f / 2 + std::max(0.0, (mean_i - mean_w) / 2)) +
             hops;
    case Schedule::dualpipe:
    case Schedule::dualpipe_v: {
      const int half = spec.schedule == Schedule::dualpipe ? stages / 2 : stages;
      const int count = static_cast<int>(times.positions.size());
      // A GPU holds two positions, mirror images; its pairs run a forward at one and a backward at
      // the other, half of them the other way round.
      double pair = 0;
      for (int i = 0; i < count; ++i) {
        const int mirror = count - 1 - i;
        pair =
            std::max(pair, 0.5 * (times.overlapped_s(i, mirror) + times.overlapped_s(mirror, i)));
      }
      // Means of one chunk.
      const double chunk = spec.schedule == Schedule::dualpipe ? 1.0 : 0.5;
      const double f = chunk * mean_f, b = chunk * (mean_i + mean_w), w = chunk * mean_w;
      const double total = spec.schedule == Schedule::dualpipe ? micro : 2 * micro;
      // Passes of the ramps that are not overlapped.
      const double alone = 2.0 * half + 1;
      return total * pair + (half - 1) * (pair + b - 3 * w) + alone * std::max(0.0, f + b - pair) +
             hops;
    }
  }
  return sum;
}

}  // namespace foretoken::models::training
