// Operators that stand for more than one kernel: a whole latent-attention layer, an exchange.
#include <algorithm>
#include <cmath>

#include "models/llm/operators.hpp"

namespace foretoken::models::llm {
namespace {

constexpr double kHalf = 2.0;  // bytes of activations between kernels

// Expected number of distinct groups that hold one of `top_k` different experts, `groups` of equal
// size: each group is missed with C(E - E/n, k) / C(E, k).
double groups_hit(int experts, int groups, int top_k) {
  const double all = experts, held = all / groups;
  double missed = 1;
  for (int i = 0; i < top_k; ++i) missed *= std::max(0.0, (all - held - i) / (all - i));
  return groups * (1 - missed);
}

}  // namespace

std::vector<OperatorShape> block_parts(const MlaBlockOp& op) {
  const MlaSpec& d = op.dims;
  const std::int64_t rows = op.batch * op.tokens;
  const double new_tokens = static_cast<double>(rows), heads = op.heads;
  const std::int64_t qk = std::int64_t{op.heads} * (d.qk_nope_head_dim + d.qk_rope_head_dim);
  const std::int64_t latent = d.kv_lora_rank + d.qk_rope_head_dim;
  const auto gemm = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    return GemmOp{m, n, k, op.format};
  };
  std::vector<OperatorShape> parts;
  if (d.q_lora_rank > 0) {
    parts.push_back(gemm(rows, d.q_lora_rank + latent, op.hidden));
    parts.push_back(
        ElementwiseOp{new_tokens * 2 * (d.q_lora_rank + d.kv_lora_rank) * kHalf, 2});  // norms
    parts.push_back(gemm(rows, qk, d.q_lora_rank));
  } else {
    parts.push_back(gemm(rows, latent + qk, op.hidden));
    parts.push_back(ElementwiseOp{new_tokens * 2 * d.kv_lora_rank * kHalf, 1});
  }
  parts.push_back(ElementwiseOp{
      new_tokens * (2 * (heads + 1) * d.qk_rope_head_dim * kHalf +
                    static_cast<double>(latent) * (kHalf + hardware::bytes_per_element(op.kv))),
      1});  // rotation and cache write
  if (op.prefill) {
    const auto context = static_cast<std::int64_t>(op.context);
    parts.push_back(gemm(rows + op.batch * context,
                         std::int64_t{op.heads} * (d.qk_nope_head_dim + d.v_head_dim),
                         d.kv_lora_rank));
    parts.push_back(MlaPrefillOp{op.batch, op.tokens, context, op.heads, d, op.kv});
  } else {
    // Engines requantise the absorbed halves of a block-scaled kv_b to one scale a tensor.
    const auto format = op.format == WeightFormat::fp8_block ? WeightFormat::fp8 : op.format;
    parts.push_back(MlaBmmOp{rows, op.heads, false, d, format});
    parts.push_back(MlaDecodeOp{op.batch, op.context, op.heads, d, op.kv});
    parts.push_back(MlaBmmOp{rows, op.heads, true, d, format});
  }
  parts.push_back(gemm(rows, op.hidden, std::int64_t{op.heads} * d.v_head_dim));
  return parts;
}

ExchangeTraffic exchange_traffic(const ExpertExchangeOp& op, int gpus_per_node) {
  constexpr double kScaleBlock = 128, kScaleBytes = 4;
  constexpr double kMessageHead = 16;  // source of a token, DeepEP's low-latency message header
  const double tokens = static_cast<double>(op.tokens);
  ExchangeTraffic out;
  const double element = op.payload == DType::fp8 ? 1 + kScaleBytes / kScaleBlock
                                                  : hardware::bytes_per_element(op.payload);
  out.message_bytes = op.hidden * element + kMessageHead;
  if (op.low_latency) {
    out.messages = out.node_messages = tokens * op.top_k;
    return out;
  }
  const int nodes = gpus_per_node > 0 ? std::max(1, op.ranks / gpus_per_node) : 1;
  double hit = groups_hit(op.experts, op.ranks, op.top_k);
  double nodes_hit = groups_hit(op.experts, nodes, op.top_k);
  if (op.group_limit > 0 && op.group_limit < nodes_hit) {
    nodes_hit = op.group_limit;
    // All experts of a token lie on `group_limit` nodes.
    hit = groups_hit(op.experts * op.group_limit / nodes, op.group_limit * gpus_per_node, op.top_k);
  }
  out.messages = tokens * hit;
  out.node_messages = tokens * nodes_hit;
  return out;
}

}  // namespace foretoken::models::llm
