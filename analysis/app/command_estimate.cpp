// foretoken estimate: memory and the time of one step, in closed form.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/training_commands.hpp"
#include "analysis/estimate.hpp"
#include "models/hardware/load_time.hpp"
#include "models/llm/layout.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/scenario_training.hpp"

namespace foretoken::analysis::app {
namespace {

namespace serving = models::serving;
using Json = nlohmann::ordered_json;

CommandPage estimate_page() {
  CommandPage page;
  page.synopsis = "estimate SCENARIO [options]";
  page.about =
      "Memory of one GPU and the time of one step of one replica, operator by operator, without\n"
      "simulating: roofline share, MFU, MBU and the ceiling of tokens/s. The workload is not "
      "used.\n";
  page.examples =
      "  foretoken estimate scenarios/quickstart.yaml --batch 64 --context 2048\n"
      "  foretoken estimate scenarios/quickstart.yaml --step prefill --tokens 8192 --json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"step", "KIND", "decode or prefill; train for a training scenario", "decode"},
      {"batch", "N",
       "sequences in the step, per attention rank (default: 64 for decode, 1 for prefill)"},
      {"tokens", "N", "prefill: new tokens of each prompt (default: the step's limit / batch)"},
      {"context", "N",
       "tokens each sequence has in the cache (default: 1024 for decode, 0 for prefill)"},
      {"set", "PATH=VALUE", "replace one value of the scenario; may be repeated", "", true},
      {"detail", "", "name the table or model behind every operator"},
      {"json", "", "as JSON"},
  };
  return page;
}

std::int64_t count_option(const ParsedLine& line, const char* name, std::int64_t fallback,
                          std::int64_t least) {
  constexpr std::int64_t kMost = 100'000'000;
  return line.has(name) ? line.integer(name, least, kMost) : fallback;
}

StepShape step_shape(const ParsedLine& line, const serving::BatchingSpec& batching) {
  StepShape shape;
  if (line.choice("step", {"decode", "prefill"}) == "decode") {
    if (line.has("tokens")) throw UsageError("--tokens goes with --step prefill");
    shape.batch = count_option(line, "batch", 64, 1);
    shape.context = count_option(line, "context", 1024, 0);
    return shape;
  }
  shape.kind = StepKind::prefill;
  shape.batch = count_option(line, "batch", 1, 1);
  const std::int64_t share = batching.max_tokens / shape.batch;
  shape.tokens = count_option(line, "tokens", std::max<std::int64_t>(1, share), 1);
  shape.context = count_option(line, "context", 0, 0);
  return shape;
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0.0; }

Json memory_json(const serving::MemoryAccount& memory) {
  return {{"capacity_bytes", memory.capacity},
          {"usable_bytes", memory.usable},
          {"weights_bytes", memory.weights},
          {"activations_bytes", memory.activations},
          {"reserve_bytes", memory.reserve},
          {"kv_bytes", memory.kv},
          {"kv_blocks", memory.kv_blocks},
          {"kv_tokens", memory.kv_tokens},
          {"host_weights_bytes", memory.host_weights}};
}

// Time until the weights are in place, where the scenario says what holds them.
std::optional<models::hardware::LoadTime> load_time(const serving::DeploymentSpec& deployment,
                                                    const serving::MemoryAccount& memory) {
  const models::hardware::NodeSpec& node = deployment.node;
  if (!node.storage) return std::nullopt;
  const double whole =
      models::llm::weight_bytes_per_gpu(deployment.model, {}, deployment.precision).value();
  const double share = std::min(1.0, static_cast<double>(node.gpus) / deployment.layout.gpus());
  return models::hardware::load_time(node, *node.storage, models::hardware::Bytes(whole * share),
                                     models::hardware::Bytes(memory.weights), deployment.nodes);
}

Json load_json(const models::hardware::LoadTime& load) {
  Json json = {
      {"seconds", load.seconds}, {"bottleneck", load.bottleneck}, {"stages", Json::array()}};
  for (const auto& stage : load.stages) {
    json["stages"].push_back(
        {{"name", stage.name}, {"bytes_per_s", stage.rate}, {"seconds", stage.seconds}});
  }
  return json;
}

std::string load_text(const models::hardware::LoadTime& load) {
  std::string text =
      fmt::format("  loading the weights: {:.1f} s, bound by {} (", load.seconds, load.bottleneck);
  for (std::size_t i = 0; i < load.stages.size(); ++i) {
    text += fmt::format("{}{} {:.1f} s at {:.2f} GB/s", i > 0 ? ", " : "", load.stages[i].name,
                        load.stages[i].seconds, load.stages[i].rate * 1e-9);
  }
  return text + ")\n";
}

Json step_json(const StepEstimate& step) {
  Json json = {{"step", step.shape.kind == StepKind::decode ? "decode" : "prefill"},
               {"batch", step.shape.batch},
               {"tokens", step.shape.tokens},
               {"context", step.shape.context},
               {"step_time_ms", step.step_s * 1e3},
               {"gpu_ms", step.gpu_s * 1e3},
               {"host_ms", step.host_s * 1e3},
               {"mfu_pct", 100 * step.mfu},
               {"mbu_pct", 100 * step.mbu},
               {"tokens_per_s", step.tokens_per_s},
               {"tokens_per_s_per_gpu", step.tokens_per_s_per_gpu},
               {"provenance", to_string(step.provenance)},
               {"error_pct", 100 * step.relative_error},
               {"operators", Json::array()}};
  for (const OperatorEstimate& op : step.operators) {
    json["operators"].push_back({{"part", op.part},
                                 {"name", op.name},
                                 {"calls", op.calls},
                                 {"ms", op.seconds * 1e3},
                                 {"share_pct", percent(op.seconds, step.step_s)},
                                 {"flops", op.flops},
                                 {"bytes", op.bytes},
                                 {"roofline_pct", percent(op.roofline_s, op.seconds)},
                                 {"provenance", to_string(op.provenance)},
                                 {"error_pct", 100 * op.relative_error},
                                 {"source", op.source}});
  }
  return json;
}

std::string memory_text(const serving::MemoryAccount& memory, const char* device) {
  constexpr double kGb = 1e-9;
  std::string text = fmt::format(
      "memory of one {}: weights {:.2f} + activations {:.2f} + reserve {:.2f} + KV {:.2f} GB "
      "of {:.2f} GB\n  KV: {} tokens in {} blocks, per attention rank\n",
      device, memory.weights * kGb, memory.activations * kGb, memory.reserve * kGb, memory.kv * kGb,
      memory.capacity * kGb, memory.kv_tokens, memory.kv_blocks);
  if (memory.host_weights > 0) {
    text += fmt::format("  experts in host memory: {:.2f} GB\n", memory.host_weights * kGb);
  }
  return text;
}

// Whole numbers where they say enough.
std::string rate_text(double rate) {
  return rate < 100 ? fmt::format("{:.3g}", rate) : fmt::format("{:.0f}", rate);
}

std::string step_text(const StepEstimate& step, bool detail, const char* device) {
  const bool decode = step.shape.kind == StepKind::decode;
  std::string text = fmt::format(
      "{} step of {} {} {} {} in the cache: {:.3f} ms = {} {:.3f} + host {:.3f}   [{}, +-{:.1f} "
      "%]\n"
      "  ceiling {} tokens/s a replica = {} tokens/s/{}   MFU {:.1f} %   MBU {:.1f} %\n\n",
      decode ? "decode" : "prefill", step.shape.batch,
      decode ? "sequences," : fmt::format("x {} tokens,", step.shape.tokens), step.shape.context,
      decode ? "tokens each" : "tokens", step.step_s * 1e3, device, step.gpu_s * 1e3,
      step.host_s * 1e3, to_string(step.provenance), 100 * step.relative_error,
      rate_text(step.tokens_per_s), rate_text(step.tokens_per_s_per_gpu), device, 100 * step.mfu,
      100 * step.mbu);
  text += fmt::format("  {:<26} {:>6} {:>10} {:>7} {:>9}  {:<10} {:>6}{}\n", "operator", "calls",
                      "ms", "share", "roofline", "from", "error", detail ? "  source" : "");
  for (const OperatorEstimate& op : step.operators) {
    text += fmt::format("  {:<26} {:>6g} {:>10.4f} {:>6.1f}% {:>8.1f}%  {:<10} {:>5.1f}%{}\n",
                        op.name, op.calls, op.seconds * 1e3, percent(op.seconds, step.step_s),
                        percent(op.roofline_s, op.seconds), to_string(op.provenance),
                        100 * op.relative_error, detail ? "  " + op.source : "");
  }
  text += fmt::format("  {:<26} {:>6} {:>10.4f} {:>6.1f}%\n", "host", "", step.host_s * 1e3,
                      percent(step.host_s, step.step_s));
  return text;
}

}  // namespace

