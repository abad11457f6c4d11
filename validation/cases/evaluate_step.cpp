// One steady engine step of a deployment: what published profiles and offline benchmarks show.
#include <algorithm>
#include <vector>

#include "models/llm/memory.hpp"
#include "models/power/gpu_power.hpp"
#include "models/serving/step_model.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "validation/cases/evaluators.hpp"

namespace foretoken::validation::cases {
namespace {

using models::serving::StepInput;
using models::serving::StepModel;
using scenarios::loader::Scenario;
using scenarios::loader::YamlNode;

constexpr double kMaxTokens = 100e6;

enum class Figure { rate, ms, watts, memory };

struct StepCase {  // on each attention rank
  std::int64_t prompts = 0, prompt_tokens = 0, cached = 0;
  std::int64_t sequences = 0, context = 0;
  bool per_node = false;
  Figure figure = Figure::rate;
};

StepCase read_step(const CaseContext& context) {
  const YamlNode root = context.file.root(), keys = context.keys();
  StepCase step;
  step.figure = root.optional_choice<Figure>("figure", {{"rate", Figure::rate},
                                                        {"ms", Figure::ms},
                                                        {"watts", Figure::watts},
                                                        {"memory", Figure::memory}})
                    .value_or(Figure::rate);
  if (step.figure == Figure::rate)
    step.per_node = root.required_choice<bool>("per", {{"gpu", false}, {"node", true}});
  if (keys.has("prefill") == keys.has("decode")) {
    (void)keys.any_child("prefill").exists();
    keys.error("give one of prefill: {prompts, tokens} and decode: {sequences, context}");
    return step;
  }
  if (keys.has("prefill")) {
    const YamlNode node = keys.required_child("prefill");
    step.prompts = node.required<int>("prompts", {1, 1e6});
    step.prompt_tokens = node.required<int>("tokens", {1, kMaxTokens});
    step.cached = node.optional<int>("cached", {0, kMaxTokens}).value_or(0);
  } else {
    const YamlNode node = keys.required_child("decode");
    step.sequences = node.required<int>("sequences", {1, 1e6});
    step.context = node.required<int>("context", {1, kMaxTokens});
  }
  return step;
}

models::serving::StepCost cost_of(const Scenario& scenario, const StepCase& step,
                                  const std::filesystem::path& file) {
  const auto& d = scenario.serving.deployment;
  const StepModel model(d, scenarios::loader::read_calibration(file, d.node.gpu.tables));
  const std::int64_t ranks = d.layout.data_attention;
  std::vector<models::llm::Chunk> chunks(static_cast<std::size_t>(step.prompts * ranks),
                                         {step.prompt_tokens, step.cached});
  StepInput input;
  input.chunks = chunks;
  input.decode_batch = static_cast<std::int32_t>(step.sequences * ranks);
  input.decode_context = step.sequences * ranks * step.context;
  input.logits = static_cast<std::int32_t>((step.prompts + step.sequences) * ranks);
  return model.cost(input);
}

double rate(const Scenario& scenario, const StepCase& step, const std::filesystem::path& file) {
  const auto& d = scenario.serving.deployment;
  const double tokens = static_cast<double>((step.prompts * step.prompt_tokens + step.sequences) *
                                            d.layout.data_attention);
  const double per = step.per_node ? d.node.gpus : 1.0;
  return tokens / cost_of(scenario, step, file).seconds / d.layout.gpus() * per;
}

// Of one GPU that runs such steps back to back.
double watts(const Scenario& scenario, const StepCase& step, const std::filesystem::path& file) {
  const auto& d = scenario.serving.deployment;
  const auto cost = cost_of(scenario, step, file);
  const auto share = [&cost](double seconds) { return std::min(1.0, seconds / cost.seconds); };
  return models::power::gpu_power(d.node.gpu, d.power,
                                  {share(cost.tensor_s), share(cost.memory_s), share(cost.link_s)},
                                  share(cost.seconds - cost.host_s))
      .value();
}

// GB of weights, cache and activations of the step on one GPU, as an allocator counts them: the
// CUDA context and what an engine sets aside lie outside.
double memory(const Scenario& scenario, const StepCase& step) {
  namespace llm = models::llm;
  const auto& d = scenario.serving.deployment;
  const std::int64_t sequences = step.prompts + step.sequences;
  const std::int64_t rows = step.prompts * step.prompt_tokens + step.sequences;
  const std::int64_t cached =
      step.prompts * (step.cached + step.prompt_tokens) + step.sequences * step.context;
  const double bytes =
      llm::weight_bytes_per_gpu(d.model, d.layout, d.precision).value() +
      llm::activation_bytes_per_gpu(d.model, d.layout, d.precision, rows, sequences).value() +
      llm::kv_bytes_per_token_per_gpu(d.model, d.layout, d.precision) * static_cast<double>(cached);
  return bytes * 1e-9;
}

std::vector<std::string> texts(const YamlNode& list) {
  std::vector<std::string> out;
  for (const auto& item : list.items()) out.push_back(item.as<std::string>());
  return out;
}

}  // namespace

Prediction step_evaluator(const CaseContext& context) {
  const StepCase step = read_step(context);
  const Scenario scenario = case_scenario(context);
  return [=, file = context.calibration] {
    switch (step.figure) {
      case Figure::rate:
        return rate(scenario, step, file);
      case Figure::ms:
        return cost_of(scenario, step, file).seconds * 1e3;
      case Figure::watts:
        return watts(scenario, step, file);
      case Figure::memory:
        return memory(scenario, step);
    }
    return 0.0;
  };
}

// Percent that the rate of the scenario with `with` applied does better than with `without`
// applied.
Prediction step_gain_evaluator(const CaseContext& context) {
  const YamlNode root = context.file.root();
  const StepCase step = read_step(context);
  const Scenario with = case_scenario(context, texts(root.any_child("with")));
  const Scenario without = case_scenario(context, texts(root.any_child("without")));
  if (!root.has("with") && !root.has("without"))
    root.error("a gain compares two: give with: [PATH=VALUE] or without: [PATH=VALUE]");
  return [=, file = context.calibration] {
    return 100.0 * (rate(with, step, file) / rate(without, step, file) - 1.0);
  };
}

}  // namespace foretoken::validation::cases
