#include <algorithm>
#include <cmath>

#include "models/llm/matrices.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::llm {
namespace {

WeightFormat absorbed_format(const ModelSpec& model, const Precision& precision) {
  // Engines requantise the absorbed halves of a block-scaled kv_b to one scale a tensor.
  const auto format = weight_format(model, precision, WeightRole::attention);
  return format == WeightFormat::fp8_block ? WeightFormat::fp8 : format;
}

// Queries into the latent space, the core over the latent cache, values out of it.
void absorbed_mla(std::vector<Operator>& out, const ModelSpec& model, const Layout& layout,
                  const Precision& precision, std::int64_t queries, double context,
                  const char* core) {
  const auto& mla = *model.attention.mla;
  const int heads = heads_per_gpu(model, layout.tensor);
  const auto format = absorbed_format(model, precision);
  const double layers = model.layers;
  out.push_back({"absorb_q", layers, MlaBmmOp{queries, heads, false, mla, format}});
  out.push_back({core, layers, MlaDecodeOp{queries, context, heads, mla, precision.kv}});
  out.push_back({"absorb_v", layers, MlaBmmOp{queries, heads, true, mla, format}});
}

// Sparse attention scores every cached token with a small fp8 index before it attends to the best
// top_k (DeepSeek-V3.2 report, section 2.1): keys of head_dim + 4 bytes, then a top-k selection
// over fp32 scores. Decoding is bound by these bytes.
void decode_indexer(std::vector<Operator>& out, const ModelSpec& model, std::int64_t batch,
                    double context) {
  const auto& sparse = *model.attention.sparse;
  const double pairs = static_cast<double>(batch) * context;
  const double bytes =
      pairs * (sparse.head_dim + 4.0 + 2 * 4.0) + static_cast<double>(batch) * sparse.top_k * 4.0;
  out.push_back(
      {"indexer.score_top_k", static_cast<double>(model.layers), ElementwiseOp{bytes, 2}});
}

// Context parallelism. A prompt's new tokens are dealt so that each GPU computes the same number
// of query-key pairs: its share of the queries over a context that makes up for the others'.
Chunk share_of(const Chunk& chunk, const Layout& layout) {
  if (layout.context == 1) return chunk;
  const double ranks = layout.context;
  const double tokens = static_cast<double>(chunk.tokens),
               context = static_cast<double>(chunk.context);
  Chunk out;
  out.tokens = (chunk.tokens + layout.context - 1) / layout.context;
  const double pairs = (tokens * context + tokens * (tokens + 1) / 2) / ranks;
  const double own = static_cast<double>(out.tokens);
  out.context = std::llround(std::max(0.0, pairs / own - (own + 1) / 2));
  return out;
}

void gather_over_context(std::vector<Operator>& out, const Layout& layout, const char* name,
                         double layers, CollectiveKind kind, double bytes) {
  if (layout.context == 1) return;
  CollectiveOp op;
  op.kind = kind;
  op.bytes = bytes;
  op.gpus = layout.context;
  // Context ranks lie `tensor` GPUs apart.
  op.inter_node = layout.gpus_per_node > 0 && layout.tensor * layout.context > layout.gpus_per_node;
  out.push_back({name, layers, op});
}

// Elements that one token leaves in the cache of one layer on this GPU.
double kv_elements(const ModelSpec& model, const Layout& layout) {
  const auto& a = model.attention;
  if (a.mla) return a.mla->kv_lora_rank + a.mla->qk_rope_head_dim;
  return 2.0 * kv_heads_per_gpu(model, layout.tensor) * a.head_dim;
}

// Decoding over a cache split by context: every GPU needs all queries and the sum of all outputs.
void decode_exchange(std::vector<Operator>& out, const ModelSpec& model, const Layout& layout,
                     std::int64_t batch) {
  const auto& a = model.attention;
  const double heads = heads_per_gpu(model, layout.tensor), rows = static_cast<double>(batch);
  const double query = a.mla ? a.mla->kv_lora_rank + a.mla->qk_rope_head_dim : a.head_dim;
  const double value = a.mla ? a.mla->kv_lora_rank : a.head_dim;
  gather_over_context(out, layout, "decode.query_all_gather", model.layers,
                      CollectiveKind::all_gather, rows * heads * query * 2);
  gather_over_context(out, layout, "decode.output_reduce_scatter", model.layers,
                      CollectiveKind::reduce_scatter, rows * heads * value * 2);
}

struct WindowGroup {
  int layers = 0;
  int window = 0;
};

std::vector<WindowGroup> window_groups(const ModelSpec& model) {
  const int full = full_attention_layers(model);
  std::vector<WindowGroup> groups;
  if (full > 0) groups.push_back({full, 0});
  if (full < model.layers) groups.push_back({model.layers - full, model.attention.sliding_window});
  return groups;
}

std::string core_name(const char* base, const WindowGroup& group) {
  return group.window > 0 ? std::string(base) + ".window" : std::string(base);
}

}  // namespace

