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

RowReader::RowReader(const Table& table) : table_(&table) {
  constexpr std::string_view kKnown[] = {"gemm",
                                         "context_attention",
                                         "generation_attention",
                                         "context_mla",
                                         "generation_mla",
                                         "mla_bmm",
                                         "moe",
                                         "nccl",
                                         "custom_allreduce"};
  understood_ = std::find(std::begin(kKnown), std::end(kKnown), table.op) != std::end(kKnown);
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
  const std::string& op = table_->op;
  std::optional<Row> row;
  const auto whole = [&](const char* column) {
    return static_cast<std::int64_t>(number(column, index, 0));
  };
  if (op == "gemm") {
    const auto format = table_format(label("gemm_dtype", index));
    if (!format) return std::nullopt;
    row = Row{llm::GemmOp{whole("m"), whole("n"), whole("k"), format->first}, format->second, 0};
  } else if (op == "mla_bmm") {
    const auto format = table_format(label("bmm_dtype", index));
    if (!format) return std::nullopt;
    row = Row{llm::MlaBmmOp{whole("num_tokens"), static_cast<int>(whole("num_heads")),
                            label("op_name", index) == "mla_gen_post", kTableMla, format->first},
              format->second, 0};
  } else if (op == "context_attention" || op == "generation_attention") {
    row = attention(index, op == "context_attention");
  } else if (op == "context_mla" || op == "generation_mla") {
    row = latent_attention(index, op == "context_mla");
  } else if (op == "moe") {
    row = experts(index);
  } else if (op == "nccl" || op == "custom_allreduce") {
    row = collective(index);
  }
  if (row) row->seconds = static_cast<double>(table_->seconds[index]);
  return row;
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

std::optional<Row> RowReader::experts(std::size_t index) const {
  const auto format = table_format(label("moe_dtype", index));
  const auto skew = skew_of(label("distribution", index));
  if (!format || !skew) return std::nullopt;
  const auto whole = [&](const char* column) { return static_cast<int>(number(column, index, 0)); };
  llm::MoeOp op;
  op.tokens = whole("num_tokens");
  op.hidden = whole("hidden_size");
  op.intermediate = whole("inter_size");
  op.top_k = whole("topk");
  op.experts = whole("num_experts");
  op.tensor = whole("moe_tp_size");
  op.expert = whole("moe_ep_size");
  op.format = format->first;
  op.skew = *skew;
  std::string variant = format->second;
  const std::string& kernel = label("kernel_source", index);
  if (!kernel.empty()) variant += (variant.empty() ? "" : "/") + kernel;
  return Row{op, variant, 0};
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
