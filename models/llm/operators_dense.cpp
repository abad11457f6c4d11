#include <algorithm>
#include <cmath>

#include "models/llm/matrices.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::llm {
namespace {

constexpr double kHalf =
    2.0;  // bytes of an activation element: engines keep 16 bits between kernels
constexpr double kSingle = 4.0;  // fp32

struct Step {
  const ModelSpec& model;
  const Layout& layout;
  const Precision& precision;
  std::int64_t tokens;
  std::vector<Operator> out;

  void gemm(const Matrix& m, std::int64_t rows, double repeat) {
    if (rows <= 0 || repeat <= 0) return;
    out.push_back({std::string(m.name), repeat,
                   GemmOp{rows, m.n, m.k, weight_format(model, precision, m.role)}});
  }
  void elementwise(std::string name, double repeat, double bytes, int kernels = 1) {
    if (bytes <= 0 || repeat <= 0) return;
    out.push_back({std::move(name), repeat, ElementwiseOp{bytes, kernels}});
  }
};

double as_double(std::int64_t n) { return static_cast<double>(n); }

// Width of what attention reads and writes per token besides the projections: queries and keys
// that are rotated, and what lands in the cache.
void rope_and_cache(Step& step) {
  const auto& model = step.model;
  const auto& a = model.attention;
  const double tokens = as_double(step.tokens);
  const double heads = heads_per_gpu(model, step.layout.tensor);
  const double kv_bytes = hardware::bytes_per_element(step.precision.kv);
  if (a.mla) {
    const double rope = a.mla->qk_rope_head_dim, latent = a.mla->kv_lora_rank;
    // Rotation of the rope parts in place; norms of both latents; write of latent + rope.
    step.elementwise("rope", model.layers, tokens * 2 * (heads + 1) * rope * kHalf);
    step.elementwise("latent_norm", model.layers,
                     tokens * 2 * (a.mla->q_lora_rank + latent) * kHalf);
    step.elementwise("kv_cache_write", model.layers, tokens * (latent + rope) * (kHalf + kv_bytes));
    if (a.sparse)
      step.elementwise("indexer.norm_rope", model.layers,
                       tokens * 2 * (a.sparse->heads + 1.0) * a.sparse->head_dim * kHalf, 2);
    return;
  }
  const double kv_heads = kv_heads_per_gpu(model, step.layout.tensor);
  if (a.qk_norm)
    step.elementwise("qk_norm", model.layers, tokens * 2 * (heads + kv_heads) * a.head_dim * kHalf);
  if (!model.learned_positions)
    step.elementwise("rope", model.layers, tokens * 2 * (heads + kv_heads) * a.head_dim * kHalf);
  step.elementwise("kv_cache_write", model.layers,
                   tokens * 2 * kv_heads * a.head_dim * (kHalf + kv_bytes));
}

void attention_projections(Step& step) {
  for (const auto& m : attention_matrices(step.model, step.layout.tensor))
    if (m.per_token) step.gemm(m, step.tokens, step.model.layers);
  rope_and_cache(step);
}

void feed_forward(Step& step, std::int64_t intermediate, WeightRole role, double repeat,
                  const char* activation) {
  if (repeat <= 0 || intermediate <= 0) return;
  const auto matrices = mlp_matrices(step.model, intermediate, role, step.layout.tensor);
  step.gemm(matrices[0], step.tokens, repeat);
  step.elementwise(activation, repeat,
                   as_double(step.tokens) * as_double(matrices[0].n + matrices[1].k) * kHalf);
  step.gemm(matrices[1], step.tokens, repeat);
}

void experts(Step& step, std::int64_t group_tokens, double skew) {
  const auto& model = step.model;
  const int layers = moe_layers(model);
  if (layers == 0) return;
  const auto& moe = *model.moe;
  const auto& layout = step.layout;
  step.gemm(router_matrix(model), step.tokens, layers);
  // Scores read in fp32, top-k ids and weights written; one fused kernel.
  step.elementwise("router.top_k", layers,
                   as_double(step.tokens) * (moe.experts * kSingle + moe.top_k * 2 * kSingle));
  feed_forward(step, std::int64_t{moe.intermediate} * moe.shared_experts, WeightRole::shared_expert,
               layers, "shared.activation");
  MoeOp op;
  op.tokens = group_tokens;
  op.hidden = model.hidden;
  op.intermediate = moe.intermediate;
  op.top_k = moe.top_k;
  op.experts = moe.experts;
  op.tensor = layout.moe_tensor();
  op.expert = layout.expert;
  op.format = weight_format(model, step.precision, WeightRole::expert);
  op.skew = skew;
  if (layout.experts_on_host) {
    op.on_host = true;
    op.tensor = op.expert = 1;
  }
  step.out.push_back({"experts", static_cast<double>(layers), op});
  if (moe.shared_experts > 0)
    step.elementwise("shared.add", layers, as_double(step.tokens) * 3 * model.hidden * kHalf);
}

void logits(Step& step, std::int64_t sequences) {
  if (sequences <= 0) return;
  const auto& model = step.model;
  const int tensor = step.layout.tensor;
  const std::int64_t columns = (model.vocab + tensor - 1) / tensor;
  const double rows = as_double(sequences);
  step.gemm({"lm_head", WeightRole::head, model.hidden, columns, 0, true}, sequences, 1);
  if (tensor > 1) {
    CollectiveOp gather;
    gather.kind = CollectiveKind::all_gather;
    gather.bytes = rows * as_double(columns) * tensor * kHalf;
    gather.gpus = tensor;
    gather.inter_node = step.layout.gpus_per_node > 0 && tensor > step.layout.gpus_per_node;
    step.out.push_back({"lm_head.all_gather", 1, gather});
  }
  // To fp32, softmax, draw: the logits are read in 16 bits and passed over three times in fp32.
  step.elementwise("sampling", 1, rows * model.vocab * (kHalf + 3 * kSingle), 4);
}

}  // namespace

std::vector<Operator> dense_operators(const ModelSpec& model, const Layout& layout,
                                      const Precision& precision, std::int64_t tokens,
                                      std::int64_t sequences, std::int64_t group_tokens,
                                      double expert_skew) {
  const std::int64_t rows = (tokens + layout.context - 1) / layout.context;
  Step step{model, layout, precision, rows, {}};
  const double row = as_double(rows) * model.hidden * kHalf;
  step.elementwise("embedding", 1, row * (model.learned_positions ? 3 : 2));
  // Residual add fused with the norm: reads both, writes both. Twice a layer, once at the end.
  step.elementwise("add_norm", 2.0 * model.layers + 1, 4 * row);
  if (tokens > 0) {
    attention_projections(step);
    feed_forward(step, model.intermediate, WeightRole::dense_mlp, dense_layers(model),
                 "activation");
  }
  if (group_tokens > 0) experts(step, group_tokens, expert_skew);
  logits(step, sequences);
  return std::move(step.out);
}

}  // namespace foretoken::models::llm
