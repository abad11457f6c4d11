// Figures of serving scenarios: memory, single steps, simulated traffic, loading.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/estimate.hpp"
#include "models/hardware/load_time.hpp"
#include "models/llm/memory.hpp"
#include "models/power/gpu_power.hpp"
#include "models/serving/serving.hpp"
#include "models/serving/step_model.hpp"
#include "sim/core/error.hpp"
#include "validation/claims/quantity.hpp"

namespace foretoken::validation::claims {
namespace {

namespace llm = models::llm;
namespace serving = models::serving;
using scenarios::loader::Scenario;
using serving::DeploymentSpec;

constexpr double kGiga = 1e9;
constexpr double kMaxTokens = 100e6;

// Byte counts follow from the model's dimensions; allocators round and fragment.
constexpr double kMemoryError = 0.02;

struct Need {  // bytes on the fullest GPU
  double weights = 0, kv = 0, activations = 0, reserve = 0, capacity = 0;
  double weights_everywhere = 0;
  double fits = 1;
  std::string reason;
};

Need need_of(const DeploymentSpec& d, std::int64_t context, std::int64_t sequences) {
  Need need;
  need.weights = llm::weight_bytes_per_gpu(d.model, d.layout, d.precision).value();
  need.weights_everywhere = llm::weight_bytes_per_gpu(d.model, {}, d.precision).value();
  need.kv = llm::kv_bytes_per_token_per_gpu(d.model, d.layout, d.precision) *
            static_cast<double>(context * sequences);
  need.activations =
      llm::activation_bytes_per_gpu(d.model, d.layout, d.precision,
                                    std::min<std::int64_t>(d.batching.max_tokens, context))
          .value();
  need.reserve = d.engine.framework_reserve.value();
  need.capacity = d.node.gpu.memory.value();
  try {
    const auto account = serving::account_memory(d, context);
    need.fits = account.kv_tokens >= context * sequences ? 1 : 0;
  } catch (const sim::core::InfeasibleError& error) {
    need.fits = 0;
    need.reason = error.what();
  }
  return need;
}

using MemoryFigure = double (*)(const Need&);

struct StepCase {  // on each attention rank
  std::int64_t prompts = 0, prompt_tokens = 0, cached = 0;
  std::int64_t sequences = 0, context = 0;
};

StepCase read_step(const scenarios::loader::YamlNode& node) {
  StepCase step;
  if (node.has("prefill") == node.has("decode")) {
    node.error("give one of prefill: {prompts, tokens} and decode: {sequences, context}");
    (void)node.any_child("prefill").exists();
    return step;
  }
  if (node.has("prefill")) {
    const auto child = node.required_child("prefill");
    step.prompts = child.required<int>("prompts", {1, 1e6});
    step.prompt_tokens = child.required<int>("tokens", {1, kMaxTokens});
    step.cached = child.optional<int>("cached", {0, kMaxTokens}).value_or(0);
  } else {
    const auto child = node.required_child("decode");
    step.sequences = child.required<int>("sequences", {1, 1e6});
    step.context = child.required<int>("context", {1, kMaxTokens});
  }
  return step;
}

struct StepDone {
  serving::StepCost cost;
  double tokens = 0, gpus = 1;
  double gpu_watts = 0;
};
using StepFigure = double (*)(const StepDone&);

StepDone do_step(DeploymentSpec d, const StepCase& step, Workshop& workshop) {
  // Tables of step times reach as far as the batch limits.
  const std::int64_t ranks = d.layout.data_attention;
  const std::int64_t tokens = (step.prompts * step.prompt_tokens + step.sequences) * ranks;
  d.batching.max_sequences =
      std::max(d.batching.max_sequences, static_cast<int>((step.sequences + step.prompts) * ranks));
  d.batching.max_tokens = std::max(d.batching.max_tokens, static_cast<int>(tokens));
  (void)serving::account_memory(d, std::max<std::int64_t>(step.context, step.prompt_tokens));
  const serving::StepModel model(d, workshop.calibration_of(d.node.gpu.tables));
  const std::vector<llm::Chunk> chunks(static_cast<std::size_t>(step.prompts * ranks),
                                       {step.prompt_tokens, step.cached});
  serving::StepInput input;
  input.chunks = chunks;
  input.decode_batch = static_cast<std::int32_t>(step.sequences * ranks);
  input.decode_context = step.sequences * ranks * step.context;
  input.logits = static_cast<std::int32_t>((step.prompts + step.sequences) * ranks);
  StepDone done;
  done.cost = model.cost(input);
  done.tokens = static_cast<double>(tokens);
  done.gpus = d.layout.gpus();
  const double all = done.cost.seconds;
  done.gpu_watts = models::power::gpu_power(
                       d.node.gpu, d.power,
                       {done.cost.tensor_s / all, done.cost.memory_s / all, done.cost.link_s / all},
                       std::max(0.0, 1.0 - done.cost.host_s / all))
                       .value();
  return done;
}

// How far off such a step was found to be: servers of the engine where there are any, else the
// operators' own errors, weighted by time.
Value step_trust(const DeploymentSpec& d, const StepCase& step, Workshop& workshop) {
  analysis::StepShape shape;
  if (step.prompts > 0) {
    shape = {analysis::StepKind::prefill, step.prompts, step.prompt_tokens, step.cached};
  } else {
    shape = {analysis::StepKind::decode, step.sequences, 1, step.context};
  }
  const auto estimate =
      analysis::estimate_step(d, workshop.calibration_of(d.node.gpu.tables), shape);
  Value trust;
  trust.provenance = estimate.provenance;
  const double served = step.prompts > 0 ? d.engine.served_ttft_error : d.engine.served_tpot_error;
  trust.relative_error = std::max(served, estimate.relative_error);
  return trust;
}

using RunFigure = double (*)(const analysis::Metrics&);

const std::vector<std::pair<std::string, RunFigure>>& run_figures() {
  using analysis::Metrics;
  static const std::vector<std::pair<std::string, RunFigure>> kTable = {
      {"requests_per_s", [](const Metrics& m) { return m.request_rate.value; }},
      {"output_tokens_per_s", [](const Metrics& m) { return m.output_rate.value; }},
      {"total_tokens_per_s", [](const Metrics& m) { return m.total_rate.value; }},
      {"tokens_per_s_per_user", [](const Metrics& m) { return m.tokens_per_s_per_user; }},
      {"ttft_p50", [](const Metrics& m) { return m.ttft.p50; }},
      {"ttft_p99", [](const Metrics& m) { return m.ttft.p99; }},
      {"tpot_p50", [](const Metrics& m) { return m.tpot.p50; }},
      {"tpot_p99", [](const Metrics& m) { return m.tpot.p99; }},
      {"e2el_mean", [](const Metrics& m) { return m.e2el.mean; }},
      {"e2el_p99", [](const Metrics& m) { return m.e2el.p99; }},
      {"completed_share",
       [](const Metrics& m) {
         return static_cast<double>(m.completed) / std::max(1.0, static_cast<double>(m.arrived));
       }},
      {"keeps_up", [](const Metrics& m) { return m.saturation.saturated ? 0.0 : 1.0; }},
      {"gpu_watts", [](const Metrics& m) { return m.energy.mean_gpu_watts; }},
      {"server_watts", [](const Metrics& m) { return m.energy.mean_server_watts; }},
      {"facility_watts", [](const Metrics& m) { return m.energy.mean_facility_watts; }},
      {"joules_per_output_token",
       [](const Metrics& m) { return m.energy.j_per_output_token_facility; }},
      {"cny_per_hour", [](const Metrics& m) { return m.cost.total_cny_per_hour; }},
      {"cny_per_million_output",
       [](const Metrics& m) { return m.cost.cny_per_million_output_tokens; }},
      {"idle_share", [](const Metrics& m) { return m.idle_share; }},
      {"gpus", [](const Metrics& m) { return static_cast<double>(m.gpus); }},
  };
  return kTable;
}

}  // namespace

Compute memory_quantity(const QuantityContext& context) {
  static const std::vector<std::pair<std::string, MemoryFigure>> kFigures = {
      {"weights", [](const Need& n) { return n.weights / kGiga; }},
      {"all_weights", [](const Need& n) { return n.weights_everywhere / kGiga; }},
      {"kv", [](const Need& n) { return n.kv / kGiga; }},
      {"activations", [](const Need& n) { return n.activations / kGiga; }},
      {"need",
       [](const Need& n) { return (n.weights + n.kv + n.activations + n.reserve) / kGiga; }},
      {"capacity", [](const Need& n) { return n.capacity / kGiga; }},
      {"fits", [](const Need& n) { return n.fits; }},
  };
  const MemoryFigure figure = read_figure(context, kFigures);
  const Scenario scenario = load_serving(context, "memory");
  const int tokens = context.node.optional<int>("context", {1, kMaxTokens}).value_or(2048);
  const int sequences = context.node.optional<int>("sequences", {1, 1e6}).value_or(1);
  return [=](const Values&) {
    const Need need = need_of(scenario.serving.deployment, tokens, sequences);
    Value value{figure(need), kMemoryError, Provenance::analytical, {}};
    if (value.value == need.fits) value.relative_error = 0.0;
    return value;
  };
}

Compute step_quantity(const QuantityContext& context) {
  static const std::vector<std::pair<std::string, StepFigure>> kFigures = {
      {"tokens_per_s", [](const StepDone& s) { return s.tokens / s.cost.seconds; }},
      {"tokens_per_s_per_gpu",
       [](const StepDone& s) { return s.tokens / s.cost.seconds / s.gpus; }},
      {"seconds", [](const StepDone& s) { return s.cost.seconds; }},
      {"communication_share",
       [](const StepDone& s) { return s.cost.communication_s / s.cost.seconds; }},
      {"gpu_watts", [](const StepDone& s) { return s.gpu_watts; }},
  };
  const StepFigure figure = read_figure(context, kFigures);
  const StepCase step = read_step(context.node);
  const Scenario scenario = load_serving(context, "step");
  return [=, &workshop = context.workshop](const Values&) {
    const DeploymentSpec& d = scenario.serving.deployment;
    try {
      Value value = step_trust(d, step, workshop);
      value.value = figure(do_step(d, step, workshop));
      return value;
    } catch (const sim::core::InfeasibleError& error) {
      return Value{0.0, 0.0, Provenance::analytical, error.what()};
    }
  };
}

Compute run_quantity(const QuantityContext& context) {
  const RunFigure figure = read_figure(context, run_figures());
  const auto path = scenario_path(context, "run");
  const auto key = memo_key(path, overrides_of(context));
  const Scenario scenario = load_serving(context, "run");
  return [=, &workshop = context.workshop](const Values&) {
    const auto& run = workshop.run(key, scenario);
    Value value{figure(run.metrics), run.relative_error, run.provenance, run.infeasible};
    if (!run.infeasible.empty()) value.value = 0.0;
    return value;
  };
}

// {load: SCENARIO, storage: CARD, network: Gb/s or nothing}: seconds until all GPUs hold the
// weights.
Compute load_quantity(const QuantityContext& context) {
  const Scenario scenario = load_serving(context, "load");
  return [=](const Values&) {
    const DeploymentSpec& d = scenario.serving.deployment;
    if (!d.node.storage) return Value{0.0, 0.0, Provenance::analytical, "no storage is named"};
    const double whole = llm::weight_bytes_per_gpu(d.model, {}, d.precision).value();
    const double share = std::min(1.0, static_cast<double>(d.node.gpus) / d.layout.gpus());
    const auto per_gpu = llm::weight_bytes_per_gpu(d.model, d.layout, d.precision);
    const auto load = models::hardware::load_time(
        d.node, *d.node.storage, models::hardware::Bytes(whole * share), per_gpu, d.nodes);
    constexpr double kDataSheetError = 0.15;  // sequential rates of data sheets in a real system
    return Value{load.seconds, kDataSheetError, Provenance::analytical, {}};
  };
}

}  // namespace foretoken::validation::claims
