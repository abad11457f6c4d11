#include "models/llm/memory.hpp"

#include <algorithm>
#include <cmath>

#include "models/llm/matrices.hpp"

namespace foretoken::models::llm {
namespace {

// Elements alive per token while attention runs: its projections' outputs and its own.
double attention_width(const ModelSpec& model, int tensor) {
  const auto& a = model.attention;
  const double heads = heads_per_gpu(model, tensor);
  if (a.mla) {
    const auto& m = *a.mla;
    // Latents, queries, and keys and values expanded per head, and the output.
    const double qk = m.qk_nope_head_dim + m.qk_rope_head_dim;
    return m.q_lora_rank + m.kv_lora_rank + m.qk_rope_head_dim +
           heads * (2 * qk + 2.0 * m.v_head_dim);
  }
  return (2 * heads + 2.0 * kv_heads_per_gpu(model, tensor)) * a.head_dim;
}

// Output of the first product and of the activation, alive together.
double mlp_width(const ModelSpec& model, int tensor) {
  const double inner = static_cast<double>(model.intermediate) / tensor;
  return (model.gated_mlp ? 3 : 2) * inner;
}

// Expert layers: tokens of the whole group, top_k copies of each: first product and activation,
// or the second product's rows before they are summed (engines reuse the first one's buffer).
double expert_width(const ModelSpec& model, const Layout& layout) {
  const auto& moe = *model.moe;
  const double inner = static_cast<double>(moe.intermediate) / layout.moe_tensor();
  const double first =
      std::max((model.gated_mlp ? 2 : 1) * inner, static_cast<double>(model.hidden));
  const double scores = moe.experts * 2.0;  // fp32
  // Sent to the host and received from it.
  if (layout.experts_on_host) return 2.0 * model.hidden + scores;
  const int ranks = layout.data_attention * layout.context;
  const double gathered = ranks > 1 ? 2.0 * model.hidden : model.hidden;
  // Gathered, every rank sees all tokens; dispatched, each receives as many pairs as it sends.
  const int seen = layout.all_to_all ? 1 : ranks;
  return seen * (moe.top_k * (first + inner) + gathered + scores);
}

}  // namespace

hardware::Bytes activation_bytes_per_gpu(const ModelSpec& model, const Layout& layout,
                                         const Precision&, std::int64_t max_tokens,
                                         std::int64_t logit_rows) {
  double widest = attention_width(model, layout.tensor);
  if (dense_layers(model) > 0) widest = std::max(widest, mlp_width(model, layout.tensor));
  if (model.moe) widest = std::max(widest, expert_width(model, layout));
  const double rows = std::ceil(static_cast<double>(max_tokens) / layout.context);
  const double layer = rows * 2.0 * (2.0 * model.hidden + widest);
  // Logits of this rank and gathered in 16 bits, then a copy and the probabilities in fp32.
  const double shard = layout.tensor > 1 ? 2.0 / layout.tensor : 0.0;
  const double logits = static_cast<double>(logit_rows) * model.vocab * (shard + 2.0 + 4.0 + 4.0);
  return hardware::Bytes(std::max(layer, logits + rows * 2.0 * model.hidden));
}

hardware::Bytes eager_peak_bytes(const ModelSpec& model, int gpus, std::int64_t batch,
                                 std::int64_t sequence, hardware::Bytes workspace) {
  const Precision plain{WeightFormat::bf16, DType::bf16, DType::bf16};
  const double total = weight_bytes_per_gpu(model, Layout{}, plain).value();
  const ParameterCount count = count_parameters(model);
  const double layer = (2.0 * static_cast<double>(count.total) -
                        2.0 * static_cast<double>(count.embedding + count.head)) /
                       model.layers;
  const double slack = 1.25;
  const double layers =
      gpus == 1 ? model.layers
                : std::min<double>(model.layers, std::floor(total / (gpus * layer) + slack));
  const double weights = gpus == 1 ? total : layers * layer;
  const double tokens = static_cast<double>(batch * sequence);
  const double kv = tokens * kv_bytes_per_token(model, DType::bf16) * layers / model.layers;
  const double scores = tokens * model.attention.heads * static_cast<double>(sequence) * 14.0 +
                        tokens * 4.0 * model.hidden * 2.0;
  const double logits = gpus == 1 ? tokens * model.vocab * 10.0 : 0.0;
  return hardware::Bytes(weights + kv + std::max(scores, logits) + workspace.value());
}

}  // namespace foretoken::models::llm