int estimate_command(const Invocation& invocation) {
  const auto line = parse(estimate_page(), invocation);
  if (!line) return kOk;
  if (scenarios::loader::is_training_scenario(line->arguments[0]))
    return estimate_training(invocation, *line);
  if (line->text("step") == "train")
    throw UsageError("--step train goes with a scenario that has a `training:` block");
  const auto scenario = load_with_warnings(line->arguments[0], invocation.home, line->list("set"));
  const serving::DeploymentSpec& deployment = scenario.serving.deployment;
  const StepShape shape = step_shape(*line, deployment.batching);
  const std::int64_t longest = shape.context + shape.tokens;
  const serving::MemoryAccount memory = serving::account_memory(deployment, longest);
  if (shape.batch * longest > memory.kv_tokens) {
    fmt::print(stderr,
               "warning: {} sequences of {} tokens do not fit the KV cache of {} tokens: an engine "
               "would run at most {} at once\n",
               shape.batch, longest, memory.kv_tokens, memory.kv_tokens / longest);
  }
  const StepEstimate step =
      estimate_step(deployment, load_calibration(invocation.home, scenario), shape);
  const auto load = load_time(deployment, memory);
  const bool cpu = deployment.node.gpu.processor == models::hardware::Processor::cpu;
  const char* device = cpu ? "CPU" : "GPU";
  if (line->has("json")) {
    Json json = {{"scenario", scenario.name},        {"model", deployment.model.name},
                 {"gpu", deployment.node.gpu.name},  {"gpus", deployment.layout.gpus()},
                 {"engine", deployment.engine.name}, {"memory", memory_json(memory)}};
    if (load) json["load"] = load_json(*load);
    json.update(step_json(step));
    std::cout << json.dump(2) << '\n';
  } else {
    std::cout << fmt::format("{} on {} x {}, {}\n", deployment.model.name, deployment.layout.gpus(),
                             deployment.node.gpu.name, deployment.engine.name)
              << memory_text(memory, device) << (load ? load_text(*load) : "")
              << step_text(step, line->has("detail"), device);
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
