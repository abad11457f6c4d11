#include "analysis/exporters/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace foretoken::analysis::exporters {
namespace {

using models::hardware::DType;
using models::llm::WeightFormat;
using models::serving::BatchingPolicy;
using models::serving::DeploymentSpec;
using models::serving::PoolRole;

// A flag and its value; whole layouts where an engine counts GPUs differently.
class Writer {
 public:
  Writer(const DeploymentSpec& deployment, Launch& launch) : d(deployment), out(launch) {}

  void add(const std::string& flag) { out.flags.push_back(flag); }
  template <class Value>
  void add(const std::string& flag, const Value& value) {
    out.flags.push_back(fmt::format("{} {}", flag, value));
  }
  void add_if(bool wanted, const std::string& flag, int value) {
    if (wanted) add(flag, value);
  }
  void option(const std::string& line) { out.options.push_back(line); }
  void note(const std::string& text) { out.notes.push_back(text); }

  // What every engine is told in words of its own: nothing for the format as published.
  void weights(const char* flag, const std::vector<std::pair<WeightFormat, const char*>>& words) {
    const WeightFormat wanted = d.precision.weights;
    if (wanted == d.model.checkpoint) return;
    if (wanted == WeightFormat::bf16 || wanted == WeightFormat::fp16) {
      if (d.model.checkpoint == WeightFormat::bf16) return add("--dtype", "float16");
      return note(
          fmt::format("the prediction is for {} weights; the checkpoint as published is {}: "
                      "point MODEL at a converted one",
                      to_string(wanted), to_string(d.model.checkpoint)));
    }
    for (const auto& [format, word] : words)
      if (format == wanted) return add(flag, word);
    note(fmt::format("the prediction is for {} weights: point MODEL at such a checkpoint",
                     to_string(wanted)));
  }
  void common_notes() {
    if (d.layout.context > 1)
      note(fmt::format("context parallelism of {} has to be set by hand", d.layout.context));
    if (d.layout.experts_on_host)
      note("experts in host memory (KTransformers' way) are not this engine's");
    if (d.speculation.guesses() > 0)
      note(fmt::format("speculation with {} guesses: add the engine's flags for the draft you have",
                       d.speculation.guesses()));
  }
  void policy_note() {
    note(fmt::format("batching policy '{}' is none of this engine's: what it runs is its default",
                     models::serving::kPolicies[static_cast<std::size_t>(d.batching.policy)].name));
  }

