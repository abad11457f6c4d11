#include "analysis/estimate.hpp"

#include <algorithm>
#include <variant>

#include "models/kernels/kernel_model.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::analysis {
namespace {

namespace llm = models::llm;
namespace hardware = models::hardware;
using models::serving::DeploymentSpec;

// Number format in which the matrix units work: weight-only formats are widened first.
hardware::DType arithmetic_of(llm::WeightFormat format) {
  switch (format) {
    case llm::WeightFormat::fp8:
    case llm::WeightFormat::fp8_block:
      return hardware::DType::fp8;
    case llm::WeightFormat::nvfp4:
      return hardware::DType::fp4;
    case llm::WeightFormat::fp16:
      return hardware::DType::fp16;
    case llm::WeightFormat::bf16:
    case llm::WeightFormat::int8_wo:
    case llm::WeightFormat::int4_wo:
    case llm::WeightFormat::mxfp4:
      return hardware::DType::bf16;
  }
  return hardware::DType::bf16;
}

hardware::DType arithmetic_of(const llm::OperatorShape& shape) {
  if (const auto* gemm = std::get_if<llm::GemmOp>(&shape)) return arithmetic_of(gemm->format);
  if (const auto* moe = std::get_if<llm::MoeOp>(&shape)) return arithmetic_of(moe->format);
  if (const auto* bmm = std::get_if<llm::MlaBmmOp>(&shape)) return arithmetic_of(bmm->format);
  return hardware::DType::bf16;
}

// Dense peak of a format, of 16 bits, or else fp32, where there are no units for it; 0 = the card
// gives none.
double peak_flops(const hardware::GpuSpec& gpu, hardware::DType dtype) {
  for (const hardware::DType candidate :
       {dtype, hardware::DType::bf16, hardware::DType::fp16, hardware::DType::fp32}) {
    if (const auto found = gpu.peak.find(candidate); found != gpu.peak.end()) {
      return found->second.value();
    }
  }
  return 0.0;
}

struct Bounds {
  double arithmetic_s = 0, memory_s = 0, link_s = 0;
  bool off_gpu = false;  // the time of other parts: no part of the GPU's MFU and MBU
};

// Experts in host memory, shared by the sockets.
Bounds host_bounds(const llm::OperatorShape& shape, const hardware::NodeSpec& node) {
  const hardware::GpuSpec socket = hardware::device_of(node.cpu);
  const double sockets = std::max(1, node.sockets);
  const double peak = peak_flops(socket, arithmetic_of(shape));
  Bounds least;
  least.off_gpu = true;
  if (peak > 0) least.arithmetic_s = llm::flops(shape).value() / (sockets * peak);
  const double bandwidth = sockets * socket.memory_bandwidth.value();
  if (bandwidth > 0) least.memory_s = llm::bytes_moved(shape).value() / bandwidth;
  return least;
}

Bounds bounds(const llm::OperatorShape& shape, const hardware::NodeSpec& node) {
  const hardware::GpuSpec& gpu = node.gpu;
  Bounds least;
  if (const auto* moe = std::get_if<llm::MoeOp>(&shape); moe != nullptr && moe->on_host)
    return host_bounds(shape, node);
  if (const auto* collective = std::get_if<llm::CollectiveOp>(&shape)) {
    if (collective->kind == llm::CollectiveKind::host_copy) {
      least.link_s = collective->bytes / gpu.pcie_bandwidth.value();
      return least;
    }
    const double wire = collective->inter_node
                            ? node.nic_bandwidth.value() * node.nics / std::max(node.gpus, 1)
                            : std::max(gpu.scale_up_bandwidth.value(), gpu.pcie_bandwidth.value());
    // A ring moves (n-1)/n of the buffer at least once over each GPU's link.
    const double share = static_cast<double>(collective->gpus - 1) / collective->gpus;
    if (wire > 0) least.link_s = collective->bytes * share / wire;
    return least;
  }
  const double peak = peak_flops(gpu, arithmetic_of(shape));
  if (peak > 0) least.arithmetic_s = llm::flops(shape).value() / peak;
  least.memory_s = llm::bytes_moved(shape).value() / gpu.memory_bandwidth.value();
  return least;
}

// Engines pad the decode batch to a captured CUDA-graph size.
std::int64_t padded(std::int64_t batch, const std::vector<int>& sizes) {
  const auto size = std::lower_bound(sizes.begin(), sizes.end(), batch);
  return size == sizes.end() ? batch : *size;
}

struct Part {
  const char* name;
  std::vector<llm::Operator> operators;
  double times = 1;
};

std::vector<Part> parts_of(const DeploymentSpec& d, const StepShape& shape) {
  const bool decode = shape.kind == StepKind::decode;
  const std::int64_t tokens =
      decode ? padded(shape.batch, d.engine.graph_batches) : shape.batch * shape.tokens;
  std::vector<Part> parts;
  parts.push_back(
      {"dense", llm::dense_operators(d.model, d.layout, d.precision, tokens, shape.batch,
                                     tokens * d.layout.data_attention, d.expert_skew)});
  if (decode) {
    // Each sequence attends to its own new token as well.
    const auto context = static_cast<double>(shape.context + 1);
    parts.push_back({"attention", llm::decode_attention_operators(d.model, d.layout, d.precision,
                                                                  shape.batch, context)});
  } else {
    parts.push_back({"attention",
                     llm::prefill_attention_operators(d.model, d.layout, d.precision,
                                                      {shape.tokens, shape.context}),
                     static_cast<double>(shape.batch)});
  }
  parts.push_back(
      {"communication", llm::communication_operators(d.model, d.layout, d.precision, tokens)});
  return parts;
}

void add_totals(StepEstimate& step, const DeploymentSpec& d) {
  const models::serving::EngineSpec& engine = d.engine;
  step.host_s = engine.host_step_s + engine.host_sequence_s * static_cast<double>(step.shape.batch);
  if (step.shape.kind == StepKind::prefill) step.host_s += engine.host_prefill_s;
  step.step_s = step.gpu_s + step.host_s;
  const double new_tokens =
      static_cast<double>(step.shape.batch * step.shape.tokens) * d.layout.data_attention;
  step.tokens_per_s = new_tokens / step.step_s;
  step.tokens_per_s_per_gpu = step.tokens_per_s / d.layout.gpus();
  step.mfu /= step.step_s;
  step.mbu /= step.step_s;
  step.relative_error = step.gpu_s > 0 ? step.relative_error / step.gpu_s : 0.0;
}

}  // namespace

