#include <algorithm>
#include <cmath>

#include "models/llm/expert_load.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::llm {
namespace {

constexpr double kHalf = 2.0;  // bytes of activations between kernels

double d(std::int64_t n) { return static_cast<double>(n); }

// Query-key pairs of one causal prompt: query i of `tokens` sees `context` + i + 1 keys, or the
// last `window` of them.
double causal_pairs(double tokens, double context, double window) {
  const auto triangle = [](double first, double count) {  // first + (first+1) + ...
    return count * first + count * (count - 1) / 2;
  };
  if (window <= 0) return triangle(context + 1, tokens);
  const double growing = std::clamp(window - context, 0.0, tokens);  // queries that see all
  return triangle(context + 1, growing) + (tokens - growing) * window;
}

struct FlopCount {
  double operator()(const GemmOp& op) const { return 2 * d(op.m) * d(op.n) * d(op.k); }
  double operator()(const PrefillAttentionOp& op) const {
    return 4 * d(op.batch) * op.heads * op.head_dim *
           causal_pairs(d(op.tokens), d(op.context), op.window);
  }
  double operator()(const DecodeAttentionOp& op) const {
    const double seen = op.window > 0 ? std::min<double>(op.context, op.window) : op.context;
    return 4 * d(op.batch) * seen * op.heads * op.head_dim;
  }
  double operator()(const MlaPrefillOp& op) const {
    const double width = op.dims.qk_nope_head_dim + op.dims.qk_rope_head_dim + op.dims.v_head_dim;
    return 2 * d(op.batch) * op.heads * width * causal_pairs(d(op.tokens), d(op.context), 0);
  }
  double operator()(const MlaDecodeOp& op) const {
    const double width = 2.0 * op.dims.kv_lora_rank + op.dims.qk_rope_head_dim;
    return 2 * d(op.batch) * op.context * op.heads * width;
  }
  double operator()(const MlaBmmOp& op) const {
    const double head = op.post ? op.dims.v_head_dim : op.dims.qk_nope_head_dim;
    return 2 * d(op.tokens) * op.heads * op.dims.kv_lora_rank * head;
  }
  double operator()(const MlaBlockOp& op) const {
    double sum = 0;
    for (const auto& part : block_parts(op)) sum += flops(part).value();
    return sum;
  }
  double operator()(const MoeOp& op) const {
    // Gate, up and down on the busiest GPU (two-matrix experts are not in use anywhere).
    return 6 * expert_load(op).routed_tokens * op.hidden * op.intermediate / op.tensor;
  }
  double operator()(const CollectiveOp&) const { return 0; }
  double operator()(const ExpertExchangeOp&) const { return 0; }
  double operator()(const ElementwiseOp&) const { return 0; }
};

struct ByteCount {
  double operator()(const GemmOp& op) const {
    return (d(op.m) * d(op.k) + d(op.m) * d(op.n)) * kHalf +
           d(op.n) * d(op.k) * bytes_per_weight(op.format);
  }
  double operator()(const PrefillAttentionOp& op) const {
    const double cached =
        op.window > 0 ? std::min<double>(d(op.context), op.window) : d(op.context);
    const double queries = 2 * d(op.tokens) * op.heads * op.head_dim * kHalf;
    const double keys = 2 * op.kv_heads * op.head_dim *
                        (cached * hardware::bytes_per_element(op.kv) + d(op.tokens) * kHalf);
    return d(op.batch) * (queries + keys);
  }
  double operator()(const DecodeAttentionOp& op) const {
    const double seen = op.window > 0 ? std::min<double>(op.context, op.window) : op.context;
    return d(op.batch) *
           (2 * seen * op.kv_heads * op.head_dim * hardware::bytes_per_element(op.kv) +
            2.0 * op.heads * op.head_dim * kHalf);
  }
  double operator()(const MlaPrefillOp& op) const {
    const double qk = op.dims.qk_nope_head_dim + op.dims.qk_rope_head_dim;
    const double v = op.dims.v_head_dim;
    const double keys = d(op.tokens) + d(op.context);
    return d(op.batch) * op.heads * (qk + v) * (d(op.tokens) + keys) * kHalf;
  }
  double operator()(const MlaDecodeOp& op) const {
    const double latent = op.dims.kv_lora_rank, rope = op.dims.qk_rope_head_dim;
    return d(op.batch) * (op.context * (latent + rope) * hardware::bytes_per_element(op.kv) +
                          op.heads * (2 * latent + rope) * kHalf);
  }
  double operator()(const MlaBmmOp& op) const {
    const double head = op.post ? op.dims.v_head_dim : op.dims.qk_nope_head_dim;
    const double latent = op.dims.kv_lora_rank;
    return op.heads *
           (latent * head * bytes_per_weight(op.format) + d(op.tokens) * (latent + head) * kHalf);
  }
  double operator()(const MlaBlockOp& op) const {
    double sum = 0;
    for (const auto& part : block_parts(op)) sum += bytes_moved(part).value();
    return sum;
  }
  double operator()(const MoeOp& op) const {
    const ExpertLoad load = expert_load(op);
    const double inner = static_cast<double>(op.intermediate) / op.tensor;
    const double weights =
        load.experts_touched * 3 * op.hidden * inner * bytes_per_weight(op.format);
    // Permuted input, both halves of the first product, its activation, and the output.
    return weights + load.routed_tokens * (2.0 * op.hidden + 4 * inner) * kHalf;
  }
  double operator()(const CollectiveOp& op) const { return op.bytes; }
  double operator()(const ExpertExchangeOp& op) const {
    const ExchangeTraffic traffic = exchange_traffic(op, 0);
    return traffic.messages * traffic.message_bytes;
  }
  double operator()(const ElementwiseOp& op) const { return op.bytes; }
};

}  // namespace

hardware::Bytes bytes_moved(const OperatorShape& shape) {
  return hardware::Bytes(std::visit(ByteCount{}, shape));
}

sim::core::Flops flops(const OperatorShape& shape) {
  return sim::core::Flops(std::visit(FlopCount{}, shape));
}

}  // namespace foretoken::models::llm