  const DeploymentSpec& d;
  Launch& out;
};

void vllm(Writer& w) {
  const auto& d = w.d;
  w.add("--tensor-parallel-size", d.layout.tensor);
  w.add_if(d.layout.pipeline > 1, "--pipeline-parallel-size", d.layout.pipeline);
  w.add_if(d.layout.data_attention > 1, "--data-parallel-size", d.layout.data_attention);
  if (d.layout.expert > 1) {
    w.add("--enable-expert-parallel");
    if (d.layout.expert != d.layout.stage_gpus())
      w.note(fmt::format("vLLM spreads experts over all {} GPUs of a stage, not over {}",
                         d.layout.stage_gpus(), d.layout.expert));
  }
  w.add("--max-num-seqs", d.batching.max_sequences);
  w.add("--max-num-batched-tokens", d.batching.max_tokens);
  w.add_if(d.model.max_positions > 0, "--max-model-len", static_cast<int>(d.model.max_positions));
  w.add("--gpu-memory-utilization", d.engine.memory_fraction);
  w.add("--block-size", d.engine.kv_block_tokens);
  w.add_if(d.engine.stream_interval > 1, "--stream-interval", d.engine.stream_interval);
  if (d.precision.kv == DType::fp8) w.add("--kv-cache-dtype", "fp8");
  w.weights("--quantization", {{WeightFormat::fp8, "fp8"},
                               {WeightFormat::int8_wo, "experts_int8"},
                               {WeightFormat::int4_wo, "awq_marlin"},
                               {WeightFormat::nvfp4, "modelopt_fp4"},
                               {WeightFormat::mxfp4, "mxfp4"}});
  switch (d.batching.policy) {
    case BatchingPolicy::chunked_prefill:
      w.add("--enable-chunked-prefill");
      break;
    case BatchingPolicy::prefill_first_whole:
      w.add("--no-enable-chunked-prefill");
      break;
    case BatchingPolicy::priority:
      w.add("--scheduling-policy", "priority");
      break;
    default:
      w.policy_note();
  }
  if (d.role != PoolRole::whole)
    w.note(fmt::format(
        "add --kv-transfer-config '{{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"{}\"}}'",
        d.role == PoolRole::prefill ? "kv_producer" : "kv_consumer"));
}

void sglang(Writer& w) {
  const auto& d = w.d;
  const int ranks = d.layout.data_attention;
  w.add("--tp-size", d.layout.tensor * ranks);
  w.add_if(d.layout.pipeline > 1, "--pp-size", d.layout.pipeline);
  if (ranks > 1) {
    w.add("--dp-size", ranks);
    w.add("--enable-dp-attention");
    w.note(
        fmt::format("the limits of a batch below are those of one attention rank; where your "
                    "version of SGLang divides them by --dp-size, multiply them by {}",
                    ranks));
  }
  w.add_if(d.layout.expert > 1, "--ep-size", d.layout.expert);
  if (d.layout.all_to_all) w.add("--moe-a2a-backend", "deepep");
  w.add_if(d.layout.redundant_experts > 0, "--ep-num-redundant-experts",
           d.layout.redundant_experts);
  const bool whole = d.batching.policy == BatchingPolicy::prefill_first_whole;
  w.add("--chunked-prefill-size", whole ? -1 : d.batching.max_tokens);
  w.add("--max-running-requests", d.batching.max_sequences);
  w.add_if(d.model.max_positions > 0, "--context-length", static_cast<int>(d.model.max_positions));
  w.add("--mem-fraction-static", d.engine.memory_fraction);
  w.add("--page-size", d.engine.kv_block_tokens);
  w.add_if(d.engine.stream_interval > 1, "--stream-interval", d.engine.stream_interval);
  if (d.precision.kv == DType::fp8) w.add("--kv-cache-dtype", "fp8_e4m3");
  w.weights("--quantization", {{WeightFormat::fp8, "fp8"},
                               {WeightFormat::int8_wo, "w8a8_int8"},
                               {WeightFormat::int4_wo, "awq_marlin"},
                               {WeightFormat::nvfp4, "modelopt_fp4"},
                               {WeightFormat::mxfp4, "mxfp4"}});
  if (d.batching.policy == BatchingPolicy::chunked_prefill)
    w.add("--enable-mixed-chunk");
  else if (d.batching.policy == BatchingPolicy::priority)
    w.add("--enable-priority-scheduling");
  else if (!whole && d.batching.policy != BatchingPolicy::prefill_first)
    w.policy_note();
  if (d.role != PoolRole::whole)
    w.add("--disaggregation-mode", d.role == PoolRole::prefill ? "prefill" : "decode");
}

void trtllm(Writer& w) {
  const auto& d = w.d;
  w.add("--backend", "pytorch");
  w.add("--tp_size", d.layout.stage_gpus());
  w.add_if(d.layout.pipeline > 1, "--pp_size", d.layout.pipeline);
  w.add_if(d.layout.expert > 1, "--ep_size", d.layout.expert);
  w.add("--max_batch_size", d.batching.max_sequences);
  w.add("--max_num_tokens", d.batching.max_tokens);
  w.add_if(d.model.max_positions > 0, "--max_seq_len", static_cast<int>(d.model.max_positions));
  w.add("--kv_cache_free_gpu_memory_fraction", d.engine.memory_fraction);
  if (d.layout.data_attention > 1) {
    w.option("enable_attention_dp: true");
    if (d.layout.data_attention != d.layout.stage_gpus())
      w.note(fmt::format("TensorRT-LLM makes every one of the {} GPUs an attention rank, not {}",
                         d.layout.stage_gpus(), d.layout.data_attention));
  }
  w.option("kv_cache_config:");
  w.option(fmt::format("  dtype: {}", d.precision.kv == DType::fp8 ? "fp8" : "auto"));
  w.option("  enable_block_reuse: false");
  w.option(fmt::format("  tokens_per_block: {}", d.engine.kv_block_tokens));
  w.option(fmt::format("enable_chunked_prefill: {}",
                       d.batching.policy == BatchingPolicy::chunked_prefill));
  if (d.batching.policy != BatchingPolicy::chunked_prefill &&
      d.batching.policy != BatchingPolicy::continuous)
    w.policy_note();
  w.option(
      fmt::format("scheduler_config: {{capacity_scheduler_policy: {}}}",
                  d.engine.kv_reserve_output >= 1.0 ? "GUARANTEED_NO_EVICT" : "MAX_UTILIZATION"));
  w.option(fmt::format("stream_interval: {}", d.engine.stream_interval));
  if (d.precision.weights != d.model.checkpoint)
    w.note(
        fmt::format("the prediction is for {} weights; the checkpoint as published is {}: point "
                    "MODEL at one made with ModelOpt",
                    to_string(d.precision.weights), to_string(d.model.checkpoint)));
  if (d.role != PoolRole::whole)
    w.note(fmt::format("a {} pool: serve it with trtllm-serve disaggregated",
                       d.role == PoolRole::prefill ? "prefill" : "decode"));
}

}  // namespace

Launch launch_of(const DeploymentSpec& deployment, const std::string& engine) {
  Launch launch;
  launch.engine = engine;
  Writer writer(deployment, launch);
  if (engine == "vllm")
    vllm(writer);
  else if (engine == "sglang")
    sglang(writer);
  else if (engine == "trtllm")
    trtllm(writer);
  else
    throw std::invalid_argument("no launch line for " + engine);
  writer.common_notes();
  if (deployment.engine.tables.engine != engine)
    writer.note(
        fmt::format("the prediction is for {}: it says nothing about another engine's "
                    "speed",
                    deployment.engine.name));
  return launch;
}

int nodes_a_replica(const DeploymentSpec& d) {
  return std::max(1, (d.layout.gpus() + d.node.gpus - 1) / std::max(1, d.node.gpus));
}

}  // namespace foretoken::analysis::exporters
