#include "models/kernels/cpu_physics.hpp"

#include <algorithm>
#include <variant>

#include "models/hardware/load_time.hpp"
#include "models/llm/expert_load.hpp"

namespace foretoken::models::kernels {
namespace {

using hardware::DType;
using llm::WeightFormat;

struct CpuWork {
  double bytes = 0;
  double flops = 0;
  double converted = 0;  // weights
  double launches = 1;
};

double d(std::int64_t value) { return static_cast<double>(value); }

// int8 goes into AMX or VNNI as it is (activations are quantised as well, as SGLang and llama.cpp
// do); 16 bits need no step of their own; the rest is widened first.
bool converted(WeightFormat format) {
  return format != WeightFormat::bf16 && format != WeightFormat::fp16 &&
         format != WeightFormat::int8_wo;
}

struct Counter {
  CpuWork work;  // with bytes and flops of models/llm

  CpuWork weights(double elements, WeightFormat format, double launches) {
    if (converted(format)) work.converted = elements;
    work.launches = launches;
    return work;
  }
  CpuWork operator()(const llm::GemmOp& op) { return weights(d(op.n) * d(op.k), op.format, 1); }
  CpuWork operator()(const llm::MlaBmmOp& op) {
    const double head = op.post ? op.dims.v_head_dim : op.dims.qk_nope_head_dim;
    return weights(op.heads * op.dims.kv_lora_rank * head, op.format, 1);
  }
  CpuWork operator()(const llm::MoeOp& op) {
    const llm::ExpertLoad load = llm::expert_load(op);
    const double elements = load.experts_touched * 3.0 * op.hidden * op.intermediate / op.tensor;
    return weights(elements, op.format, 2);  // both grouped products
  }
  CpuWork operator()(const llm::ElementwiseOp& op) {
    work.launches = op.kernels;
    return work;
  }
  template <class Other>
  CpuWork operator()(const Other&) {
    return work;
  }
};

double matrix_rate(const CpuMachine& machine, const CpuParameters& p) {
  if (machine.matrix_flops <= 0) return machine.vector_flops * p.vector_efficiency;
  return std::min(machine.matrix_flops, p.matrix_per_clock * machine.cores * machine.clock);
}

// Through shared memory: every socket reads what the others wrote.
double between_sockets(const llm::CollectiveOp& op, const CpuMachine& machine,
                       const CpuParameters& p) {
  const double share = static_cast<double>(op.gpus - 1) / std::max(1, op.gpus);
  const double rounds = op.kind == llm::CollectiveKind::all_reduce ? 2.0 : 1.0;
  const double bytes =
      op.kind == llm::CollectiveKind::send_recv ? op.bytes : rounds * share * op.bytes;
  const double rate = machine.socket_bandwidth > 0 ? p.link_efficiency * machine.socket_bandwidth
                                                   : p.memory_efficiency * machine.bandwidth;
  return p.launch_s + rounds * machine.socket_latency_s + bytes / rate;
}

}  // namespace

CpuMachine cpu_machine_of(const hardware::CpuSpec& cpu, double socket_latency_s) {
  const auto peak = [&cpu](DType dtype) {
    const auto found = cpu.peak.find(dtype);
    return found == cpu.peak.end() ? 0.0 : found->second.value();
  };
  CpuMachine machine;
  machine.cores = cpu.cores;
  machine.clock = cpu.clock.value();
  machine.bandwidth = cpu.memory_bandwidth.value();
  machine.vector_flops = peak(DType::fp32);
  machine.matrix_flops = peak(DType::bf16);
  machine.socket_bandwidth = cpu.socket_bandwidth.value();
  machine.socket_latency_s = socket_latency_s;
  return machine;
}

// The device of such a node carries what a scenario may have put in the card's place.
CpuMachine cpu_machine_of(const hardware::NodeSpec& node) {
  CpuMachine machine = cpu_machine_of(node.cpu, node.scale_up_latency_s);
  machine.bandwidth = node.gpu.memory_bandwidth.value();
  machine.socket_bandwidth = node.gpu.scale_up_bandwidth.value();
  return machine;
}

double cpu_seconds(const llm::OperatorShape& shape, const CpuMachine& machine, int sockets,
                   const CpuParameters& p) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return between_sockets(*op, machine, p);
  CpuWork work;
  work.bytes = llm::bytes_moved(shape).value();
  work.flops = llm::flops(shape).value();
  work = std::visit(Counter{work}, shape);
  const double memory = work.bytes / (p.memory_efficiency * machine.bandwidth);
  const double matrix = work.flops / matrix_rate(machine, p);
  const double conversion =
      work.converted / (p.conversions_per_clock * machine.cores * machine.clock);
  return work.launches * p.launch_s + (memory + matrix + conversion) / std::max(1, sockets);
}

double host_copy_seconds(double bytes, double pcie, const CpuParameters& p) {
  return p.copy_latency_s + bytes / (hardware::kPcieEfficiency * pcie);
}

}  // namespace foretoken::models::kernels
