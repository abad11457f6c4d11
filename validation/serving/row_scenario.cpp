#include "validation/serving/row_scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "models/llm/layout.hpp"
#include "scenarios/loader/model_config.hpp"
#include "sim/core/error.hpp"

namespace foretoken::validation::serving {
namespace {

namespace fs = std::filesystem;
namespace loader = scenarios::loader;
using models::hardware::DType;
using models::llm::WeightFormat;
using models::serving::DeploymentSpec;
using models::serving::EngineSpec;
using models::serving::ServingSpec;
using sim::core::InputError;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void remove(std::string& text, std::string_view part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part))
    text.erase(at, part.size());
}

bool quantised(WeightFormat format) {
  return format != WeightFormat::bf16 && format != WeightFormat::fp16;
}

// The checkpoint wins over the collector's labels: an MXFP4 model is one whatever the row says, and
// one published in FP8 blocks is not rescaled.
WeightFormat weights_of(const ServedRow& row, const models::llm::ModelSpec& model) {
  if (model.checkpoint == WeightFormat::mxfp4) return WeightFormat::mxfp4;
  const std::string label = lower(row.precision.empty() ? row.gemm_dtype : row.precision);
  if (label.empty()) return model.checkpoint;
  if (label == "bf16" || label == "bfloat16" || label == "fp16" || label == "float16")
    return WeightFormat::bf16;
  if (label == "fp4" || label == "nvfp4") return WeightFormat::nvfp4;
  if (label == "fp8" || label == "fp8_block") {
    const bool blocks = model.checkpoint == WeightFormat::fp8_block ||
                        row.gemm_dtype == "fp8_block" || row.moe_dtype == "fp8_block" ||
                        label == "fp8_block";
    return blocks ? WeightFormat::fp8_block : WeightFormat::fp8;
  }
  if (const auto format = models::llm::parse_weight_format(label)) return *format;
  throw InputError(
      fmt::format("precision '{}' is not one of bf16, fp8, fp8_block, fp4, mxfp4, "
                  "int8_wo, int4_wo",
                  label));
}

// How the public launch scripts set the KV cache: TensorRT-LLM in FP8 where the checkpoint is
// quantised, SGLang and vLLM in FP8 on Blackwell alone.
DType kv_of(const ServedRow& row, const DeploymentSpec& d) {
  if (d.engine.tables.engine == "trtllm")
    return quantised(d.precision.weights) ? DType::fp8 : DType::bf16;
  const bool blackwell = d.node.gpu.architecture == "blackwell";
  return blackwell && row.source == "inferencex" ? DType::fp8 : DType::bf16;
}

int round_up(int value, int step) { return (value + step - 1) / step * step; }

// Launch settings of the runs (validation/measurements/README.md); everything else is the engine's
// default.
void set_batching(const ServedRow& row, DeploymentSpec& d) {
  using models::serving::BatchingPolicy;
  const std::string& engine = d.engine.tables.engine;
  auto& batching = d.batching;
  batching.policy = d.engine.default_policy == "prefill_first" ? BatchingPolicy::prefill_first
                                                               : BatchingPolicy::chunked_prefill;
  batching.max_tokens = d.engine.default_max_tokens;
  batching.max_sequences = d.engine.default_max_sequences;
  if (row.source != "inferencex") return;
  if (engine == "trtllm") {
    d.engine.stream_interval = 10;
    // attention_dp_config {enable_balance, timeout_iters: 60}: prompts wait for each other so that
    // the ranks have equal work.
    if (row.attention_dp > 1) d.engine.poll_steps = 60;
    batching.max_tokens = std::max(8192, round_up(row.concurrency + row.input_tokens + 64, 64));
  }
  if (engine == "vllm") {
    batching.max_tokens = 8192;
    batching.max_sequences = row.concurrency;
    // Its scripts of 2025, whose versions no row names, ask for the fusion on Blackwell alone.
    if (row.engine_version.empty() && d.node.gpu.architecture != "blackwell")
      d.engine.fused_norm_reduce = {};
  }
  if (engine == "sglang") {
    const bool blackwell = d.node.gpu.architecture == "blackwell";
    batching.max_tokens = blackwell ? 16384 : 32768;
    batching.max_sequences = blackwell ? 128 : 512;
    d.engine.memory_fraction = 0.82;
    if (blackwell) {  // the scripts poll rarely and stream ten tokens at a time
      d.engine.poll_steps = row.concurrency < 16 ? 10 : 30;
      d.engine.stream_interval = 10;
      d.engine.first_token_at_once = false;
    }
  }
}

models::llm::Layout layout_of(const ServedRow& row, const models::llm::ModelSpec& model,
                              int gpus_per_node) {
  models::llm::Layout layout;
  layout.tensor = row.tp;
  layout.pipeline = row.pp;
  layout.data_attention = row.attention_dp;
  layout.expert = model.moe ? row.moe_ep : 1;
  layout.gpus_per_node = gpus_per_node;
  layout.uneven_stages = true;
  if (model.moe && row.moe_tp * row.moe_ep != row.tp * row.attention_dp)
    throw InputError(fmt::format("moe_tp {} x moe_ep {} is not tp {} x attention_dp {}", row.moe_tp,
                                 row.moe_ep, row.tp, row.attention_dp));
  const auto problems = layout_errors(model, layout);
  if (!problems.empty()) throw InputError(problems.front());
  return layout;
}

}  // namespace

