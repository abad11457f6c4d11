#include "models/llm/layout.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/llm/matrices.hpp"

namespace foretoken::models::llm {
namespace {

using std::to_string;

void check_positive(const Layout& layout, std::vector<std::string>& errors) {
  const std::pair<const char*, int> parts[] = {{"tensor", layout.tensor},
                                               {"pipeline", layout.pipeline},
                                               {"data_attention", layout.data_attention},
                                               {"context", layout.context},
                                               {"expert", layout.expert}};
  for (const auto& [name, value] : parts)
    if (value < 1)
      errors.push_back(std::string(name) + " is " + to_string(value) + "; it must be at least 1");
  if (layout.redundant_experts < 0)
    errors.push_back("redundant_experts is " + to_string(layout.redundant_experts) +
                     "; it must not be negative");
}

void check_tensor(const ModelSpec& model, const Layout& layout, std::vector<std::string>& errors) {
  const int tensor = layout.tensor;
  const auto& a = model.attention;
  if (a.heads % tensor != 0)
    errors.push_back("tensor " + to_string(tensor) + " does not divide the " + to_string(a.heads) +
                     " attention heads");
  if (!a.mla && a.kv_heads % tensor != 0 && tensor % a.kv_heads != 0)
    errors.push_back("tensor " + to_string(tensor) + " neither divides the " +
                     to_string(a.kv_heads) + " KV heads nor is a multiple of them");
  if (dense_layers(model) > 0 && model.intermediate % tensor != 0)
    errors.push_back("tensor " + to_string(tensor) + " does not divide the feed-forward width " +
                     to_string(model.intermediate));
  if (model.moe && model.moe->shared_experts > 0 &&
      (model.moe->shared_experts * model.moe->intermediate) % tensor != 0)
    errors.push_back("tensor " + to_string(tensor) + " does not divide the shared experts' width " +
                     to_string(model.moe->shared_experts * model.moe->intermediate));
}

void check_experts(const ModelSpec& model, const Layout& layout, std::vector<std::string>& errors) {
  if (!model.moe) {
    if (layout.expert > 1)
      errors.push_back("expert " + to_string(layout.expert) + " but the model has no experts");
    if (layout.redundant_experts > 0)
      errors.push_back("redundant_experts " + to_string(layout.redundant_experts) +
                       " but the model has no experts");
    if (layout.all_to_all)
      errors.push_back("all_to_all exchanges tokens between experts but the model has none");
    if (layout.experts_on_host)
      errors.push_back("experts are to run on the CPUs but the model has none");
    return;
  }
  if (layout.experts_on_host) {
    if (layout.expert > 1 || layout.redundant_experts > 0 || layout.all_to_all)
      errors.push_back(
          "experts on the CPUs are not spread over GPUs: leave out expert, redundant_experts and "
          "all_to_all");
    if (layout.gpus_per_node > 0 && layout.gpus() > layout.gpus_per_node)
      errors.push_back("experts on the CPUs serve the GPUs of one node, but a replica takes " +
                       to_string(layout.gpus()) + " of " + to_string(layout.gpus_per_node));
    return;
  }
  const int group = layout.stage_gpus();
  if (group % layout.expert != 0) {
    errors.push_back("expert " + to_string(layout.expert) + " does not divide the " +
                     to_string(group) + " GPUs of a stage (tensor x data_attention x context)");
    return;
  }
  if (layout.all_to_all && layout.expert != group)
    errors.push_back("all_to_all needs whole experts on each GPU: expert " +
                     to_string(layout.expert) + " must equal the " + to_string(group) +
                     " GPUs of a stage");
  const int copies = model.moe->experts + layout.redundant_experts;
  if (copies % layout.expert != 0)
    errors.push_back("expert " + to_string(layout.expert) + " does not divide the " +
                     to_string(copies) + " experts" +
                     (layout.redundant_experts > 0 ? " (redundant copies included)" : ""));
  if (model.moe->intermediate % layout.moe_tensor() != 0)
    errors.push_back("experts of width " + to_string(model.moe->intermediate) +
                     " cannot be split over " + to_string(layout.moe_tensor()) +
                     " GPUs (tensor x data_attention x context / expert)");
}

double matrix_bytes(const ModelSpec& model, const Precision& precision,
                    const std::vector<Matrix>& matrices) {
  double bytes = 0;
  for (const auto& m : matrices)
    bytes += static_cast<double>(m.k) * static_cast<double>(m.n) *
                 bytes_per_weight(weight_format(model, precision, m.role)) +
             static_cast<double>(m.bias) * 2.0;
  return bytes;
}

struct LayerBytes {
  double common = 0, dense = 0, moe = 0;  // attention and norms; feed-forward of either kind
};

LayerBytes layer_bytes(const ModelSpec& model, const Layout& layout, const Precision& precision) {
  LayerBytes out;
  out.common = matrix_bytes(model, precision, attention_matrices(model, layout.tensor)) +
               static_cast<double>(vector_elements_per_layer(model)) * 2.0;
  if (dense_layers(model) > 0)
    out.dense =
        matrix_bytes(model, precision,
                     mlp_matrices(model, model.intermediate, WeightRole::dense_mlp, layout.tensor));
  if (model.moe) {
    const auto& moe = *model.moe;
    const double copies =
        std::ceil(static_cast<double>(moe.experts + layout.redundant_experts) / layout.expert);
    out.moe = matrix_bytes(model, precision, {router_matrix(model)});
    if (!layout.experts_on_host)
      out.moe +=
          copies * matrix_bytes(model, precision, expert_matrices(model, layout.moe_tensor()));
    if (moe.shared_experts > 0)
      out.moe +=
          matrix_bytes(model, precision,
                       mlp_matrices(model, std::int64_t{moe.intermediate} * moe.shared_experts,
                                    WeightRole::shared_expert, layout.tensor));
  }
  return out;
}

// A vocabulary matrix split over the tensor ranks; 16 bits in every format.
double vocabulary_bytes(const ModelSpec& model, int tensor) {
  return std::ceil(static_cast<double>(model.vocab) / tensor) * model.hidden * 2.0;
}

}  // namespace

WeightFormat weight_format(const ModelSpec& model, const Precision& precision, WeightRole role) {
  const WeightFormat plain =
      precision.weights == WeightFormat::fp16 ? WeightFormat::fp16 : WeightFormat::bf16;
  switch (role) {
    case WeightRole::router:
    case WeightRole::embedding:
    case WeightRole::head:
      return plain;
    case WeightRole::expert:
      return precision.weights;
    case WeightRole::attention:
    case WeightRole::indexer:
      if (precision.weights == WeightFormat::nvfp4 && model.attention.mla) return plain;
      [[fallthrough]];
    case WeightRole::dense_mlp:
    case WeightRole::shared_expert:
      if (precision.weights == WeightFormat::mxfp4 && model.moe) return plain;
      return precision.weights;
  }
  return plain;
}

std::vector<int> stage_layers(int layers, int pipeline) {
  std::vector<int> stages(static_cast<std::size_t>(pipeline), layers / pipeline);
  const int rest = layers % pipeline;
  for (int i = 0; i < rest; ++i) {
    const int stage = pipeline > 1 ? pipeline - 2 - i : 0;
    ++stages[static_cast<std::size_t>(stage)];
  }
  return stages;
}

std::vector<std::string> layout_errors(const ModelSpec& model, const Layout& layout) {
  std::vector<std::string> errors;
  check_positive(layout, errors);
  if (!errors.empty()) return errors;  // the divisions below need positive numbers
  check_tensor(model, layout, errors);
  check_experts(model, layout, errors);
  if (layout.pipeline > model.layers)
    errors.push_back("pipeline " + to_string(layout.pipeline) + " exceeds the " +
                     to_string(model.layers) + " layers");
  else if (model.layers % layout.pipeline != 0 && !layout.uneven_stages)
    errors.push_back("pipeline " + to_string(layout.pipeline) + " does not divide the " +
                     to_string(model.layers) +
                     " layers; allow stages that differ by one layer or " + "choose a divisor");
  return errors;
}

hardware::Bytes weight_bytes_per_gpu(const ModelSpec& model, const Layout& layout,
                                     const Precision& precision) {
  const LayerBytes per_layer = layer_bytes(model, layout, precision);
  const auto stages = stage_layers(model.layers, layout.pipeline);
  double fullest = 0;
  int first = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const int last = first + stages[s];
    const int dense = std::clamp(dense_layers(model) - first, 0, stages[s]);
    double bytes = stages[s] * per_layer.common + dense * per_layer.dense +
                   (stages[s] - dense) * per_layer.moe;
    if (s == 0) {
      bytes += vocabulary_bytes(model, layout.tensor);
      if (model.learned_positions) bytes += 2.0 * model.max_positions * model.hidden;
    }
    if (s + 1 == stages.size()) {
      bytes += static_cast<double>(final_norm_elements(model)) * 2.0;
      // A tied head is the embedding itself unless another stage holds that.
      if (!model.tied_embeddings || s > 0) bytes += vocabulary_bytes(model, layout.tensor);
    }
    fullest = std::max(fullest, bytes);
    first = last;
  }
  return hardware::Bytes(fullest);
}

