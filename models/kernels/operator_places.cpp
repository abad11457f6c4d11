#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "models/kernels/operator_tables.hpp"
#include "models/llm/expert_load.hpp"

namespace foretoken::models::kernels {
namespace {

using hardware::DType;
using llm::WeightFormat;

float log_of(double value) { return static_cast<float>(std::log(std::max(value, 1e-9))); }
double d(std::int64_t value) { return static_cast<double>(value); }

std::string format_name(WeightFormat format) {
  return std::string(to_string(format == WeightFormat::fp16 ? WeightFormat::bf16 : format));
}
std::string dtype_name(DType dtype) {
  return std::string(to_string(dtype == DType::fp16 ? DType::bf16 : dtype));
}

std::string joined(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += '/';
    text += part;
  }
  return text;
}

const char* kind_name(llm::CollectiveKind kind) {
  switch (kind) {
    case llm::CollectiveKind::all_reduce:
      return "all_reduce";
    case llm::CollectiveKind::all_gather:
      return "all_gather";
    case llm::CollectiveKind::reduce_scatter:
      return "reduce_scatter";
    case llm::CollectiveKind::all_to_all:
      return "all_to_all";
    case llm::CollectiveKind::send_recv:
      return "send_recv";
    case llm::CollectiveKind::host_copy:
      return "host_copy";
  }
  return "?";
}

const char* moe_kind(const llm::MoeOp& op) {
  switch (op.input) {
    case llm::ExpertInput::local:
      return "moe";
    case llm::ExpertInput::dispatched:
      return "moe_dispatched";
    case llm::ExpertInput::masked:
      return "moe_masked";
  }
  return "?";
}

// How much the last wave of equal blocks over the SMs is left unfilled: ln(whole waves / waves).
float wave_tail(double blocks, double sms) {
  constexpr double kMost = 8.0;  // fewer blocks than an eighth of the SMs: all alike
  const double waves = std::max(blocks / sms, 1e-6);
  return log_of(std::min(std::ceil(waves) / waves, kMost));
}

// log2 of the largest power of two, up to 2^most, that divides the number.
float alignment(std::int64_t number, int most) {
  int power = 0;
  while (power < most && number > 0 && number % 2 == 0) {
    number /= 2;
    ++power;
  }
  return static_cast<float>(power);
}

struct Categories {
  const std::string& variant;
  const Machine& machine;

  std::string operator()(const llm::GemmOp& op) const {
    return joined({"gemm", format_name(op.format)});
  }
  std::string operator()(const llm::PrefillAttentionOp& op) const {
    return joined(
        {"prefill", std::to_string(op.head_dim), std::to_string(op.window), dtype_name(op.kv)});
  }
  std::string operator()(const llm::DecodeAttentionOp& op) const {
    return joined(
        {"decode", std::to_string(op.head_dim), std::to_string(op.window), dtype_name(op.kv)});
  }
  std::string operator()(const llm::MlaPrefillOp& op) const {
    return joined({"mla_prefill", dtype_name(op.kv)});
  }
  std::string operator()(const llm::MlaDecodeOp& op) const {
    return joined({"mla_decode", dtype_name(op.kv)});
  }
  std::string operator()(const llm::MlaBmmOp& op) const {
    return joined({"mla_bmm", op.post ? "post" : "pre", format_name(op.format)});
  }
  std::string operator()(const llm::MlaBlockOp& op) const {
    return joined({op.prefill ? "mla_block_prefill" : "mla_block_decode", format_name(op.format),
                   dtype_name(op.kv)});
  }
  std::string operator()(const llm::MoeOp& op) const {
    return joined({moe_kind(op), format_name(op.format)});
  }
  std::string operator()(const llm::ExpertExchangeOp& op) const {
    return joined({op.low_latency ? "exchange_low_latency" : "exchange_normal",
                   op.combine ? "combine" : "dispatch", dtype_name(op.payload)});
  }
  std::string operator()(const llm::CollectiveOp& op) const {
    // Hosts without a link between GPUs teach nothing about linked ones, nor pairs about groups.
    const std::string kind = variant == "nccl" ? "nccl" : "all_reduce";
    if (machine.scale_up > 0) return kind + "/linked";
    return kind + (op.gpus <= 2 ? "_pcie/pair" : "_pcie_group/");
  }
  std::string operator()(const llm::ElementwiseOp&) const { return "elementwise"; }
};

struct Coordinates {
  const std::string& variant;
  const Machine& machine;

