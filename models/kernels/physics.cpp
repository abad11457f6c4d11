#include "models/kernels/physics.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernels/collective_physics.hpp"
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

PhysicalParameters PhysicalParameters::from(const std::map<std::string, double>& parameters) {
  PhysicalParameters result;
  const std::pair<const char*, double PhysicalParameters::*> kFields[] = {
      {"launch_s", &PhysicalParameters::launch_s},
      {"moe_launch_s", &PhysicalParameters::moe_launch_s},
      {"memory_efficiency", &PhysicalParameters::memory_efficiency},
      {"compute_efficiency", &PhysicalParameters::compute_efficiency},
      {"sharpness", &PhysicalParameters::sharpness},
      {"wire_efficiency", &PhysicalParameters::wire_efficiency},
      {"direct_efficiency", &PhysicalParameters::direct_efficiency},
      {"direct_launch_s", &PhysicalParameters::direct_launch_s},
      {"direct_round_s", &PhysicalParameters::direct_round_s},
      {"direct_most_bytes", &PhysicalParameters::direct_most_bytes},
      {"eager_launch_s", &PhysicalParameters::eager_launch_s},
      {"ring_launch_s", &PhysicalParameters::ring_launch_s},
      {"ring_per_gpu_s", &PhysicalParameters::ring_per_gpu_s},
      {"half_ring_launch_s", &PhysicalParameters::half_ring_launch_s},
      {"half_ring_per_gpu_s", &PhysicalParameters::half_ring_per_gpu_s},
      {"exchange_launch_s", &PhysicalParameters::exchange_launch_s},
      {"exchange_per_gpu_s", &PhysicalParameters::exchange_per_gpu_s}};
  for (const auto& [name, field] : kFields)
    if (const auto found = parameters.find(std::string("physics/") + name);
        found != parameters.end())
      result.*field = found->second;
  return result;
}

double least_seconds(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return least_collective_seconds(*op, machine);
  const Work work = work_of(shape, variant);
  // What fits into the L2 cache may come from there, the rest may not.
  const double cached = std::min(work.bytes, machine.l2);
  const double memory = (machine.l2_bandwidth() > 0 ? cached / machine.l2_bandwidth() : 0) +
                        (machine.bandwidth > 0 ? (work.bytes - cached) / machine.bandwidth : 0);
  const double peak = machine.peak_of(std::visit(Arithmetic{variant}, shape));
  return std::max(memory, peak > 0 ? work.flops / peak : 0);
}

double physical_seconds(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine, const PhysicalParameters& parameters) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return collective_seconds(*op, variant, machine, parameters);
  const double bandwidth = parameters.memory_efficiency * machine.bandwidth;
  if (const auto* op = std::get_if<llm::ElementwiseOp>(&shape))
    return parameters.launch_s * op->kernels + (bandwidth > 0 ? op->bytes / bandwidth : 0);
  const Work work = work_of(shape, variant);
  const double peak = machine.peak_of(std::visit(Arithmetic{variant}, shape));
  const double memory = bandwidth > 0 ? work.bytes / bandwidth : 0;
  const double compute = peak > 0 ? work.flops / (parameters.compute_efficiency * peak) : 0;
  const double launch =
      std::holds_alternative<llm::MoeOp>(shape) ? parameters.moe_launch_s : parameters.launch_s;
  const double p = parameters.sharpness;
  return launch + std::pow(std::pow(memory, p) + std::pow(compute, p), 1 / p);
}

}  // namespace foretoken::models::kernels
