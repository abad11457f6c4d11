#include "models/llm/model_spec.hpp"

#include "models/llm/matrices.hpp"

namespace foretoken::models::llm {
namespace {

// Multi-token prediction: a projection of two hidden states to one, its norms, and a layer like
// the last; embedding and head are shared with the model (DeepSeek-V3 report, section 2.2).
std::int64_t mtp_elements(const ModelSpec& model, std::int64_t layer) {
  const std::int64_t hidden = model.hidden;
  return model.mtp_layers * (2 * hidden * hidden + 3 * hidden + layer);
}

}  // namespace

int moe_layers(const ModelSpec& model) {
  return model.moe ? model.layers - model.moe->first_dense_layers : 0;
}

int dense_layers(const ModelSpec& model) { return model.layers - moe_layers(model); }

int full_attention_layers(const ModelSpec& model) {
  if (model.attention.sliding_window == 0) return model.layers;
  const int every = model.attention.full_attention_every;
  return every > 0 ? model.layers / every : 0;  // 0: no layer attends fully
}

ParameterCount count_parameters(const ModelSpec& model) {
  ParameterCount count;
  count.embedding = std::int64_t{model.vocab} * model.hidden;
  count.head = model.tied_embeddings ? 0 : count.embedding;
  if (model.learned_positions) count.embedding += std::int64_t{model.max_positions} * model.hidden;
  count.attention_per_layer = elements(attention_matrices(model, 1));
  if (dense_layers(model) > 0)
    count.dense_mlp_per_layer =
        elements(mlp_matrices(model, model.intermediate, WeightRole::dense_mlp, 1));
  const std::int64_t every = count.attention_per_layer + vector_elements_per_layer(model);
  count.total = count.embedding + count.head + final_norm_elements(model) + model.layers * every +
                dense_layers(model) * count.dense_mlp_per_layer;
  count.active = count.total;
  std::int64_t last_layer = every + count.dense_mlp_per_layer;
  if (model.moe) {
    const auto& moe = *model.moe;
    count.expert = elements(expert_matrices(model, 1));
    const std::int64_t shared =
        elements({router_matrix(model)}) + moe.shared_experts * count.expert;
    count.total += moe_layers(model) * (shared + moe.experts * count.expert);
    count.active += moe_layers(model) * (shared + moe.top_k * count.expert);
    last_layer = every + shared + moe.experts * count.expert;
  }
  count.mtp = mtp_elements(model, last_layer);
  return count;
}

double kv_bytes_per_token(const ModelSpec& model, DType kv) {
  return kv_bytes_per_token_per_gpu(model, Layout{}, Precision{model.checkpoint, kv, DType::bf16});
}

}  // namespace foretoken::models::llm
