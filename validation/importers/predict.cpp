#include "validation/importers/predict.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "validation/importers/kernel_class.hpp"

namespace foretoken::validation::importers {
namespace {

namespace hardware = models::hardware;
namespace llm = models::llm;

hardware::NodeSpec node_of(const hardware::GpuSpec& gpu, int gpus) {
  hardware::NodeSpec node;
  node.name = gpu.name;
  node.gpu = gpu;
  node.gpus = std::max(gpus, 1);
  return node;
}

double peak_of(const hardware::GpuSpec& gpu, hardware::DType dtype) {
  const auto found = gpu.peak.find(dtype);
  return found == gpu.peak.end() ? 0.0 : found->second.value();
}

// Bytes of an element, by the names NCCL and PyTorch record.
double element_bytes(const std::string& dtype) {
  if (dtype == "Double" || dtype == "Long") return 8;
  if (dtype == "Half" || dtype == "BFloat16" || dtype == "Short") return 2;
  if (dtype == "Char" || dtype == "Byte" || dtype == "Bool" || dtype.starts_with("Float8"))
    return 1;
  return 4;
}

// Tensor-core kernels copy 16 bytes at a time where every row begins at a multiple of 16 bytes, and
// one element at a time where not (NVIDIA, Matrix Multiplication Background User's Guide). Assumed,
// not fitted: unaligned copies halve the rate of arithmetic and leave that of the memory. Strides
// are not recorded, so any of the three dimensions may be a row.
bool aligned(const Product& product, double element_bytes) {
  const auto step = static_cast<std::int64_t>(16 / element_bytes);
  return product.m % step == 0 && product.n % step == 0 && product.k % step == 0;
}

}  // namespace

std::optional<Product> product_of(const FrameworkOp& op) {
  const bool biased = op.name == "aten::addmm" || op.name == "aten::baddbmm";
  const bool batched = op.name == "aten::bmm" || op.name == "aten::baddbmm";
  if (!biased && !batched && op.name != "aten::mm" && op.name != "aten::_scaled_mm")
    return std::nullopt;
  const std::size_t at = biased ? 1 : 0, rank = batched ? 3 : 2;
  if (op.dims.size() < at + 2 || op.dims[at].size() != rank || op.dims[at + 1].size() != rank)
    return std::nullopt;
  const auto &a = op.dims[at], &b = op.dims[at + 1];
  Product product;
  product.batch = batched ? a[0] : 1;
  product.m = a[rank - 2];
  product.k = a[rank - 1];
  product.n = b[rank - 1];
  if (b[rank - 2] != product.k || product.batch <= 0 || product.m <= 0 || product.n <= 0 ||
      product.k <= 0)
    return std::nullopt;
  if (op.types.size() > at) product.dtype = op.types[at];
  return product;
}

// Queries of [batch, heads, tokens, head size], keys alike with their own heads and length.
std::optional<Attention> attention_of(const FrameworkOp& op) {
  const bool flash = op.name == "aten::_scaled_dot_product_flash_attention";
  if (!flash && op.name != "aten::_scaled_dot_product_efficient_attention") return std::nullopt;
  if (op.dims.size() < 2 || op.dims[0].size() != 4 || op.dims[1].size() != 4) return std::nullopt;
  const auto &q = op.dims[0], &k = op.dims[1];
  for (const auto& dims : {q, k})
    for (const std::int64_t n : dims)
      if (n <= 0 || n > INT32_MAX) return std::nullopt;
  Attention attention;
  attention.batch = q[0];
  attention.tokens = q[2];
  attention.keys = k[2];
  attention.heads = static_cast<int>(q[1]);
  attention.kv_heads = static_cast<int>(k[1]);
  attention.head_dim = static_cast<int>(q[3]);
  // is_causal is the fifth input of the one and the seventh of the other.
  const std::size_t causal = flash ? 4 : 6;
  if (op.values.size() > causal && !op.values[causal].empty())
    attention.causal = op.values[causal] == "True" || op.values[causal] == "true";
  if (k[3] != q[3] || attention.heads % attention.kv_heads != 0 ||
      (attention.causal && attention.keys < attention.tokens))
    return std::nullopt;
  return attention;
}

std::vector<Launched> launched_operators(const Trace& trace) {
  std::vector<Launched> result(trace.ops.size());
  for (std::size_t i = 0; i < trace.ops.size(); ++i) {
    result[i].product = product_of(trace.ops[i]);
    result[i].attention = attention_of(trace.ops[i]);
  }
  for (const Kernel& kernel : trace.kernels) {
    if (kernel.op < 0) continue;
    Launched& op = result[static_cast<std::size_t>(kernel.op)];
    op.found = true;
    op.measured_us += kernel.duration_us;
    const std::string kernel_class = class_of(kernel);
    op.tf32 = op.tf32 || kernel_class == "gemm tf32";
    // Where the profiler recorded no types, the kernel's name tells.
    if (!op.product || !op.product->dtype.empty()) continue;
    if (kernel_class == "gemm bf16") op.product->dtype = "c10::BFloat16";
    if (kernel_class == "gemm fp16") op.product->dtype = "c10::Half";
    if (kernel_class.starts_with("gemm fp8")) op.product->dtype = "c10::Float8_e4m3fn";
  }
  return result;
}

Arithmetic arithmetic_of(const Launched& op) {
  const std::string& dtype = op.product->dtype;
  if (dtype.starts_with("c10::Float8")) return Arithmetic::fp8;
  if (dtype == "c10::BFloat16" || dtype == "c10::Half") return Arithmetic::bf16;
  return op.tf32 ? Arithmetic::tf32 : Arithmetic::fp32;
}

Predictor::Predictor(const hardware::NodeSpec& node, const models::kernels::EngineVersion& engine,
                     std::shared_ptr<const models::kernels::Calibration> calibration)
    : gpu_(node.gpu), kernels_(node, engine, std::move(calibration)) {}

Predictor::Predictor(hardware::GpuSpec gpu, int gpus, const models::kernels::EngineVersion& engine,
                     std::shared_ptr<const models::kernels::Calibration> calibration)
    : gpu_(std::move(gpu)), kernels_(node_of(gpu_, gpus), engine, std::move(calibration)) {}

// TF32: tensor cores take half the depth a cycle that they take in bf16 (NVIDIA A100 whitepaper,
// table 2), from elements of twice the size: a product in TF32 is one in bf16 of twice the depth,
// with a result of twice the size. FP32: no tensor cores, the slower of arithmetic and memory.
double Predictor::product_us(const Product& product, Arithmetic arithmetic) const {
  const double m = static_cast<double>(product.m * product.batch),
               n = static_cast<double>(product.n), k = static_cast<double>(product.k);
  const auto memory_us = [&](double bytes) {
    return kernels_.time(llm::ElementwiseOp{bytes, 1}).seconds * 1e6;
  };
  const double size = arithmetic == Arithmetic::fp8 ? 1 : arithmetic == Arithmetic::bf16 ? 2 : 4;
  const double others = size * static_cast<double>(product.batch - 1) * n * k;  // matrices B
  if (arithmetic == Arithmetic::fp32) {
    const double peak = gpu_.sustained_compute * peak_of(gpu_, hardware::DType::fp32);
    const double bytes = size * (m * k + k * n + m * n) + others;
    return std::max(memory_us(bytes), peak > 0 ? 2 * m * n * k / peak * 1e6 : 0.0);
  }
  double depth = 1;
  if (arithmetic == Arithmetic::tf32 && peak_of(gpu_, hardware::DType::tf32) > 0)
    depth = peak_of(gpu_, hardware::DType::bf16) / peak_of(gpu_, hardware::DType::tf32);
  llm::GemmOp op;
  op.m = product.m * product.batch;
  op.n = product.n;
  op.k = static_cast<std::int64_t>(k * depth);
  if (arithmetic == Arithmetic::fp8) op.format = llm::WeightFormat::fp8;
  const double bytes = others + (arithmetic == Arithmetic::tf32 ? 2 * m * n : 0);
  const double bandwidth = gpu_.memory_bandwidth.value();
  double us =
      kInSitu * kernels_.time(op).seconds * 1e6 + (bandwidth > 0 ? bytes / bandwidth * 1e6 : 0.0);
  if (!aligned(product, size)) {
    const double peak = peak_of(gpu_, arithmetic == Arithmetic::fp8 ? hardware::DType::fp8
                                                                    : hardware::DType::bf16) /
                        depth;
    const double moved = size * (m * k + k * n + m * n) + others;
    const double arithmetic_s = peak > 0 ? 2 * m * n * k / peak : 0;
    const double memory_s = bandwidth > 0 ? moved / bandwidth : 0;
    us *= 1 + (memory_s > 0 ? std::min(1.0, arithmetic_s / memory_s) : 1.0);
  }
  return us;
}

// Without a mask every query sees all keys: as many pairs as a prompt's queries have behind a
// context of half the prompt less.
double Predictor::attention_us(const Attention& attention) const {
  llm::PrefillAttentionOp op;
  op.batch = attention.batch;
  op.tokens = attention.tokens;
  op.context = attention.keys - attention.tokens;
  if (!attention.causal)
    op.context = std::max<std::int64_t>(0, attention.keys - (attention.tokens + 1) / 2);
  op.heads = attention.heads;
  op.kv_heads = attention.kv_heads;
  op.head_dim = attention.head_dim;
  return kInSitu * kernels_.time(op).seconds * 1e6;
}

std::optional<double> Predictor::message_us(const Message& message) const {
  llm::CollectiveOp op;
  op.gpus = message.group;
  op.bytes = static_cast<double>(message.elements) * element_bytes(message.dtype);
  op.dtype = hardware::DType::bf16;
  const std::string& name = message.collective;
  if (name == "allreduce" || name == "allreduce_coalesced") {
    op.kind = llm::CollectiveKind::all_reduce;
  } else if (name == "_allgather_base" || name == "allgather" || name == "all_gather") {
    op.kind = llm::CollectiveKind::all_gather;
    op.bytes *= message.group;  // recorded: what one rank puts in
  } else if (name == "_reduce_scatter_base" || name == "reduce_scatter") {
    op.kind = llm::CollectiveKind::reduce_scatter;
  } else if (name == "all_to_all" || name == "all_to_allv" || name == "alltoall_base") {
    op.kind = llm::CollectiveKind::all_to_all;
  } else if (name == "broadcast" || name == "send" || name == "recv") {
    op.kind = llm::CollectiveKind::send_recv;  // a pipeline: the message passes each link once
  } else {
    return std::nullopt;
  }
  if (op.gpus < 2) return std::nullopt;
  return kernels_.time(op).seconds * 1e6;
}

}  // namespace foretoken::validation::importers
