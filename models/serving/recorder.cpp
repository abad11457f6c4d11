#include "models/serving/recorder.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

constexpr double kSecond = 1e-12;  // one picosecond in seconds

SeriesBin scaled(const SeriesBin& b, double f) {
  return {b.running * f, b.waiting * f, b.kv_fraction * f,  b.batch_tokens * f,
          b.busy * f,    b.joules * f,  b.output_tokens * f};
}

}  // namespace

SeriesBin& SeriesBin::operator+=(const SeriesBin& o) {
  running += o.running;
  waiting += o.waiting;
  kv_fraction += o.kv_fraction;
  batch_tokens += o.batch_tokens;
  busy += o.busy;
  joules += o.joules;
  output_tokens += o.output_tokens;
  return *this;
}

StepCost& operator+=(StepCost& a, const StepCost& b) {
  a.seconds += b.seconds;
  a.gemm_s += b.gemm_s;
  a.attention_s += b.attention_s;
  a.experts_s += b.experts_s;
  a.communication_s += b.communication_s;
  a.elementwise_s += b.elementwise_s;
  a.host_s += b.host_s;
  a.tensor_s += b.tensor_s;
  a.memory_s += b.memory_s;
  a.link_s += b.link_s;
  a.network_bytes += b.network_bytes;
  a.network_s += b.network_s;
  return a;
}

RunTotals& RunTotals::operator+=(const RunTotals& o) {
  steps += o.steps;
  decode_steps += o.decode_steps;
  prefill_steps += o.prefill_steps;
  decode_tokens += o.decode_tokens;
  prefill_tokens += o.prefill_tokens;
  output_tokens += o.output_tokens;
  busy_ps += o.busy_ps;
  last_end_ps = std::max(last_end_ps, o.last_end_ps);
  decode_context += o.decode_context;
  prefill_context += o.prefill_context;
  chunks += o.chunks;
  cost += o.cost;
  measured_prefill += o.measured_prefill;
  measured_output += o.measured_output;
  window_busy_s += o.window_busy_s;
  window_decode_s += o.window_decode_s;
  window_sequences += o.window_sequences;
  window_context += o.window_context;
  measured_busy_s += o.measured_busy_s;
  measured_joules += o.measured_joules;
  return *this;
}

void Series::halve() {
  for (std::size_t i = 0; i < bins_.size(); i += 2) {
    SeriesBin merged = bins_[i];
    if (i + 1 < bins_.size()) merged += bins_[i + 1];
    bins_[i / 2] = merged;
  }
  bins_.resize((bins_.size() + 1) / 2);
  bin_ps_ *= 2;
}

void Series::rebin(std::int64_t bin_ps) {
  while (bin_ps_ < bin_ps) halve();
  SIM_ASSERT(bin_ps_ == bin_ps, "time series on grids that do not nest");
}

SeriesBin& Series::bin_at(std::int64_t ps) {
  auto index = static_cast<std::size_t>(ps / bin_ps_);
  while (index >= max_bins_) {
    halve();
    index = static_cast<std::size_t>(ps / bin_ps_);
  }
  if (index >= bins_.size()) bins_.resize(index + 1);
  return bins_[index];
}

void Series::add(std::int64_t begin_ps, std::int64_t end_ps, const SeriesBin& per_second) {
  if (end_ps <= begin_ps) return;
  bin_at(end_ps - 1);  // grow, and coarsen if needed, before spreading
  while (begin_ps < end_ps) {
    const std::int64_t index = begin_ps / bin_ps_;
    const std::int64_t stop = std::min(end_ps, (index + 1) * bin_ps_);
    bins_[static_cast<std::size_t>(index)] +=
        scaled(per_second, static_cast<double>(stop - begin_ps) * kSecond);
    begin_ps = stop;
  }
}

void StepLog::add(const StepRecord& step) {
  if (capacity_ == 0) return;
  if (seen_++ % every_ != 0) return;
  if (steps_.size() == capacity_) {
    thin_to(every_ * 2);
    if ((seen_ - 1) % every_ != 0) return;
  }
  steps_.push_back(step);
}

void StepLog::thin_to(std::int64_t every) {
  while (every_ < every) {
    for (std::size_t i = 0; i < steps_.size(); i += 2) steps_[i / 2] = steps_[i];
    steps_.resize((steps_.size() + 1) / 2);
    every_ *= 2;
  }
}

Recorder::Recorder(const RecorderSpec& spec)
    : spec_(spec),
      idle_watts_(power::gpu_power(spec.gpu, spec.power, {}, 0.0).value()),
      series_(spec.grid),
      steps_(spec.step_capacity) {}

double Recorder::watts(const StepCost& cost, double seconds) const {
  if (seconds <= 0.0) return idle_watts_;
  const auto share = [seconds](double busy_s) { return std::min(1.0, busy_s / seconds); };
  const power::Activity activity{share(cost.tensor_s), share(cost.memory_s), share(cost.link_s)};
  return power::gpu_power(spec_.gpu, spec_.power, activity, share(cost.seconds - cost.host_s))
      .value();
}

void Recorder::step(const StepRecord& record, const StepInput& input, const StepCost& cost) {
  const std::int64_t span_ps = record.end_ps - record.start_ps;
  const double seconds = static_cast<double>(span_ps) * kSecond;
  RunTotals& t = totals_;
  ++t.steps;
  t.decode_steps += input.decode_batch > 0;
  t.prefill_steps += !input.chunks.empty();
  t.decode_tokens += record.decode_sequences;
  t.prefill_tokens += record.prefill_tokens;
  t.output_tokens += record.output_tokens;
  t.busy_ps += span_ps;
  t.last_end_ps = record.end_ps;
  t.decode_context += static_cast<double>(input.decode_context);
  for (const auto& chunk : input.chunks) t.prefill_context += static_cast<double>(chunk.context);
  t.chunks += static_cast<std::int64_t>(input.chunks.size());
  t.cost += cost;
  if (record.end_ps > spec_.measured_from_ps && record.end_ps <= spec_.measured_until_ps) {
    t.measured_prefill += record.prefill_tokens;
    t.measured_output += record.output_tokens;
    t.window_busy_s += seconds;
    if (input.decode_batch > 0) t.window_decode_s += seconds;
    t.window_sequences += seconds * record.decode_sequences;
    t.window_context += seconds * static_cast<double>(input.decode_context);
  }
  const double step_watts = watts(cost, seconds);
  if (record.end_ps > spec_.measured_from_ps) {
    const double counted =
        static_cast<double>(record.end_ps - std::max(record.start_ps, spec_.measured_from_ps)) *
        kSecond;
    t.measured_busy_s += counted;
    t.measured_joules += step_watts * counted;
  }
  SeriesBin rates;
  rates.running = record.decode_sequences + record.prefill_sequences;
  rates.kv_fraction =
      static_cast<double>(record.kv_blocks) / static_cast<double>(spec_.total_blocks);
  rates.batch_tokens = input.decode_batch + record.prefill_tokens;
  rates.busy = 1.0;
  rates.joules = step_watts;
  series_.add(record.start_ps, record.end_ps, rates);
  if (record.output_tokens > 0) series_.count_tokens(record.end_ps, record.output_tokens);
  steps_.add(record);
}

void Recorder::waiting(std::int64_t now_ps, std::size_t count) {
  if (count > 0) {
    SeriesBin rates;
    rates.waiting = static_cast<double>(count);
    series_.add(waiting_since_ps_, now_ps, rates);
  }
  waiting_since_ps_ = now_ps;
}

}  // namespace foretoken::models::serving