std::string plain_model_name(std::string name) {
  name = lower(std::move(name));
  if (const auto slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  if (const auto dashes = name.find("--"); dashes != std::string::npos) name.erase(0, dashes + 2);
  for (const std::string_view part :
       {"_config.json", ".json", "meta-", "-instruct", "-fp8", "-nvfp4"})
    remove(name, part);
  return name;
}

RowReader::RowReader(const loader::Catalogue& catalogue, const fs::path& config_dir)
    : catalogue_(catalogue) {
  for (const auto& entry : catalogue.list("models"))
    models_[plain_model_name(entry.name)] = entry.file;
  if (!config_dir.empty()) {
    if (!fs::is_directory(config_dir))
      throw InputError(config_dir.string() + ": no such folder of Hugging Face configs");
    std::vector<fs::path> files;
    for (const auto& file : fs::recursive_directory_iterator(config_dir))
      if (file.path().extension() == ".json") files.push_back(file.path());
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      const bool named = file.filename() != "config.json";
      const std::string name =
          named ? file.filename().string() : file.parent_path().filename().string();
      models_[plain_model_name(name)] = file;
    }
  }
  for (const auto& entry : loader::list_cards("node", catalogue))
    nodes_.emplace(entry.name, loader::load_node(entry.name, catalogue).card);
}

models::llm::ModelSpec RowReader::model(const ServedRow& row) const {
  const std::string name = plain_model_name(row.model);
  const std::lock_guard lock(mutex_);
  if (const auto known = read_models_.find(name); known != read_models_.end()) return known->second;
  const auto file = models_.find(name);
  if (file == models_.end())
    throw InputError(
        fmt::format("model '{}' is neither in the catalogue nor in --config-dir (looked for '{}')",
                    row.model, name));
  auto spec = loader::read_model_config(file->second);
  spec.name = name;
  return read_models_.emplace(name, std::move(spec)).first->second;
}

const loader::NodeCard& RowReader::node(const ServedRow& row) const {
  std::string wanted = lower(row.gpu);
  std::replace(wanted.begin(), wanted.end(), '_', '-');
  const int needed = row.tp * row.pp * row.attention_dp;
  const loader::NodeCard* best = nullptr;
  const auto rank = [&](const loader::NodeCard& card) {  // large enough, then 8 GPUs, then small
    return std::tuple(card.spec.gpus < needed, card.spec.gpus != 8, card.spec.gpus);
  };
  for (const auto& [name, card] : nodes_) {
    std::string tables = card.spec.gpu.tables;
    std::replace(tables.begin(), tables.end(), '_', '-');
    if (card.spec.gpu.name != wanted && tables != wanted) continue;
    // Several cards may share a table folder; the name decides.
    const bool named = card.spec.gpu.name == wanted;
    const bool best_named = best != nullptr && best->spec.gpu.name == wanted;
    if (best == nullptr || (named && !best_named) ||
        (named == best_named && rank(card) < rank(*best)))
      best = &card;
  }
  if (best == nullptr) throw InputError(fmt::format("no node card holds the GPU '{}'", row.gpu));
  return *best;
}

EngineSpec RowReader::engine(const ServedRow& row) const {
  const std::string name =
      row.engine_version.empty() ? row.engine : row.engine + "-" + row.engine_version;
  const std::lock_guard lock(mutex_);
  if (const auto known = read_engines_.find(name); known != read_engines_.end())
    return known->second;
  // No version, or one that is a word (a development image): what the card says of all of them.
  EngineSpec spec = [&] {
    try {
      if (!row.engine_version.empty()) return loader::load_engine(name, catalogue_).card;
    } catch (const InputError&) {
    }
    return loader::load_engine_family(row.engine, catalogue_);
  }();
  return read_engines_.emplace(name, std::move(spec)).first->second;
}

void RowReader::add_version_host(const ServedRow& row, EngineSpec& spec) const {
  ServedRow usual = row;
  usual.engine_version.clear();
  const EngineSpec own = engine(row), base = engine(usual);
  spec.host_step_s = std::max(0.0, spec.host_step_s + own.host_step_s - base.host_step_s);
  spec.host_sequence_s =
      std::max(0.0, spec.host_sequence_s + own.host_sequence_s - base.host_sequence_s);
}

ServingSpec RowReader::scenario(const ServedRow& row) const {
  if (!row.unusable.empty()) throw InputError(row.unusable);
  ServingSpec spec;
  DeploymentSpec& d = spec.deployment;
  d.model = model(row);
  d.engine = engine(row);
  const auto& card = node(row);
  d.node = card.spec;
  d.power = card.power;
  d.layout = layout_of(row, d.model, d.node.gpus);
  d.nodes = std::max(1, (d.layout.gpus() + d.node.gpus - 1) / d.node.gpus);
  d.precision.weights = weights_of(row, d.model);
  d.precision.kv = kv_of(row, d);
  d.expert_skew = d.engine.expert_skew;
  set_batching(row, d);

  auto& workload = spec.workload;
  workload.name = row.id;
  workload.arrivals = models::serving::ClosedLoopArrivals{row.concurrency};
  const double low = row.source == "inferencex" ? 0.8 : 1.0;
  workload.input = {low, row.input_tokens};
  workload.output = {low, row.output_tokens};
  workload.requests = std::int64_t{10} * row.concurrency;
  if (row.input_tokens + row.output_tokens > d.model.max_positions)
    throw InputError(fmt::format("{} + {} tokens are longer than the context of {}, {} tokens",
                                 row.input_tokens, row.output_tokens, d.model.name,
                                 d.model.max_positions));
  spec.record_steps = false;
  return spec;
}

}  // namespace foretoken::validation::serving
