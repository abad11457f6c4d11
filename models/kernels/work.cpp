#include "models/kernels/work.hpp"

#include <algorithm>
#include <cmath>

#include "models/llm/expert_load.hpp"

namespace foretoken::models::kernels {
namespace {

using hardware::DType;
using llm::WeightFormat;

// Rows and columns of the tile that most libraries work in on large shapes (CUTLASS defaults,
// FlashAttention-2 and -3 blocks), and heads that share one tile when attention decodes.
constexpr double kTile = 128;
constexpr double kDecodeHeads = 64;

double d(std::int64_t value) { return static_cast<double>(value); }
double tiles(double rows) { return std::ceil(rows / kTile); }

DType arithmetic_of(WeightFormat format, const std::string& variant) {
  if (variant.starts_with("fp8")) return DType::fp8;
  if (variant.starts_with("int8")) return DType::int8;
  switch (format) {
    case WeightFormat::fp8:
    case WeightFormat::fp8_block:
      return DType::fp8;
    case WeightFormat::nvfp4:
      return DType::fp4;
    default:
      return DType::bf16;
  }
}

struct Counter {
  const std::string& variant;
  Work work;  // with flops and bytes of models/llm

  Work operator()(const llm::GemmOp& op) {
    work.arithmetic = arithmetic_of(op.format, variant);
    work.padded_flops = 2 * tiles(d(op.m)) * tiles(d(op.n)) * kTile * kTile * d(op.k);
    work.weight_bytes = d(op.n) * d(op.k) * bytes_per_weight(op.format);
    work.chain_steps = d(op.k);
    return work;
  }
  Work operator()(const llm::PrefillAttentionOp& op) {
    if (variant == "fp8") work.arithmetic = DType::fp8;
    const double all = d(op.tokens + op.context);
    const double rows = tiles(d(op.tokens));
    // Causal: whole blocks of keys, up to the diagonal one; a window adds the block it starts in.
    const double blocks = op.window > 0 ? rows * tiles(std::min(all, op.window + kTile))
                                        : rows * (tiles(d(op.context)) + (rows + 1) / 2);
    work.padded_flops = 4 * d(op.batch) * op.heads * op.head_dim * blocks * kTile * kTile;
    work.chain_steps = op.window > 0 ? std::min<double>(op.window, all) : all;
    return work;
  }
  Work operator()(const llm::DecodeAttentionOp& op) {
    const double seen = op.window > 0 ? std::min<double>(op.context, op.window) : op.context;
    const double groups = std::ceil(static_cast<double>(op.heads) / op.kv_heads / kDecodeHeads);
    work.padded_flops = 4 * d(op.batch) * op.kv_heads * groups * kDecodeHeads * seen * op.head_dim;
    work.chain_steps = seen;
    return work;
  }
  Work operator()(const llm::MlaPrefillOp& op) {
    const double width = op.dims.qk_nope_head_dim + op.dims.qk_rope_head_dim + op.dims.v_head_dim;
    const double rows = tiles(d(op.tokens));
    const double blocks = rows * (tiles(d(op.context)) + (rows + 1) / 2);
    work.padded_flops = 2 * d(op.batch) * op.heads * width * blocks * kTile * kTile;
    work.chain_steps = d(op.tokens + op.context);
    return work;
  }
  Work operator()(const llm::MlaDecodeOp& op) {
    const double width = 2.0 * op.dims.kv_lora_rank + op.dims.qk_rope_head_dim;
    const double groups = std::ceil(op.heads / kDecodeHeads);
    work.padded_flops = 2 * d(op.batch) * op.context * groups * kDecodeHeads * width;
    work.chain_steps = op.context;
    return work;
  }
  Work operator()(const llm::MlaBmmOp& op) {
    work.arithmetic = arithmetic_of(op.format, variant);
    work.padded_flops =
        work.flops / std::max<double>(1, d(op.tokens)) * tiles(d(op.tokens)) * kTile;
    const double head = op.post ? op.dims.v_head_dim : op.dims.qk_nope_head_dim;
    work.weight_bytes = op.heads * op.dims.kv_lora_rank * head * bytes_per_weight(op.format);
    return work;
  }
  // Expert layers without a gate have two matrices in place of three.
  Work operator()(const llm::MoeOp& op) {
    const llm::ExpertLoad load = llm::expert_load(op);
    const double inner = static_cast<double>(op.intermediate) / op.tensor;
    const double matrices = variant.find("nongated") != std::string::npos ? 2.0 : 3.0;
    constexpr double kActivation = 2.0;  // bytes of an element
    work.arithmetic = arithmetic_of(op.format, variant);
    work.flops = 2 * matrices * load.routed_tokens * op.hidden * inner;
    work.padded_flops = 2 * matrices * load.tiles64 * 64 * op.hidden * inner;
    work.weight_bytes =
        load.experts_touched * matrices * op.hidden * inner * bytes_per_weight(op.format);
    work.bytes = work.weight_bytes +
                 load.routed_tokens * (2.0 * op.hidden + (matrices - 1) * 2 * inner) * kActivation;
    work.chain_steps = op.hidden + inner;
    return work;
  }
  Work operator()(const llm::MlaBlockOp& op) {
    for (const auto& part : llm::block_parts(op))
      work.weight_bytes += work_of(part, variant).weight_bytes;
    return work;
  }
  Work operator()(const llm::CollectiveOp&) { return work; }
  Work operator()(const llm::ExpertExchangeOp&) { return work; }
  Work operator()(const llm::ElementwiseOp&) { return work; }
};

}  // namespace

Work work_of(const llm::OperatorShape& shape, const std::string& variant) {
  Work work;
  if (!std::holds_alternative<llm::MoeOp>(shape)) {  // counted here: the same load serves both
    work.flops = llm::flops(shape).value();
    work.bytes = llm::bytes_moved(shape).value();
  }
  return std::visit(Counter{variant, work}, shape);
}

}  // namespace foretoken::models::kernels
