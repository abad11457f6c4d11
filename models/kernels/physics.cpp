#include "models/kernels/physics.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernels/collective_physics.hpp"
#include "models/kernels/exchange_physics.hpp"
#include "models/kernels/work.hpp"

namespace foretoken::models::kernels {
namespace {

constexpr double kReferenceSustained = 0.87;
constexpr double kReferenceClock = 1.755e9;  // Hz; the launch times are quoted at it

const RooflineParameters* roofline_of(const llm::OperatorShape& shape,
                                      const PhysicalParameters& parameters) {
  struct Chooser {
    const PhysicalParameters& p;
    const RooflineParameters* operator()(const llm::GemmOp&) const { return &p.gemm; }
    const RooflineParameters* operator()(const llm::PrefillAttentionOp&) const {
      return &p.prefill;
    }
    const RooflineParameters* operator()(const llm::DecodeAttentionOp&) const { return &p.decode; }
    const RooflineParameters* operator()(const llm::MlaPrefillOp&) const { return &p.mla_prefill; }
    const RooflineParameters* operator()(const llm::MlaDecodeOp&) const { return &p.mla_decode; }
    const RooflineParameters* operator()(const llm::MlaBmmOp&) const { return &p.mla_bmm; }
    const RooflineParameters* operator()(const llm::MlaBlockOp&) const { return nullptr; }
    const RooflineParameters* operator()(const llm::MoeOp& op) const {
      switch (op.input) {
        case llm::ExpertInput::dispatched:
          return &p.moe_dispatched;
        case llm::ExpertInput::masked:
          return &p.moe_masked;
        default:
          return &p.moe;
      }
    }
    const RooflineParameters* operator()(const llm::CollectiveOp&) const { return nullptr; }
    const RooflineParameters* operator()(const llm::ExpertExchangeOp&) const { return nullptr; }
    const RooflineParameters* operator()(const llm::ElementwiseOp&) const { return &p.elementwise; }
  };
  return std::visit(Chooser{parameters}, shape);
}

// `l2`: bytes of the cache that may hold the call's data.
double roofline_seconds(const Work& work, const Machine& machine, double l2,
                        const RooflineParameters& p) {
  const double launch = p.launch_s * (1 - p.launch_clock_share +
                                      p.launch_clock_share * kReferenceClock / machine.clock);
  // Little by little a call's data stop fitting: half of them miss at the usable share of L2.
  const double fill = p.l2_share * l2 > 0 ? work.bytes / (p.l2_share * l2) : 1e9;
  const double missing = 1 - 1 / (1 + std::pow(fill, 4));
  const double memory =
      machine.bandwidth > 0 ? work.bytes * missing / (p.memory_efficiency * machine.bandwidth) : 0;
  const double sm = work.bytes / (machine.sms * machine.clock * p.sm_bytes_per_clock);
  // The efficiencies were found with H100 and H200, of whose peak 0.87 is sustained.
  const double peak = p.compute_efficiency / kReferenceSustained * machine.sustained *
                      machine.peak_of(work.arithmetic);
  const double compute = peak > 0 ? std::max(work.flops, work.padded_flops * p.padding) / peak : 0;
  const double chain = work.chain_steps * p.chain_s_per_step * 1e9 / machine.clock;
  const auto power = [&](double x) { return std::pow(x, p.sharpness); };
  return launch +
         std::pow(power(memory) + power(sm) + power(compute) + power(chain), 1 / p.sharpness);
}

}  // namespace

namespace {

// Every number of `p` with its name in a calibration: "physics/FAMILY/NAME".
template <class Parameters, class Visit>
void for_each_field(Parameters& p, const Visit& visit) {
  const auto roofline = [&](const std::string& family, auto& r) {
    const std::string prefix = "physics/" + family + "/";
    visit(prefix + "launch_s", r.launch_s);
    visit(prefix + "launch_clock_share", r.launch_clock_share);
    visit(prefix + "memory_efficiency", r.memory_efficiency);
    visit(prefix + "compute_efficiency", r.compute_efficiency);
    visit(prefix + "sharpness", r.sharpness);
    visit(prefix + "l2_share", r.l2_share);
    visit(prefix + "sm_bytes_per_clock", r.sm_bytes_per_clock);
    visit(prefix + "chain_s_per_step", r.chain_s_per_step);
    visit(prefix + "padding", r.padding);
  };
  roofline("gemm", p.gemm);
  roofline("prefill", p.prefill);
  roofline("decode", p.decode);
  roofline("mla_prefill", p.mla_prefill);
  roofline("mla_decode", p.mla_decode);
  roofline("mla_bmm", p.mla_bmm);
  roofline("moe", p.moe);
  roofline("moe_dispatched", p.moe_dispatched);
  roofline("moe_masked", p.moe_masked);
  roofline("elementwise", p.elementwise);
  auto& c = p.collective;
  visit("physics/collective/wire_efficiency", c.wire_efficiency);
  visit("physics/collective/network_efficiency", c.network_efficiency);
  visit("physics/collective/direct_efficiency", c.direct_efficiency);
  visit("physics/collective/direct_launch_s", c.direct_launch_s);
  visit("physics/collective/direct_per_gpu_s", c.direct_per_gpu_s);
  visit("physics/collective/direct_round_s", c.direct_round_s);
  visit("physics/collective/direct_round_per_gpu_s", c.direct_round_per_gpu_s);
  visit("physics/collective/direct_most_bytes", c.direct_most_bytes);
  visit("physics/collective/eager_launch_s", c.eager_launch_s);
  visit("physics/collective/ring_launch_s", c.ring_launch_s);
  visit("physics/collective/ring_per_gpu_s", c.ring_per_gpu_s);
  visit("physics/collective/half_ring_launch_s", c.half_ring_launch_s);
  visit("physics/collective/half_ring_per_gpu_s", c.half_ring_per_gpu_s);
  visit("physics/collective/exchange_launch_s", c.exchange_launch_s);
  visit("physics/collective/exchange_per_gpu_s", c.exchange_per_gpu_s);
  auto& x = p.exchange;
  visit("physics/exchange/normal_launch_s", x.normal_launch_s);
  visit("physics/exchange/normal_message_s", x.normal_message_s);
  visit("physics/exchange/normal_sm_byte_s", x.normal_sm_byte_s);
  visit("physics/exchange/normal_wire_efficiency", x.normal_wire_efficiency);
  visit("physics/exchange/low_latency_launch_s", x.low_latency_launch_s);
  visit("physics/exchange/low_latency_expert_s", x.low_latency_expert_s);
  visit("physics/exchange/low_latency_wire_efficiency", x.low_latency_wire_efficiency);
  visit("physics/exchange/network_efficiency", x.network_efficiency);
  visit("physics/exchange/sharpness", x.sharpness);
}

}  // namespace

PhysicalParameters PhysicalParameters::from(const std::map<std::string, double>& parameters) {
  PhysicalParameters result;
  for_each_field(result, [&](const std::string& name, double& value) {
    if (const auto found = parameters.find(name); found != parameters.end()) value = found->second;
  });
  return result;
}

void PhysicalParameters::store(std::map<std::string, double>& parameters) const {
  for_each_field(*this, [&](const std::string& name, double value) { parameters[name] = value; });
}

double physical_seconds(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine, const PhysicalParameters& parameters) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return collective_seconds(*op, variant, machine, parameters.collective);
  if (const auto* op = std::get_if<llm::ExpertExchangeOp>(&shape))
    return exchange_seconds(*op, machine, parameters.exchange);
  if (const auto* op = std::get_if<llm::MlaBlockOp>(&shape)) {
    double sum = 0;
    for (const auto& part : llm::block_parts(*op))
      sum += physical_seconds(part, variant, machine, parameters);
    return sum;
  }
  const RooflineParameters& p = *roofline_of(shape, parameters);
  const bool element = std::holds_alternative<llm::ElementwiseOp>(shape);
  const double l2 = machine.timed_in_engine && !element ? 0.0 : machine.l2;
  double seconds = roofline_seconds(work_of(shape, variant), machine, l2, p);
  if (const auto* op = std::get_if<llm::ElementwiseOp>(&shape))
    seconds += p.launch_s * (op->kernels - 1);
  return seconds;
}

