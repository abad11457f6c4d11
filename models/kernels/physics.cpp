#include "models/kernels/physics.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/kernels/collective_physics.hpp"
#include "models/kernels/exchange_physics.hpp"
#include "models/kernels/work.hpp"

namespace foretoken::models::kernels {
namespace {

constexpr double kReferenceSustained = 0.87;
constexpr double kReferenceClock = 1.755e9;  // Hz; the launch times are quoted at it

template <class Group, std::size_t N>
void override_fields(const std::map<std::string, double>& parameters, const std::string& prefix,
                     Group& group, const std::pair<const char*, double Group::*> (&fields)[N]) {
  for (const auto& [name, field] : fields)
    if (const auto found = parameters.find(prefix + name); found != parameters.end())
      group.*field = found->second;
}

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
    const RooflineParameters* operator()(const llm::ElementwiseOp&) const { return nullptr; }
  };
  return std::visit(Chooser{parameters}, shape);
}

double roofline_seconds(const Work& work, const Machine& machine, const RooflineParameters& p) {
  const double launch = p.launch_s * (1 - p.launch_clock_share +
                                      p.launch_clock_share * kReferenceClock / machine.clock);
  // Little by little a call's data stop fitting: half of them miss at the usable share of L2.
  const double fill = p.l2_share * machine.l2 > 0 ? work.bytes / (p.l2_share * machine.l2) : 1e9;
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

PhysicalParameters PhysicalParameters::from(const std::map<std::string, double>& parameters) {
  using R = RooflineParameters;
  using C = CollectiveParameters;
  using P = PhysicalParameters;
  constexpr std::pair<const char*, double R::*> kRoofline[] = {
      {"launch_s", &R::launch_s},
      {"launch_clock_share", &R::launch_clock_share},
      {"memory_efficiency", &R::memory_efficiency},
      {"compute_efficiency", &R::compute_efficiency},
      {"sharpness", &R::sharpness},
      {"l2_share", &R::l2_share},
      {"sm_bytes_per_clock", &R::sm_bytes_per_clock},
      {"chain_s_per_step", &R::chain_s_per_step},
      {"padding", &R::padding}};
  constexpr std::pair<const char*, double C::*> kCollective[] = {
      {"wire_efficiency", &C::wire_efficiency},
      {"network_efficiency", &C::network_efficiency},
      {"direct_efficiency", &C::direct_efficiency},
      {"direct_launch_s", &C::direct_launch_s},
      {"direct_per_gpu_s", &C::direct_per_gpu_s},
      {"direct_round_s", &C::direct_round_s},
      {"direct_round_per_gpu_s", &C::direct_round_per_gpu_s},
      {"direct_most_bytes", &C::direct_most_bytes},
      {"eager_launch_s", &C::eager_launch_s},
      {"ring_launch_s", &C::ring_launch_s},
      {"ring_per_gpu_s", &C::ring_per_gpu_s},
      {"half_ring_launch_s", &C::half_ring_launch_s},
      {"half_ring_per_gpu_s", &C::half_ring_per_gpu_s},
      {"exchange_launch_s", &C::exchange_launch_s},
      {"exchange_per_gpu_s", &C::exchange_per_gpu_s}};
  using X = ExchangeParameters;
  constexpr std::pair<const char*, double X::*> kExchange[] = {
      {"normal_launch_s", &X::normal_launch_s},
      {"normal_message_s", &X::normal_message_s},
      {"normal_sm_byte_s", &X::normal_sm_byte_s},
      {"normal_wire_efficiency", &X::normal_wire_efficiency},
      {"low_latency_launch_s", &X::low_latency_launch_s},
      {"low_latency_expert_s", &X::low_latency_expert_s},
      {"low_latency_wire_efficiency", &X::low_latency_wire_efficiency},
      {"network_efficiency", &X::network_efficiency},
      {"sharpness", &X::sharpness}};
  constexpr std::pair<const char*, double P::*> kElementwise[] = {
      {"launch_s", &P::elementwise_launch_s}, {"efficiency", &P::elementwise_efficiency}};
  PhysicalParameters result;
  const std::pair<const char*, R P::*> kFamilies[] = {{"gemm", &P::gemm},
                                                      {"prefill", &P::prefill},
                                                      {"decode", &P::decode},
                                                      {"mla_prefill", &P::mla_prefill},
                                                      {"mla_decode", &P::mla_decode},
                                                      {"mla_bmm", &P::mla_bmm},
                                                      {"moe", &P::moe},
                                                      {"moe_dispatched", &P::moe_dispatched},
                                                      {"moe_masked", &P::moe_masked}};
  for (const auto& [name, family] : kFamilies)
    override_fields(parameters, std::string("physics/") + name + "/", result.*family, kRoofline);
  override_fields(parameters, "physics/collective/", result.collective, kCollective);
  override_fields(parameters, "physics/exchange/", result.exchange, kExchange);
  override_fields(parameters, "physics/elementwise/", result, kElementwise);
  return result;
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
  if (const auto* op = std::get_if<llm::ElementwiseOp>(&shape)) {
    const double rate = parameters.elementwise_efficiency * machine.bandwidth;
    return parameters.elementwise_launch_s * op->kernels + (rate > 0 ? op->bytes / rate : 0);
  }
  return roofline_seconds(work_of(shape, variant), machine, *roofline_of(shape, parameters));
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
