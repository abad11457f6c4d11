#include "models/kernels/operator_tables.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace foretoken::models::kernels {
namespace {

using hardware::DType;
using llm::WeightFormat;

// DeepSeek-V2 and V3 latent attention, the only one the tables hold (DeepSeek-V3 config.json).
constexpr llm::MlaSpec kTableMla{1536, 512, 128, 64, 128};
constexpr int kTableMlaHidden = 7168;

// A table's name for a weight format, and the variant it implies.
std::optional<std::pair<WeightFormat, std::string>> table_format(const std::string& name) {
  if (name == "w4a16_mxfp4") return {{WeightFormat::mxfp4, ""}};
  if (name == "w4a8_mxfp4_mxfp8") return {{WeightFormat::mxfp4, "fp8"}};
  if (name == "w4afp8") return {{WeightFormat::int4_wo, "fp8"}};
  if (name == "sq") return {{WeightFormat::int8_wo, "int8"}};
  const auto format = llm::parse_weight_format(name);
  if (!format) return std::nullopt;
  return {{*format, ""}};
}

// balanced, uniform -> 0; power_law_1.01 -> 1.01; anything else is not a plain skew.
std::optional<double> skew_of(const std::string& distribution) {
  constexpr std::string_view kPowerLaw = "power_law_";
  if (distribution == "balanced" || distribution == "uniform") return 0.0;
  if (!distribution.starts_with(kPowerLaw)) return std::nullopt;
  const std::string number = distribution.substr(kPowerLaw.size());
  if (number.find_first_not_of("0123456789.") != std::string::npos) return std::nullopt;
  return std::stod(number);
}

std::optional<llm::CollectiveKind> collective_kind(const std::string& name) {
  using Kind = llm::CollectiveKind;
  if (name == "all_reduce") return Kind::all_reduce;
  if (name == "all_gather") return Kind::all_gather;
  if (name == "reduce_scatter") return Kind::reduce_scatter;
  if (name == "alltoall" || name == "all_to_all") return Kind::all_to_all;
  return std::nullopt;
}

}  // namespace

namespace {

enum class Kind {
  gemm,
  prefill,
  decode,
  mla_prefill,
  mla_decode,
  mla_bmm,
  block_prefill,
  block_decode,
  moe,
  moe_dispatched,
  moe_masked,
  nccl,
  all_reduce,
  exchange,
  elementwise
};

constexpr std::pair<std::string_view, Kind> kOperators[] = {
    {"gemm", Kind::gemm},
    {"context_attention", Kind::prefill},
    {"generation_attention", Kind::decode},
    {"context_mla", Kind::mla_prefill},
    {"generation_mla", Kind::mla_decode},
    {"mla_bmm", Kind::mla_bmm},
    {"mla_context_module", Kind::block_prefill},
    {"wideep_context_mla", Kind::block_prefill},
    {"mla_generation_module", Kind::block_decode},
    {"wideep_generation_mla", Kind::block_decode},
    {"moe", Kind::moe},
    {"wideep_context_moe", Kind::moe_dispatched},
    {"wideep_generation_moe", Kind::moe_masked},
    {"wideep_moe", Kind::moe_dispatched},
    {"nccl", Kind::nccl},
    {"custom_allreduce", Kind::all_reduce},
    {"wideep_deepep_ll_dispatch", Kind::exchange},
    {"wideep_deepep_ll_combine", Kind::exchange},
    {"wideep_deepep_normal_dispatch", Kind::exchange},
    {"wideep_deepep_normal_combine", Kind::exchange},
    {"elementwise", Kind::elementwise}};

std::optional<Kind> kind_of(const std::string& op) {
  for (const auto& [name, kind] : kOperators)
    if (name == op) return kind;
  return std::nullopt;
}

}  // namespace

RowReader::RowReader(const Table& table) : table_(&table) {
  understood_ = kind_of(table.op).has_value();
}

double RowReader::number(const std::string& column, std::size_t index, double otherwise) const {
  for (std::size_t c = 0; c < table_->columns.size(); ++c)
    if (table_->columns[c] == column) return static_cast<double>(table_->values[c][index]);
  return otherwise;
}