namespace {

// What fits into the L2 cache may come from there, the rest may not.
double least_memory_seconds(double bytes, const Machine& machine) {
  const double cached = std::min(bytes, machine.l2);
  return (machine.l2_bandwidth() > 0 ? cached / machine.l2_bandwidth() : 0) +
         (machine.bandwidth > 0 ? (bytes - cached) / machine.bandwidth : 0);
}

// Kernels of a block may overlap: its bytes and its products as wholes.
double least_block_seconds(const llm::MlaBlockOp& op, const std::string& variant,
                           const Machine& machine) {
  double arithmetic = 0, weights = 0;
  for (const auto& part : llm::block_parts(op)) {
    const Work work = work_of(part, variant);
    const double peak = machine.peak_of(work.arithmetic);
    if (peak > 0) arithmetic += work.flops / peak;
    weights += work.weight_bytes;
  }
  return std::max(arithmetic, least_memory_seconds(weights, machine));
}

}  // namespace

double least_seconds(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine) {
  if (const auto* op = std::get_if<llm::CollectiveOp>(&shape))
    return least_collective_seconds(*op, machine);
  if (const auto* op = std::get_if<llm::ExpertExchangeOp>(&shape))
    return least_exchange_seconds(*op, machine);
  if (const auto* op = std::get_if<llm::MlaBlockOp>(&shape))
    return least_block_seconds(*op, variant, machine);
  const Work work = work_of(shape, variant);
  const double memory = least_memory_seconds(work.bytes, machine);
  const double peak = machine.peak_of(work.arithmetic);
  return std::max(memory, peak > 0 ? work.flops / peak : 0);
}

double least_weight_seconds(const llm::OperatorShape& shape, const std::string& variant,
                            const Machine& machine) {
  if (machine.bandwidth <= 0) return 0;
  return work_of(shape, variant).weight_bytes / machine.bandwidth;
}

}  // namespace foretoken::models::kernels