std::vector<Operator> decode_attention_operators(const ModelSpec& model, const Layout& layout,
                                                 const Precision& precision, std::int64_t batch,
                                                 double context) {
  std::vector<Operator> out;
  if (batch <= 0) return out;
  const auto& a = model.attention;
  decode_exchange(out, model, layout, batch);
  context /= layout.context;
  if (a.mla) {
    double attended = context;
    if (a.sparse) {
      decode_indexer(out, model, batch, context);
      attended = std::min(context, static_cast<double>(a.sparse->top_k) / layout.context);
    }
    absorbed_mla(out, model, layout, precision, batch, attended, "decode_mla");
    return out;
  }
  for (const auto& group : window_groups(model)) {
    DecodeAttentionOp op;
    op.batch = batch;
    op.context = context;
    op.heads = heads_per_gpu(model, layout.tensor);
    op.kv_heads = kv_heads_per_gpu(model, layout.tensor);
    op.head_dim = a.head_dim;
    op.window = group.window;
    op.kv = precision.kv;
    out.push_back({core_name("decode_attention", group), static_cast<double>(group.layers), op});
  }
  return out;
}

namespace {

void sparse_prefill(std::vector<Operator>& out, const ModelSpec& model, const Layout& layout,
                    const Precision& precision, const Chunk& whole) {
  const Chunk chunk = share_of(whole, layout);
  const auto& sparse = *model.attention.sparse;
  const double mean = static_cast<double>(chunk.context) + static_cast<double>(chunk.tokens) / 2;
  // All index heads score each cached key: one product whose inner width is heads x head_dim.
  out.push_back({"indexer.score", static_cast<double>(model.layers),
                 GemmOp{chunk.tokens, static_cast<std::int64_t>(mean),
                        std::int64_t{sparse.heads} * sparse.head_dim, WeightFormat::fp8}});
  const double scores = static_cast<double>(chunk.tokens) * mean;
  out.push_back(
      {"indexer.top_k", static_cast<double>(model.layers), ElementwiseOp{scores * 2 * 4.0, 1}});
  absorbed_mla(out, model, layout, precision, chunk.tokens,
               std::min(mean, static_cast<double>(sparse.top_k)), "prefill_sparse_mla");
}

void dense_mla_prefill(std::vector<Operator>& out, const ModelSpec& model, const Layout& layout,
                       const Precision& precision, const Chunk& whole) {
  const double layers = model.layers;
  const Chunk chunk = share_of(whole, layout);
  // Keys and values of new and cached tokens are expanded from the latent cache, chunk by chunk.
  for (const auto& m : attention_matrices(model, layout.tensor))
    if (!m.per_token)
      out.push_back({std::string(m.name), layers,
                     GemmOp{whole.tokens + whole.context, m.n, m.k,
                            weight_format(model, precision, m.role)}});
  MlaPrefillOp op;
  op.tokens = chunk.tokens;
  op.context = chunk.context;
  op.heads = heads_per_gpu(model, layout.tensor);
  op.dims = *model.attention.mla;
  op.kv = precision.kv;
  out.push_back({"prefill_mla", layers, op});
}

}  // namespace

std::vector<Operator> prefill_attention_operators(const ModelSpec& model, const Layout& layout,
                                                  const Precision& precision, const Chunk& whole) {
  std::vector<Operator> out;
  if (whole.tokens <= 0) return out;
  // Keys and values of the prompt, cached ones included, are gathered before the core.
  gather_over_context(
      out, layout, "prefill.kv_all_gather", model.layers, CollectiveKind::all_gather,
      static_cast<double>(whole.tokens + whole.context) * kv_elements(model, layout) * 2);
  const Chunk chunk = share_of(whole, layout);
  const auto& a = model.attention;
  if (a.mla) {
    // Up to top_k tokens nothing is left out, and engines take the dense path.
    if (a.sparse && whole.tokens + whole.context > a.sparse->top_k)
      sparse_prefill(out, model, layout, precision, whole);
    else
      dense_mla_prefill(out, model, layout, precision, whole);
    return out;
  }
  for (const auto& group : window_groups(model)) {
    PrefillAttentionOp op;
    op.tokens = chunk.tokens;
    op.context = chunk.context;
    op.heads = heads_per_gpu(model, layout.tensor);
    op.kv_heads = kv_heads_per_gpu(model, layout.tensor);
    op.head_dim = a.head_dim;
    op.window = group.window;
    op.kv = precision.kv;
    out.push_back({core_name("prefill_attention", group), static_cast<double>(group.layers), op});
  }
  return out;
}

}  // namespace foretoken::models::llm
