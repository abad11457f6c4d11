// One steady engine step of a deployment: what published profiles and offline benchmarks show.
#include <vector>

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

struct StepCase {  // on each attention rank
  std::int64_t prompts = 0, prompt_tokens = 0, cached = 0;
  std::int64_t sequences = 0, context = 0;
  bool per_node = false;
};

StepCase read_step(const YamlNode& root) {
  StepCase step;
  step.per_node = root.required_choice<bool>("per", {{"gpu", false}, {"node", true}});
  if (root.has("prefill") == root.has("decode")) {
    (void)root.any_child("prefill").exists();
    root.error("give one of prefill: {prompts, tokens} and decode: {sequences, context}");
    return step;
  }
  if (root.has("prefill")) {
    const YamlNode node = root.required_child("prefill");
    step.prompts = node.required<int>("prompts", {1, 1e6});
    step.prompt_tokens = node.required<int>("tokens", {1, kMaxTokens});
    step.cached = node.optional<int>("cached", {0, kMaxTokens}).value_or(0);
  } else {
    const YamlNode node = root.required_child("decode");
    step.sequences = node.required<int>("sequences", {1, 1e6});
    step.context = node.required<int>("context", {1, kMaxTokens});
  }
  return step;
}

double rate(const Scenario& scenario, const StepCase& step, const std::filesystem::path& file) {
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
  const double tokens =
      static_cast<double>((step.prompts * step.prompt_tokens + step.sequences) * ranks);
  const double per = step.per_node ? d.node.gpus : 1.0;
  return tokens / model.cost(input).seconds / d.layout.gpus() * per;
}

std::vector<std::string> texts(const YamlNode& list) {
  std::vector<std::string> out;
  for (const auto& item : list.items()) out.push_back(item.as<std::string>());
  return out;
}

}  // namespace

Prediction step_evaluator(const CaseContext& context) {
  const StepCase step = read_step(context.file.root());
  const Scenario scenario = case_scenario(context);
  return [=, file = context.calibration] { return rate(scenario, step, file); };
}

// Percent that the scenario with `with` applied does better than with `without` applied.
Prediction step_gain_evaluator(const CaseContext& context) {
  const YamlNode root = context.file.root();
  const StepCase step = read_step(root);
  const Scenario with = case_scenario(context, texts(root.any_child("with")));
  const Scenario without = case_scenario(context, texts(root.any_child("without")));
  if (!root.has("with") && !root.has("without"))
    root.error("a gain compares two: give with: [PATH=VALUE] or without: [PATH=VALUE]");
  return [=, file = context.calibration] {
    return 100.0 * (rate(with, step, file) / rate(without, step, file) - 1.0);
  };
}

}  // namespace foretoken::validation::cases
