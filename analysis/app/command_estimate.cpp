// foretoken estimate: memory and the time of one step, in closed form.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/training_commands.hpp"
#include "analysis/estimate.hpp"
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
  return {{"capacity_bytes", memory.capacity}, {"usable_bytes", memory.usable},
          {"weights_bytes", memory.weights},   {"activations_bytes", memory.activations},
          {"reserve_bytes", memory.reserve},   {"kv_bytes", memory.kv},
          {"kv_blocks", memory.kv_blocks},     {"kv_tokens", memory.kv_tokens}};
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

std::string memory_text(const serving::MemoryAccount& memory) {
  constexpr double kGb = 1e-9;
  return fmt::format(
      "memory of one GPU: weights {:.2f} + activations {:.2f} + reserve {:.2f} + KV {:.2f} GB "
      "of {:.2f} GB\n  KV: {} tokens in {} blocks, per attention rank\n",
      memory.weights * kGb, memory.activations * kGb, memory.reserve * kGb, memory.kv * kGb,
      memory.capacity * kGb, memory.kv_tokens, memory.kv_blocks);
}

std::string step_text(const StepEstimate& step, bool detail) {
  const bool decode = step.shape.kind == StepKind::decode;
  std::string text = fmt::format(
      "{} step of {} {} {} {} in the cache: {:.3f} ms = GPU {:.3f} + host {:.3f}   [{}, +-{:.1f} "
      "%]\n"
      "  ceiling {:.0f} tokens/s a replica = {:.0f} tokens/s/GPU   MFU {:.1f} %   MBU {:.1f} %\n\n",
      decode ? "decode" : "prefill", step.shape.batch,
      decode ? "sequences," : fmt::format("x {} tokens,", step.shape.tokens), step.shape.context,
      decode ? "tokens each" : "tokens", step.step_s * 1e3, step.gpu_s * 1e3, step.host_s * 1e3,
      to_string(step.provenance), 100 * step.relative_error, step.tokens_per_s,
      step.tokens_per_s_per_gpu, 100 * step.mfu, 100 * step.mbu);
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
  const serving::MemoryAccount memory = serving::account_memory(deployment);
  const StepEstimate step =
      estimate_step(deployment, load_calibration(invocation.home, scenario), shape);
  if (line->has("json")) {
    Json json = {{"scenario", scenario.name},        {"model", deployment.model.name},
                 {"gpu", deployment.node.gpu.name},  {"gpus", deployment.layout.gpus()},
                 {"engine", deployment.engine.name}, {"memory", memory_json(memory)}};
    json.update(step_json(step));
    std::cout << json.dump(2) << '\n';
  } else {
    std::cout << fmt::format("{} on {} x {}, {}\n", deployment.model.name, deployment.layout.gpus(),
                             deployment.node.gpu.name, deployment.engine.name)
              << memory_text(memory) << step_text(step, line->has("detail"));
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
