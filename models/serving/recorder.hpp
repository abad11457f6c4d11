#pragma once
// What one replica remembers of its run, in bounded memory: sums, a time series on a grid that
// doubles its bins when the run outgrows it, and a thinned table of steps.
#include <cstdint>
#include <vector>

#include "models/hardware/hardware.hpp"
#include "models/power/gpu_power.hpp"
#include "models/serving/step_timer.hpp"

namespace foretoken::models::serving {

// Integrals over one bin of simulated time (value x seconds), but for tokens, a plain count.
struct SeriesBin {
  double running = 0, waiting = 0, kv_fraction = 0, batch_tokens = 0, busy = 0, joules = 0,
         output_tokens = 0;
  SeriesBin& operator+=(const SeriesBin& o);
};

struct SeriesGrid {
  std::int64_t bin_ps = 1;
  std::size_t max_bins = 1;
};

class Series {
 public:
  explicit Series(const SeriesGrid& grid) : bin_ps_(grid.bin_ps), max_bins_(grid.max_bins) {}
  // Spreads rates (per second of [begin, end)) over the bins the span touches.
  void add(std::int64_t begin_ps, std::int64_t end_ps, const SeriesBin& per_second);
  void count_tokens(std::int64_t at_ps, double tokens) { bin_at(at_ps).output_tokens += tokens; }
  void rebin(std::int64_t bin_ps);  // to a multiple by a power of two
  [[nodiscard]] std::int64_t bin_ps() const { return bin_ps_; }
  [[nodiscard]] const std::vector<SeriesBin>& bins() const { return bins_; }
  template <class A>
  void fields(A& archive) {
    archive(bin_ps_, bins_);
  }

 private:
  SeriesBin& bin_at(std::int64_t ps);
  void halve();
  std::int64_t bin_ps_;
  std::size_t max_bins_;
  std::vector<SeriesBin> bins_;
};

struct StepRecord {
  std::int64_t start_ps = 0, end_ps = 0;
  std::int32_t prefill_tokens = 0, decode_sequences = 0, prefill_sequences = 0;
  std::int32_t output_tokens = 0;   // that came out at its end
  std::int32_t waiting = 0;         // in the queue at its end
  std::int32_t swapped_blocks = 0;  // copied to or from host memory before it
  std::int64_t kv_blocks = 0;       // in use during the step
};

// Keeps every n-th step, n doubling whenever the table is full.
class StepLog {
 public:
  explicit StepLog(std::size_t capacity) : capacity_(capacity) {}
  void add(const StepRecord& step);
  void thin_to(std::int64_t every);
  [[nodiscard]] std::int64_t kept_every() const { return every_; }
  [[nodiscard]] const std::vector<StepRecord>& steps() const { return steps_; }
  template <class A>
  void fields(A& archive) {
    archive(every_, seen_, steps_);
  }

 private:
  std::size_t capacity_;
  std::int64_t every_ = 1, seen_ = 0;
  std::vector<StepRecord> steps_;
};

struct RecorderSpec {
  hardware::GpuSpec gpu;
  power::PowerModel power;
  std::int64_t total_blocks = 1;
  std::int64_t measured_from_ps = 0;           // energy and busy time count from here
  std::int64_t measured_until_ps = INT64_MAX;  // tokens of the window count until here
  SeriesGrid grid;
  std::size_t step_capacity = 0;
};

struct RunTotals {  // of one replica, over the whole run
  std::int64_t steps = 0, decode_steps = 0, prefill_steps = 0;
  std::int64_t decode_tokens = 0, prefill_tokens = 0, output_tokens = 0;
  std::int64_t busy_ps = 0, last_end_ps = 0;
  double decode_context = 0;   // sum over steps of tokens attended to by decodes
  double prefill_context = 0;  // sum over chunks of tokens already cached
  std::int64_t chunks = 0;
  StepCost cost;                                           // sums
  std::int64_t measured_prefill = 0, measured_output = 0;  // tokens of steps within the window
  double window_busy_s = 0, window_decode_s = 0;           // steps within it, those that decode
  double window_sequences = 0, window_context = 0;         // decoding in them, x seconds
  double measured_busy_s = 0, measured_joules = 0;         // one GPU, from measured_from on
  RunTotals& operator+=(const RunTotals& o);
};

class Recorder {
 public:
  explicit Recorder(const RecorderSpec& spec);
  void step(const StepRecord& record, const StepInput& input, const StepCost& cost);
  // The queue held `count` requests from the last call until now.
  void waiting(std::int64_t now_ps, std::size_t count);
  [[nodiscard]] const RunTotals& totals() const { return totals_; }
  [[nodiscard]] Series& series() { return series_; }
  [[nodiscard]] StepLog& steps() { return steps_; }
  [[nodiscard]] double idle_watts() const { return idle_watts_; }
  template <class A>
  void fields(A& archive) {
    archive(totals_, series_, steps_, waiting_since_ps_);
  }

 private:
  [[nodiscard]] double watts(const StepCost& cost, double seconds) const;
  RecorderSpec spec_;
  double idle_watts_;
  RunTotals totals_;
  Series series_;
  StepLog steps_;
  std::int64_t waiting_since_ps_ = 0;
};

}  // namespace foretoken::models::serving