  Point operator()(const llm::GemmOp& op) const {
    const auto tail = [&](double rows, double columns) {
      return wave_tail(std::ceil(d(op.m) / rows) * std::ceil(d(op.n) / columns), machine.sms);
    };
    // Kernels of scaled formats copy rows that are not a multiple of 4; others read 8 or 16 at
    // once.
    const auto ragged = [&](int rows) { return op.m % rows != 0 ? 1.0F : 0.0F; };
    return {log_of(d(op.m)), log_of(d(op.n)), log_of(d(op.k)), ragged(4),   ragged(8),
            ragged(16),      tail(128, 128),  tail(256, 128),  tail(64, 64)};
  }
  Point operator()(const llm::PrefillAttentionOp& op) const {
    const double tokens = d(op.tokens);
    const double all = d(op.tokens + op.context);
    const double seen = op.window > 0 ? std::min<double>(all, op.window) : all;
    const double blocks = std::ceil(tokens / 128);
    return {log_of(d(op.batch)),
            log_of(tokens),
            log_of(op.heads),
            log_of(static_cast<double>(op.heads) / op.kv_heads),
            log_of(all / tokens),
            log_of(all / seen),
            wave_tail(d(op.batch) * op.heads * blocks, machine.sms),
            log_of(blocks * 128 / tokens)};
  }
  Point operator()(const llm::DecodeAttentionOp& op) const {
    const double seen = op.window > 0 ? std::min<double>(op.context, op.window) : op.context;
    const double streams = d(op.batch) * op.kv_heads;
    return {log_of(d(op.batch)),
            log_of(seen),
            log_of(op.kv_heads),
            log_of(static_cast<double>(op.heads) / op.kv_heads),
            log_of(op.context / seen),
            streams < machine.sms ? wave_tail(streams, machine.sms) : 0.0F,
            streams > machine.sms ? wave_tail(streams, machine.sms) : 0.0F,
            wave_tail(streams * std::ceil(seen / 256), machine.sms)};
  }
  Point operator()(const llm::MlaPrefillOp& op) const {
    const double all = d(op.context + op.tokens);
    return {log_of(d(op.batch)), log_of(d(op.tokens)), log_of(op.heads), log_of(all / d(op.tokens)),
            wave_tail(d(op.batch) * op.heads * std::ceil(d(op.tokens) / 128), machine.sms)};
  }
  Point operator()(const llm::MlaDecodeOp& op) const {
    return {log_of(d(op.batch)), log_of(op.context), log_of(op.heads),
            wave_tail(d(op.batch) * std::ceil(op.heads / 64.0), machine.sms)};
  }
  Point operator()(const llm::MlaBmmOp& op) const {
    return {log_of(d(op.tokens)), log_of(op.heads)};
  }
  Point operator()(const llm::MlaBlockOp& op) const {
    const double tokens = d(op.tokens), all = op.prefill ? tokens + op.context : op.context;
    return {log_of(d(op.batch)), log_of(op.prefill ? tokens : all), log_of(op.heads),
            log_of(op.prefill ? all / tokens : 1.0),
            wave_tail(d(op.batch) * op.heads * std::ceil(tokens / 128), machine.sms)};
  }
  Point operator()(const llm::ExpertExchangeOp& op) const {
    return {log_of(d(op.tokens)), log_of(op.hidden), log_of(op.top_k),
            log_of(op.experts),   log_of(op.ranks),  op.low_latency ? 0.0F : log_of(op.sms)};
  }
  Point operator()(const llm::MoeOp& op) const {
    const llm::ExpertLoad load = llm::expert_load(op);
    const double inner = static_cast<double>(op.intermediate) / op.tensor;
    const double bytes = std::max(0.5, std::floor(bytes_per_weight(op.format)));
    return {log_of(load.routed_tokens / std::max(load.experts_touched, 0.01)),
            log_of(load.experts_touched),
            log_of(op.hidden),
            log_of(inner),
            alignment(std::llround(inner * bytes), 7),
            static_cast<float>(op.skew),
            log_of(op.top_k),
            log_of(op.experts),
            log_of(op.expert),
            log_of(d(op.tokens))};
  }
  Point operator()(const llm::CollectiveOp& op) const {
    // Apart from each other, but not without relation: the kinds, the formats, launches outside a
    // CUDA graph.
    return {log_of(op.bytes), log_of(op.gpus), op.dtype == DType::int8 ? 1.0F : 0.0F,
            static_cast<float>(op.kind), variant == "eager" ? 1.0F : 0.0F};
  }
  Point operator()(const llm::ElementwiseOp& op) const { return {log_of(op.bytes)}; }
};

// Lengths at which correlation falls to 1/e, in the units of the coordinates; chosen by cross-
// validation over whole keys left out, the same for every GPU and engine.
struct Shapes {
  // Libraries pick a kernel for each matrix product by itself; some timings of latent attention are
  // flukes of 100 times.
  static constexpr float kDoubt = 10.0F;
  FieldShape operator()(const llm::GemmOp&) const {
    return {9, {2, 5, 5, 5, 10, 10, 2, 2, 2}, 0.003F, 40, kDoubt};
  }
  FieldShape operator()(const llm::PrefillAttentionOp&) const {
    return {8, {4, 4, 4, 4, 2, 2, 2, 2}, 0.01F, 32};
  }
  FieldShape operator()(const llm::DecodeAttentionOp&) const {
    return {8, {4, 4, 4, 4, 2, 2, 2, 2}, 0.01F, 32};
  }
  FieldShape operator()(const llm::MlaPrefillOp&) const {
    return {5, {4, 4, 4, 2, 4}, 0.01F, 32, kDoubt};
  }
  FieldShape operator()(const llm::MlaDecodeOp&) const {
    return {4, {4, 4, 4, 4}, 0.01F, 32, kDoubt};
  }
  FieldShape operator()(const llm::MlaBmmOp&) const { return {2, {4, 4}, 0.01F, 32, kDoubt}; }
  FieldShape operator()(const llm::MlaBlockOp&) const { return {5, {4, 4, 4, 2, 4}, 0.01F, 32}; }
  FieldShape operator()(const llm::ExpertExchangeOp&) const {
    return {6, {4, 4, 4, 4, 4, 4}, 0.01F, 24};
  }
  FieldShape operator()(const llm::MoeOp&) const {
    return {10, {8, 8, 4, 4, 6, 4, 4, 4, 3, 4}, 0.01F, 32};
  }
  FieldShape operator()(const llm::CollectiveOp&) const { return {5, {2, 4, 20, 1, 1}, 0.01F, 24}; }
  FieldShape operator()(const llm::ElementwiseOp&) const { return {1, {1}, 0.01F, 8}; }
};

struct FoldKeys {
  const std::string& variant;
  static std::string n(std::int64_t value) { return std::to_string(value); }

