#include "models/kernels/physics.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernels/moe_load.hpp"

namespace foretoken::models::kernels {
namespace {

using hardware::DType;
using llm::WeightFormat;

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

struct Arithmetic {
  const std::string& variant;
  DType operator()(const llm::GemmOp& op) const { return arithmetic_of(op.format, variant); }
  DType operator()(const llm::MlaBmmOp& op) const { return arithmetic_of(op.format, variant); }
  DType operator()(const llm::MoeOp& op) const { return arithmetic_of(op.format, variant); }
  DType operator()(const llm::CollectiveOp&) const { return DType::bf16; }
  DType operator()(const llm::ElementwiseOp&) const { return DType::bf16; }
  template <class Attention>
  DType operator()(const Attention& op) const {
    return op.kv == DType::fp8 ? DType::fp8 : DType::bf16;
  }
};

// Bytes that cross each GPU's link, one direction (Thakur, Rabenseifner, Gropp 2005, section 4:
// ring algorithms move the least).
double wire_bytes(const llm::CollectiveOp& op) {
  const double n = std::max(op.gpus, 1);
  switch (op.kind) {
    case llm::CollectiveKind::all_reduce:
      return op.bytes * (n - 1) / n;  // in-switch reduction
    case llm::CollectiveKind::send_recv:
      return op.bytes;
    default:
      return op.bytes * (n - 1) / n;
  }
}

double link_bandwidth(const Machine& machine) {
  return machine.scale_up > 0 ? machine.scale_up : machine.pcie;
}

// Flops and bytes of an operator on this GPU.
struct Work {
  double flops = 0, bytes = 0;
};

// Expert layers without a gate have two matrices in place of three.
Work moe_work(const llm::MoeOp& op, const std::string& variant) {
  const MoeLoad load = moe_load(op);
  const double inner = static_cast<double>(op.intermediate) / op.tensor;
  const double matrices = variant.find("nongated") != std::string::npos ? 2.0 : 3.0;
  constexpr double kActivation = 2.0;  // bytes of an element
  Work work;
  work.flops = 2 * matrices * load.pairs * op.hidden * inner;
  work.bytes = load.experts * matrices * op.hidden * inner * bytes_per_weight(op.format) +
               load.pairs * (2.0 * op.hidden + (matrices - 1) * 2 * inner) * kActivation;
  return work;
}

Work work_of(const llm::OperatorShape& shape, const std::string& variant) {
  if (const auto* moe = std::get_if<llm::MoeOp>(&shape)) return moe_work(*moe, variant);
  return {llm::flops(shape).value(), llm::bytes_moved(shape).value()};
}

}  // namespace

double least_seconds(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape)) {
    if (op->gpus <= 1) return 0;
    const double rate = link_bandwidth(machine);
    return rate > 0 ? wire_bytes(*op) / rate : 0;
  }
  const Work work = work_of(shape, variant);
  // What fits into the L2 cache may come from there, the rest may not.
  const double cached = std::min(work.bytes, machine.l2);
  const double memory = (machine.l2_bandwidth() > 0 ? cached / machine.l2_bandwidth() : 0) +
                        (machine.bandwidth > 0 ? (work.bytes - cached) / machine.bandwidth : 0);
  const double peak = machine.peak_of(std::visit(Arithmetic{variant}, shape));
  return std::max(memory, peak > 0 ? work.flops / peak : 0);
}

double physical_seconds(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape)) {
    if (op->gpus <= 1) return 0;
    return 6e-6 + wire_bytes(*op) * 2 / (0.8 * link_bandwidth(machine));
  }
  if (const auto* op = std::get_if<llm::ElementwiseOp>(&shape))
    return 2.5e-6 * op->kernels + op->bytes / (0.8 * machine.bandwidth);
  const Work work = work_of(shape, variant);
  const double memory = work.bytes / (0.8 * machine.bandwidth);
  const double peak = machine.peak_of(std::visit(Arithmetic{variant}, shape));
  const double compute = work.flops / (0.75 * peak);
  return 3e-6 + std::pow(std::pow(memory, 4) + std::pow(compute, 4), 0.25);
}

}  // namespace foretoken::models::kernels
