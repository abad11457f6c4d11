#include "models/training/compose.hpp"

#include <algorithm>
#include <cmath>

namespace foretoken::models::training {
namespace {

bool in_pairs(const TrainingSpec& spec) {
  return spec.schedule == Schedule::dualpipe || spec.schedule == Schedule::dualpipe_v;
}

bool is_message(Part part) {
  return part == Part::tensor || part == Part::context || part == Part::exchange ||
         part == Part::shard;
}

double weighed(const Parts& parts, const Factors& factors, bool messages) {
  double sum = 0;
  for (std::size_t i = 0; i < kParts; ++i)
    if (is_message(static_cast<Part>(i)) == messages) sum += parts.seconds[i] * factors.times[i];
  return sum;
}

double all_of(const Parts& parts, const Factors& factors) {
  return weighed(parts, factors, false) + weighed(parts, factors, true);
}

// How much longer a position takes because the host cannot feed its layers with experts as fast as
// the GPU runs them: many small kernels, token counts read back. Both take turns at being the
// slower one, hence the soft maximum.
double host_stretch(const Load& load, const Factors& factors) {
  const double host = load.expert_layers * factors.host_experts_s;
  const double gpu = all_of(load.passes.forward, factors) + all_of(load.passes.input, factors) +
                     all_of(load.passes.weight, factors);
  if (host <= 0 || gpu <= 0) return 1.0;
  constexpr double kSharpness = 4;
  return std::pow(1 + std::pow(host / gpu, kSharpness), 1 / kSharpness);
}

// Micro-batch time of each GPU of the pipeline: sum over the positions it holds.
std::vector<Load> by_device(const TrainingSpec& spec, const StepAccount& account) {
  std::vector<Load> out(static_cast<std::size_t>(spec.layout.pipeline));
  const int directions = copies(spec.schedule);
  for (int direction = 0; direction < directions; ++direction)
    for (std::size_t i = 0; i < account.positions.size(); ++i)
      out[static_cast<std::size_t>(device_of(spec, static_cast<int>(i), direction))].add(
          account.positions[i], 1.0 / directions);
  return out;
}

}  // namespace

std::string gemm_constant(const TrainingSpec& spec) {
  return "gemm/" + spec.node.gpu.name + "/" + std::string(to_string(spec.arithmetic));
}

// Constants and what they mean; where a card gives none: 1 for times, all exposed for messages.
Factors factors_of(const TrainingSpec& spec, const StepAccount& account) {
  const Software& s = spec.software;
  Factors f;
  f.times.fill(1.0);
  const auto set = [&](Part part, double value) {
    f.times[static_cast<std::size_t>(part)] = value;
  };
  const double gemm = s.constant("gemm", spec.node.gpu, spec.arithmetic, 1.0);
  set(Part::gemm, gemm);
  set(Part::weight_gemm, gemm * s.constant("weight_gradient", 1.0));
  set(Part::attention, s.constant("attention", spec.node.gpu, spec.arithmetic, 1.0));
  set(Part::elementwise, s.constant("elementwise", 1.0));
  // Experts over their dense equivalent falls with the rows that each expert gets.
  const double each = std::max(1.0, account.tokens_per_expert);
  const double experts =
      s.constant("experts", 1.0) *
      std::pow(std::max(1.0, 1024.0 / each), s.constant("experts_rows_exponent", 0.0));
  set(Part::experts, gemm * experts);
  set(Part::weight_experts, gemm * experts * s.constant("weight_gradient", 1.0));
  set(Part::permutation, s.constant("permutation", experts));
  set(Part::tensor, s.overlap_tensor ? s.constant("exposed_tensor", 1.0) : 1.0);
  set(Part::context, s.constant("exposed_context", 1.0));
  set(Part::exchange, s.constant("exposed_exchange", 1.0));
  set(Part::shard, s.constant("exposed_shard", 1.0));
  f.launch_s = s.constant("launch_s", 0.0);
  set(Part::launches, f.launch_s);
  f.optimizer = s.constant("optimizer", 1.0);
  f.gradients = s.constant("exposed_gradients", 1.0);
  f.parameters = s.constant("exposed_parameters", 1.0);
  f.slowdown = s.constant("slowdown", 1.0);
  f.straggler = s.constant("straggler", 0.0);
  f.step_s = s.constant("step_s", 0.0);
  // With a fixed number of rows an expert nothing is read back; launches alone are half of it
  // (assumed: no source tells the two apart).
  f.host_experts_s = s.constant("host_experts_s", 0.0) * (spec.drop_tokens ? 0.5 : 1.0);
  if (!spec.release.empty() && account.tokens_per_expert > 0)
    f.release = s.constant("release/" + spec.release, 1.0);
  const int sms = spec.node.gpu.sm_count;
  if (s.communication_sms > 0 && sms > s.communication_sms)
    f.slowdown *= static_cast<double>(sms) / (sms - s.communication_sms);
  return f;
}

OverlappedPair overlapped_pair(const Load& forward, const Load& backward, const Factors& factors) {
  const Parts& f = forward.passes.forward;
  const Parts &i = backward.passes.input, &w = backward.passes.weight;
  OverlappedPair pair;
  pair.compute_s = factors.slowdown * (weighed(f, factors, false) + weighed(i, factors, false) +
                                       weighed(w, factors, false));
  pair.messages_s =
      weighed(f, factors, true) + weighed(i, factors, true) + weighed(w, factors, true);
  const double messages = 4 * std::max(1.0, backward.expert_layers);
  pair.span_s = std::max(pair.compute_s, pair.messages_s) +
                std::min(pair.compute_s, pair.messages_s) / messages;
  return pair;
}

PipelineTimes pipeline_times(const TrainingSpec& spec, const StepAccount& account,
                             const Factors& factors) {
  PipelineTimes times;
  const bool blocking =
      !spec.software.overlap_pipeline && spec.layout.pipeline > 1 && !in_pairs(spec);
  const double send = account.send_s * spec.software.constant("exposed_pipeline", 1.0);
  for (const Load& load : account.positions) {
    const Passes& p = load.passes;
    const double stretch = host_stretch(load, factors);
    ChunkTimes t;
    t.forward_s = stretch * all_of(p.forward, factors) + (blocking ? send : 0);
    t.input_s = stretch * all_of(p.input, factors) + (blocking ? send : 0);
    t.weight_s = stretch * all_of(p.weight, factors);
    times.positions.push_back(t);
  }
  times.send_s = blocking ? 0 : account.send_s;
  times.overlapped_s = [&account, factors](int f, int b) {
    return overlapped_pair(account.positions[static_cast<std::size_t>(f)],
                           account.positions[static_cast<std::size_t>(b)], factors)
        .span_s;
  };
  return times;
}

namespace {

// How long a micro-batch keeps a GPU, and how much of compute and messages shows in that time:
// where passes overlap in pairs, compute is slower and messages show only by what they are longer.
struct Shown {
  double busy_s = 0, host_s = 0;
  double compute = 1, messages = 1;
};
Shown shown_of(const TrainingSpec& spec, const Load& load, const Factors& factors) {
  Shown out;
  if (in_pairs(spec)) {
    const OverlappedPair pair = overlapped_pair(load, load, factors);
    out.busy_s = pair.span_s;
    out.compute = factors.slowdown;
    out.messages = pair.messages_s > 0 ? (pair.span_s - pair.compute_s) / pair.messages_s : 0;
    return out;
  }
  const Passes& p = load.passes;
  const double gpu =
      all_of(p.forward, factors) + all_of(p.input, factors) + all_of(p.weight, factors);
  out.busy_s = gpu * host_stretch(load, factors);
  out.host_s = out.busy_s - gpu;
  return out;
}

}  // namespace

StepTime compose_step(const TrainingSpec& spec, const StepAccount& account, const Factors& factors,
                      double pipeline_s) {
  StepTime step;
  Waterfall& w = step.waterfall;
  const double micro = static_cast<double>(spec.micro_batches());
  const std::vector<Load> devices = by_device(spec, account);
  // The GPU with most work; what is left of the pipeline's time is its bubble.
  double busiest = -1, mean = 0;
  const Passes* slowest = nullptr;
  Shown shown;
  for (const Load& load : devices) {
    const Shown here = shown_of(spec, load, factors);
    const double own = micro * here.busy_s;
    mean += own / static_cast<double>(devices.size());
    if (own > busiest) {
      busiest = own;
      slowest = &load.passes;
      shown = here;
    }
  }
  w.host_s = micro * shown.host_s;
  for (std::size_t i = 0; i < kParts; ++i) {
    const double seconds =
        slowest->forward.seconds[i] + slowest->input.seconds[i] + slowest->weight.seconds[i];
    w.parts[i] = micro * factors.times[i] * seconds *
                 (is_message(static_cast<Part>(i)) ? shown.messages : shown.compute);
  }
  // Overlapped pairs hide messages between stages as they hide the others.
  if (spec.layout.pipeline > 1 && !spec.software.overlap_pipeline && !in_pairs(spec))
    w.send_s = 2 * micro * account.send_s * spec.software.constant("exposed_pipeline", 1.0) *
               (spec.schedule == Schedule::interleaved ? spec.layout.virtual_stages : 1);
  w.bubble_s = std::max(0.0, pipeline_s - busiest - w.send_s);
  // Reduction hides behind the last micro-batch's backward pass, no longer.
  const auto exposed = [&](double seconds, bool overlap, double share, double cover) {
    return overlap ? std::max(share * seconds, seconds - cover) : seconds;
  };
  const double backward = all_of(slowest->input, factors) + all_of(slowest->weight, factors);
  const double forward = all_of(slowest->forward, factors);
  w.gradients_s =
      exposed(account.reduce_s, spec.software.overlap_gradients, factors.gradients, backward);
  w.parameters_s =
      exposed(account.gather_s, spec.software.overlap_parameters, factors.parameters, forward);
  w.optimizer_s = account.optimizer_s * factors.optimizer;
  const double outside = factors.step_s + account.host_transfer_s;
  w.host_s += outside;
  const double sum = pipeline_s + w.gradients_s + w.parameters_s + w.optimizer_s + outside;
  const double doublings = std::max(0.0, std::log2(spec.layout.gpus() / kStragglerFrom));
  w.straggler_s = sum * ((1 + factors.straggler * doublings) * factors.release - 1);
  step.seconds = sum + w.straggler_s;
  step.pipeline_s = pipeline_s;
  step.bubble_fraction = pipeline_s > 0 ? std::max(0.0, 1 - mean / pipeline_s) : 0;
  step.mfu = account.model_flops / (step.seconds * spec.layout.gpus() * account.peak_flops);
  return step;
}

StepTime estimate_step(const TrainingSpec& spec, const StepAccount& account) {
  const Factors factors = factors_of(spec, account);
  return compose_step(spec, account, factors,
                      pipeline_closed_form(spec, pipeline_times(spec, account, factors)));
}

}  // namespace foretoken::models::training
