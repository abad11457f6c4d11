#include "models/training/schedule.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::training {
namespace {

class Builder {
 public:
  explicit Builder(const TrainingSpec& spec)
      : spec_(spec),
        stages_(spec.layout.pipeline),
        micro_(static_cast<int>(spec.micro_batches())),
        order_(static_cast<std::size_t>(stages_)) {}

  Order build() {
    for (device_ = 0; device_ < stages_; ++device_) {
      list_ = &order_[static_cast<std::size_t>(device_)];
      switch (spec_.schedule) {
        case Schedule::gpipe:
          gpipe();
          break;
        case Schedule::one_f_one_b:
          one_f_one_b();
          break;
        case Schedule::interleaved:
          interleaved();
          break;
        case Schedule::zb_h1:
          zb_h1();
          break;
        case Schedule::zb_v:
          zb_v();
          break;
        case Schedule::dualpipe:
          dualpipe();
          break;
        case Schedule::dualpipe_v:
          dualpipe_v();
          break;
      }
    }
    return std::move(order_);
  }

 private:
  void add(Work work, int position, int micro, int direction = 0) {
    if (micro >= micro_) return;  // schedules that need more micro-batches than there are
    Task task;
    task.work = work;
    task.direction = static_cast<std::uint8_t>(direction);
    task.position = static_cast<std::int16_t>(position);
    task.micro_batch = micro;
    list_->push_back(task);
  }

  void gpipe() {
    for (int m = 0; m < micro_; ++m) add(Work::forward, device_, m);
    for (int m = 0; m < micro_; ++m) add(Work::backward, device_, m);
  }

  // PipeDream-flush (Narayanan et al. 2021).
  void one_f_one_b() {
    const int warm = std::min(stages_ - 1 - device_, micro_);
    for (int m = 0; m < warm; ++m) add(Work::forward, device_, m);
    for (int m = 0; m < micro_; ++m) {
      if (m + warm < micro_) add(Work::forward, device_, m + warm);
      add(Work::backward, device_, m);
    }
  }

  // Megatron-LM's order: groups of `pipeline` micro-batches go through one chunk after another.
  void interleaved() {
    const int chunks = spec_.layout.virtual_stages;
    if (stages_ == 1 || chunks == 1) return one_f_one_b_chunks(chunks);
    const int total = micro_ * chunks;
    int warm = (stages_ - device_ - 1) * 2 + (chunks - 1) * stages_;
    if (micro_ == stages_) warm = total;
    warm = std::min(warm, total);
    const auto place = [&](int k, bool forward) {
      const int group = stages_ * chunks;
      const int chunk = (k % group) / stages_;
      const int at = forward ? chunk : chunks - 1 - chunk;
      const int micro = (k / group) * stages_ + k % stages_;
      add(forward ? Work::forward : Work::backward, at * stages_ + device_, micro);
    };
    for (int k = 0; k < warm; ++k) place(k, true);
    for (int k = 0; k < total; ++k) {
      if (k + warm < total) place(k + warm, true);
      place(k, false);
    }
  }
  void one_f_one_b_chunks(int chunks) {
    if (chunks == 1) return one_f_one_b();
    for (int m = 0; m < micro_; ++m) {
      for (int c = 0; c < chunks; ++c) add(Work::forward, c, m);
      for (int c = chunks - 1; c >= 0; --c) add(Work::backward, c, m);
    }
  }

  // Qi et al., "Zero bubble pipeline parallelism", 2023, section 2.3: stage i puts its weight
  // gradients off by i micro-batches, which fills the ramp-down; memory as 1F1B.
  void zb_h1() {
    const int warm = std::min(stages_ - 1 - device_, micro_);
    for (int m = 0; m < warm; ++m) add(Work::forward, device_, m);
    int weights = 0;
    for (int m = 0; m < micro_; ++m) {
      if (m + warm < micro_) add(Work::forward, device_, m + warm);
      add(Work::input, device_, m);
      if (m >= device_) add(Work::weight, device_, weights++);
    }
    while (weights < micro_) add(Work::weight, device_, weights++);
  }

  // Qi et al., "Pipeline parallelism with controllable memory", 2024: the V of ZB-V.
  void zb_v() {
    const int low = device_, high = 2 * stages_ - 1 - device_;
    const int enough = std::max(2 * stages_ - 1, micro_);
    int f0 = 0, f1 = 0, b0 = 0, b1 = 0;
    const auto both = [&](int position, int& count) {
      add(Work::input, position, count);
      add(Work::weight, position, count);
      ++count;
    };
    for (int i = 0; i < 2 * (stages_ - device_) - 1; ++i) add(Work::forward, low, f0++);
    for (int i = 0; i < device_; ++i) {
      add(Work::forward, high, f1++);
      add(Work::forward, low, f0++);
    }
    for (int i = 0; i < stages_ - device_; ++i) {
      add(Work::forward, high, f1++);
      both(high, b1);
    }
    while (f1 < f0 || f0 < enough) {
      if (f0 < enough) add(Work::forward, low, f0++);
      both(low, b0);
      add(Work::forward, high, f1++);
      both(high, b1);
    }
    int w0 = b0, w1 = b1;
    for (int i = 0; i < device_; ++i) {
      add(Work::input, low, b0++);
      add(Work::input, high, b1++);
    }
    for (int i = 0; i < stages_ - device_; ++i) {
      add(Work::input, low, b0++);
      add(Work::weight, low, w0++);
    }
    while (w1 < b1) add(Work::weight, high, w1++);
    while (w0 < b0) add(Work::weight, low, w0++);
  }