  std::string operator()(const llm::GemmOp& op) const {
    return joined({"gemm", n(op.n), n(op.k), format_name(op.format)});
  }
  std::string operator()(const llm::PrefillAttentionOp& op) const {
    return joined({"attention", n(op.heads), n(op.kv_heads), n(op.head_dim), n(op.window),
                   dtype_name(op.kv)});
  }
  std::string operator()(const llm::DecodeAttentionOp& op) const {
    return joined({"attention", n(op.heads), n(op.kv_heads), n(op.head_dim), n(op.window),
                   dtype_name(op.kv)});
  }
  std::string operator()(const llm::MlaPrefillOp& op) const {
    return joined({"mla", n(op.heads), dtype_name(op.kv)});
  }
  std::string operator()(const llm::MlaDecodeOp& op) const {
    return joined({"mla", n(op.heads), dtype_name(op.kv)});
  }
  std::string operator()(const llm::MlaBmmOp& op) const {
    return joined({"mla", n(op.heads), format_name(op.format)});
  }
  std::string operator()(const llm::MlaBlockOp& op) const {
    return joined({"mla", n(op.heads), dtype_name(op.kv), format_name(op.format)});
  }
  std::string operator()(const llm::ExpertExchangeOp& op) const {
    return joined({"exchange", n(op.hidden), n(op.top_k), n(op.experts)});
  }
  std::string operator()(const llm::MoeOp& op) const {
    return joined({"moe", n(op.hidden), n(op.intermediate), n(op.top_k), n(op.experts),
                   format_name(op.format)});
  }
  std::string operator()(const llm::CollectiveOp& op) const {
    return joined({"collective", kind_name(op.kind), n(op.gpus), dtype_name(op.dtype)});
  }
  std::string operator()(const llm::ElementwiseOp&) const { return "elementwise/" + variant; }
};

struct Families {
  Family operator()(const llm::GemmOp&) const { return Family::gemm; }
  Family operator()(const llm::PrefillAttentionOp&) const { return Family::attention; }
  Family operator()(const llm::DecodeAttentionOp&) const { return Family::attention; }
  Family operator()(const llm::MlaPrefillOp&) const { return Family::mla; }
  Family operator()(const llm::MlaDecodeOp&) const { return Family::mla; }
  Family operator()(const llm::MlaBmmOp&) const { return Family::mla; }
  Family operator()(const llm::MlaBlockOp&) const { return Family::mla_block; }
  Family operator()(const llm::MoeOp& op) const {
    return op.input == llm::ExpertInput::local ? Family::moe : Family::moe_exchanged;
  }
  Family operator()(const llm::CollectiveOp&) const { return Family::collective; }
  Family operator()(const llm::ExpertExchangeOp&) const { return Family::exchange; }
  Family operator()(const llm::ElementwiseOp&) const { return Family::elementwise; }
};

}  // namespace

std::string_view to_string(Family family) {
  switch (family) {
    case Family::gemm:
      return "gemm";
    case Family::attention:
      return "attention";
    case Family::mla:
      return "mla";
    case Family::moe:
      return "moe";
    case Family::collective:
      return "collective";
    case Family::mla_block:
      return "mla_block";
    case Family::moe_exchanged:
      return "moe_exchanged";
    case Family::exchange:
      return "exchange";
    case Family::elementwise:
      return "elementwise";
  }
  return "?";
}

Family family_of(const llm::OperatorShape& shape) { return std::visit(Families{}, shape); }

std::string category_of(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine) {
  return std::visit(Categories{variant, machine}, shape);
}

Point coordinates_of(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine) {
  return std::visit(Coordinates{variant, machine}, shape);
}

FieldShape field_shape_of(const llm::OperatorShape& shape) { return std::visit(Shapes{}, shape); }

std::string fold_key_of(const Row& row) { return std::visit(FoldKeys{row.variant}, row.shape); }

}  // namespace foretoken::models::kernels
