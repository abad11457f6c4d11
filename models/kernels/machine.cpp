#include "models/kernels/machine.hpp"

#include <algorithm>
#include <string_view>

namespace foretoken::models::kernels {
namespace {

using hardware::DType;

// L2 to SM: 64 byte/clock for each SM (NVIDIA A100 and H100 whitepapers). Only ever used as a limit
// from above, so that a boost clock a little above the card's does no harm: 10 % are added.
constexpr double kL2BytesPerClock = 64.0 * 1.1;

constexpr std::array<DType, 8> kDTypes{DType::fp32, DType::tf32, DType::bf16, DType::fp16,
                                       DType::fp8,  DType::int8, DType::fp4,  DType::int4};

std::size_t slot(DType dtype) { return static_cast<std::size_t>(dtype); }

}  // namespace

double Machine::peak_of(DType dtype) const {
  if (peak[slot(dtype)] > 0) return peak[slot(dtype)];
  switch (dtype) {
    case DType::fp4:
    case DType::int4:
      return peak_of(DType::fp8);
    case DType::fp8:
    case DType::int8:
      return peak_of(DType::bf16);
    case DType::bf16:
      return std::max(peak[slot(DType::fp16)], peak[slot(DType::fp32)]);
    case DType::fp16:
      return std::max(peak[slot(DType::bf16)], peak[slot(DType::fp32)]);
    case DType::tf32:
    case DType::fp32:
      return peak[slot(DType::fp32)];
  }
  return 0;
}

double Machine::l2_bandwidth() const { return sms * clock * kL2BytesPerClock; }

Machine machine_of(const hardware::GpuSpec& gpu) {
  Machine machine;
  machine.architecture = gpu.architecture;
  machine.sms = std::max(1, gpu.sm_count);
  if (gpu.boost_clock.value() > 0) machine.clock = gpu.boost_clock.value();
  if (gpu.sustained_compute > 0) machine.sustained = gpu.sustained_compute;
  machine.bandwidth = gpu.memory_bandwidth.value();
  machine.l2 = gpu.l2_cache.value();
  machine.timed_in_engine = gpu.tables_in_engine;
  machine.scale_up = gpu.scale_up_bandwidth.value();
  machine.pcie = gpu.pcie_bandwidth.value();
  for (const auto& [dtype, rate] : gpu.peak) machine.peak[slot(dtype)] = rate.value();
  return machine;
}

Machine machine_of(const hardware::NodeSpec& node) {
  Machine machine = machine_of(node.gpu);
  machine.node_gpus = node.gpus;
  machine.network = node.gpus > 0 ? node.nics * node.nic_bandwidth.value() / node.gpus : 0.0;
  machine.network_latency_s = node.nic_latency_s;
  return machine;
}

void store_machine(const std::string& gpu, const Machine& machine,
                   std::map<std::string, double>& parameters) {
  const std::string prefix = gpu + "/card/";
  parameters[prefix + "architecture/" + machine.architecture] = 1.0;
  parameters[prefix + "sms"] = machine.sms;
  parameters[prefix + "clock"] = machine.clock;
  parameters[prefix + "sustained"] = machine.sustained;
  parameters[prefix + "bandwidth"] = machine.bandwidth;
  parameters[prefix + "l2"] = machine.l2;
  if (machine.timed_in_engine) parameters[prefix + "timed_in_engine"] = 1.0;
  parameters[prefix + "scale_up"] = machine.scale_up;
  parameters[prefix + "pcie"] = machine.pcie;
  for (const DType dtype : kDTypes)
    if (machine.peak[slot(dtype)] > 0)
      parameters[prefix + "peak/" + std::string(to_string(dtype))] = machine.peak[slot(dtype)];
}

bool load_machine(const std::string& gpu, const std::map<std::string, double>& parameters,
                  Machine& machine) {
  const std::string prefix = gpu + "/card/";
  const auto number = [&](const std::string& name) {
    const auto found = parameters.find(prefix + name);
    return found == parameters.end() ? 0.0 : found->second;
  };
  if (number("sms") <= 0 || number("bandwidth") <= 0) return false;
  const std::string tag = prefix + "architecture/";
  const auto architecture = parameters.lower_bound(tag);
  if (architecture != parameters.end() && architecture->first.starts_with(tag))
    machine.architecture = architecture->first.substr(tag.size());
  machine.sms = number("sms");
  if (number("clock") > 0) machine.clock = number("clock");
  if (number("sustained") > 0) machine.sustained = number("sustained");
  machine.bandwidth = number("bandwidth");
  machine.l2 = number("l2");
  machine.timed_in_engine = number("timed_in_engine") > 0;
  machine.scale_up = number("scale_up");
  machine.pcie = number("pcie");
  for (const DType dtype : kDTypes)
    machine.peak[slot(dtype)] = number("peak/" + std::string(to_string(dtype)));
  return true;
}

}  // namespace foretoken::models::kernels