const std::string& RowReader::label(const std::string& column, std::size_t index) const {
  static const std::string kNone;
  const auto labels = table_->labels.find(column);
  if (labels == table_->labels.end()) return kNone;
  for (std::size_t c = 0; c < table_->columns.size(); ++c)
    if (table_->columns[c] == column)
      return labels->second.at(static_cast<std::size_t>(table_->values[c][index]));
  return kNone;
}

std::optional<Row> RowReader::row(std::size_t index) const {
  const auto kind = kind_of(table_->op);
  if (!kind) return std::nullopt;
  std::optional<Row> row;
  switch (*kind) {
    case Kind::gemm:
      row = matrix_product(index);
      break;
    case Kind::mla_bmm:
      row = absorbed_product(index);
      break;
    case Kind::prefill:
    case Kind::decode:
      row = attention(index, *kind == Kind::prefill);
      break;
    case Kind::mla_prefill:
    case Kind::mla_decode:
      row = latent_attention(index, *kind == Kind::mla_prefill);
      break;
    case Kind::block_prefill:
    case Kind::block_decode:
      row = latent_block(index, *kind == Kind::block_prefill);
      break;
    case Kind::moe:
      row = experts(index, llm::ExpertInput::local);
      break;
    case Kind::moe_dispatched:
      row = experts(index, llm::ExpertInput::dispatched);
      break;
    case Kind::moe_masked:
      row = experts(index, llm::ExpertInput::masked);
      break;
    case Kind::nccl:
    case Kind::all_reduce:
      row = collective(index);
      break;
    case Kind::exchange:
      row = exchange(index);
      break;
    case Kind::elementwise:
      row = Row{llm::ElementwiseOp{number("bytes", index, 0), std::max(1, small("kernels", index))},
                label("op_name", index), 0};
      break;
  }
  if (row) {
    row->seconds = static_cast<double>(table_->seconds[index]);
    row->own = index + table_->own_rows >= table_->seconds.size();
  }
  return row;
}

std::optional<Row> RowReader::matrix_product(std::size_t index) const {
  const auto format = table_format(label("gemm_dtype", index));
  if (!format) return std::nullopt;
  return Row{llm::GemmOp{whole("m", index), whole("n", index), whole("k", index), format->first},
             format->second, 0};
}

std::optional<Row> RowReader::absorbed_product(std::size_t index) const {
  const auto format = table_format(label("bmm_dtype", index));
  if (!format) return std::nullopt;
  return Row{llm::MlaBmmOp{whole("num_tokens", index), small("num_heads", index),
                           label("op_name", index) == "mla_gen_post", kTableMla, format->first},
             format->second, 0};
}

std::optional<Row> RowReader::attention(std::size_t index, bool prefill) const {
  const auto kv = hardware::parse_dtype(label("kv_cache_dtype", index));
  if (!kv) return std::nullopt;
  const std::string& arithmetic = label("attn_dtype", index);
  const std::string variant = arithmetic == "fp8" ? "fp8" : "";
  const int heads = static_cast<int>(number("num_heads", index, 0));
  int kv_heads = static_cast<int>(number("num_key_value_heads", index, 0));
  if (kv_heads == 0) kv_heads = heads;
  const int head_dim = static_cast<int>(number("head_dim", index, 128));
  const int window = static_cast<int>(number("window_size", index, 0));
  const auto batch = static_cast<std::int64_t>(number("batch_size", index, 1));
  const double isl = number("isl", index, 0), step = number("step", index, 0);
  if (prefill)
    return Row{llm::PrefillAttentionOp{batch, static_cast<std::int64_t>(isl),
                                       static_cast<std::int64_t>(step), heads, kv_heads, head_dim,
                                       window, *kv},
               variant, 0};
  return Row{llm::DecodeAttentionOp{batch, isl + step, heads, kv_heads, head_dim, window, *kv},
             variant, 0};
}

std::optional<Row> RowReader::latent_attention(std::size_t index, bool prefill) const {
  const auto kv = hardware::parse_dtype(label("kv_cache_dtype", index));
  if (!kv) return std::nullopt;
  const std::string variant = label("mla_dtype", index) == "fp8" ? "fp8" : "";
  const int heads = static_cast<int>(number("num_heads", index, 0));
  const auto batch = static_cast<std::int64_t>(number("batch_size", index, 1));
  const double isl = number("isl", index, 0), step = number("step", index, 0);
  if (prefill)
    return Row{llm::MlaPrefillOp{batch, static_cast<std::int64_t>(isl),
                                 static_cast<std::int64_t>(step), heads, kTableMla, *kv},
               variant, 0};
  return Row{llm::MlaDecodeOp{batch, isl + step, heads, kTableMla, *kv}, variant, 0};
}

