#include "models/power/node_power.hpp"

#include "sim/core/error.hpp"

namespace foretoken::models::power {

// wall = (N P_gpu + sum of parts) / psu efficiency. Linear between idle and load: fans and CPUs of
// eight-GPU servers follow their GPUs closely enough for that (MLPerf power logs: idle 2.4-2.9 kW,
// loaded 9.9-10.5 kW of B200 nodes).
NodeWatts node_power(const hardware::NodeSpec& node, double gpu_watts, double busy_share,
                     double pue) {
  SIM_ASSERT(busy_share >= 0.0 && busy_share <= 1.0 + 1e-9, "busy share of a node outside 0..1");
  SIM_ASSERT(pue >= 1.0, "PUE below 1");
  NodeWatts out;
  out.gpus = node.gpus * gpu_watts;
  double host = 0.0;
  const auto add = [&](const std::string& name, double idle, double load) {
    const double watts = idle + (load - idle) * busy_share;
    out.host.emplace_back(name, watts);
    host += watts;
  };
  if (node.host_parts.empty()) add("host", node.host_idle.value(), node.host_load.value());
  for (const auto& [name, part] : node.host_parts) add(name, part.idle.value(), part.load.value());
  const double efficiency = node.psu_efficiency > 0.0 ? node.psu_efficiency : 1.0;
  out.wall = (out.gpus + host) / efficiency;
  out.psu_loss = out.wall - out.gpus - host;
  out.rack = out.wall + node.rack_share.value();
  out.facility = out.rack * pue;
  return out;
}

}  // namespace foretoken::models::power
