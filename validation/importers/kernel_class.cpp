#include "validation/importers/kernel_class.hpp"

#include <algorithm>
#include <array>

namespace foretoken::validation::importers {
namespace {

struct Rule {
  std::string_view part;  // of the kernel's name
  std::string_view kernel_class;
};

// The first rule whose part occurs in the name decides. Names of DeepSeek's libraries, NCCL,
// cuBLAS, CUTLASS, FlashAttention, cuDNN, rocBLAS (Cijk_), RCCL and PyTorch.
constexpr std::array kRules{
    // Expert parallelism
    Rule{"notify_dispatch", "communication set-up"},
    Rule{"cached_notify", "communication set-up"},
    Rule{"get_dispatch_layout", "communication set-up"},
    Rule{"internode::dispatch", "dispatch"},
    Rule{"intranode::dispatch", "dispatch"},
    Rule{"internode_ll::dispatch", "dispatch"},
    Rule{"internode::combine", "combine"},
    Rule{"intranode::combine", "combine"},
    Rule{"internode_ll::combine", "combine"},
    // Collectives
    Rule{"AllReduce", "collective all-reduce"},
    Rule{"ReduceScatter", "collective reduce-scatter"},
    Rule{"AllGather", "collective all-gather"},
    Rule{"Broadcast", "collective broadcast"},
    Rule{"ncclKernel_SendRecv", "collective send-recv"},
    Rule{"ncclDevKernel_SendRecv", "collective send-recv"},
    Rule{"ncclKernel", "collective other"},
    Rule{"ncclDevKernel", "collective other"},
    Rule{"cross_device_reduce", "collective all-reduce"},
    // Attention
    Rule{"FlashAttnBwdPreprocess", "attention backward pre/post"},
    Rule{"FlashAttnBwdPostprocess", "attention backward pre/post"},
    Rule{"flash_bwd_dot_do_o", "attention backward pre/post"},
    Rule{"flash_bwd_convert", "attention backward pre/post"},
    Rule{"FlashAttnBwd", "attention backward"},
    Rule{"flash_bwd", "attention backward"},
    Rule{"flash_bprop", "attention backward"},
    Rule{"flash_fprop", "attention forward"},
    Rule{"fmha_bwd", "attention backward"},
    Rule{"fmha_cutlassB", "attention backward"},
    Rule{"compute_attn_ws", "attention forward"},
    Rule{"FlashAttnFwd", "attention forward"},
    Rule{"flash_fwd", "attention forward"},
    Rule{"fmha_fwd", "attention forward"},
    Rule{"fmha_cutlassF", "attention forward"},
    // Matrix products
    Rule{"grouped_gemm::cuda::utils", "cast and transpose"},
    Rule{"m_grouped_fp8", "grouped gemm fp8"},
    Rule{"fp8_dptp128c_acc", "gemm fp8 weight gradient"},
    Rule{"fp8_ptp128c", "gemm fp8"},
    Rule{"fp8_gemm_kernel", "gemm fp8"},
    Rule{"splitKreduce", "gemm split-k reduce"},
    Rule{"gemmk1", "gemm fp32"},
    Rule{"s1688gemm", "gemm tf32"},
    Rule{"tf32f32", "gemm tf32"},
    Rule{"bf16_s16816gemm", "gemm bf16"},
    Rule{"gemm_bf16", "gemm bf16"},
    Rule{"s16816gemm", "gemm fp16"},
    Rule{"sgemm", "gemm fp32"},
    Rule{"Cijk_", "gemm"},
    Rule{"implicit_gemm", "convolution"},
    Rule{"fprop", "convolution"},
    Rule{"dgrad", "convolution"},
    Rule{"wgrad", "convolution"},
    Rule{"winograd", "convolution"},
    Rule{"convolve", "convolution"},
    Rule{"cudnn::cnn", "convolution"},
    Rule{"nvjet", "gemm"},
    Rule{"gemv", "gemm"},
    Rule{"gemm", "gemm"},
    Rule{"Gemm", "gemm"},
    // The rest
    Rule{"swiglu", "activation"},
    Rule{"silu", "activation"},
    Rule{"rotary", "rotary embedding"},
    Rule{"cast", "cast and transpose"},
    Rule{"transpose", "cast and transpose"},
    Rule{"layer_norm", "norm"},
    Rule{"ln_fwd", "norm"},
    Rule{"ln_bwd", "norm"},
    Rule{"batch_norm", "norm"},
    Rule{"cudnn::bn_", "norm"},
    Rule{"expand_to_fused", "expert permutation"},
    Rule{"reduce_fused", "expert permutation"},
    Rule{"get_fused_mapping", "expert permutation"},
    Rule{"clean_and_count_expert", "expert permutation"},
    Rule{"TopK", "routing"},
    Rule{"topk", "routing"},
    Rule{"multi_tensor_apply", "optimizer"},
    Rule{"adam", "optimizer"},
    Rule{"split_embedding", "embedding"},
    Rule{"embedding", "embedding"},
    Rule{"reduce_kernel", "reduction"},
    Rule{"softmax", "reduction"},
    Rule{"elementwise", "elementwise"},
    Rule{"_copy_tensor_kernel", "elementwise"},
    Rule{"at::native", "elementwise"},
    Rule{"2at6native", "elementwise"},
};

}  // namespace

std::string class_of(const Kernel& kernel) {
  if (kernel.kind == Kernel::Kind::copy) return "memory copy";
  if (kernel.kind == Kernel::Kind::set) return "memory fill";
  for (const Rule& rule : kRules)
    if (kernel.name.find(rule.part) != std::string::npos) return std::string(rule.kernel_class);
  return "other";
}

bool is_communication(std::string_view kernel_class) {
  return kernel_class == "dispatch" || kernel_class == "combine" ||
         kernel_class == "communication set-up" || kernel_class.starts_with("collective");
}

std::vector<Interval> merged(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.start < b.start; });
  std::vector<Interval> result;
  for (const Interval& interval : intervals) {
    if (!result.empty() && interval.start <= result.back().end) {
      result.back().end = std::max(result.back().end, interval.end);
    } else {
      result.push_back(interval);
    }
  }
  return result;
}

double length(const std::vector<Interval>& merged_intervals) {
  double sum = 0;
  for (const Interval& interval : merged_intervals) sum += interval.end - interval.start;
  return sum;
}

double common_length(const std::vector<Interval>& a, const std::vector<Interval>& b) {
  double sum = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    sum += std::max(0.0, std::min(a[i].end, b[j].end) - std::max(a[i].start, b[j].start));
    a[i].end < b[j].end ? ++i : ++j;
  }
  return sum;
}

}  // namespace foretoken::validation::importers