hardware::Bytes host_weight_bytes(const ModelSpec& model, const Layout& layout,
                                  const Precision& precision) {
  if (!layout.experts_on_host || !model.moe) return hardware::Bytes(0);
  return hardware::Bytes(static_cast<double>(moe_layers(model)) * model.moe->experts *
                         matrix_bytes(model, precision, expert_matrices(model, 1)));
}

double kv_bytes_per_token_per_gpu(const ModelSpec& model, const Layout& layout,
                                  const Precision& precision) {
  const auto& a = model.attention;
  const double element = hardware::bytes_per_element(precision.kv);
  double layer = 0;
  if (a.mla) {
    const double latent = a.mla->kv_lora_rank, rope = a.mla->qk_rope_head_dim;
    layer = (latent + rope) * element;
    if (a.sparse) {
      // FlashMLA's sparse cache at 8 bits: latent with one fp32 scale per 128, rope kept in 16
      // bits (656 B for V3.2). The index keeps fp8 keys with one fp32 scale per token.
      if (element == 1.0) layer = latent + latent / 128 * 4 + rope * 2;
      layer += a.sparse->head_dim + 4.0;
    }
  } else {
    layer = 2.0 * kv_heads_per_gpu(model, layout.tensor) * a.head_dim * element;
  }
  const auto stages = stage_layers(model.layers, layout.pipeline);
  return layer * *std::max_element(stages.begin(), stages.end()) / layout.context;
}

}  // namespace foretoken::models::llm