std::optional<Row> RowReader::latent_block(std::size_t index, bool prefill) const {
  const auto kv = hardware::parse_dtype(label("kv_cache_dtype", index));
  const auto format = table_format(label("gemm_type", index));
  if (!kv || !format) return std::nullopt;
  llm::MlaBlockOp op;
  op.prefill = prefill;
  op.batch = whole("batch_size", index);
  const double isl = number("isl", index, 0), step = number("step", index, 0);
  op.tokens = prefill ? static_cast<std::int64_t>(isl) : 1;
  op.context = prefill ? step : isl + step;
  op.hidden = kTableMlaHidden;
  op.heads = small("num_heads", index);
  op.dims = kTableMla;
  op.format = format->first;
  op.kv = *kv;
  std::string variant = label("mla_dtype", index) == "fp8" ? "fp8" : "";
  const std::string& kernel = label("kernel_source", index);
  if (!kernel.empty()) variant += (variant.empty() ? "" : "/") + kernel;
  return Row{op, variant, 0};
}

std::optional<Row> RowReader::experts(std::size_t index, llm::ExpertInput input) const {
  constexpr std::string_view kRebalanced = "_eplb";
  std::string distribution = label("distribution", index);
  const bool rebalanced = distribution.ends_with(kRebalanced);
  if (rebalanced) distribution.resize(distribution.size() - kRebalanced.size());
  const auto format = table_format(label("moe_dtype", index));
  const auto skew = skew_of(distribution);
  if (!format || !skew) return std::nullopt;
  llm::MoeOp op;
  op.tokens = whole("num_tokens", index);
  op.hidden = small("hidden_size", index);
  op.intermediate = small("inter_size", index);
  op.top_k = small("topk", index);
  op.experts = small("num_experts", index);
  op.tensor = small("moe_tp_size", index);
  op.expert = small("moe_ep_size", index);
  op.format = format->first;
  op.skew = *skew;
  op.input = input;
  op.slots = small("num_slots", index);
  op.rebalanced = rebalanced;
  std::string variant = format->second;
  const std::string& kernel = label("kernel_source", index);
  if (!kernel.empty()) variant += (variant.empty() ? "" : "/") + kernel;
  return Row{op, variant, 0};
}

// DeepEP on whole nodes of 8; dispatch in 8 bits, combine in 16 (its own benchmark's bytes).
std::optional<Row> RowReader::exchange(std::size_t index) const {
  constexpr int kNodeGpus = 8;
  llm::ExpertExchangeOp op;
  op.combine = table_->op.ends_with("_combine");
  op.low_latency = table_->op.find("_ll_") != std::string::npos;
  op.tokens = whole("num_token", index);
  op.hidden = small("hidden_size", index);
  op.top_k = small("num_topk", index);
  op.experts = small("num_experts", index);
  op.ranks = kNodeGpus * std::max(1, small("node_num", index));
  op.sms = small(op.combine ? "combine_sms" : "dispatch_sms", index);
  op.payload = op.combine ? DType::bf16 : DType::fp8;
  return Row{op, "", 0};
}

std::optional<Row> RowReader::collective(std::size_t index) const {
  llm::CollectiveOp op;
  const bool nccl = table_->op == "nccl";
  const auto kind = collective_kind(nccl ? label("op_name", index) : "all_reduce");
  const auto dtype = hardware::parse_dtype(label(nccl ? "nccl_dtype" : "allreduce_dtype", index));
  if (!kind || !dtype) return std::nullopt;
  op.kind = *kind;
  op.dtype = *dtype;
  op.gpus = static_cast<int>(number("num_gpus", index, 0));
  op.bytes = number("message_size", index, 0) * hardware::bytes_per_element(*dtype);
  const bool eager = label("backend", index).ends_with("_eager");
  return Row{op, nccl ? "nccl" : (eager ? "eager" : ""), 0};
}

}  // namespace foretoken::models::kernels
