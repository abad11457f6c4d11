#include "models/hardware/load_time.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::hardware {
namespace {

LoadStage stage(std::string name, double bytes, double rate) {
  if (rate <= 0.0) throw sim::core::InputError("loading a model: the rate of " + name + " is zero");
  return {std::move(name), rate, bytes / rate};
}

}  // namespace

LoadTime load_time(const NodeSpec& node, const StorageSpec& storage, Bytes bytes,
                   Bytes bytes_per_gpu, int nodes) {
  LoadTime load;
  const double sharing = storage.networked ? std::max(1, nodes) : 1;
  load.stages.push_back(
      stage("storage " + storage.name, bytes.value(), storage.read_bandwidth.value() / sharing));
  if (storage.networked) {
    const double ports = node.nics * node.nic_bandwidth.value() * node.nic_efficiency;
    load.stages.push_back(stage("network", bytes.value(), ports));
  }
  if (node.gpu.processor == Processor::gpu)
    load.stages.push_back(
        stage("pcie", bytes_per_gpu.value(), kPcieEfficiency * node.gpu.pcie_bandwidth.value()));
  const auto slowest =
      std::max_element(load.stages.begin(), load.stages.end(),
                       [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  load.bottleneck = slowest->name;
  load.seconds = slowest->seconds + storage.latency_s;
  if (storage.networked) load.seconds += node.nic_latency_s;
  return load;
}

}  // namespace foretoken::models::hardware
