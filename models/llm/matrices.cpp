#include "models/llm/matrices.hpp"

#include <algorithm>

namespace foretoken::models::llm {
namespace {

std::vector<Matrix> mla_matrices(const ModelSpec& model, int tensor) {
  const auto& mla = *model.attention.mla;
  const std::int64_t hidden = model.hidden;
  const std::int64_t heads = heads_per_gpu(model, tensor);
  const std::int64_t qk = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
  const std::int64_t kv_a = mla.kv_lora_rank + mla.qk_rope_head_dim;
  const auto role = WeightRole::attention;
  std::vector<Matrix> out;
  if (mla.q_lora_rank > 0) {
    // One product for both down-projections; latent width, so every tensor rank holds it whole.
    out.push_back({"qkv_a_proj", role, hidden, mla.q_lora_rank + kv_a, 0, true});
    out.push_back({"q_b_proj", role, mla.q_lora_rank, heads * qk, 0, true});
  } else {
    out.push_back({"q_proj", role, hidden, heads * qk, 0, true});
    out.push_back({"kv_a_proj", role, hidden, kv_a, 0, true});
  }
  out.push_back({"kv_b_proj", role, mla.kv_lora_rank,
                 heads * (mla.qk_nope_head_dim + mla.v_head_dim), 0, false});
  out.push_back({"o_proj", role, heads * mla.v_head_dim, hidden, 0, true});
  if (const auto& sparse = model.attention.sparse) {
    const std::int64_t query_in = mla.q_lora_rank > 0 ? mla.q_lora_rank : hidden;
    const std::int64_t index = std::int64_t{sparse->heads} * sparse->head_dim;
    out.push_back({"indexer.q_b_proj", WeightRole::indexer, query_in, index, 0, true});
    out.push_back({"indexer.k_proj", WeightRole::indexer, hidden, sparse->head_dim, 0, true});
    out.push_back({"indexer.weights_proj", WeightRole::router, hidden, sparse->heads, 0, true});
  }
  return out;
}

}  // namespace

int heads_per_gpu(const ModelSpec& model, int tensor) { return model.attention.heads / tensor; }

int kv_heads_per_gpu(const ModelSpec& model, int tensor) {
  return std::max(1, model.attention.kv_heads / tensor);
}

std::vector<Matrix> attention_matrices(const ModelSpec& model, int tensor) {
  const auto& a = model.attention;
  if (a.mla) return mla_matrices(model, tensor);
  const std::int64_t q = std::int64_t{heads_per_gpu(model, tensor)} * a.head_dim;
  const std::int64_t kv = std::int64_t{kv_heads_per_gpu(model, tensor)} * a.head_dim;
  const std::int64_t hidden = model.hidden;
  const std::int64_t qkv = q + 2 * kv;
  return {{"qkv_proj", WeightRole::attention, hidden, qkv, a.qkv_bias ? qkv : 0, true},
          {"o_proj", WeightRole::attention, q, hidden, a.output_bias ? hidden : 0, true}};
}

std::vector<Matrix> mlp_matrices(const ModelSpec& model, std::int64_t intermediate, WeightRole role,
                                 int tensor) {
  const std::int64_t inner = intermediate / tensor;
  const std::int64_t up = model.gated_mlp ? 2 * inner : inner;
  const bool bias = model.mlp_bias && role == WeightRole::dense_mlp;
  const bool shared = role == WeightRole::shared_expert;
  const std::string_view up_name = model.gated_mlp
                                       ? (shared ? "shared.gate_up_proj" : "gate_up_proj")
                                       : (shared ? "shared.up_proj" : "up_proj");
  return {{up_name, role, model.hidden, up, bias ? up : 0, true},
          {shared ? "shared.down_proj" : "down_proj", role, inner, model.hidden,
           bias ? std::int64_t{model.hidden} : 0, true}};
}

std::vector<Matrix> expert_matrices(const ModelSpec& model, int moe_tensor) {
  const std::int64_t inner = model.moe->intermediate / moe_tensor;
  const std::int64_t up = model.gated_mlp ? 2 * inner : inner;
  const bool bias = model.moe->expert_bias;
  return {{"expert.up", WeightRole::expert, model.hidden, up, bias ? up : 0, true},
          {"expert.down", WeightRole::expert, inner, model.hidden,
           bias ? std::int64_t{model.hidden} : 0, true}};
}

Matrix router_matrix(const ModelSpec& model) {
  return {"router",
          WeightRole::router,
          model.hidden,
          model.moe->experts,
          model.moe->router_bias ? model.moe->experts : 0,
          true};
}

std::int64_t elements(const std::vector<Matrix>& matrices) {
  std::int64_t sum = 0;
  for (const auto& m : matrices) sum += m.k * m.n + m.bias;
  return sum;
}

std::int64_t final_norm_elements(const ModelSpec& model) {
  // Two-matrix models with biases (GPT) use LayerNorm, whose shift counts too.
  return model.mlp_bias && !model.gated_mlp ? 2 * std::int64_t{model.hidden} : model.hidden;
}

std::int64_t vector_elements_per_layer(const ModelSpec& model) {
  const auto& a = model.attention;
  std::int64_t sum = 2 * final_norm_elements(model);
  if (a.mla) sum += a.mla->q_lora_rank + a.mla->kv_lora_rank;
  if (a.sparse) sum += 2 * std::int64_t{a.sparse->head_dim};
  if (a.qk_norm) sum += 2 * std::int64_t{a.head_dim};
  if (a.sinks) sum += a.heads;
  return sum;
}

}  // namespace foretoken::models::llm
