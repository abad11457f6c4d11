#include "models/training/memory.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace foretoken::models::training {
namespace {

struct PerElement {
  double parameters, gradients, optimizer;
};

double copy_bytes(Arithmetic arithmetic) {  // of a parameter that compute reads
  return arithmetic == Arithmetic::fp32 ? 4 : 2;
}

PerElement per_element(const Software& software, Arithmetic arithmetic, Sharding sharding,
                       double ranks) {
  const bool wide = arithmetic == Arithmetic::fp32;
  const double state = (wide ? 0 : software.main_parameter_bytes) + software.optimizer_state_bytes;
  PerElement bytes{copy_bytes(arithmetic), wide ? 4 : software.gradient_bytes, state};
  if (sharding != Sharding::none) bytes.optimizer /= ranks;
  if (sharding == Sharding::gradients || sharding == Sharding::parameters) bytes.gradients /= ranks;
  if (sharding == Sharding::parameters) bytes.parameters /= ranks;
  return bytes;
}

}  // namespace

double bytes_per_parameter(const Software& software, Arithmetic arithmetic, Sharding sharding,
                           double ranks) {
  const PerElement b = per_element(software, arithmetic, sharding, ranks);
  return b.parameters + b.gradients + b.optimizer;
}

MemoryAccount account_memory(const TrainingSpec& spec, const StepAccount& account,
                             const Order& order) {
  const Group data = data_group(spec.layout), experts = expert_data_group(spec.layout);
  const double ranks = spec.layout.shard_group > 0 ? spec.layout.shard_group : data.ranks;
  const PerElement dense = per_element(spec.software, spec.arithmetic, spec.layout.sharding, ranks);
  const PerElement routed =
      per_element(spec.software, spec.arithmetic, spec.layout.sharding, std::max(1, experts.ranks));
  std::vector<double> bytes;
  for (const Load& load : account.positions) bytes.push_back(load.activation_bytes);
  const InFlight flight = in_flight(spec, order, bytes);
  std::vector<MemoryAccount> devices(static_cast<std::size_t>(spec.layout.pipeline));
  for (int direction = 0; direction < copies(spec.schedule); ++direction)
    for (std::size_t i = 0; i < account.positions.size(); ++i) {
      const Load& load = account.positions[i];
      MemoryAccount& m =
          devices[static_cast<std::size_t>(device_of(spec, static_cast<int>(i), direction))];
      m.parameters +=
          load.dense_parameters * dense.parameters + load.expert_parameters * routed.parameters;
      m.gradients +=
          load.dense_parameters * dense.gradients + load.expert_parameters * routed.gradients;
      m.optimizer +=
          load.dense_parameters * dense.optimizer + load.expert_parameters * routed.optimizer;
      m.working = std::max(m.working, load.working_bytes);
    }
  MemoryAccount fullest;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    MemoryAccount& m = devices[i];
    m.device = static_cast<int>(i);
    m.activations = flight.bytes[i];
    // Two layers of the position that is worked on stay, the rest waits in host memory.
    if (spec.offload_activations)
      m.activations *= std::min(1.0, 2.0 / std::max(1, spec.model.layers));
    if (spec.cpu_offload) {
      // Gradients leave for the host as they are made: a layer's worth stays (ZeRO-Offload).
      m.optimizer = 0;
      m.gradients /= std::max(
          1.0, static_cast<double>(spec.model.layers) / static_cast<double>(devices.size()));
    }
    if (i == 0 || m.allocated() > fullest.allocated()) fullest = m;
  }
  if (spec.layout.sharding == Sharding::parameters) {
    // One layer gathered while it runs and the next on its way, gradients of one.
    const double layers =
        static_cast<double>(spec.model.layers) / static_cast<double>(account.positions.size());
    const Load& load = account.positions.front();
    fullest.working += (load.dense_parameters + load.expert_parameters) / std::max(1.0, layers) *
                       (2 * copy_bytes(spec.arithmetic) + spec.software.reduce_bytes);
  }
  fullest.reserve = spec.software.memory_reserve;
  fullest.capacity = spec.node.gpu.memory.value();
  return fullest;
}

std::string describe(const MemoryAccount& m) {
  constexpr double kGb = 1e-9;
  return fmt::format(
      "the fullest GPU (pipeline rank {}) needs {:.1f} GB of {:.1f} GB{}: parameters {:.1f}, "
      "gradients {:.1f}, optimizer {:.1f}, activations {:.1f}, working set {:.1f}, reserve {:.1f} "
      "GB",
      m.device, m.total() * kGb, m.capacity * kGb,
      m.fits() ? std::string()
               : fmt::format(", {:.1f} GB too much", (m.total() - m.capacity) * kGb),
      m.parameters * kGb, m.gradients * kGb, m.optimizer * kGb, m.activations * kGb,
      m.working * kGb, m.reserve * kGb);
}

}  // namespace foretoken::models::training
