#include "models/training/machine_times.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::models::training {
namespace {

using Kind = llm::CollectiveKind;
using hardware::DType;

// Whose tables stand for a framework's libraries: cuBLAS products in every format, and the
// FlashAttention that vLLM calls (TensorRT-LLM's own kernels reach 0.7 of it).
const kernels::EngineVersion kTables{"trtllm", "1.0.0"};
const kernels::EngineVersion kAttentionTables{"vllm", "0.19.0"};

// Between nodes: share of a NIC's rate that NCCL's rings carry, and that of sends from one GPU to
// one other. NCCL all-reduce on InfiniBand, 0.90-0.95 of line rate on long messages.
constexpr double kNetworkEfficiency = 0.85;
// Pass over memory in streaming kernels (norms, activations, optimizer); same as the physical
// model's elementwise efficiency.
constexpr double kMemoryEfficiency = 0.8;

llm::WeightFormat format_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::fp32:
    case Arithmetic::bf16:
    case Arithmetic::fp16:
      return llm::WeightFormat::bf16;
    case Arithmetic::fp8:
      return llm::WeightFormat::fp8;
    case Arithmetic::fp8_block:
      return llm::WeightFormat::fp8_block;
    case Arithmetic::mxfp8:
      return llm::WeightFormat::fp8;
    case Arithmetic::nvfp4:
      return llm::WeightFormat::nvfp4;
  }
  return llm::WeightFormat::bf16;
}

DType dtype_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::fp32:
      return DType::tf32;
    case Arithmetic::bf16:
      return DType::bf16;
    case Arithmetic::fp16:
      return DType::fp16;
    case Arithmetic::fp8:
    case Arithmetic::fp8_block:
    case Arithmetic::mxfp8:
      return DType::fp8;
    case Arithmetic::nvfp4:
      return DType::fp4;
  }
  return DType::bf16;
}

}  // namespace

MachineTimes::MachineTimes(const hardware::NodeSpec& node, double network,
                           std::shared_ptr<const kernels::Calibration> calibration)
    : node_(node),
      network_(network),
      kernels_(node, kTables, calibration),
      attention_(node, kAttentionTables, calibration) {
  error_ = kernels_.time(llm::GemmOp{4096, 4096, 4096, llm::WeightFormat::bf16}).relative_error;
}

double MachineTimes::gemm(std::int64_t m, std::int64_t n, std::int64_t k,
                          Arithmetic arithmetic) const {
  if (m <= 0 || n <= 0 || k <= 0) return 0;
  const auto [entry, added] =
      known_.try_emplace(Key{static_cast<int>(arithmetic), m, n, k, 0, 0, 0}, 0.0);
  if (added) {
    entry->second = kernels_.time(llm::GemmOp{m, n, k, format_of(arithmetic)}).seconds;
    // TF32 tensor cores where there are any: 16-bit tables scaled by the ratio of the peaks.
    if (arithmetic == Arithmetic::fp32)
      entry->second *= arithmetic_peak(Arithmetic::bf16) / arithmetic_peak(Arithmetic::fp32);
  }
  return entry->second;
}

double MachineTimes::attention(std::int64_t batch, std::int64_t tokens, int heads, int kv_heads,
                               int head_dim, int window) const {
  const auto [entry, added] =
      known_.try_emplace(Key{-1, batch, tokens, window, heads, kv_heads, head_dim}, 0.0);
  if (added) {
    llm::PrefillAttentionOp op;
    op.batch = batch;
    op.tokens = tokens;
    op.heads = heads;
    op.kv_heads = kv_heads;
    op.head_dim = head_dim;
    op.window = window;
    entry->second = attention_.time(op).seconds;
  }
  return entry->second;
}

double MachineTimes::memory(double bytes) const {
  return bytes / (kMemoryEfficiency * node_.gpu.memory_bandwidth.value());
}

double MachineTimes::arithmetic_peak(Arithmetic arithmetic) const {
  for (const DType dtype : {dtype_of(arithmetic), DType::fp8, DType::bf16, DType::fp32})
    if (const auto found = node_.gpu.peak.find(dtype);
        found != node_.gpu.peak.end() &&
        hardware::bytes_per_element(dtype) >= hardware::bytes_per_element(dtype_of(arithmetic)))
      return found->second.value();
  return 1.0;
}

int MachineTimes::members_in_node(const Group& group) const {
  if (node_.gpus <= 0) return group.ranks;
  return std::clamp(node_.gpus / std::max(1, group.stride), 1, group.ranks);
}

double MachineTimes::network_per_gpu() const {
  const double node = network_ > 0 ? network_ : node_.nics * node_.nic_bandwidth.value();
  return node / std::max(1, node_.gpus);
}

// Rings through all nodes: inside a node every member passes the buffer on, between nodes each
// member's own share of the network carries its part of it. Both go on at once.
double MachineTimes::across_nodes(Kind kind, double bytes, const Group& group) const {
  const double n = group.ranks, local = members_in_node(group), nodes = std::ceil(n / local);
  const double wire = kNetworkEfficiency * network_per_gpu();
  if (wire <= 0)
    throw sim::core::InputError(node_.name +
                                " has no network, and the layout needs one between its nodes");
  const double latency = node_.nic_latency_s;
  const double rounds = kind == Kind::all_reduce ? 2.0 : 1.0;
  if (kind == Kind::send_recv) return bytes / wire + latency;
  if (kind == Kind::all_to_all) {
    const double outside = bytes * (1 - local / n) / wire;
    const double inside = local > 1 ? bytes * (local - 1) / n /
                                          std::max(1.0, 0.7 * node_.gpu.scale_up_bandwidth.value())
                                    : 0.0;
    return std::max(outside, inside) + latency * std::log2(n);
  }
  const double outside = rounds * bytes / local * (nodes - 1) / nodes / wire;
  const double inside =
      local > 1
          ? kernels_
                .time(llm::CollectiveOp{kind, bytes, static_cast<int>(local), DType::bf16, false})
                .seconds
          : 0.0;
  return std::max(outside, inside) + rounds * latency * std::log2(nodes);
}

double MachineTimes::message(Kind kind, double bytes, const Group& group) const {
  if (group.ranks <= 1 || bytes <= 0) return 0;
  const auto [entry, added] =
      messages_.try_emplace({static_cast<int>(kind), bytes, group.ranks, group.stride}, 0.0);
  if (added) {
    entry->second =
        members_in_node(group) >= group.ranks
            ? kernels_.time(llm::CollectiveOp{kind, bytes, group.ranks, DType::bf16, false}).seconds
            : across_nodes(kind, bytes, group);
  }
  return entry->second;
}

double MachineTimes::send(double bytes, int stride) const {
  return message(Kind::send_recv, bytes, Group{2, stride});
}

}  // namespace foretoken::models::training