StepEstimate estimate_step(const DeploymentSpec& deployment,
                           std::shared_ptr<const models::kernels::Calibration> calibration,
                           const StepShape& shape) {
  const models::kernels::KernelModel kernels(deployment.node, deployment.engine.tables,
                                             std::move(calibration));
  StepEstimate step;
  step.shape = shape;
  for (const Part& part : parts_of(deployment, shape)) {
    for (const llm::Operator& op : part.operators) {
      const auto time = kernels.time(op.shape);
      const Bounds least = bounds(op.shape, deployment.node);
      const double calls = op.repeat * part.times;
      OperatorEstimate row{part.name,
                           op.name,
                           calls,
                           calls * time.seconds,
                           calls * llm::flops(op.shape).value(),
                           calls * llm::bytes_moved(op.shape).value(),
                           calls * std::max({least.arithmetic_s, least.memory_s, least.link_s}),
                           time.provenance,
                           time.relative_error,
                           time.source};
      step.gpu_s += row.seconds;
      if (!least.off_gpu) {
        step.mfu += calls * least.arithmetic_s;
        step.mbu += calls * least.memory_s;
      }
      step.relative_error += row.seconds * row.relative_error;
      if (row.seconds > 0) step.provenance = weakest(step.provenance, row.provenance);
      step.operators.push_back(std::move(row));
    }
  }
  std::stable_sort(step.operators.begin(), step.operators.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  add_totals(step, deployment);
  return step;
}

}  // namespace foretoken::analysis
