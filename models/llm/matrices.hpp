#pragma once
// The weight matrices of a model as one GPU holds them under tensor parallelism: the one place
// that parameter counts, memory and operator lists all draw from.
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/llm/layout.hpp"

namespace foretoken::models::llm {

struct Matrix {
  std::string_view name;
  WeightRole role = WeightRole::attention;
  std::int64_t k = 0;     // input width on this GPU
  std::int64_t n = 0;     // output width on this GPU
  std::int64_t bias = 0;  // bias elements held, 16 bits each
  bool per_token = true;  // false: applied inside the attention part (kv_b), not to each new token
};

// Attention projections of one layer, fused as engines run them; `tensor` = 1 gives the whole.
std::vector<Matrix> attention_matrices(const ModelSpec& model, int tensor);
// Dense feed-forward of `intermediate`, split `tensor` ways.
std::vector<Matrix> mlp_matrices(const ModelSpec& model, std::int64_t intermediate, WeightRole role,
                                 int tensor);
// One routed expert split `moe_tensor` ways.
std::vector<Matrix> expert_matrices(const ModelSpec& model, int moe_tensor);
Matrix router_matrix(const ModelSpec& model);

std::int64_t elements(const std::vector<Matrix>& matrices);  // weights and biases

// Elements of norms and other vectors, never split: one layer, and outside the layers.
std::int64_t vector_elements_per_layer(const ModelSpec& model);
std::int64_t final_norm_elements(const ModelSpec& model);

int heads_per_gpu(const ModelSpec& model, int tensor);
int kv_heads_per_gpu(const ModelSpec& model, int tensor);  // copies once tensor exceeds them

}  // namespace foretoken::models::llm
