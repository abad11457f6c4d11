#pragma once
// What the hardware cards say (scenarios/hardware/*.yaml): plain data, each figure with a source
// in the card. No formula lives here beyond simple look-ups.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/units.hpp"

namespace foretoken::models::hardware {

using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::FlopsPerSecond;
using sim::core::Watts;

// Number formats of weights, activations and KV cache.
enum class DType { fp32, tf32, bf16, fp16, fp8, int8, fp4, int4 };
double bytes_per_element(DType dtype);  // 0.5 for the 4-bit formats
std::string_view to_string(DType dtype);
std::optional<DType> parse_dtype(std::string_view name);

struct GpuSpec {
  std::string name;          // catalogue name, e.g. h200-sxm
  std::string architecture;  // ampere, ada, hopper, blackwell, cdna3, ...
  std::string tables;        // folder of measured tables, e.g. h200_sxm; empty = none
  int sm_count = 0;
  sim::core::Hertz boost_clock;  // of the SMs; 0 = unknown
  Bytes memory;                  // capacity as the driver reports it
  BytesPerSecond memory_bandwidth;
  Bytes l2_cache;
  std::map<DType, FlopsPerSecond> peak;  // dense tensor throughput
  // Share of the dense peak that survives power throttling in long matrix products (1 if unknown).
  double sustained_compute = 1.0;
  BytesPerSecond scale_up_bandwidth;  // NVLink/xGMI per GPU, one direction; 0 = none
  BytesPerSecond pcie_bandwidth;      // one direction
  Watts tdp;
  Watts idle;
  std::map<std::string, std::string> sources;  // key of the card -> source and date
};

struct NodeSpec {
  std::string name;  // catalogue name, e.g. hgx-h200
  GpuSpec gpu;
  int gpus = 0;
  std::string scale_up;             // nvswitch, nvlink-pairs, pcie
  double scale_up_latency_s = 0.0;  // one hop, software included
  int nics = 0;
  BytesPerSecond nic_bandwidth;  // each, one direction
  double nic_latency_s = 0.0;
  Watts host_idle;  // CPU, DRAM, fans, NICs at idle, without the GPUs
  Watts host_load;  // the same under load
  double psu_efficiency = 0.95;
  std::map<std::string, std::string> sources;
};

}  // namespace foretoken::models::hardware