  // Position on this GPU of phase 0 (what enters near this end) or 1, and counters of each.
  struct Phase {
    int position = 0, direction = 0;
    int forward = 0, backward = 0;
  };
  void forward_of(Phase& p) { add(Work::forward, p.position, p.forward++, p.direction); }
  void backward_of(Phase& p, bool split) {
    if (split) {
      add(Work::input, p.position, p.backward, p.direction);
      deferred_.push_back({p.position, p.direction, p.backward});
    } else {
      add(Work::backward, p.position, p.backward, p.direction);
    }
    ++p.backward;
  }
  void weight_chunk() {
    SIM_ASSERT(next_deferred_ < deferred_.size(), "a weight gradient was put off before it is due");
    const auto& w = deferred_[next_deferred_++];
    add(Work::weight, w.position, w.micro, w.direction);
  }
  void overlapped(Phase& f, Phase& b) {
    Task task;
    task.work = Work::overlapped;
    task.direction = static_cast<std::uint8_t>(f.direction);
    task.position = static_cast<std::int16_t>(f.position);
    task.micro_batch = f.forward++;
    task.direction2 = static_cast<std::uint8_t>(b.direction);
    task.position2 = static_cast<std::int16_t>(b.position);
    task.micro_batch2 = b.backward++;
    list_->push_back(task);
  }

  // The eight steps of deepseek-ai/DualPipe (dualpipe.py, dualpipev.py; 2025-02). `near`: this
  // GPU's distance from the end where its phase 0 begins, `half` how many GPUs that end has.
  void eight_steps(Phase p0, Phase p1, int near, int half, int main, bool middle) {
    deferred_.clear();
    next_deferred_ = 0;
    for (int i = 0; i < (half - near - 1) * 2; ++i) forward_of(p0);
    for (int i = 0; i < near + 1; ++i) {
      forward_of(p0);
      forward_of(p1);
    }
    for (int i = 0; i < half - near - 1; ++i) {
      backward_of(p1, true);
      weight_chunk();
      forward_of(p1);
    }
    for (int i = 0; i < main; ++i) {
      if (i == 0 && middle) {  // not overlapped, to shorten the bubble further
        forward_of(p0);
        backward_of(p1, false);
      } else {
        overlapped(p0, p1);
      }
      overlapped(p1, p0);
    }
    for (int i = 0; i < half - near - 1; ++i) {
      backward_of(p1, false);
      overlapped(p1, p0);
    }
    bool split = false;
    for (int i = 0; i < near + 1; ++i) {
      if (i == (near + 1) / 2 && near % 2 == 1) split = true;
      backward_of(p1, split);
      if (i == (near + 1) / 2 && near % 2 == 0) split = true;
      backward_of(p0, split);
    }
    for (int i = 0; i < half - near - 1; ++i) {
      weight_chunk();
      backward_of(p0, true);
    }
    for (int i = 0; i < near + 1; ++i) weight_chunk();
  }

  void dualpipe() {
    const int half = stages_ / 2, near = std::min(device_, stages_ - 1 - device_);
    const bool second = device_ >= half;
    Phase p0{second ? stages_ - 1 - device_ : device_, second ? 1 : 0, 0, 0};
    Phase p1{second ? device_ : stages_ - 1 - device_, second ? 0 : 1, 0, 0};
    const int each = micro_ / 2;
    eight_steps(p0, p1, near, half, each - stages_ + near + 1, near == half - 1);
  }

  void dualpipe_v() {
    eight_steps({device_, 0, 0, 0}, {2 * stages_ - 1 - device_, 0, 0, 0}, device_, stages_,
                micro_ - 2 * stages_ + device_ + 1, device_ == stages_ - 1);
  }

  struct Deferred {
    int position, direction, micro;
  };
  const TrainingSpec& spec_;
  int stages_, micro_;
  int device_ = 0;
  Order order_;
  std::vector<Task>* list_ = nullptr;
  std::vector<Deferred> deferred_;
  std::size_t next_deferred_ = 0;
};

}  // namespace

Order pipeline_order(const TrainingSpec& spec) {
  SIM_ASSERT(layout_errors(spec).empty(), "a schedule is built for a layout that holds");
  return Builder(spec).build();
}

InFlight in_flight(const TrainingSpec& spec, const Order& order, const std::vector<double>& bytes) {
  (void)spec;
  InFlight out;
  for (const auto& tasks : order) {
    double now = 0, most = 0;
    for (const Task& task : tasks) {
      const double own = bytes[static_cast<std::size_t>(task.position)];
      switch (task.work) {
        case Work::forward:
          now += own;
          break;
        case Work::backward:
          most = std::max(most, now);
          now -= own;
          break;
        case Work::input:  // the inputs of weight gradients stay until those are done
          break;
        case Work::weight:
          most = std::max(most, now);
          now -= own;
          break;
        case Work::overlapped:
          now += own;
          most = std::max(most, now);
          now -= bytes[static_cast<std::size_t>(task.position2)];
          break;
      }
      most = std::max(most, now);
    }
    out.bytes.push_back(most);
  }
  return out;
}

}  // namespace foretoken::models::training
